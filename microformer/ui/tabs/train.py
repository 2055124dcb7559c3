"""The Train tab: set up a run on the left, watch it on the right, compare all of them below."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from microformer.ui.actions import plans, train
from microformer.ui.page import Page
from microformer.ui.tabs import new_run, runs, sample
from microformer.ui.workspace import Visitor, Workspace


@dataclass(frozen=True)
class Parts:
    """What the tab's wiring, and other tabs, need of it."""

    new: new_run.Parts
    runs: runs.Parts


def build(page: Page) -> Parts:
    """Lay out the tab."""
    with gr.Row(equal_height=False, elem_classes="sides"):
        with gr.Column(scale=5, min_width=320, elem_classes="card"):
            chosen = new_run.build(page)
        with gr.Column(scale=7, min_width=320, elem_classes="card"):
            watched = runs.build(page)
    with gr.Column(elem_classes="card"), gr.Accordion("Advanced: every setting", open=False, elem_id="train-advanced"):
        settings = new_run.build_settings()
    with gr.Column(elem_classes="card"):
        compared = runs.build_table()
    return Parts(new_run.Parts(**chosen, **settings), runs.Parts(**watched, **compared))


def wire(page: Page, parts: Parts, all_parts: dict[str, Any]) -> None:
    """Connect the tab's events."""
    new_run.wire(page, parts.new)
    _wire_start(page, parts.new, parts.runs)
    runs.wire(page, parts.runs)
    sample.opened_by(page, all_parts["sample"], parts.runs.use.click, lambda *shown: shown[-1], [parts.runs.shown])


def _wire_start(page: Page, new: new_run.Parts, watched: runs.Parts) -> None:
    """Start a run and show it."""

    def start(workspace: Workspace, visitor: Visitor, name: Any, dataset: Any, preset: Any, *rest: Any) -> Any:
        id = train.start(workspace, visitor, dataset, preset, name, *new.values(preset, *rest))
        names = new_run.choices(workspace, visitor)
        used = names[0][1] if dataset == plans.TALES else dataset
        return [gr.Dropdown(names, value=used), "", *runs.chosen_run(workspace, visitor, id, [id])]

    page.hold(new.start, "Starting …", start, [new.name, *new.chosen], [new.dataset, new.name, *watched.outputs])
