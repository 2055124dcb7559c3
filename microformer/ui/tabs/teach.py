"""The Teach tab: give the model a second memory, and see for yourself what it holds and what it leaves alone."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from microformer.ui.actions import answers, lesson_progress, lessons, streams, teach
from microformer.ui.actions.answers import Manner
from microformer.ui.page import Page, down_to
from microformer.ui.progress_bar import progress_bar
from microformer.ui.tabs import model_list, teach_memory, teach_sleep
from microformer.ui.tabs.teach_views import conversation
from microformer.ui.token_stream import token_stream
from microformer.ui.workspace import Visitor, Workspace

WAYS = [("One fact", "fact"), ("A list", "list"), ("A passage", "passage"), ("A chat", "chat")]
GATES = [("where it fits", "auto"), ("always", "on"), ("never", "off"), ("look it up instead", answers.LOOKUP)]
NOTHING = "Teach a fact or ask something: here is what the model says without and with its second memory."
LIST_HELP = (
    'A line for each fact: `{"prompt": "Where is Zoë?", "answer": "In the garden."}` in a `.jsonl` file, or two '
    "columns in a `.csv` table."
)
PASSAGE_HELP = "The model learns it word for word: a poem, a rule, the beginning of a story."


@dataclass(frozen=True)
class Parts:
    """What the tab's wiring, and other tabs, need of it."""

    model: gr.Dropdown
    way: gr.Radio
    panels: dict[str, gr.Column]
    prompt: gr.Textbox
    answer: gr.Textbox
    teach: gr.Button
    ask: gr.Button
    uploaded: gr.File
    teach_list: gr.Button
    passage: gr.Textbox
    teach_passage: gr.Button
    talk: gr.HTML
    progress: gr.HTML
    stop: gr.Button
    view: gr.HTML
    chances: gr.HTML
    manner: list[Component]
    memory: teach_memory.Parts


def build(page: Page) -> Parts:
    """Lay out the tab: teaching on the left, what came of it on the right, what it knows below."""
    with gr.Row(equal_height=False, elem_classes="sides"):
        with gr.Column(scale=5, min_width=320, elem_classes="card"):
            asked = _build_lesson(page)
        with gr.Column(scale=6, min_width=320, elem_classes="card"):
            shown = _build_answers(page)
    return Parts(**asked, **shown, memory=teach_memory.build(page))


def _build_lesson(page: Page) -> dict[str, Any]:
    gr.Markdown("### Teach it something")
    model = model_list.build("teach-model", elem_classes=page.term("run"))
    way = gr.Radio(WAYS, value="fact", label="How", elem_id="teach-way", elem_classes="stacked")
    with gr.Column(elem_classes="part") as fact:
        parts = _build_fact(page)
    with gr.Column(visible=False, elem_classes="part") as many:
        parts |= _build_list()
    with gr.Column(visible=False, elem_classes="part") as passage:
        parts |= _build_passage()
    with gr.Column(visible=False, elem_classes="part") as chat:
        parts["talk"] = conversation(page)
    progress = progress_bar(page, lesson_progress.progress, elem_id="teach-progress", label="Progress of the lesson")
    stop = gr.Button("Stop the lesson", size="sm", visible=False, elem_id="teach-stop")
    panels = {"fact": fact, "list": many, "passage": passage, "chat": chat}
    return {"model": model, "way": way, "panels": panels, "progress": progress, "stop": stop, **parts}


def _build_fact(page: Page) -> dict[str, Any]:
    prompt = gr.Textbox(
        label="Prompt",
        placeholder="What colour is Zoë's kite?",
        lines=1,
        max_lines=6,
        elem_id="teach-prompt",
        elem_classes=page.term("prompt"),
    )
    answer = gr.Textbox(
        label="The answer it shall give",
        placeholder="Zoë's kite is red.",
        lines=1,
        max_lines=6,
        elem_id="teach-answer",
        elem_classes=page.term("fact"),
    )
    with gr.Row():
        teach_button = gr.Button(
            "Teach", variant="primary", elem_id="teach-teach", interactive=False, scale=2, min_width=120
        )
        ask = gr.Button("Ask", elem_id="teach-ask", interactive=False, scale=1, min_width=100)
    return {"prompt": prompt, "answer": answer, "teach": teach_button, "ask": ask}


def _build_list() -> dict[str, Any]:
    gr.Markdown(LIST_HELP, elem_classes="quiet")
    uploaded = gr.File(
        label="A list of facts", file_types=[".jsonl", ".json", ".csv", ".tsv"], elem_id="teach-file", height=130
    )
    teach_list = gr.Button("Teach the list", variant="primary", elem_id="teach-list", interactive=False)
    return {"uploaded": uploaded, "teach_list": teach_list}


def _build_passage() -> dict[str, Any]:
    gr.Markdown(PASSAGE_HELP, elem_classes="quiet")
    passage = gr.Textbox(label="Passage", lines=7, max_lines=12, elem_id="teach-passage")
    teach_passage = gr.Button("Teach the passage", variant="primary", elem_id="teach-text", interactive=False)
    return {"passage": passage, "teach_passage": teach_passage}


def _build_answers(page: Page) -> dict[str, Any]:
    gr.Markdown("### Before and after")
    view = token_stream(
        page, elem_id="teach-view", label="What the model says without and with its memory", empty=NOTHING
    )
    chances = gr.HTML("", elem_id="teach-chances", apply_default_css=False)
    with gr.Accordion("How it answers", open=False, elem_id="teach-manner"):
        gate = gr.Radio(
            GATES, value="auto", label="Use the memory", elem_id="teach-gate", elem_classes=page.term("gate")
        )
        strength = gr.Slider(
            0,
            1,
            value=1,
            step=0.05,
            label="Strength of the memory",
            info="0 is the model itself, 1 the memory as it was taught.",
            elem_id="teach-strength",
        )
        temperature = gr.Slider(
            0,
            1.5,
            value=0,
            step=0.1,
            label="Temperature",
            elem_id="teach-temperature",
            elem_classes=page.term("temperature"),
        )
        with gr.Row():
            seed = gr.Number(1, label="Seed", precision=0, elem_id="teach-seed", elem_classes=page.term("seed"))
            length = gr.Slider(10, answers.MOST_TOKENS, value=60, step=10, label="Most tokens", elem_id="teach-length")
    return {"view": view, "chances": chances, "manner": [gate, strength, temperature, seed, length]}


def wire(page: Page, parts: Parts, all_parts: dict[str, Any]) -> None:
    """Connect the tab's events."""
    parts.way.change(
        lambda way: [gr.Column(visible=name == way) for name in parts.panels],
        parts.way,
        list(parts.panels.values()),
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    _wire_lessons(page, parts)
    _wire_arrival(page, parts)

    def shown(workspace: Workspace, visitor: Visitor, model: Any) -> Any:
        return _said(workspace, visitor, model)

    for exchanged in teach_memory.wire(page, parts.memory, parts.model, parts.progress, parts.stop):
        page.on(exchanged.then, shown, [parts.model], [parts.view, parts.chances])


def _wire_lessons(page: Page, parts: Parts) -> None:
    begun = [parts.progress, parts.stop]

    def teach_fact(workspace: Workspace, visitor: Visitor, model: Any, prompt: Any, answer: Any, *manner: Any) -> Any:
        lesson = teach.teach_fact(workspace, visitor, model, prompt, answer, Manner.of(*manner))
        key = streams.latest_key(workspace, visitor, answers.place_of(model))
        return [lesson.key, gr.Button(visible=True), key, ""]

    def ask(workspace: Workspace, visitor: Visitor, model: Any, prompt: Any, *manner: Any) -> Any:
        return [answers.ask(workspace, visitor, model, prompt, Manner.of(*manner)), ""]

    def teach_list(workspace: Workspace, visitor: Visitor, model: Any, uploaded: Any) -> Any:
        return [*teach_memory.begun(teach.teach_list(workspace, visitor, model, uploaded)), None, ""]

    def teach_passage(workspace: Workspace, visitor: Visitor, model: Any, text: Any) -> Any:
        return teach_memory.begun(teach.teach_passage(workspace, visitor, model, text))

    def settled(workspace: Workspace, visitor: Visitor, model: Any, *manner: Any) -> Any:
        return _after(workspace, visitor, model, manner)

    fact = [parts.model, parts.prompt, parts.answer, *parts.manner]
    page.on(parts.teach.click, teach_fact, fact, [*begun, parts.view, parts.chances])
    page.on(parts.answer.submit, teach_fact, fact, [*begun, parts.view, parts.chances])
    asked = [parts.model, parts.prompt, *parts.manner]
    for event in (parts.ask.click, parts.prompt.submit):
        shown = page.on(event, ask, asked, [parts.view, parts.chances])
        shown.then(None, js=down_to("#teach-view"), api_visibility="private")
    page.on(parts.teach_list.click, teach_list, [parts.model, parts.uploaded], [*begun, parts.view, parts.chances])
    page.on(parts.teach_passage.click, teach_passage, [parts.model, parts.passage], begun)
    page.on(parts.talk.began, teach_memory.watch, (), begun)
    page.on(parts.stop.click, lessons.stop)
    page.on(parts.progress.settled, settled, [parts.model, *parts.manner], _after_outputs(parts))


def _wire_arrival(page: Page, parts: Parts) -> None:
    buttons = [parts.teach, parts.ask, parts.teach_list, parts.teach_passage]
    outputs = [page.last_model, parts.model, *buttons, parts.talk, parts.progress, *_after_outputs(parts)]

    def refresh(workspace: Workspace, visitor: Visitor, last: Any, model: Any, *manner: Any) -> Any:
        model, listed = model_list.chosen(workspace, visitor, model, last, speaking=True)
        chosen = [
            model,
            listed,
            *[gr.Button(interactive=model is not None) for _ in buttons],
            {"model": model, "version": ""},
        ]
        lesson = lessons.current(workspace, visitor)
        watched = gr.skip() if lesson is None or lesson.done else lesson.key
        if model is None:
            return [*chosen, watched, *[gr.skip()] * len(_after_outputs(parts))]
        lessons.get_ready(workspace, visitor, model)
        return [*chosen, watched, *_after(workspace, visitor, model, manner)]

    inputs = [page.last_model, parts.model, *parts.manner]
    page.on(page.panes["teach"].select, refresh, inputs, outputs)
    page.on(parts.model.input, refresh, inputs, outputs)

    def copy(workspace: Workspace, visitor: Visitor, last: Any, model: Any, *manner: Any) -> Any:
        return refresh(workspace, visitor, last, teach_sleep.copied(workspace, visitor), *manner)

    page.on(parts.memory.sleep.copy.click, copy, inputs, outputs)


def _after_outputs(parts: Parts) -> list[Any]:
    return [parts.stop, parts.view, parts.chances, *teach_memory.outputs(parts.memory)]


def _after(workspace: Workspace, visitor: Visitor, model: Any, manner: tuple[Any, ...]) -> list[Any]:
    """Everything that a lesson may have changed."""
    answers.results(workspace, visitor, Manner.of(*manner))
    return [
        gr.Button(visible=lessons.learning(workspace, visitor)),
        *_said(workspace, visitor, model),
        *teach_memory.updates(workspace, visitor, model),
    ]


def _said(workspace: Workspace, visitor: Visitor, model: Any) -> list[Any]:
    """What stands on the right: the answers, and what the last lesson did to them."""
    key = streams.latest_key(workspace, visitor, answers.place_of(model))
    return [key, teach_memory.proof_of_lesson(workspace, visitor, model)]
