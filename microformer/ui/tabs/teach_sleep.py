"""Consolidation on the Teach tab: what was taught becomes part of a run of one's own, is checked, and can be undone."""

import html
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from microformer.ui.actions import lessons, sleep
from microformer.ui.actions.words import counted
from microformer.ui.page import Page, said
from microformer.ui.progress_bar import LOOK_AGAIN, progress_bar
from microformer.ui.terms import question_mark
from microformer.ui.workspace import Visitor, Workspace

ABOUT = (
    "As in sleep: a copy of the model learns your facts in its long-term adapters, until it says them without the "
    "second memory. It takes the model's place only if it says every fact, goes on as before elsewhere, and predicts "
    "other text as well. It can take a minute or more, and can be undone."
)


@dataclass(frozen=True)
class Parts:
    """What the wiring needs of it; ``outputs`` are what ``updates`` gives new values to."""

    about: gr.HTML
    move: gr.Button
    stop: gr.Button
    undo: gr.Button
    copy: gr.Button
    progress: gr.HTML
    figures: gr.HTML

    @property
    def outputs(self) -> list[Any]:
        return [self.about, self.move, self.stop, self.undo, self.copy, self.progress, self.figures]


def build(page: Page) -> Parts:
    """Lay it out inside its accordion."""
    gr.Markdown(ABOUT, elem_classes="quiet")
    about = gr.HTML("", elem_id="teach-sleep-about", apply_default_css=False)
    with gr.Row(elem_classes="manage"):
        move = _button("Move my facts", "teach-move")
        copy = _button("Make a copy of my own", "teach-copy")
        stop = _button("Stop", "teach-move-stop")
        undo = _button("Undo the move", "teach-move-undo")
    progress = progress_bar(page, sleep.progress, elem_id="teach-moving", label="Progress of the move")
    figures = gr.HTML("", elem_id="teach-moved", apply_default_css=False)
    return Parts(about, move, stop, undo, copy, progress, figures)


def _button(label: str, elem_id: str) -> gr.Button:
    return gr.Button(label, size="sm", elem_id=elem_id, visible=False, min_width=190, scale=0)


def wire(page: Page, parts: Parts, model: gr.Dropdown, refresh: Callable[..., Any], everything: Sequence[Any]) -> None:
    """Connect its events. ``refresh`` gives new values to ``everything`` that a move or an undo may have changed."""

    def move(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        sleep.begin(workspace, visitor, chosen)
        return updates(workspace, visitor, chosen)

    def undo(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        sleep.undo(workspace, visitor, chosen)
        said("The model is as it was before, and its second memory holds your facts again.")
        return refresh(workspace, visitor, chosen)

    page.on(parts.move.click, move, [model], parts.outputs)
    page.on(parts.stop.click, lessons.stop)
    page.on(parts.undo.click, undo, [model], everything).then(None, js=LOOK_AGAIN, api_visibility="private")
    page.on(parts.progress.settled, refresh, [model], everything)


def copied(workspace: Workspace, visitor: Visitor) -> str:
    """A copy of the starter that is the visitor's own; its id."""
    id = sleep.copy_starter(workspace, visitor)
    said(f"“{workspace.runs.item(id, visitor).name}” is a run of your own now. What you taught the starter is in it.")
    return id


def updates(workspace: Workspace, visitor: Visitor, model: Any) -> list[Any]:
    """The panel as it is now."""
    now = sleep.standing(workspace, visitor, model)
    moving = lessons.learning(workspace, visitor, moving=True)
    lesson = lessons.current(workspace, visitor)
    numbers = sleep.figures(workspace, visitor, model)
    return [
        about_html(now),
        gr.Button(visible=not now.hindrance and bool(now.facts) and not moving),
        gr.Button(visible=moving),
        gr.Button(visible=now.moved is not None and not moving),
        gr.Button(visible=now.starter),
        lesson.key if lesson is not None and moving else gr.skip(),
        "" if numbers is None else figures_html(numbers),
    ]


def about_html(now: sleep.Standing) -> str:
    """What can be moved, or why nothing can."""
    if now.hindrance:
        return _sentence(now.hindrance)
    if not now.facts:
        return _sentence("There is nothing in the second memory to move." if now.moved is None else "")
    can = f"{counted(now.facts, 'fact')} can be moved."
    return _sentence(f"{can} {now.stays}")


def figures_html(numbers: Mapping[str, Any]) -> str:
    """How the check of a move went. ``numbers`` are those of ``teaching.consolidate.Check``, and what
    ``teaching.history`` adds once the new model is kept."""
    from microformer.teaching.consolidate import LOCALITY, LOSS_RISE

    rise = numbers["loss_after"] / numbers["loss_before"] - 1
    rows = [
        ("Facts it says without the second memory", f"{numbers['recited']} of {numbers['facts']}", "all"),
        (
            "Next token the same, on text it never saw",
            f"{100 * numbers['locality']:.1f} %",
            f"{100 * LOCALITY:g} % or more",
        ),
        (
            f"Loss on that text{question_mark('loss')}",
            f"{numbers['loss_before']:.3f} → {numbers['loss_after']:.3f} ({100 * rise:+.2f} %)",
            f"{100 * LOSS_RISE:+g} % or less",
        ),
    ]
    body = "".join(f'<tr><th scope="row">{name}</th><td>{is_}</td><td>{needs}</td></tr>' for name, is_, needs in rows)
    return (
        '<section class="proof"><table><thead><tr><th>The check of the last move</th><th>found</th><th>needed</th></tr>'
        f"</thead><tbody>{body}</tbody></table>{_kept(numbers)}</section>"
    )


def _kept(numbers: Mapping[str, Any]) -> str:
    if "from" not in numbers:
        return _sentence("It was not kept; the model is as it was.")
    return _sentence(
        f"It is the run's newest checkpoint now; the model from before, {numbers['from'].replace('-', ' ')}, is kept."
    )


def _sentence(text: str) -> str:
    return f'<p class="quiet">{html.escape(text)}</p>' if text else ""
