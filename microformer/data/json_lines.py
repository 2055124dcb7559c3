"""The rows of a JSON Lines or CSV file for PyTorch's own loaders."""

from pathlib import Path

from torch.utils.data import Dataset

from microformer.data.row_files import COLUMNS
from microformer.data.tables import kind_of_files, read_rows
from microformer.errors import UserError


class JSONLinesDataset(Dataset[dict[str, str | float]]):
    """Rows with a label, a value or a target, checked as ``prepare`` checks them and held in memory.

    An item is ``{"text", "label"}``, ``{"text", "value"}`` or ``{"source", "target"}``; ``kind`` says which:
    ``labelled``, ``valued`` or ``paired``. Raises ``UserError``, naming the line, for a row that is wrong.
    """

    def __init__(self, *paths: Path | str) -> None:
        files = [Path(path) for path in paths]
        self.kind = kind_of_files(files)
        if self.kind == "text":
            raise UserError(
                f"{', '.join(path.name for path in files)} holds plain text without labels, values or targets."
            )
        self.rows = list(read_rows(files, self.kind))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, str | float]:
        return dict(zip(COLUMNS[self.kind], self.rows[index], strict=True))
