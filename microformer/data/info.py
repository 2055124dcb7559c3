"""What is known of a prepared dataset, as it stands in ``dataset.json``."""

import dataclasses
from pathlib import Path
from typing import Any

from microformer.errors import UserError
from microformer.files import read_json, write_json


@dataclasses.dataclass(frozen=True)
class Baseline:
    """What a model without any context (or nearly none) reaches on the validation text."""

    loss: float
    """Nats per token."""
    bits_per_byte: float


@dataclasses.dataclass(frozen=True)
class DatasetInfo:
    """The card of a dataset. Counts of text leave out the marks between documents; counts of tokens include them."""

    name: str
    source: str
    tokenizer: str
    """``char``, ``byte``, ``bpe`` or ``wordpiece``."""
    tokenizer_hash: str
    vocab_size: int
    documents: int
    characters: int
    bytes: int
    tokens: int
    train_tokens: int
    val_tokens: int
    val_bytes: int
    val_characters: int
    characters_per_token: float
    dtype: str
    baselines: dict[str, Baseline]
    """``uniform``, ``unigram`` and ``bigram``, learned from the training tokens."""
    frequent: list[tuple[str, int]]
    """The most frequent training tokens: label and count."""
    preview: str
    """The first characters of the text."""
    warning: str = ""
    """A sentence where the text is small for the models on offer."""
    note: str = ""
    """A sentence on how the dataset was made, where that needs saying."""
    created: float = 0.0
    """Seconds since 1970."""
    seed: int | None = None
    size: int | None = None
    limit: int | None = None
    kind: str = "text"
    """``text``, or ``labelled``, ``valued`` or ``paired`` rows."""
    labels: list[str] = dataclasses.field(default_factory=list)
    """Names of the classes of labelled rows, in the order of their numbers."""
    label_counts: list[int] = dataclasses.field(default_factory=list)
    """Training rows of each class."""
    guess: float | None = None
    """What one right answer for all rows reaches in validation: share right (labels), mean error (values)."""
    sha256: dict[str, str] = dataclasses.field(default_factory=dict)

    def write(self, directory: Path) -> None:
        """Write ``dataset.json``."""
        write_json(directory / "dataset.json", dataclasses.asdict(self))

    @classmethod
    def read(cls, directory: Path) -> "DatasetInfo":
        """Read ``dataset.json``, or ``UserError``. Names that are not known here (an owner, say) are left alone."""
        plain = read_json(directory / "dataset.json")
        known = {field.name for field in dataclasses.fields(cls)}
        try:
            values: dict[str, Any] = {name: value for name, value in plain.items() if name in known}
            values["baselines"] = {name: Baseline(**one) for name, one in values["baselines"].items()}
            values["frequent"] = [(str(label), int(count)) for label, count in values["frequent"]]
            return cls(**values)
        except (AttributeError, KeyError, TypeError, ValueError):
            raise UserError(f"{directory.name}/dataset.json does not describe a dataset; prepare it again.") from None
