"""The page as a whole: its head, its tabs in the order in which a model is raised, and what ties them together."""

from typing import Any

import gradio as gr

from microformer.ui import header, identity
from microformer.ui.page import Page
from microformer.ui.tabs import data, hub, inspect, sample, teach, train
from microformer.ui.workspace import Workspace

TABS: tuple[tuple[str, str, Any], ...] = (
    ("data", "Data", data),
    ("train", "Train", train),
    ("sample", "Sample", sample),
    ("teach", "Teach", teach),
    ("hub", "Share", hub),
    ("inspect", "Inspect", inspect),
)
UPLOADS_KEPT = 3600  # seconds
QUEUE_REST = 0.02  # seconds


def build_app(workspace: Workspace) -> gr.Blocks:
    """The whole page over a workspace. Makes nothing global, so it can be built as often as one likes.

    Every tab is built before any is wired, so that each can show what happened in another.
    """
    with gr.Blocks(title="Microformer", analytics_enabled=False, delete_cache=(UPLOADS_KEPT, UPLOADS_KEPT)) as demo:
        visitor, arrived = identity.build(workspace, demo)
        page = Page(workspace, visitor, arrived)
        page.last_model = identity.remembered(workspace, "model")
        top = header.build(page)
        parts: dict[str, Any] = {}
        with gr.Tabs(elem_id="steps") as page.tabs:
            for name, title, module in TABS:
                with gr.Tab(title, id=name, elem_id=f"tab-{name}") as page.panes[name]:
                    parts[name] = module.build(page)
        header.wire(page, top)
        for name, _, module in TABS:
            module.wire(page, parts[name], parts)
    _outlive_restarts(demo)
    demo.queue(default_concurrency_limit=8, max_size=200, api_open=False)
    # Gradio's idle queue looks for work a thousand times a second, which a run that is trained beside it feels.
    demo._queue.sleep_when_free = QUEUE_REST
    return demo


def _outlive_restarts(demo: gr.Blocks) -> None:
    """Let a page that was open before the server was restarted go on working.

    Gradio refuses a choice that it was not told of in the same session, and a restart forgets the lists that events
    have filled. Nothing rests on that check: every action looks up what it is asked for.
    """
    for block in demo.blocks.values():
        if isinstance(block, gr.Dropdown | gr.CheckboxGroup):
            block.preprocess = _as_it_came  # type: ignore[method-assign]


def _as_it_came(payload: Any) -> Any:
    return payload
