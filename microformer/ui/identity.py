"""How a browser is known again after a reload, and how it is forgotten."""

import json
from typing import Any

import gradio as gr

from microformer.ui.workspace import Workspace, is_secret, new_secret

STORAGE_KEY = "microformer-visitor"
# Server functions run outside of Gradio's sessions, so the page's scripts need to know the secret themselves.
TELL_SCRIPTS = """(secret) => {
  window.microformer = Object.assign(window.microformer || {}, {visitor: secret});
  document.body.dataset.visitor = 'known';
  window.dispatchEvent(new CustomEvent('microformer:visitor'));
}"""
START_ANEW = "(secret) => { if (secret && secret !== window.microformer.visitor) location.reload(); }"
FORGET_HOSTED = "Remove everything this browser made here: its datasets, runs and sessions? This cannot be undone."
FORGET_ALONE = "Remove what this browser was taught here? Datasets and runs stay. This cannot be undone."


def build(workspace: Workspace, demo: gr.Blocks) -> tuple[gr.BrowserState, Any]:
    """The hidden component with the browser's secret, and the event after which it is known."""
    # The key must survive a restart of the server, or every browser would be a stranger again.
    visitor = gr.BrowserState(None, storage_key=STORAGE_KEY, secret=workspace.app_secret())
    minted = demo.load(introduce, visitor, visitor, queue=False, show_progress="hidden", api_visibility="private")
    arrived = minted.then(None, visitor, None, js=TELL_SCRIPTS)
    return visitor, arrived


def remembered(workspace: Workspace, what: str) -> gr.BrowserState:
    """A hidden component whose value a browser remembers from visit to visit. Nothing rests on what comes back."""
    return gr.BrowserState(None, storage_key=f"microformer-{what}", secret=workspace.app_secret())


def introduce(secret: Any) -> Any:
    """The secret the browser already has, if it is one of ours in form; otherwise a new one."""
    return gr.skip() if is_secret(secret) else new_secret()


def forget_on(workspace: Workspace, button: gr.Button, visitor: gr.BrowserState) -> None:
    """Let a button remove what its browser made, after a question; the page then starts anew as a first visit."""

    def forget(secret: Any) -> Any:
        if not is_secret(secret):  # the question was answered with no
            return gr.skip()
        workspace.forget(workspace.visitor(secret))
        return new_secret()

    question = json.dumps(FORGET_HOSTED if workspace.hosted else FORGET_ALONE)
    asked = button.click(
        forget,
        visitor,
        visitor,
        js=f"(secret) => confirm({question}) ? secret : null",
        show_progress="hidden",
        api_visibility="private",
    )
    asked.then(None, visitor, None, js=START_ANEW)
