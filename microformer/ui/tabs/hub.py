"""The Share tab: put a model on the Hugging Face Hub, get one from there, or carry one as a file."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from microformer.ui.actions import hub
from microformer.ui.page import Page
from microformer.ui.progress_bar import progress_bar
from microformer.ui.tabs import model_list, sample
from microformer.ui.workspace import Visitor, Workspace

ABOUT_PUSH = (
    "Your model's weights, its settings, its tokenizer and a page that describes it, with the curve of its loss. The "
    "text it learned from stays here."
)
ABOUT_PULL = "Any model that somebody shared from Microformer; write to it, teach it, or train it further."
ABOUT_FILE = (
    "No account needed: a model as one file, to keep, to send, or to bring back here or elsewhere; in fewer bits it is "
    "smaller, and as ONNX it is for other programs."
)
FORMS = [("Whole", "whole"), ("8 bits", "8"), ("4 bits", "4"), ("ONNX", "onnx")]

# On a phone the buttons are a long way below.
TO_PROGRESS = "() => document.querySelector('#hub-progress')?.scrollIntoView({block: 'nearest', behavior: 'smooth'})"


@dataclass(frozen=True)
class Parts:
    """What the tab's wiring, and other tabs, need of it."""

    model: gr.Dropdown
    repository: gr.Textbox
    token: gr.Textbox
    private: gr.Checkbox
    push: gr.Button
    pull_from: gr.Textbox
    pull_token: gr.Textbox
    pull: gr.Button
    form: gr.Radio
    pack: gr.Button
    file: gr.File
    progress: gr.HTML
    stop: gr.Button
    use: gr.Button
    download: gr.DownloadButton


def build(page: Page) -> Parts:
    """Lay out the tab: what is under way on top, what goes out on the left, what comes in on the right."""
    progress = progress_bar(page, hub.progress, elem_id="hub-progress", label="Progress of the model on its way")
    with gr.Row(elem_id="hub-next"):
        stop = gr.Button("Stop", elem_id="hub-stop", visible=False, min_width=90)
        use = gr.Button("Let it write", variant="primary", elem_id="hub-use", visible=False, min_width=120)
        download = gr.DownloadButton(
            "Download", variant="primary", visible=False, elem_id="hub-download", min_width=120
        )
    with gr.Row(equal_height=False, elem_classes="sides"):
        with gr.Column(scale=1, min_width=320, elem_classes="card"):
            going = _build_going(page)
        with gr.Column(scale=1, min_width=320, elem_classes="card"):
            coming = _build_coming(page)
    return Parts(**going, **coming, progress=progress, stop=stop, use=use, download=download)


def _build_going(page: Page) -> dict[str, Any]:
    gr.Markdown("### Give a model away")
    model = model_list.build("hub-model")
    with gr.Column(elem_classes="part"):
        gr.Markdown(f"#### To the Hugging Face Hub\n{ABOUT_PUSH}", elem_classes="quiet")
        repository = gr.Textbox(
            label="Repository",
            placeholder="my-name/my-model",
            max_lines=1,
            max_length=200,
            elem_id="hub-repository",
            elem_classes=page.term("repository"),
        )
        token = gr.Textbox(
            label="Access token",
            type="password",
            max_lines=1,
            max_length=500,
            elem_id="hub-token",
            elem_classes=page.term("access token"),
        )
        private = gr.Checkbox(label="Private: only I can see it", elem_id="hub-private", container=False)
        push = gr.Button("Put it on the Hub", variant="primary", elem_id="hub-push")
    with gr.Column(elem_classes="part"):
        gr.Markdown(f"#### As a file\n{ABOUT_FILE}", elem_classes="quiet")
        form = gr.Radio(FORMS, value="whole", label="Form", elem_id="hub-form", elem_classes=page.term("bits"))
        pack = gr.Button("Make the file", elem_id="hub-pack")
    return {
        "model": model,
        "repository": repository,
        "token": token,
        "private": private,
        "push": push,
        "form": form,
        "pack": pack,
    }


def _build_coming(page: Page) -> dict[str, Any]:
    gr.Markdown("### Get a model")
    with gr.Column(elem_classes="part"):
        gr.Markdown(f"#### From the Hugging Face Hub\n{ABOUT_PULL}", elem_classes="quiet")
        pull_from = gr.Textbox(
            label="Repository",
            placeholder="somebody/their-model",
            max_lines=1,
            max_length=200,
            elem_id="hub-pull-from",
            elem_classes=page.term("repository"),
        )
        with gr.Accordion("It is a private one", open=False, elem_id="hub-pull-private"):
            pull_token = gr.Textbox(
                label="Access token",
                type="password",
                max_lines=1,
                max_length=500,
                elem_id="hub-pull-token",
                elem_classes=page.term("access token"),
            )
        pull = gr.Button("Get it", variant="primary", elem_id="hub-pull")
    with gr.Column(elem_classes="part"):
        gr.Markdown("#### From a file", elem_classes="quiet")
        file = gr.File(
            file_count="single", file_types=[".zip"], label="A model as a .zip file", elem_id="hub-file", height=150
        )
    return {
        "pull_from": pull_from,
        "pull_token": pull_token,
        "pull": pull,
        "file": file,
    }


def wire(page: Page, parts: Parts, all_parts: dict[str, Any]) -> None:
    """Connect the tab's events."""
    _wire_transfers(page, parts)

    def refresh(workspace: Workspace, visitor: Visitor, last: Any, chosen: Any) -> Any:
        return model_list.chosen(workspace, visitor, chosen, last)[1]

    def arrive(workspace: Workspace, visitor: Visitor) -> Any:
        transfer = hub.current(workspace, visitor)
        return [gr.skip()] * 4 if transfer is None else [transfer.began, *_buttons(transfer)]

    page.on_arrival(arrive, (), [parts.progress, *_outputs(parts)])
    page.on(page.panes["hub"].select, refresh, [page.last_model, parts.model], [parts.model])

    def arrived(workspace: Workspace, visitor: Visitor) -> Any:
        transfer = hub.current(workspace, visitor)
        return None if transfer is None else transfer.run

    sample.opened_by(page, all_parts["sample"], parts.use.click, arrived)


def _wire_transfers(page: Page, parts: Parts) -> None:
    begun = [parts.progress, *_outputs(parts)]

    def push(workspace: Workspace, visitor: Visitor, *values: Any) -> Any:
        return [*_working(hub.push(workspace, visitor, *values)), ""]

    def pull(workspace: Workspace, visitor: Visitor, *values: Any) -> Any:
        return [*_working(hub.pull(workspace, visitor, *values)), ""]

    def upload(workspace: Workspace, visitor: Visitor, file: Any) -> Any:
        return [*_working(hub.upload(workspace, visitor, file)), None]

    def pack(workspace: Workspace, visitor: Visitor, model: Any, form: Any) -> Any:
        return _working(hub.export(workspace, visitor, model, form))

    def settled(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        transfer = hub.current(workspace, visitor)
        if transfer is None or transfer.state == "working":
            return gr.skip()
        return [*_buttons(transfer), model_list.chosen(workspace, visitor, transfer.run, chosen)[1]]

    # The token is taken out of the page as soon as it was used.
    pushed, pulled = [parts.model, parts.repository, parts.token, parts.private], [parts.pull_from, parts.pull_token]
    for one in (
        page.on(parts.push.click, push, pushed, [*begun, parts.token]),
        page.on(parts.pull.click, pull, pulled, [*begun, parts.pull_token]),
        page.on(parts.pull_from.submit, pull, pulled, [*begun, parts.pull_token]),
        page.on(parts.file.upload, upload, [parts.file], [*begun, parts.file]),
        page.on(parts.pack.click, pack, [parts.model, parts.form], begun),
    ):
        one.then(None, js=TO_PROGRESS, api_visibility="private")
    page.on(parts.stop.click, hub.stop)
    page.on(parts.progress.settled, settled, [parts.model], [*_outputs(parts), parts.model])


def _outputs(parts: Parts) -> list[Any]:
    return [parts.stop, parts.use, parts.download]


def _working(transfer: hub.Transfer) -> list[Any]:
    """Updates of the progress and of ``_outputs`` when something was begun."""
    return [transfer.began, gr.Button(visible=True), gr.Button(visible=False), gr.DownloadButton(visible=False)]


def _buttons(transfer: hub.Transfer) -> list[Any]:
    """Updates of ``_outputs`` for how a transfer stands."""
    file = transfer.file if transfer.state == "done" and transfer.file is not None else None
    there = file is not None and file.is_file()
    return [
        gr.Button(visible=transfer.state == "working"),
        gr.Button(visible=transfer.state == "done" and transfer.run is not None),
        gr.DownloadButton(value=str(file), visible=True) if there else gr.DownloadButton(visible=False),
    ]
