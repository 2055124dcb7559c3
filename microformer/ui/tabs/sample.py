"""The Sample tab: let a model write, and see how sure it was of every token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from microformer.generation.settings import Sampling
from microformer.settings import Setting, describe
from microformer.ui.actions import models, sample, streams
from microformer.ui.forms import Form, explanation, label
from microformer.ui.page import QUIET, Page, down_to
from microformer.ui.prediction import prediction_html
from microformer.ui.tabs import model_list
from microformer.ui.token_stream import token_stream
from microformer.ui.workspace import Visitor, Workspace

GATES = [("where it fits", "auto"), ("always", "on"), ("never", "off")]
NOTHING = "What the model writes appears here, token by token. Press <b>Write</b>."
# Setting, lowest and highest value on the page, step, and the term that explains it.
SLIDERS = (
    ("num_samples", 1, sample.MOST_SAMPLES, 1, "samples"),
    ("top_k", 0, 200, 1, "top-k"),
    ("top_p", 0.01, 1, 0.01, "top-p"),
    ("min_p", 0, 1, 0.01, "min-p"),
    ("repetition_penalty", 1, 2, 0.05, "repetition penalty"),
)
AS_IT_IS, UNTICK = "(text) => text", "() => false"


@dataclass(frozen=True)
class Parts:
    """What the tab's wiring, and other tabs, need of it. The label of an example's button is the prompt it fills in."""

    model: gr.Dropdown
    checkpoint: gr.Dropdown
    prompt: gr.Textbox
    examples: list[gr.Button]
    settings: Form
    seed: gr.Number
    fresh: gr.Checkbox
    gate: gr.Radio
    write: gr.Button
    stop: gr.Button
    view: gr.HTML
    answer: gr.HTML


def build(page: Page) -> Parts:
    """Lay out the tab: what to write on the left, the text on the right."""
    with gr.Row(equal_height=False, elem_classes="sides"):
        with gr.Column(scale=5, min_width=320, elem_classes="card"):
            chosen = _build_choice(page)
        with gr.Column(scale=7, min_width=320, elem_classes="card"):
            gr.Markdown("### What it writes")
            answer = gr.HTML("", elem_id="sample-answer", apply_default_css=False)
            view = token_stream(page, elem_id="sample-view", label="What the model writes", empty=NOTHING)
    return Parts(**chosen, view=view, answer=answer)


def _build_choice(page: Page) -> dict[str, Any]:
    gr.Markdown("### Let it write")
    model = model_list.build("sample-model")
    prompt = gr.Textbox(
        value=models.TALES_PROMPTS[0],
        label="Prompt",
        lines=3,
        max_lines=10,
        elem_id="sample-prompt",
        elem_classes=page.term("prompt"),
    )
    with gr.Row(elem_classes="mf-examples"):
        examples = [
            gr.Button("", size="sm", visible=False, elem_id=f"sample-example-{i}", min_width=60)
            for i in range(models.PROMPTS)
        ]
    known = {one.name: one for one in describe(Sampling)}
    widgets: dict[str, Component] = {
        "temperature": _slider(page, known["temperature"], 0, 2, 0.05),
        "max_tokens": _slider(page, known["max_tokens"], 1, sample.MOST_TOKENS, 1),
    }
    with gr.Row():
        write = gr.Button("Write", variant="primary", elem_id="sample-write", interactive=False, scale=2, min_width=140)
        stop = gr.Button("Stop", elem_id="sample-stop", interactive=False, scale=1, min_width=90)
    with gr.Accordion("More settings", open=False, elem_id="sample-more"):
        more = _build_more(page, known, widgets)
    return {
        "model": model,
        "prompt": prompt,
        "examples": examples,
        "settings": Form(tuple(known[name] for name in widgets), tuple(widgets.values())),
        "write": write,
        "stop": stop,
        **more,
    }


def _build_more(page: Page, known: dict[str, Setting], widgets: dict[str, Component]) -> dict[str, Any]:
    """What few need; those that are settings of ``Sampling`` are added to ``widgets``."""
    checkpoint = gr.Dropdown(
        [("Best: the lowest validation loss", models.BEST)],
        value=models.BEST,
        label="Checkpoint",
        elem_id="sample-checkpoint",
        filterable=False,
        elem_classes=page.term("checkpoint"),
    )
    for name, least, most, step, term in SLIDERS:
        widgets[name] = _slider(page, known[name], least, most, step, term=term)
    widgets["stop"] = gr.Textbox(
        label="Stop at",
        max_lines=1,
        max_length=200,
        elem_id="sample-stop-text",
        elem_classes=page.term("stop text"),
    )
    seed = widgets["seed"] = gr.Number(
        label=label(known["seed"]),
        info=known["seed"].help,
        step=1,
        elem_id="sample-seed",
        elem_classes=page.term("seed"),
    )
    fresh = gr.Checkbox(value=True, label="Draw a new seed each time", elem_id="sample-fresh", container=False)
    gate = gr.Radio(
        GATES, value="auto", label="Use what I taught it", elem_id="sample-gate", elem_classes=page.term("gate")
    )
    return {"checkpoint": checkpoint, "seed": seed, "fresh": fresh, "gate": gate}


def _slider(
    page: Page, known: Setting, least: float, most: float, step: float, *, term: str | None = None
) -> gr.Slider:
    """A slider over what makes sense on the page, which may be less than what the setting allows."""
    return gr.Slider(
        least,
        most,
        value=known.default,
        step=step,
        label=label(known),
        info=explanation(known) if term is None and known.name not in ("temperature", "max_tokens") else None,
        elem_id=f"sample-{known.name}",
        elem_classes=page.term(term or known.name.replace("_", " ")),
    )


def wire(page: Page, parts: Parts, all_parts: dict[str, Any]) -> None:
    """Connect the tab's events."""
    _wire_models(page, parts)
    inputs = [parts.model, parts.checkpoint, parts.prompt, parts.gate, parts.fresh, *parts.settings.widgets]
    outputs = [parts.view, parts.seed, parts.stop, parts.answer]

    def write(
        workspace: Workspace, visitor: Visitor, model: Any, checkpoint: Any, prompt: Any, gate: Any, *entered: Any
    ) -> Any:
        found = sample.predicted(workspace, visitor, model, checkpoint, prompt)
        if found is not None:
            return [gr.skip(), gr.skip(), gr.skip(), prediction_html(found)]
        fresh, *numbers = entered
        values = parts.settings.read(numbers)
        if fresh:
            values["seed"] = None
        begun = sample.begin(workspace, visitor, model, checkpoint, prompt, values, gate)
        return [begun.key, begun.seed, gr.Button(interactive=True), ""]

    def watch_again(workspace: Workspace, visitor: Visitor) -> Any:
        group = streams.latest(workspace, visitor, sample.PLACE)
        if group is None:
            return [gr.skip(), gr.skip()]
        return [group.key, gr.Button(interactive=not group.done)]

    for event in (parts.write.click, parts.prompt.submit):
        page.on(event, write, inputs, outputs).then(None, js=down_to("#sample-view"), api_visibility="private")
    page.on(parts.stop.click, sample.stop)
    page.on_arrival(watch_again, (), [parts.view, parts.stop])
    parts.view.settled(lambda: gr.Button(interactive=False), None, parts.stop, **QUIET)
    # Who types a seed wants that one.
    parts.seed.input(None, None, parts.fresh, js=UNTICK, api_visibility="private")
    for button in parts.examples:
        # Done in the browser alone, so that nothing can arrive late and overwrite what was typed in the meantime.
        button.click(None, button, parts.prompt, js=AS_IT_IS, api_visibility="private")


def opened_by(page: Page, parts: Parts, trigger: Any, run_of: Any, inputs: Sequence[Component] = ()) -> None:
    """Let an event turn to this tab with a model chosen: the run that ``run_of(workspace, visitor, *inputs)`` names."""

    def use(workspace: Workspace, visitor: Visitor, prompt: Any, *values: Any) -> Any:
        model, listed = model_list.chosen(workspace, visitor, run_of(workspace, visitor, *values))
        return [listed, models.suited(workspace, visitor, model, prompt), page.go_to("sample")]

    page.on(trigger, use, [parts.prompt, *inputs], [parts.model, parts.prompt, page.tabs])  # type: ignore[list-item]


def _wire_models(page: Page, parts: Parts) -> None:
    written_with = parts.settings.widgets[:2]  # temperature and length, which only texts have
    outputs = [page.last_model, parts.model, parts.checkpoint, parts.write, *written_with, *parts.examples]

    def refresh(workspace: Workspace, visitor: Visitor, last: Any, model: Any, checkpoint: Any) -> Any:
        model, listed = model_list.chosen(workspace, visitor, model, last)
        if model is None:
            texts: list[str] = []
            kept, writes = [("Best", models.BEST)], True
        else:
            writes = models.goes_on_named(workspace, visitor, model)
            texts = models.prompts(workspace, visitor, model)
            kept = models.checkpoints(workspace, visitor, model)
        checkpoint = checkpoint if checkpoint in [id for _, id in kept] else models.BEST
        return [
            model,
            listed,
            gr.Dropdown(kept, value=checkpoint),
            gr.Button(interactive=model is not None),
            *(gr.Slider(visible=True if writes else "hidden") for _ in written_with),
            *(_example(texts, number) for number in range(len(parts.examples))),
        ]

    chosen = [page.last_model, parts.model, parts.checkpoint]
    page.on_arrival(refresh, chosen, outputs)
    page.on(page.panes["sample"].select, refresh, chosen, outputs)
    page.on(parts.model.input, refresh, chosen, outputs)
    page.on(parts.model.input, models.suited, [parts.model, parts.prompt], [parts.prompt])


def _example(texts: list[str], number: int) -> gr.Button:
    """The button of one example, or none."""
    if number >= len(texts):
        return gr.Button(visible=False)
    return gr.Button(texts[number], visible=True)
