"""What the owner of a dataset or a run can do with it: rename it, delete it and bring it back, share it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gradio as gr
from gradio.components import Component

from microformer.ui.page import Page, said
from microformer.ui.workspace import Item, Visitor, Workspace


class Actions(Protocol):
    """The module of ``ui/actions`` that does it."""

    def rename(self, workspace: Workspace, visitor: Visitor, id: Any, name: Any) -> str: ...

    def share(self, workspace: Workspace, visitor: Visitor, id: Any, shared: Any) -> bool: ...

    def delete(self, workspace: Workspace, visitor: Visitor, id: Any) -> tuple[str, str]: ...

    def undo(self, workspace: Workspace, visitor: Visitor, token: Any) -> str: ...


@dataclass(frozen=True)
class Parts:
    """``outputs`` are what ``updates`` gives new values to."""

    row: gr.Row
    name: gr.Textbox
    rename: gr.Button
    delete: gr.Button
    undo: gr.Button
    share: gr.Checkbox
    deleted: gr.State

    @property
    def outputs(self) -> list[Any]:
        return [self.row, self.name, self.share]


def build(tab: str, sharing: str) -> Parts:
    """A row with the name and the buttons, and a box to share it; ``sharing`` is what is said beside that."""
    with gr.Row(visible=False, elem_classes="manage") as row:
        name = gr.Textbox(
            label="New name",
            show_label=False,
            container=False,
            max_lines=1,
            elem_id=f"{tab}-called",
            scale=3,
            min_width=140,
        )
        rename = gr.Button("Rename", size="sm", elem_id=f"{tab}-rename", scale=1, min_width=80)
        delete = gr.Button("Delete", size="sm", elem_id=f"{tab}-delete", scale=1, min_width=80)
    undo = gr.Button("Undo", size="sm", visible=False, elem_id=f"{tab}-undo")
    share = gr.Checkbox(label=sharing, visible=False, elem_id=f"{tab}-share", container=False)
    return Parts(row, name, rename, delete, undo, share, gr.State(None))


def wire(
    page: Page,
    parts: Parts,
    actions: Actions,
    shown: Sequence[Component],
    show: Callable[..., list[Any]],
    outputs: Sequence[Any],
) -> None:
    """Connect the events. ``shown`` are the list, whose value is an identifier, and what ``show`` takes beside it;
    ``show(workspace, visitor, id, …)`` gives ``outputs`` new values (``None``: what is left decides what is shown)."""

    def rename(workspace: Workspace, visitor: Visitor, name: Any, id: Any, *rest: Any) -> Any:
        said(f"It is called {actions.rename(workspace, visitor, id, name)} now.")
        return show(workspace, visitor, id, *rest)

    def share(workspace: Workspace, visitor: Visitor, shared: Any, id: Any, *rest: Any) -> Any:
        actions.share(workspace, visitor, id, shared)
        return show(workspace, visitor, id, *rest)

    def delete(workspace: Workspace, visitor: Visitor, id: Any, *rest: Any) -> Any:
        name, token = actions.delete(workspace, visitor, id)
        return [token, gr.Button(f"Undo: bring {name} back", visible=True), *show(workspace, visitor, None, *rest)]

    def undo(workspace: Workspace, visitor: Visitor, token: Any, _: Any, *rest: Any) -> Any:
        id = actions.undo(workspace, visitor, token)
        return [None, gr.Button(visible=False), *show(workspace, visitor, id, *rest)]

    page.on(parts.rename.click, rename, [parts.name, *shown], outputs)
    page.on(parts.name.submit, rename, [parts.name, *shown], outputs)
    page.on(parts.share.input, share, [parts.share, *shown], outputs)
    page.on(parts.delete.click, delete, shown, [parts.deleted, parts.undo, *outputs])
    page.on(parts.undo.click, undo, [parts.deleted, *shown], [parts.deleted, parts.undo, *outputs])


def updates(workspace: Workspace, item: Item | None) -> list[Any]:
    """Updates of ``Parts.outputs`` for the item that is shown, if any is."""
    mine = item is not None and item.mine
    return [
        gr.Row(visible=mine),
        item.name if item else "",
        gr.Checkbox(value=item is not None and item.shared, visible=mine and workspace.hosted),
    ]
