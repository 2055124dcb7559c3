"""The part of the Data tab that shows datasets: the list, the card of the chosen one, and what can be done with it."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from microformer.ui import live_chart
from microformer.ui.actions import data as datasets
from microformer.ui.dataset_card import card_html
from microformer.ui.page import Page, said
from microformer.ui.plots import frequent_tokens, frequent_tokens_in_words
from microformer.ui.workspace import Visitor, Workspace

NOTHING_YET = '<p class="empty">No dataset yet. Press <b>Prepare</b>: Tiny Tales need no network and a few seconds.</p>'


@dataclass(frozen=True)
class Parts:
    """The components around the card; ``outputs`` are those that ``shelf`` updates, in order."""

    dataset: gr.Dropdown
    card: gr.HTML
    frequent: gr.HTML
    use: gr.Button
    manage: gr.Row
    name: gr.Textbox
    rename: gr.Button
    delete: gr.Button
    undo: gr.Button
    share: gr.Checkbox
    deleted: gr.State

    @property
    def outputs(self) -> list[Any]:
        return [self.dataset, self.card, self.frequent, self.use, self.manage, self.name, self.share]


def build(page: Page) -> Parts:
    """The list of datasets, the card of the chosen one, and the buttons below it."""
    dataset = gr.Dropdown(
        [],
        label="Your datasets",
        elem_id="data-dataset",
        filterable=False,
        elem_classes=page.term("dataset"),
        visible=False,
    )
    undo = gr.Button("Undo", size="sm", visible=False, elem_id="data-undo")
    use = gr.Button("Train a model on it", variant="primary", elem_id="data-use", visible=False)
    card = gr.HTML(NOTHING_YET, elem_id="data-card", apply_default_css=False)
    frequent = live_chart.figure(elem_id="data-frequent")
    with gr.Row(visible=False, elem_classes="manage") as manage:
        name = gr.Textbox(
            label="New name",
            show_label=False,
            container=False,
            max_lines=1,
            elem_id="data-name",
            scale=3,
            min_width=140,
        )
        rename = gr.Button("Rename", size="sm", elem_id="data-rename", scale=1, min_width=80)
        delete = gr.Button("Delete", size="sm", elem_id="data-delete", scale=1, min_width=80)
    share = gr.Checkbox(
        label="Let everybody here use this dataset (nobody else can change it)",
        visible=False,
        elem_id="data-share",
        container=False,
    )
    return Parts(dataset, card, frequent, use, manage, name, rename, delete, undo, share, gr.State(None))


def wire(page: Page, parts: Parts, train_on: gr.Dropdown) -> None:
    """Connect the events of the list and the buttons; ``train_on`` is where the Train tab is told of a dataset."""
    outputs = parts.outputs

    def refresh(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        return shelf(workspace, visitor, chosen)

    def rename(workspace: Workspace, visitor: Visitor, id: Any, name: Any) -> Any:
        said(f"It is called {datasets.rename(workspace, visitor, id, name)} now.")
        return shelf(workspace, visitor, id)

    def delete(workspace: Workspace, visitor: Visitor, id: Any) -> Any:
        name, token = datasets.delete(workspace, visitor, id)
        return [token, gr.Button(f"Undo: bring {name} back", visible=True), *shelf(workspace, visitor, None)]

    def undo(workspace: Workspace, visitor: Visitor, token: Any) -> Any:
        id = datasets.undo(workspace, visitor, token)
        return [None, gr.Button(visible=False), *shelf(workspace, visitor, id)]

    def share(workspace: Workspace, visitor: Visitor, id: Any, shared: Any) -> Any:
        datasets.share(workspace, visitor, id, shared)
        return shelf(workspace, visitor, id)

    def use(workspace: Workspace, visitor: Visitor, id: Any) -> Any:
        return [gr.Dropdown(datasets.choices(workspace, visitor), value=id), page.go_to("train")]

    page.on_arrival(refresh, [parts.dataset], outputs)
    # The first tab says that it was turned to as the page opens; the arrival comes a little later.
    page.on(page.panes["data"].select, refresh, [parts.dataset], outputs, early=True)
    page.on(parts.dataset.input, refresh, [parts.dataset], outputs)
    page.on(parts.rename.click, rename, [parts.dataset, parts.name], outputs)
    page.on(parts.name.submit, rename, [parts.dataset, parts.name], outputs)
    page.on(parts.delete.click, delete, [parts.dataset], [parts.deleted, parts.undo, *outputs])
    page.on(parts.undo.click, undo, [parts.deleted], [parts.deleted, parts.undo, *outputs])
    page.on(parts.use.click, use, [parts.dataset], [train_on, page.tabs])  # type: ignore[list-item]
    page.on(parts.share.input, share, [parts.dataset, parts.share], outputs)


def shelf(workspace: Workspace, visitor: Visitor, chosen: Any) -> list[Any]:
    """Updates of the list of datasets and the card of the chosen one, or of the newest when that is gone."""
    names = datasets.choices(workspace, visitor)
    ids = [id for _, id in names]
    id = chosen if chosen in ids else (ids[0] if ids else None)
    if id is None:
        hidden = [gr.Button(visible=False), gr.Row(visible=False), "", gr.Checkbox(visible=False)]
        return [gr.Dropdown([], value=None, visible=False), NOTHING_YET, None, *hidden]
    card = datasets.card(workspace, visitor, id)
    frequent = card.info.frequent
    picture = {
        "figure": frequent_tokens(frequent, card.info.train_tokens),
        "words": frequent_tokens_in_words(frequent, card.info.train_tokens),
    }
    return [
        gr.Dropdown(names, value=id, visible=True),
        card_html(card),
        picture,
        gr.Button(visible=True),
        gr.Row(visible=card.item.mine),
        card.item.name,
        gr.Checkbox(value=card.item.shared, visible=card.item.mine and workspace.hosted),
    ]
