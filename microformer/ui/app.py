"""The page as a whole: its head, its tabs in the order in which a model is raised, and what ties them together."""

import importlib
import importlib.util
from typing import Any

import gradio as gr

from microformer.ui import header, identity
from microformer.ui.page import Page
from microformer.ui.workspace import Workspace

TABS = (("data", "Data"), ("train", "Train"), ("sample", "Sample"), ("teach", "Teach"), ("hub", "Share"))
UPLOADS_KEPT = 3600  # seconds


def build_app(workspace: Workspace) -> gr.Blocks:
    """The whole page over a workspace. Makes nothing global, so it can be built as often as one likes.

    Every tab is built before any is wired, so that each can show what happened in another.
    """
    with gr.Blocks(
        title="Microformer", analytics_enabled=False, delete_cache=(UPLOADS_KEPT, UPLOADS_KEPT), fill_width=False
    ) as demo:
        visitor, arrived = identity.build(workspace, demo)
        page = Page(workspace, visitor, arrived)
        top = header.build(page)
        parts: dict[str, Any] = {}
        with gr.Tabs(elem_id="steps") as page.tabs:
            for name, title in TABS:
                if not _there(name):
                    continue
                with gr.Tab(title, id=name, elem_id=f"tab-{name}") as page.panes[name]:
                    parts[name] = _module(name).build(page)
        header.wire(page, top)
        for name in parts:
            _module(name).wire(page, parts[name], parts)
    demo.queue(default_concurrency_limit=8, max_size=200, api_open=False)
    return demo


def _module(name: str) -> Any:
    return importlib.import_module(f"microformer.ui.tabs.{name}")


def _there(name: str) -> bool:
    return importlib.util.find_spec(f"microformer.ui.tabs.{name}") is not None
