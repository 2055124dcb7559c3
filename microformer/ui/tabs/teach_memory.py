"""The lower half of the Teach tab: what was taught, what it changed and what not, and what can be done with it."""

import secrets
from dataclasses import dataclass
from typing import Any

import gradio as gr

from microformer.ui.actions import lessons, memories, models, proofs, shared, teach
from microformer.ui.actions.lessons import Lesson
from microformer.ui.actions.memory_shelf import BESIDE, OWN
from microformer.ui.page import Page, said
from microformer.ui.progress_bar import LOOK_AGAIN, progress_bar
from microformer.ui.tabs import teach_sleep
from microformer.ui.tabs.teach_views import chances_html, change_html, fingerprints_html, taught_table, told_html
from microformer.ui.workspace import Visitor, Workspace

ROLES = [("beside mine", BESIDE), ("in place of mine", OWN)]


@dataclass(frozen=True)
class Parts:
    """What the wiring needs of it."""

    taught: gr.HTML
    reset: gr.Button
    undo: gr.Button
    fingerprints: gr.HTML
    measure: gr.Button
    measuring: gr.HTML
    change: gr.HTML
    sleep: teach_sleep.Parts
    name: gr.Textbox
    save: gr.Button
    download: gr.File
    share: gr.Checkbox
    offered: gr.Dropdown
    uploaded: gr.File
    role: gr.Radio
    load: gr.Button


def build(page: Page) -> Parts:
    """Lay it out: the table first, the rest folded away."""
    with gr.Column(elem_classes="card"):
        gr.Markdown("### What it was taught")
        taught = taught_table(page)
        with gr.Row(elem_classes="manage"):
            reset = gr.Button("Reset all", size="sm", visible=False, elem_id="teach-reset", scale=0, min_width=110)
            undo = gr.Button("Undo", size="sm", visible=False, elem_id="teach-undo", scale=0, min_width=110)
        with gr.Accordion("What else changed?", open=False, elem_id="teach-proof"):
            gr.Markdown(
                "Teaching only writes into this browser's second memory. These are fingerprints of the model's own "
                "weights, computed anew after each lesson.",
                elem_classes="quiet",
            )
            fingerprints = gr.HTML("", elem_id="teach-fingerprints", apply_default_css=False)
            measure = gr.Button("Compare with the model itself", size="sm", elem_id="teach-measure")
            measuring = progress_bar(
                page, proofs.progress, elem_id="teach-measuring", label="Progress of the comparison"
            )
            change = gr.HTML("", elem_id="teach-change", apply_default_css=False)
        with gr.Accordion("Move it into the model itself", open=False, elem_id="teach-sleep"):
            sleep = teach_sleep.build(page)
        with gr.Accordion("Save, load, share", open=False, elem_id="teach-files"):
            files = _build_files(page)
    return Parts(taught, reset, undo, fingerprints, measure, measuring, change, sleep, **files)


def _build_files(page: Page) -> dict[str, Any]:
    days = page.workspace.limits.days_kept
    kept = f" A memory that nobody touches for {days:g} days is removed here." if days else ""
    gr.Markdown(
        "A memory is one small file. Give it to somebody with the same model, and they can load it in place of their "
        f"own or beside it.{kept}",
        elem_classes="quiet",
    )
    with gr.Row(equal_height=False):
        with gr.Column(min_width=260):
            name = gr.Textbox(
                label="Name of the memory", placeholder=memories.NAME, max_lines=1, max_length=80, elem_id="teach-name"
            )
            save = gr.Button("Save to a file", elem_id="teach-save")
            download = gr.File(label="Your memory", visible=False, interactive=False, elem_id="teach-download")
            share = gr.Checkbox(
                label="Others on this server may load it", visible=False, container=False, elem_id="teach-share"
            )
        with gr.Column(min_width=260):
            offered = gr.Dropdown(
                [], label="A memory somebody shares here", visible=False, filterable=False, elem_id="teach-offered"
            )
            uploaded = gr.File(label="A saved memory", file_types=[".safetensors"], elem_id="teach-memory", height=120)
            role = gr.Radio(ROLES, value=BESIDE, show_label=False, container=False, elem_id="teach-role")
            load = gr.Button("Load", elem_id="teach-load")
    return {
        "name": name,
        "save": save,
        "download": download,
        "share": share,
        "offered": offered,
        "uploaded": uploaded,
        "role": role,
        "load": load,
    }


def wire(page: Page, parts: Parts, model: gr.Dropdown, progress: gr.HTML, stop: gr.Button) -> list[Any]:
    """Connect its events. A lesson that the table began is watched by ``progress``, like any other.

    Returns the events after which the memory is another one, so that nothing said before counts.
    """

    def reset(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        teach.reset(workspace, visitor, chosen)
        said("The model answers as its base again; “Undo” brings back what you taught it.")
        return updates(workspace, visitor, chosen)

    def undo(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        teach.undo(workspace, visitor, chosen)
        said("What you taught it is back.")
        return updates(workspace, visitor, chosen)

    def refresh(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        return updates(workspace, visitor, chosen)

    page.on(parts.taught.began, watch, (), [progress, stop])
    page.on(parts.taught.changed, refresh, [model], outputs(parts))
    exchanged = [
        page.on(parts.reset.click, reset, [model], outputs(parts)),
        page.on(parts.undo.click, undo, [model], outputs(parts)),
        _wire_files(page, parts, model),
    ]
    for one in exchanged:
        one.then(None, js=LOOK_AGAIN, api_visibility="private")
    teach_sleep.wire(page, parts.sleep, model, refresh, outputs(parts))
    _wire_proof(page, parts, model)
    return exchanged


def _wire_proof(page: Page, parts: Parts, model: gr.Dropdown) -> None:
    def measure(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        return [proofs.measure(workspace, visitor, chosen).key, ""]

    def measured(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        return change(workspace, visitor, chosen)

    page.on(parts.measure.click, measure, [model], [parts.measuring, parts.change])
    page.on(parts.measuring.settled, measured, [model], [parts.change])


def _wire_files(page: Page, parts: Parts, model: gr.Dropdown) -> Any:
    """Saving, sharing and loading; returns the event of the last."""

    def save(workspace: Workspace, visitor: Visitor, chosen: Any, name: Any) -> Any:
        path = teach.export(workspace, visitor, chosen, name)
        return gr.File(str(path), visible=True)

    def share(workspace: Workspace, visitor: Visitor, chosen: Any, wanted: Any, name: Any) -> Any:
        item = shared.share(workspace, visitor, chosen, wanted, name)
        said(f"“{item.name}” {'can be loaded by everybody here' if item.shared else 'is yours alone again'}.")

    def load(workspace: Workspace, visitor: Visitor, chosen: Any, uploaded: Any, id: Any, role: Any) -> Any:
        if id and not uploaded:
            name = shared.load(workspace, visitor, chosen, id, role)
        else:
            name = teach.load(workspace, visitor, chosen, uploaded, role)
        said(f"{name} is loaded.")
        return [None, *updates(workspace, visitor, chosen)]

    page.on(parts.save.click, save, [model, parts.name], [parts.download])
    page.on(parts.share.input, share, [model, parts.share, parts.name])
    chosen = [model, parts.uploaded, parts.offered, parts.role]
    return page.on(parts.load.click, load, chosen, [parts.uploaded, *outputs(parts)])


def watch(workspace: Workspace, visitor: Visitor) -> Any:
    """Show the progress of a lesson that one of the page's scripts began."""
    lesson = lessons.current(workspace, visitor)
    return [gr.skip(), gr.skip()] if lesson is None else begun(lesson)


def begun(lesson: Lesson) -> list[Any]:
    """Updates of the progress bar and the button that stops a lesson."""
    return [lesson.key, gr.Button(visible=not lesson.done)]


def outputs(parts: Parts) -> list[Any]:
    """What ``updates`` gives new values to."""
    return [
        parts.taught,
        parts.reset,
        parts.undo,
        parts.fingerprints,
        parts.change,
        parts.share,
        parts.offered,
        *parts.sleep.outputs,
    ]


def updates(workspace: Workspace, visitor: Visitor, model: Any) -> list[Any]:
    """The lower half as it is now."""
    known = teach.memories_for(workspace, visitor, model)
    loaded = models.speaker_of(workspace, visitor, model).loaded
    offered = shared.offered(workspace, visitor, loaded)
    return [
        {"model": model, "version": secrets.token_hex(4)},
        gr.Button(visible=known.own.id is not None),
        gr.Button(visible=known.thrown_away is not None),
        fingerprints_html(proofs.fingerprints(workspace, visitor, model)),
        change(workspace, visitor, model),
        gr.Checkbox(
            shared.is_shared(workspace, visitor, loaded), visible=workspace.hosted and known.own.id is not None
        ),
        gr.Dropdown(offered, value=None, visible=bool(offered)),
        *teach_sleep.updates(workspace, visitor, model),
    ]


def proof_of_lesson(workspace: Workspace, visitor: Visitor, model: Any) -> str:
    """HTML of what the last lesson did: the tokens of a fact's answer, or the facts of a list."""
    lesson = proofs.last_lesson(workspace, visitor, model)
    if lesson is not None and lesson.chances:
        return chances_html(lesson.chances, lesson.seconds)
    return told_html(lesson.told, lesson.seconds) if lesson is not None and lesson.kind == "list" else ""


def change(workspace: Workspace, visitor: Visitor, model: Any) -> str:
    """HTML of the last comparison, while what it compared is still what was taught; else nothing."""
    found = proofs.measurement(workspace, visitor)
    if found is None or found.job is None or not found.done or found.job.error is not None or found.model != model:
        return ""
    session = teach.memories_for(workspace, visitor, model).own.session
    return change_html(found.job.result(), len(session.facts), found.text) if found.session is session else ""
