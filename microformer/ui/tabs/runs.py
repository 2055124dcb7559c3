"""The part of the Train tab that shows runs: live curves, buttons, and the table of all of them."""

import html
from dataclasses import dataclass
from typing import Any

import gradio as gr

from microformer.ui import live_chart
from microformer.ui.actions import runs, train
from microformer.ui.actions.looks import Look, overview
from microformer.ui.actions.models import can_write
from microformer.ui.page import Page
from microformer.ui.tabs import owned
from microformer.ui.workspace import Visitor, Workspace

NO_RUNS = '<p class="empty">No run yet. Press <b>Start training</b>; the first curve shows within seconds.</p>'


@dataclass(frozen=True)
class Parts:
    """The components around the live view; ``outputs`` are those that ``refreshed`` updates, in order."""

    shown: gr.Dropdown
    drawn: gr.CheckboxGroup
    view: gr.HTML
    pause: gr.Button
    resume: gr.Button
    use: gr.Button
    owned: owned.Parts
    table: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        buttons = [self.pause, self.resume, self.use]
        return [self.shown, self.drawn, self.view, *buttons, *self.owned.outputs, self.table]


def build(page: Page) -> dict[str, Any]:
    """The live view with its buttons."""
    with gr.Row(elem_classes="under-way"):
        shown = gr.Dropdown(
            [],
            label="Run",
            elem_id="train-run",
            filterable=False,
            elem_classes=page.term("run"),
            visible=False,
            scale=4,
            min_width=220,
        )
        hidden: dict[str, Any] = {"interactive": False, "visible": False, "scale": 1, "min_width": 90}
        pause = gr.Button("Pause", elem_id="train-pause", **hidden)
        resume = gr.Button("Resume", elem_id="train-resume", **hidden)
    view = live_chart.run_view(page.server(runs.follow), elem_id="train-view")
    use = gr.Button("Let it write", variant="primary", elem_id="train-use", visible=False)
    manage = owned.build("train", "Let everybody here look at this run and sample from it")
    return {"shown": shown, "view": view, "pause": pause, "resume": resume, "use": use, "owned": manage}


def build_table() -> dict[str, Any]:
    """All runs: which curves are drawn together, and their numbers side by side."""
    gr.Markdown("### All runs")
    drawn = gr.CheckboxGroup([], label="Curves drawn together", elem_id="train-drawn", visible=False)
    table = gr.HTML(NO_RUNS, elem_id="train-table", apply_default_css=False)
    return {"drawn": drawn, "table": table}


def wire(page: Page, parts: Parts) -> None:
    """Connect the events of the runs."""
    chosen = [parts.shown, parts.drawn]

    def pause(workspace: Workspace, visitor: Visitor, id: Any, drawn: Any) -> Any:
        train.stop(workspace, visitor, id)
        return refreshed(workspace, visitor, id, drawn)

    def resume(workspace: Workspace, visitor: Visitor, id: Any, drawn: Any) -> Any:
        train.resume(workspace, visitor, id)
        return refreshed(workspace, visitor, id, drawn)

    def show(workspace: Workspace, visitor: Visitor, id: Any, drawn: Any) -> Any:
        return chosen_run(workspace, visitor, id, [id])

    def drawn_as_well(workspace: Workspace, visitor: Visitor, id: Any, drawn: Any) -> list[Any]:
        return chosen_run(workspace, visitor, id, [*(drawn or []), id])

    page.on_arrival(refreshed, chosen, parts.outputs)
    page.on(page.panes["train"].select, refreshed, chosen, parts.outputs)
    page.on(parts.view.moved, refreshed, chosen, parts.outputs)
    page.on(parts.shown.input, show, chosen, parts.outputs)
    page.on(parts.drawn.input, chosen_run, chosen, parts.outputs)
    page.on(parts.pause.click, pause, chosen, parts.outputs)
    page.on(parts.resume.click, resume, chosen, parts.outputs)
    owned.wire(page, parts.owned, train, chosen, drawn_as_well, parts.outputs)


def refreshed(workspace: Workspace, visitor: Visitor, id: Any, drawn: Any) -> list[Any]:
    """Updates of ``Parts.outputs`` that leave alone what a person chose: lists, buttons and the table as they are now.

    Answers may overtake each other, so only an action by which somebody chooses a run may change which one is shown.
    """
    all_runs = overview(workspace, visitor)
    shown = next((one for one in all_runs if one.item.id == id), None)
    if shown is None and (all_runs or id is not None):  # the shown run is gone, or there was none yet
        return chosen_run(workspace, visitor, id, drawn)
    names = _names(all_runs)
    lists = [gr.Dropdown(names), gr.CheckboxGroup(names, visible=len(names) > 1), gr.skip()]
    *buttons, _, share = _buttons(workspace, shown)
    return [*lists, *buttons, gr.skip(), share, table_html(all_runs, shown)]


def chosen_run(workspace: Workspace, visitor: Visitor, id: Any, drawn: Any) -> list[Any]:
    """Updates of ``Parts.outputs`` that show the run ``id`` (or the newest, where that is gone) and draw ``drawn``."""
    all_runs = overview(workspace, visitor)
    ids = [one.item.id for one in all_runs]
    shown = next((one for one in all_runs if one.item.id == id), all_runs[0] if all_runs else None)
    alone = [shown.item.id] if shown else []
    together = ([one for one in dict.fromkeys(drawn or []) if one in ids] or alone)[: runs.RUNS_DRAWN]
    names = _names(all_runs)
    return [
        gr.Dropdown(names, value=shown.item.id if shown else None, visible=shown is not None),
        gr.CheckboxGroup(names, value=together, visible=len(names) > 1),
        {"shown": shown.item.id if shown else None, "runs": together},
        *_buttons(workspace, shown),
        table_html(all_runs, shown),
    ]


def _names(all_runs: list[Look]) -> list[tuple[str, str]]:
    return [(one.item.name if one.item.mine else f"{one.item.name} (shared)", one.item.id) for one in all_runs]


def _buttons(workspace: Workspace, shown: Look | None) -> list[Any]:
    """Pause, resume, "Let it write", and what its owner can do, as they suit a run."""
    mine, state = shown is not None and shown.item.mine, shown.status.state if shown else ""
    return [
        gr.Button(interactive=mine and state in ("running", "queued"), visible=mine),
        gr.Button(interactive=mine and state in ("stopped", "failed", "diverged"), visible=mine),
        gr.Button(visible=shown is not None and can_write(shown.item)),
        *owned.updates(workspace, shown.item if shown else None),
    ]


def table_html(all_runs: list[Look], shown: Look | None) -> str:
    """All runs side by side; a pandas frame turned into a table, every cell escaped.

    ``data-made`` says for which run and which state of all runs the page's lists and buttons were made.
    """
    signature = runs.signature([(one.item, one.status.state) for one in all_runs])
    made = f'data-made="{shown.item.id if shown else ""} {signature}"'
    if not all_runs:
        return f"<div {made}>{NO_RUNS}</div>"
    frame = runs.table(all_runs)
    head = "".join(f'<th scope="col">{html.escape(str(column))}</th>' for column in frame.columns)
    rows = "".join(
        "<tr>" + "".join(f"<td>{html.escape(str(value))}</td>" for value in row) + "</tr>"
        for row in frame.itertuples(index=False)
    )
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="All runs" {made}>'
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
