"""Files of JSON lines that a person wrote: every line is looked at, and a wrong one is named by its number."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from microformer.errors import UserError
from microformer.files import read_text


def json_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """The number and the value of each line that is not empty. Raises ``UserError`` for one that is not JSON."""
    for number, line in enumerate(read_text(path).removeprefix("\ufeff").split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                raise UserError(f"Line {number} of {path.name} is not valid JSON.") from None
