"""``pull``: a run from the Hugging Face Hub."""

from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser

DESCRIPTION = "Get a Microformer model from the Hugging Face Hub. It is checked before it is used."


def add_arguments(parser: Parser) -> None:
    """What ``pull`` accepts."""
    parser.add_argument("repo", metavar="REPO", help="The repository: its-owner/its-name.")
    parser.add_argument("run", metavar="RUN", help="Where the run goes; a directory that does not exist yet.")


def run(values: dict[str, Any]) -> None:
    """Pull, and print where the run is."""
    from microformer.hub.client import own_token, pull

    out = pull(values["repo"], Path(values["run"]), own_token(), progress=output.progress())
    output.result(f"{values['repo']} is at {out}; try it: python -m microformer sample {out} --prompt Once")
