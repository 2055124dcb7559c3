"""``export``: a run as one zip file."""

from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser

DESCRIPTION = "Write a run's best checkpoint, with its settings and tokenizer, into one zip file."


def add_arguments(parser: Parser) -> None:
    """What ``export`` accepts."""
    parser.add_argument("run", metavar="RUN", help="A run, a checkpoint, or the word starter.")
    parser.add_argument("file", metavar="FILE.zip", help="The file to write.")


def run(values: dict[str, Any]) -> None:
    """Write the file, and say how large it is."""
    from microformer.hub.archive import export_run

    file = export_run(values["run"], Path(values["file"]))
    output.result(f"{file}: {output.size_in_words(file.stat().st_size)}")
