"""The Train tab: set up a run on the left, watch it on the right, compare all of them below."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from microformer.errors import UserError
from microformer.model.config import LORA, ModelConfig
from microformer.presets import Preset
from microformer.training.config import TrainConfig
from microformer.ui.actions import data as datasets
from microformer.ui.actions import plans, train
from microformer.ui.forms import Form, build_form
from microformer.ui.page import QUIET, Page
from microformer.ui.plan_card import plan_html, problem_html
from microformer.ui.tabs import runs, sample
from microformer.ui.workspace import Visitor, Workspace

NEW_TALES = (f"New: Tiny Tales, {plans.TALES_MEGABYTES} MB, made on the spot", plans.TALES)
START = "Start training"
MORE, FEWER = "More presets", "Fewer presets"
TASKS = [
    ("What the dataset is for", "auto"),
    ("To go on with a text", "language_modelling"),
    ("To fill gaps in a text", "masked_language_modelling"),
    ("To sort texts by label", "classification"),
    ("To estimate a number", "regression"),
    ("To answer with a text", "sequence_to_sequence"),
]


@dataclass(frozen=True)
class Parts:
    """What the tab's wiring, and other tabs, need of it. ``filled`` is the preset that the forms were filled from."""

    dataset: gr.Dropdown
    preset: gr.Radio
    more: gr.Button
    all_shown: gr.State
    task: gr.Dropdown
    name: gr.Textbox
    model: Form
    training: Form
    filled: gr.State
    plan: gr.HTML
    command: gr.Textbox
    start: gr.Button
    runs: runs.Parts

    @property
    def widgets(self) -> list[Component]:
        """The widgets of both forms, model first."""
        return [*self.model.widgets, *self.training.widgets]

    @property
    def chosen(self) -> list[Component]:
        """All that says what the run will be: dataset, preset, and what ``values`` takes with it."""
        return [self.dataset, self.preset, self.task, self.filled, *self.widgets]

    def values(self, preset: Any, task: Any, filled: Any, *entered: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings of model and training, from what stands in ``chosen``. Raises ``UserError``."""
        # A preset that was just chosen may not have reached the widgets yet: then it is the preset that counts.
        model, training = self.read(entered if filled == preset else tuple(self.fill(plans.preset_named(preset))))
        return model, training | {"task": task}

    def read(self, entered: tuple[Any, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What stands in ``widgets``, as values by name. Raises ``UserError``."""
        cut = len(self.model.widgets)
        return self.model.read(entered[:cut]), self.training.read(entered[cut:])

    def fill(self, preset: Preset) -> list[Any]:
        """What ``widgets`` show for a preset."""
        return [*self.model.show(preset.config.model), *self.training.show(preset.config.training)]


def build(page: Page) -> Parts:
    """Lay out the tab."""
    with gr.Row(equal_height=False, elem_classes="sides"):
        with gr.Column(scale=5, min_width=320, elem_classes="card"):
            chosen = _build_choice(page)
        with gr.Column(scale=7, min_width=320, elem_classes="card"):
            watched = runs.build(page)
    with gr.Column(elem_classes="card"), gr.Accordion("Advanced: every setting", open=False, elem_id="train-advanced"):
        settings = _build_settings()
    with gr.Column(elem_classes="card"):
        compared = runs.build_table()
    return Parts(**chosen, **settings, runs=runs.Parts(**watched, **compared))


def _build_choice(page: Page) -> dict[str, Any]:
    gr.Markdown("### A new run")
    dataset = gr.Dropdown(
        [NEW_TALES],
        value=plans.TALES,
        label="Learn from",
        elem_id="train-dataset",
        filterable=False,
        elem_classes=page.term("dataset"),
    )
    preset = gr.Radio(
        [(plans.preset_label(one), one.name) for one in plans.shortlist("text")],
        value=plans.DEFAULT_PRESET,
        label="Preset",
        elem_id="train-preset",
        elem_classes=[*page.term("preset"), "presets"],
    )
    more = gr.Button(MORE, size="sm", elem_id="train-more-presets", elem_classes="link")
    task = gr.Dropdown(TASKS, value="auto", label="What it learns", elem_id="train-task", filterable=False)
    name = gr.Textbox(label="Name (optional)", max_lines=1, max_length=80, elem_id="train-name")
    plan = gr.HTML("", elem_id="train-plan", apply_default_css=False)
    start = gr.Button(START, variant="primary", elem_id="train-start")
    with gr.Accordion("The same as a command", open=False, elem_id="train-command-line"):
        command = gr.Textbox(
            label="Command",
            show_label=False,
            container=False,
            interactive=False,
            lines=3,
            max_lines=8,
            buttons=["copy"],
            elem_id="train-command",
        )
    return {
        "dataset": dataset,
        "preset": preset,
        "more": more,
        "all_shown": gr.State(False),
        "task": task,
        "name": name,
        "plan": plan,
        "command": command,
        "start": start,
    }


def _build_settings() -> dict[str, Any]:
    gr.Markdown("#### The model")
    model = build_form(ModelConfig, skip=("vocab_size", "bits", *LORA), id_prefix="model-")
    gr.Markdown("#### Its training")
    training = build_form(TrainConfig, id_prefix="training-")
    return {"model": model, "training": training, "filled": gr.State(None)}


def wire(page: Page, parts: Parts, all_parts: dict[str, Any]) -> None:
    """Connect the tab's events."""
    _wire_plan(page, parts)
    _wire_start(page, parts)
    runs.wire(page, parts.runs)
    sample.opened_by(page, all_parts["sample"], parts.runs.use.click, lambda *shown: shown[-1], [parts.runs.shown])


def _wire_plan(page: Page, parts: Parts) -> None:
    """Show what the chosen run will be, whenever something is chosen."""
    planned = [parts.plan, parts.command]
    filled = [parts.filled, *parts.widgets, *planned]

    def show_plan(workspace: Workspace, visitor: Visitor, *chosen: Any, measure: bool = False) -> Any:
        dataset, preset, *_ = chosen
        try:
            plan = plans.plan(workspace, visitor, dataset, preset, *parts.values(*chosen[1:]), measure=measure)
        except UserError as error:
            return [problem_html(str(error)), ""]
        return [plan_html(plan), plan.command]

    def measure_plan(workspace: Workspace, visitor: Visitor, *chosen: Any) -> Any:
        return show_plan(workspace, visitor, *chosen, measure=True)

    def label_presets(workspace: Workspace, visitor: Visitor, dataset: Any, preset: Any, all_shown: Any) -> Any:
        return gr.Radio(plans.preset_labels(workspace, visitor, dataset, preset, more=all_shown))

    def fold(workspace: Workspace, visitor: Visitor, dataset: Any, preset: Any, all_shown: Any) -> Any:
        shown = not all_shown
        return [shown, gr.Button(FEWER if shown else MORE), label_presets(workspace, visitor, dataset, preset, shown)]

    def arrive(workspace: Workspace, visitor: Visitor, dataset: Any, *rest: Any) -> Any:
        names = _datasets(workspace, visitor)
        ids = [id for _, id in names]
        chosen = dataset if dataset in ids and dataset != plans.TALES else ids[0]
        return [gr.Dropdown(names, value=chosen), *choose_dataset(workspace, visitor, chosen, *rest)]

    def choose_dataset(workspace: Workspace, visitor: Visitor, *chosen: Any) -> Any:
        dataset, preset, task, *_ = chosen
        able = plans.preset_for(workspace, visitor, dataset, preset)
        if able != preset:
            return [able, *choose_preset(workspace, visitor, dataset, able, task)]
        return [*[gr.skip()] * (2 + len(parts.widgets)), *show_plan(workspace, visitor, *chosen)]

    def choose_preset(workspace: Workspace, visitor: Visitor, dataset: Any, name: Any, task: Any) -> Any:
        entered = parts.fill(plans.preset_named(name))
        return [name, *entered, *show_plan(workspace, visitor, dataset, name, task, name, *entered)]

    page.on_arrival(choose_preset, [parts.dataset, parts.preset, parts.task], filled)
    typed = [parts.task.input, *(widget.input for widget in parts.widgets)]  # type: ignore[attr-defined]
    last: dict[str, Any] = {"trigger_mode": "always_last"}
    changes = [
        page.on(page.panes["train"].select, arrive, parts.chosen, [parts.dataset, parts.preset, *filled]),
        page.on(parts.dataset.input, choose_dataset, parts.chosen, [parts.preset, *filled], **last),
        page.on(parts.preset.input, choose_preset, [parts.dataset, parts.preset, parts.task], filled, **last),
        page.on(partial(gr.on, typed), show_plan, parts.chosen, planned, **last),
    ]
    # What takes a trial on this machine comes after what is known at once.
    measured = [page.on(one.then, measure_plan, parts.chosen, planned) for one in changes]
    listed = [parts.dataset, parts.preset, parts.all_shown]
    for one in measured[:2]:
        page.on(one.then, label_presets, listed, [parts.preset])
    page.on(parts.more.click, fold, listed, [parts.all_shown, parts.more, parts.preset])


def _wire_start(page: Page, parts: Parts) -> None:
    """Start a run: the button says so until the run is there."""

    def start(workspace: Workspace, visitor: Visitor, name: Any, dataset: Any, preset: Any, *rest: Any) -> Any:
        id = train.start(workspace, visitor, dataset, preset, name, *parts.values(preset, *rest))
        names = _datasets(workspace, visitor)
        used = names[0][1] if dataset == plans.TALES else dataset
        return [gr.Dropdown(names, value=used), "", *runs.chosen_run(workspace, visitor, id, [id])]

    pressed = parts.start.click(lambda: gr.Button("Starting …", interactive=False), None, parts.start, **QUIET)
    started = page.on(
        pressed.then,
        start,
        [parts.name, *parts.chosen],
        [parts.dataset, parts.name, *parts.runs.outputs],
        trigger_mode="once",
    )
    started.then(lambda: gr.Button(START, interactive=True), None, parts.start, **QUIET)


def _datasets(workspace: Workspace, visitor: Visitor) -> list[tuple[str, str]]:
    """What a run can learn from: the visitor's datasets, and Tiny Tales that are yet to be made."""
    return [*datasets.choices(workspace, visitor), NEW_TALES]
