"""The rows of a dataset while it is prepared: their texts as spools, so that tokenizers are made and run as for plain
text, and their answers, which become arrays beside the tokens."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from microformer.data.reading import Piece
from microformer.data.rows import ANSWERS, OFFSETS
from microformer.data.spool import Spool
from microformer.data.tables import Row
from microformer.data.tokenizers.base import END_ID
from microformer.errors import UserError
from microformer.files import sha256

MIN_ROWS = 10
MAX_LABELS = 1000

RowsOf = Callable[[str], Iterator[Row]]
"""The rows of ``train`` or ``val``; it can be called several times."""


class RowSpools:
    """``texts`` and, for pairs, ``targets`` are the spools of each split; ``answers`` its labels or values."""

    def __init__(self, kind: str, rows_of: RowsOf, directory: Path, progress: Callable[[float], None]) -> None:
        self.kind = kind
        self.texts: dict[str, Spool] = {}
        self.targets: dict[str, Spool] = {}
        self.answers: dict[str, list[Any]] = {}
        for split in ("train", "val"):
            self.texts[split] = Spool(directory / f"{split}.text")
            self.texts[split].fill(self._pieces(rows_of(split), split))
            progress(0.5 if split == "train" else 1.0)
            if kind == "paired":
                self.targets[split] = Spool(directory / f"{split}.targets.text")
                self.targets[split].fill(Piece(str(row.answer), True) for row in rows_of(split))
        self._refuse_too_little()

    def _pieces(self, rows: Iterator[Row], split: str) -> Iterator[Piece]:
        answers = self.answers[split] = []
        for row in rows:
            if self.kind != "paired":
                answers.append(row.answer)
            yield Piece(row.text, True)

    @property
    def spools(self) -> list[Spool]:
        """All text there is."""
        return [*self.texts.values(), *self.targets.values()]

    def _refuse_too_little(self) -> None:
        rows = self.texts["train"].documents + self.texts["val"].documents
        if rows < MIN_ROWS or not self.texts["val"].documents:
            raise UserError(f"There are only {rows} rows; at least {MIN_ROWS} are needed, every tenth to validate on.")
        if self.kind == "labelled" and len(self._counts("train")) < 2:
            raise UserError(
                f"Every row has the label {next(iter(self._counts('train')))!r}; at least two labels are needed to "
                "tell texts apart."
            )
        if self.kind == "labelled" and len(self._counts("train")) > MAX_LABELS:
            raise UserError(
                f"There are {len(self._counts('train')):,} different labels, more than the {MAX_LABELS:,} allowed; "
                'a number is called a "value", and a text that answers a text its "target".'
            )
        strange = self._counts("val").keys() - self._counts("train").keys() if self.kind == "labelled" else set()
        if strange:
            raise UserError(
                f"The label {min(strange)!r} stands in the validation rows only; give the training rows examples of it."
            )

    def _counts(self, split: str) -> Counter[str]:
        return Counter(self.answers[split])

    def write(self, directory: Path) -> dict[str, Any]:
        """Write the arrays beside ``train.npy`` and ``val.npy``; returns the fields of ``DatasetInfo`` they give."""
        labels = sorted(self._counts("train")) if self.kind == "labelled" else []
        number = {label: index for index, label in enumerate(labels)}
        for split in self.texts:
            _write_offsets(directory, split)
            if self.kind == "paired":
                _write_offsets(directory, f"{split}.targets")
            elif self.kind == "labelled":
                np.save(directory / f"{split}.labels.npy", np.array([number[one] for one in self.answers[split]]))
            else:
                np.save(directory / f"{split}.targets.npy", np.array(self.answers[split], np.float64))
        names = [f"{split}.{part}" for split in self.texts for part in (OFFSETS, ANSWERS[self.kind])]
        return {
            "kind": self.kind,
            "labels": labels,
            "label_counts": [self._counts("train")[label] for label in labels],
            "guess": self._guess(),
            "sha256": {name: sha256(directory / name) for name in names},
        }

    def _guess(self) -> float | None:
        """How well one does on the validation rows without reading the text: the share right, or the mean error."""
        if self.kind == "paired":
            return None
        if self.kind == "labelled":
            return self._counts("val")[self._counts("train").most_common(1)[0][0]] / len(self.answers["val"])
        return float(np.abs(np.array(self.answers["val"]) - np.median(self.answers["train"])).mean())

    def warning(self) -> str:
        """A sentence on labels that no model can learn."""
        single = [label for label, count in self._counts("train").items() if count == 1]
        if self.kind != "labelled" or not single:
            return ""
        more = f" and {len(single) - 1} more" if len(single) > 1 else ""
        return f"The label {single[0]!r}{more} has a single example to learn from; give more, or leave it out."


def _write_offsets(directory: Path, name: str) -> None:
    """Where each row begins in ``NAME.npy``, and where the last one ends, as ``NAME.offsets.npy``."""
    tokens = np.load(directory / f"{name}.npy", mmap_mode="r", allow_pickle=False)
    np.save(directory / f"{name}.{OFFSETS}", np.concatenate([[0], np.flatnonzero(tokens == END_ID) + 1]))
