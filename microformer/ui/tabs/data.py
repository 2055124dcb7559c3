"""The Data tab: choose a text, cut it into tokens, and look at what came out."""

import math
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from microformer.data.corpora import CORPORA
from microformer.ui.actions import preparing, text_choice
from microformer.ui.actions.text_choice import TextChoice
from microformer.ui.page import QUIET, Page
from microformer.ui.progress_bar import progress_bar
from microformer.ui.tabs import datasets
from microformer.ui.workspace import Visitor, Workspace

SOURCES = [
    ("Tiny Tales", "tales"),
    ("Paste a text", "paste"),
    ("Upload files", "upload"),
    ("A public corpus", "hub"),
]
TOKENIZERS = [
    ("Characters", "char"),
    ("Bytes", "byte"),
    ("Parts of words (BPE)", "bpe"),
    ("Parts of words (WordPiece)", "wordpiece"),
    ("As another model", text_choice.GIVEN),
]


TALES = [
    ("to go on with: stories", "tales"),
    ("to sort: how somebody feels in the end", "tales:mood"),
    ("to estimate: how many things were carried", "tales:count"),
    ("to answer: questions about a story", "tales:questions"),
]
ROWS_HELP = (
    "Plain text is learnt to be gone on with. Rows with `text` and `label`, `text` and `value`, or `source` and "
    "`target` (in a `.csv` table or `.jsonl` file) are learnt as such."
)


@dataclass(frozen=True)
class Parts:
    """What the tab's wiring, and other tabs, need of it. ``panels`` are shown by source, ``cuts`` by tokenizers."""

    source: gr.Radio
    panels: dict[str, gr.Column]
    corpus: gr.Dropdown
    corpus_size: gr.Slider
    corpus_about: gr.Markdown
    tokenizer: gr.Radio
    cuts: dict[tuple[str, ...], gr.Column]
    like: gr.Dropdown
    name: gr.Textbox
    inputs: list[Component]
    prepare: gr.Button
    stop: gr.Button
    instead: gr.Button
    progress: gr.HTML
    shelf: datasets.Parts


def build(page: Page) -> Parts:
    """Lay out the tab: what to prepare on the left, what there is on the right."""
    with gr.Row(equal_height=False, elem_classes="sides"):
        with gr.Column(scale=5, min_width=320, elem_classes="card"):
            text = _build_source(page)
            cut = _build_tokenizer(page)
            name = gr.Textbox(label="Name (optional)", max_lines=1, max_length=80, elem_id="data-new-name")
            inputs = [*text.pop("inputs"), *cut.pop("inputs"), name, text.pop("tales")]
            buttons = _build_buttons(page)
        with gr.Column(scale=6, min_width=320, elem_classes="card"):
            shelf = datasets.build(page)
    return Parts(**text, **cut, **buttons, name=name, inputs=inputs, shelf=shelf)


def _build_source(page: Page) -> dict[str, Any]:
    limits = page.workspace.limits
    most = limits.text_mb or 100
    gr.Markdown("### Choose a text")
    source = gr.Radio(SOURCES, value="tales", label="Where from", elem_id="data-source", elem_classes="stacked")
    panels = {}
    with gr.Column(elem_classes="part") as panels["tales"]:
        gr.Markdown("Short stories about people, places and things, which this program writes itself, on the spot.")
        tales = gr.Radio(TALES, value="tales", label="What for", elem_id="data-tales", elem_classes="stacked")
        size = gr.Slider(1, min(most, 50), value=5, step=1, label="How much (MB)", elem_id="data-size")
    with gr.Column(visible=False, elem_classes="part") as panels["paste"]:
        pasted = gr.Textbox(lines=9, max_lines=9, label="Your text", elem_id="data-text")
    with gr.Column(visible=False, elem_classes="part") as panels["upload"]:
        uploaded = gr.File(
            file_count="multiple",
            file_types=[".txt", ".md", ".jsonl", ".csv", ".tsv"],
            label=f"Files (.txt, .md, .jsonl, .csv), at most {limits.upload_mb:,} MB",
            elem_id="data-files",
            height=150,
        )
        gr.Markdown(ROWS_HELP, elem_classes="quiet")
    with gr.Column(visible=False, elem_classes="part") as panels["hub"]:
        names = [(f"{one.title} ({one.bytes / 1e6:,.0f} MB)", name) for name, one in CORPORA.items()]
        first = names[0][1]
        corpus = gr.Dropdown(names, value=first, label="Corpus", elem_id="data-corpus", filterable=False)
        about = gr.Markdown(_about(first), elem_classes="quiet", elem_id="data-corpus-about")
        corpus_size = gr.Slider(**_sizes(first, most), step=1, label="Take the first (MB)", elem_id="data-limit")
    return {
        "source": source,
        "panels": panels,
        "corpus": corpus,
        "corpus_size": corpus_size,
        "corpus_about": about,
        "inputs": [source, size, pasted, uploaded, corpus, corpus_size],
        "tales": tales,
    }


def _build_tokenizer(page: Page) -> dict[str, Any]:
    tokenizer = gr.Radio(
        TOKENIZERS,
        value="char",
        label="Cut it into",
        elem_id="data-tokenizer",
        elem_classes=[*page.term("tokenizer"), "stacked"],
    )
    cuts: dict[tuple[str, ...], gr.Column] = {}
    with gr.Column(visible=False, elem_classes="part") as cuts[text_choice.LEARNED]:
        vocab_size = gr.Slider(
            300,
            16_384,
            value=1024,
            step=4,
            label="Vocabulary size",
            elem_id="data-vocabulary",
            elem_classes=page.term("vocabulary"),
        )
    with gr.Column(visible=False, elem_classes="part") as cuts[(text_choice.GIVEN,)]:
        like = gr.Dropdown([], label="As in this dataset or model", elem_id="data-like", filterable=False)
        file = gr.File(
            file_count="single",
            file_types=[".json"],
            label="Or a tokenizer.json from elsewhere, such as GPT-2's",
            elem_id="data-tokenizer-file",
            height=150,
        )
    return {"tokenizer": tokenizer, "cuts": cuts, "like": like, "inputs": [tokenizer, vocab_size, like, file]}


def _build_buttons(page: Page) -> dict[str, Any]:
    with gr.Row():
        prepare = gr.Button("Prepare", variant="primary", elem_id="data-prepare", scale=2, min_width=140)
        stop = gr.Button("Stop", elem_id="data-stop", interactive=False, scale=1, min_width=90)
    progress = progress_bar(page, preparing.progress, elem_id="data-progress", label="Progress of the preparation")
    instead = gr.Button("Use Tiny Tales instead", visible=False, elem_id="data-instead")
    return {"prepare": prepare, "stop": stop, "progress": progress, "instead": instead}


def wire(page: Page, parts: Parts, all_parts: dict[str, Any]) -> None:
    """Connect the tab's events."""
    most = page.workspace.limits.text_mb or 100
    parts.source.change(
        lambda source: [gr.Column(visible=name == source) for name in parts.panels],
        parts.source,
        list(parts.panels.values()),
        **QUIET,
    )
    parts.corpus.input(
        lambda name: [_about(name), gr.Slider(**_sizes(name, most))],
        parts.corpus,
        [parts.corpus_about, parts.corpus_size],
        **QUIET,
    )

    def cut(workspace: Workspace, visitor: Visitor, kind: Any, like: Any) -> Any:
        known = text_choice.tokenizers(workspace, visitor)
        chosen = like if like in [value for _, value in known] else (known[0][1] if known else None)
        return [*(gr.Column(visible=kind in kinds) for kinds in parts.cuts), gr.Dropdown(known, value=chosen)]

    shown: list[Any] = [*parts.cuts.values(), parts.like]
    page.on(parts.tokenizer.input, cut, [parts.tokenizer, parts.like], shown)
    _wire_preparing(page, parts)
    datasets.wire(page, parts.shelf, all_parts["train"].new.dataset)


def _wire_preparing(page: Page, parts: Parts) -> None:
    buttons = [parts.progress, parts.prepare, parts.stop, parts.instead]

    def begin(workspace: Workspace, visitor: Visitor, *values: Any) -> Any:
        return ["", *_working(preparing.begin(workspace, visitor, TextChoice(*values)).began)]

    def begin_tales(workspace: Workspace, visitor: Visitor) -> Any:
        return _working(preparing.begin(workspace, visitor, TextChoice()).began)

    def settled(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        job = preparing.current(workspace, visitor)
        if job is not None and job.state == "working":
            return gr.skip()
        offline = job is not None and job.state == "failed" and job.offline
        ready = [gr.Button(interactive=True), gr.Button(interactive=False), gr.Button(visible=offline)]
        return [*ready, *datasets.shelf(workspace, visitor, (job and job.dataset) or chosen)]

    def arrive(workspace: Workspace, visitor: Visitor) -> Any:
        job = preparing.current(workspace, visitor)
        return _working(job.began) if job is not None and job.state == "working" else [gr.skip()] * 4

    page.on_arrival(arrive, (), buttons)
    page.on(parts.prepare.click, begin, parts.inputs, [parts.name, *buttons])
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


def _about(corpus: Any) -> str:
    """What a public corpus is, and on which terms."""
    known = CORPORA.get(corpus)
    return f"{known.about} Licence: {known.license}." if known else ""


def _sizes(corpus: Any, most: int) -> dict[str, Any]:
    """How much can be taken of a public corpus, in megabytes: the limits and the value of a slider."""
    there = math.ceil(CORPORA[corpus].bytes / 10**6) if corpus in CORPORA else most
    largest = max(2, min(most, there))
    return {"minimum": 1, "maximum": largest, "value": min(largest, 20)}
