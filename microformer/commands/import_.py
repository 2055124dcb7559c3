"""``import``: a run from a zip file that ``export`` wrote."""

from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser

DESCRIPTION = "Read a run from a zip file that export wrote. It is checked before it is used."


def add_arguments(parser: Parser) -> None:
    """What ``import`` accepts."""
    parser.add_argument("file", metavar="FILE.zip", help="The file to read.")
    parser.add_argument("run", metavar="RUN", help="Where the run goes; a directory that does not exist yet.")


def run(values: dict[str, Any]) -> None:
    """Read the file, and print where the run is."""
    from microformer.hub.archive import import_run

    output.result(f"{values['file']} is at {import_run(Path(values['file']), Path(values['run']))}")
