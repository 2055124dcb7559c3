"""The Data tab: choose a text, cut it into tokens, and look at what came out."""

from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from microformer.data.corpora import CORPORA
from microformer.ui import live_chart
from microformer.ui.actions import preparing
from microformer.ui.actions.preparing import TextChoice
from microformer.ui.page import VISITOR_JS, Page
from microformer.ui.tabs import datasets
from microformer.ui.workspace import Visitor, Workspace

SOURCES = [
    ("Tiny Tales, made on the spot", "tales"),
    ("Paste a text", "paste"),
    ("Upload files", "upload"),
    ("A public corpus", "hub"),
]
TOKENIZERS = [("Characters", "char"), ("Bytes", "byte"), ("Parts of words (BPE)", "bpe")]
PROGRESS = """
<div class="preparing" data-state="none" hidden>
  <div class="run-bar" data-part="bar" role="progressbar" aria-label="Progress of the preparation" aria-valuemin="0"
    aria-valuemax="100" aria-valuenow="0"><div></div></div>
  <p data-part="says" aria-live="polite"></p>
</div>
"""


@dataclass(frozen=True)
class Parts:
    """What the tab's wiring, and other tabs, need of it."""

    source: gr.Radio
    panels: dict[str, gr.Column]
    inputs: list[Component]
    tokenizer: gr.Radio
    vocab_size: gr.Slider
    prepare: gr.Button
    stop: gr.Button
    instead: gr.Button
    progress: gr.HTML
    shelf: datasets.Parts


def build(page: Page) -> Parts:
    """Lay out the tab: what to prepare on the left, what there is on the right."""
    with gr.Row(equal_height=False, elem_classes="sides"):
        with gr.Column(scale=5, min_width=320, elem_classes="card"):
            chosen = _build_choice(page)
        with gr.Column(scale=6, min_width=320, elem_classes="card"):
            shelf = datasets.build(page)
    return Parts(**chosen, shelf=shelf)


def _build_choice(page: Page) -> dict[str, Any]:
    limits = page.workspace.limits
    most = limits.text_mb or 100
    gr.Markdown("### Choose a text")
    source = gr.Radio(SOURCES, value="tales", label="Where from", elem_id="data-source", elem_classes="stacked")
    panels = {}
    with gr.Column(elem_classes="panel") as panels["tales"]:
        gr.Markdown("Short stories about people, places and things, written by this program itself. Needs no network.")
        size = gr.Slider(1, min(most, 50), value=5, step=1, label="How much (MB)", elem_id="data-size")
    with gr.Column(visible=False, elem_classes="panel") as panels["paste"]:
        pasted = gr.Textbox(lines=9, max_lines=9, label="Your text", elem_id="data-text")
    with gr.Column(visible=False, elem_classes="panel") as panels["upload"]:
        uploaded = gr.File(
            file_count="multiple",
            file_types=[".txt", ".md", ".jsonl"],
            label=f"Text files (.txt, .md, .jsonl), at most {limits.upload_mb:,} MB",
            elem_id="data-files",
            height=150,
        )
    with gr.Column(visible=False, elem_classes="panel") as panels["hub"]:
        names = [(f"{one.title} ({one.bytes / 1e6:,.0f} MB)", name) for name, one in CORPORA.items()]
        corpus = gr.Dropdown(names, value=names[0][1], label="Corpus", elem_id="data-corpus", filterable=False)
        corpus_size = gr.Slider(1, most, value=min(most, 20), step=1, label="Take the first (MB)", elem_id="data-limit")
        gr.Markdown(_corpora_in_words(), elem_classes="quiet")
    tokenizer = gr.Radio(
        TOKENIZERS, value="char", label="Cut it into", elem_id="data-tokenizer", elem_classes=page.term("tokenizer")
    )
    vocab_size = gr.Slider(
        300,
        16_384,
        value=1024,
        step=4,
        label="Vocabulary size",
        visible=False,
        elem_id="data-vocabulary",
        elem_classes=page.term("vocabulary"),
    )
    name = gr.Textbox(label="Name (optional)", max_lines=1, max_length=80, elem_id="data-new-name")
    with gr.Row():
        prepare = gr.Button("Prepare", variant="primary", elem_id="data-prepare", scale=2, min_width=140)
        stop = gr.Button("Stop", elem_id="data-stop", interactive=False, scale=1, min_width=90)
    progress = gr.HTML(
        None,
        html_template=PROGRESS,
        js_on_load=VISITOR_JS + (live_chart.ASSETS / "preparing.js").read_text(encoding="utf-8"),
        server_functions=[page.server(preparing.progress)],
        elem_id="data-progress",
        apply_default_css=False,
    )
    instead = gr.Button("Use Tiny Tales instead", visible=False, elem_id="data-instead")
    inputs = [source, size, pasted, uploaded, corpus, corpus_size, tokenizer, vocab_size, name]
    return {
        "source": source,
        "panels": panels,
        "inputs": inputs,
        "tokenizer": tokenizer,
        "vocab_size": vocab_size,
        "prepare": prepare,
        "stop": stop,
        "instead": instead,
        "progress": progress,
    }


def wire(page: Page, parts: Parts, all_parts: dict[str, Any]) -> None:
    """Connect the tab's events."""
    parts.source.change(
        lambda source: [gr.Column(visible=name == source) for name in parts.panels],
        parts.source,
        list(parts.panels.values()),
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    parts.tokenizer.change(
        lambda kind: gr.Slider(visible=kind == "bpe"),
        parts.tokenizer,
        parts.vocab_size,
        queue=False,
        show_progress="hidden",
        api_visibility="private",
    )
    _wire_preparing(page, parts)
    datasets.wire(page, parts.shelf)


def _wire_preparing(page: Page, parts: Parts) -> None:
    buttons = [parts.progress, parts.prepare, parts.stop, parts.instead]

    def begin(workspace: Workspace, visitor: Visitor, *values: Any) -> Any:
        return _working(preparing.begin(workspace, visitor, TextChoice(*values)).began)

    def begin_tales(workspace: Workspace, visitor: Visitor) -> Any:
        return _working(preparing.begin(workspace, visitor, TextChoice()).began)

    def settled(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        job = preparing.current(workspace, visitor)
        if job is not None and job.state == "working":
            return gr.skip()
        offline = job is not None and job.state == "failed" and job.source == "hub"
        ready = [gr.Button(interactive=True), gr.Button(interactive=False), gr.Button(visible=offline)]
        return [*ready, *datasets.shelf(workspace, visitor, (job and job.dataset) or chosen)]

    def arrive(workspace: Workspace, visitor: Visitor) -> Any:
        job = preparing.current(workspace, visitor)
        return _working(job.began) if job is not None and job.state == "working" else [gr.skip()] * 4

    page.on_arrival(arrive, (), buttons)
    page.on(parts.prepare.click, begin, parts.inputs, buttons)
    page.on(parts.instead.click, begin_tales, (), buttons)
    page.on(parts.stop.click, preparing.stop, (), ())
    page.on(
        parts.progress.settled,
        settled,
        [parts.shelf.dataset],
        [parts.prepare, parts.stop, parts.instead, *parts.shelf.outputs],
    )


def _working(began: float) -> list[Any]:
    """Updates of the progress view and the buttons while a text is prepared."""
    return [began, gr.Button(interactive=False), gr.Button(interactive=True), gr.Button(visible=False)]


def _corpora_in_words() -> str:
    return "\n".join(f"- **{one.title}**: {one.about} Licence: {one.license}." for one in CORPORA.values())
