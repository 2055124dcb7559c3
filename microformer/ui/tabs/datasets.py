"""The part of the Data tab that shows datasets: the list, the card of the chosen one, and what can be done with it."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from microformer.ui import live_chart
from microformer.ui.actions import data as datasets
from microformer.ui.dataset_card import card_html
from microformer.ui.page import Page
from microformer.ui.plots import frequent_tokens, frequent_tokens_in_words
from microformer.ui.tabs import owned
from microformer.ui.workspace import Visitor, Workspace

NOTHING_YET = '<p class="empty">No dataset yet. Press <b>Prepare</b>: Tiny Tales need no network and a few seconds.</p>'


@dataclass(frozen=True)
class Parts:
    """The components around the card; ``outputs`` are those that ``shelf`` updates, in order."""

    dataset: gr.Dropdown
    card: gr.HTML
    frequent: gr.HTML
    use: gr.Button
    owned: owned.Parts

    @property
    def outputs(self) -> list[Any]:
        return [self.dataset, self.card, self.frequent, self.use, *self.owned.outputs]


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
    use = gr.Button("Train a model on it", variant="primary", elem_id="data-use", visible=False)
    card = gr.HTML(NOTHING_YET, elem_id="data-card", apply_default_css=False)
    frequent = live_chart.figure(elem_id="data-frequent")
    manage = owned.build("data", "Let everybody here use this dataset (nobody else can change it)")
    return Parts(dataset, card, frequent, use, manage)


def wire(page: Page, parts: Parts, train_on: gr.Dropdown) -> None:
    """Connect the events of the list and the buttons; ``train_on`` is where the Train tab is told of a dataset."""
    outputs = parts.outputs

    def refresh(workspace: Workspace, visitor: Visitor, chosen: Any) -> Any:
        return shelf(workspace, visitor, chosen)

    def use(workspace: Workspace, visitor: Visitor, id: Any) -> Any:
        return [gr.Dropdown(datasets.choices(workspace, visitor), value=id), page.go_to("train")]

    page.on_arrival(refresh, [parts.dataset], outputs)
    # The first tab says that it was turned to as the page opens; the arrival comes a little later.
    page.on(page.panes["data"].select, refresh, [parts.dataset], outputs, early=True)
    page.on(parts.dataset.input, refresh, [parts.dataset], outputs)
    page.on(parts.use.click, use, [parts.dataset], [train_on, page.tabs])  # type: ignore[list-item]
    owned.wire(page, parts.owned, datasets, [parts.dataset], shelf, outputs)


def shelf(workspace: Workspace, visitor: Visitor, chosen: Any) -> list[Any]:
    """Updates of the list of datasets and the card of the chosen one, or of the newest when that is gone."""
    names = datasets.choices(workspace, visitor)
    ids = [id for _, id in names]
    id = chosen if chosen in ids else (ids[0] if ids else None)
    if id is None:
        hidden = [gr.Button(visible=False), *owned.updates(workspace, None)]
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
        *owned.updates(workspace, card.item),
    ]
