"""The part of the Train tab that sets up a run: what it learns from, its settings, and what they amount to."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from microformer.errors import UserError
from microformer.model.config import LORA, ModelConfig
from microformer.presets import with_changes
from microformer.training.config import RunConfig, TrainConfig
from microformer.ui.actions import data as datasets
from microformer.ui.actions import offers, plans
from microformer.ui.forms import Form, build_form
from microformer.ui.page import QUIET, Page
from microformer.ui.plan_card import plan_html, problem_html, proposal_html
from microformer.ui.workspace import Visitor, Workspace

NEW_TALES = (f"New: Tiny Tales, {plans.TALES_MEGABYTES} MB, made on the spot", plans.TALES)
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
    """What the wiring, and other tabs, need of it. ``filled`` is the preset that the forms were filled from."""

    dataset: gr.Dropdown
    minutes: gr.Number
    propose: gr.Button
    proposal: gr.HTML
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
        if filled != preset:  # chosen just now, and not in the widgets yet
            entered = tuple(self.fill(plans.preset_named(preset).config))
        model, training = self.read(entered)
        return model, training | {"task": task}

    def read(self, entered: tuple[Any, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
        """What stands in ``widgets``, as values by name. Raises ``UserError``."""
        cut = len(self.model.widgets)
        return self.model.read(entered[:cut]), self.training.read(entered[cut:])

    def fill(self, config: RunConfig) -> list[Any]:
        """What ``widgets`` show for a configuration."""
        return [*self.model.show(config.model), *self.training.show(config.training)]

    @property
    def planned(self) -> list[Component]:
        """What ``show_plan`` updates."""
        return [self.plan, self.command]

    @property
    def set_up(self) -> list[Component]:
        """What ``choose_preset`` updates."""
        return [self.filled, *self.widgets, *self.planned]

    def show_plan(self, workspace: Workspace, visitor: Visitor, *chosen: Any, measure: bool = False) -> list[Any]:
        """What stands in ``chosen`` amounts to, or why it cannot be trained."""
        dataset, preset, *_ = chosen
        try:
            plan = plans.plan(workspace, visitor, dataset, preset, *self.values(*chosen[1:]), measure=measure)
        except UserError as error:
            return [problem_html(str(error)), ""]
        return [plan_html(plan), plan.command]

    def measure_plan(self, workspace: Workspace, visitor: Visitor, *chosen: Any) -> list[Any]:
        """The same, with the time that it takes here, for which a step may have to be tried out."""
        return self.show_plan(workspace, visitor, *chosen, measure=True)

    def choose_preset(self, workspace: Workspace, visitor: Visitor, dataset: Any, name: Any, task: Any) -> list[Any]:
        """Fill the forms with a preset."""
        entered = self.fill(plans.preset_named(name).config)
        return [name, *entered, *self.show_plan(workspace, visitor, dataset, name, task, name, *entered)]


def build(page: Page) -> dict[str, Any]:
    """What is chosen for each run, the plan, and the button."""
    gr.Markdown("### A new run")
    dataset = gr.Dropdown(
        [NEW_TALES],
        value=plans.TALES,
        label="Learn from",
        elem_id="train-dataset",
        filterable=False,
        elem_classes=page.term("dataset"),
    )
    with gr.Row(elem_classes="under-way"):
        minutes = gr.Number(3, label="Minutes I have", elem_id="train-minutes", scale=1, min_width=120)
        propose = gr.Button("Propose a run", elem_id="train-propose", scale=2, min_width=140)
    proposal = gr.HTML("", elem_id="train-proposal", apply_default_css=False)
    preset = gr.Radio(
        [(offers.preset_label(one), one.name) for one in offers.shortlist("text")],
        value=offers.DEFAULT_PRESET,
        label="Preset",
        elem_id="train-preset",
        elem_classes=[*page.term("preset"), "presets"],
    )
    more = gr.Button(MORE, size="sm", elem_id="train-more-presets", elem_classes="link")
    task = gr.Dropdown(TASKS, value="auto", label="What it learns", elem_id="train-task", filterable=False)
    name = gr.Textbox(label="Name (optional)", max_lines=1, max_length=80, elem_id="train-name")
    plan = gr.HTML("", elem_id="train-plan", apply_default_css=False)
    start = gr.Button("Start training", variant="primary", elem_id="train-start")
    command = build_command()
    return {
        "dataset": dataset,
        "minutes": minutes,
        "propose": propose,
        "proposal": proposal,
        "preset": preset,
        "more": more,
        "all_shown": gr.State(False),
        "task": task,
        "name": name,
        "plan": plan,
        "command": command,
        "start": start,
    }


def build_command() -> gr.Textbox:
    """The chosen run as a line for the terminal."""
    with gr.Accordion("The same as a command", open=False, elem_id="train-command-line"):
        made: gr.Textbox = gr.Textbox(
            label="Command",
            show_label=False,
            container=False,
            interactive=False,
            lines=3,
            max_lines=8,
            buttons=["copy"],
            elem_id="train-command",
        )
    return made


def build_settings() -> dict[str, Any]:
    """Every setting of the model and of its training."""
    gr.Markdown("#### The model")
    model = build_form(ModelConfig, skip=("vocab_size", "bits", *LORA), id_prefix="model-")
    gr.Markdown("#### Its training")
    training = build_form(TrainConfig, id_prefix="training-")
    return {"model": model, "training": training, "filled": gr.State(None)}


def wire(page: Page, parts: Parts) -> None:
    """Connect the events."""
    measured = _wire_plan(page, parts)
    _wire_presets(page, parts, measured)
    _wire_proposal(page, parts)


def _wire_plan(page: Page, parts: Parts) -> list[Any]:
    """Show what the chosen run will be, whenever something is chosen; the events after a dataset was."""

    def arrive(workspace: Workspace, visitor: Visitor, dataset: Any, *rest: Any) -> Any:
        names = choices(workspace, visitor)
        ids = [id for _, id in names]
        chosen = dataset if dataset in ids and dataset != plans.TALES else ids[0]
        return [gr.Dropdown(names, value=chosen), *choose_dataset(workspace, visitor, chosen, *rest)]

    def choose_dataset(workspace: Workspace, visitor: Visitor, *chosen: Any) -> Any:
        dataset, preset, task, *_ = chosen
        able = offers.preset_for(workspace, visitor, dataset, preset)
        if able != preset:
            return [able, *parts.choose_preset(workspace, visitor, dataset, able, task)]
        return [*[gr.skip()] * (2 + len(parts.widgets)), *parts.show_plan(workspace, visitor, *chosen)]

    by_preset = [parts.dataset, parts.preset, parts.task]
    page.on_arrival(parts.choose_preset, by_preset, parts.set_up)
    typed = [parts.task.input, *(widget.input for widget in parts.widgets)]  # type: ignore[attr-defined]
    last: dict[str, Any] = {"trigger_mode": "always_last"}
    changes = [
        page.on(page.panes["train"].select, arrive, parts.chosen, [parts.dataset, parts.preset, *parts.set_up]),
        page.on(parts.dataset.input, choose_dataset, parts.chosen, [parts.preset, *parts.set_up], **last),
        page.on(parts.preset.input, parts.choose_preset, by_preset, parts.set_up, **last),
        page.on(partial(gr.on, typed), parts.show_plan, parts.chosen, parts.planned, **last),
    ]
    # What takes a trial on this machine comes after what is known at once.
    return [page.on(one.then, parts.measure_plan, parts.chosen, parts.planned) for one in changes][:2]


def _wire_presets(page: Page, parts: Parts, measured: list[Any]) -> None:
    """Offer the presets that suit the dataset, with their times: a few, or all."""

    def label(workspace: Workspace, visitor: Visitor, dataset: Any, preset: Any, all_shown: Any) -> Any:
        return gr.Radio(offers.preset_labels(workspace, visitor, dataset, preset, more=all_shown))

    def fold(workspace: Workspace, visitor: Visitor, dataset: Any, preset: Any, all_shown: Any) -> Any:
        shown = not all_shown
        return [shown, gr.Button(FEWER if shown else MORE), label(workspace, visitor, dataset, preset, shown)]

    listed = [parts.dataset, parts.preset, parts.all_shown]
    for one in measured:
        page.on(one.then, label, listed, [parts.preset])
    page.on(parts.more.click, fold, listed, [parts.all_shown, parts.more, parts.preset])


def _wire_proposal(page: Page, parts: Parts) -> None:
    """Set up the run that suits the minutes one has."""

    def propose(workspace: Workspace, visitor: Visitor, dataset: Any, task: Any, minutes: Any, all_shown: Any) -> Any:
        found = offers.proposed(workspace, visitor, dataset, minutes)
        preset = found.preset
        entered = parts.fill(with_changes(plans.preset_named(preset).config, {"training": found.training}))
        labels = offers.preset_labels(workspace, visitor, dataset, preset, more=all_shown)
        planned = parts.measure_plan(workspace, visitor, dataset, preset, task, preset, *entered)
        return [proposal_html(found.sentence), gr.Radio(labels, value=preset), preset, *entered, *planned]

    asked = [parts.dataset, parts.task, parts.minutes, parts.all_shown]
    page.hold(parts.propose, "Trying out …", propose, asked, [parts.proposal, parts.preset, *parts.set_up])
    gr.on([parts.dataset.input, parts.preset.input], lambda: "", None, parts.proposal, **QUIET)


def choices(workspace: Workspace, visitor: Visitor) -> list[tuple[str, str]]:
    """What a run can learn from: the visitor's datasets, and Tiny Tales that are yet to be made."""
    return [*datasets.choices(workspace, visitor), NEW_TALES]
