"""What the Data tab does with prepared datasets: list, describe, rename, share, delete and bring back."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from microformer.data.info import DatasetInfo
from microformer.data.tokenizers import load_tokenizer
from microformer.model.profile import profile
from microformer.ui.actions.offers import fitting
from microformer.ui.workspace import Item, Visitor, Workspace

PREVIEW_CHARACTERS = 700
# Tokens of text for each parameter of the network. About 20 is what a model of a given cost makes best use of (Hoffmann
# et al. 2022, arXiv:2203.15556); a text may be read about four times before repeating it stops helping (Muennighoff et
# al. 2023, arXiv:2305.16264), so 5 different ones are as good.
PLENTY, ENOUGH, LITTLE = 20.0, 5.0, 0.5


@dataclass(frozen=True)
class Suits:
    """Whether a text is enough for a model: ``ratio`` is tokens of training text for each parameter of its network."""

    name: str
    parameters: int
    ratio: float

    @property
    def verdict(self) -> str:
        if self.ratio >= PLENTY:
            return "plenty"
        if self.ratio >= ENOUGH:
            return "enough"
        return "a little short" if self.ratio >= LITTLE else "far too short"


@dataclass(frozen=True)
class Card:
    """All that is shown of a dataset."""

    item: Item
    info: DatasetInfo
    pieces: list[str]
    """The beginning of the text, cut as the tokenizer cuts it."""
    suits: list[Suits]


def choices(workspace: Workspace, visitor: Visitor) -> list[tuple[str, str]]:
    """Name and id of every dataset the visitor may use, newest first."""
    return [
        (item.name if item.mine else f"{item.name} (shared)", item.id)
        for item in workspace.datasets.list(visitor)
        if (item.path / "dataset.json").is_file()
    ]


def card(workspace: Workspace, visitor: Visitor, id: Any) -> Card:
    """The card of a dataset. Raises ``UserError`` when it is not there or not theirs to see."""
    item = workspace.datasets.item(id, visitor)
    info = DatasetInfo.read(item.path)
    return Card(item, info, preview(item.path, info), suits(info))


def preview(directory: Path, info: DatasetInfo) -> list[str]:
    """The beginning of a dataset's text in the pieces its tokenizer makes of it."""
    tokenizer = load_tokenizer(directory / "tokenizer.json")
    return tokenizer.pieces(tokenizer.encode(info.preview[:PREVIEW_CHARACTERS]))


def suits(info: DatasetInfo) -> list[Suits]:
    """For each preset of its kind, smallest network first, whether the text is enough for it."""
    found = []
    for preset in fitting(info.kind):
        costs = profile(replace(preset.config.model, vocab_size=info.vocab_size))
        found.append(Suits(preset.name, costs.total_parameters, info.train_tokens / costs.network_parameters))
    return sorted(found, key=lambda one: one.ratio, reverse=True)


def suits_in_words(suits: list[Suits]) -> str:
    """A warning where the text is small for some of the models, else nothing."""
    if all(one.ratio >= ENOUGH for one in suits):
        return ""
    groups = {
        "enough for": [one.name for one in suits if one.ratio >= ENOUGH],
        "a little short for": [one.name for one in suits if LITTLE <= one.ratio < ENOUGH],
    }
    said = [f"{words} {', '.join(names)}" for words, names in groups.items() if names]
    if any(one.ratio < LITTLE for one in suits):
        said.append("far too short for larger models" if said else "far too short for every preset")
    return f"This text is {'; '.join(said)}. A model that is too large for its text learns it by heart."


def rename(workspace: Workspace, visitor: Visitor, id: Any, name: Any) -> str:
    """Give a dataset another name; returns the name it has now."""
    return workspace.datasets.rename(id, name, visitor).name


def share(workspace: Workspace, visitor: Visitor, id: Any, shared: Any) -> bool:
    """Let everybody use a dataset, or only its owner; returns how it is now."""
    return workspace.datasets.share(id, shared is True, visitor).shared


def delete(workspace: Workspace, visitor: Visitor, id: Any) -> tuple[str, str]:
    """Move a dataset to the trash; its name, and the token that brings it back."""
    name = workspace.datasets.item(id, visitor, write=True).name
    return name, workspace.datasets.delete(id, visitor)


def undo(workspace: Workspace, visitor: Visitor, token: Any) -> str:
    """Bring a deleted dataset back; its id."""
    return workspace.datasets.undo(token, visitor).id
