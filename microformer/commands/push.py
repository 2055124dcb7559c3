"""``push``: a run on the Hugging Face Hub."""

from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser
from microformer.errors import UserError

DESCRIPTION = (
    "Put a run's best checkpoint on the Hugging Face Hub, with its settings, its loss curve and a model card. "
    "The token is read from HF_TOKEN, or from where `hf auth login` put it."
)


def add_arguments(parser: Parser) -> None:
    """What ``push`` accepts."""
    parser.add_argument("run", metavar="RUN", help="A run, a checkpoint, or the word starter.")
    parser.add_argument("repo", metavar="REPO", help="The repository: my-name/my-model, or just my-model.")
    parser.add_argument("--private", action="store_true", help="Only you can see it (when it is made).")


def run(values: dict[str, Any]) -> None:
    """Push, and print the address."""
    from microformer.hub.client import own_token, push

    token = own_token()
    if token is None:
        raise UserError("There is no Hub token on this machine; run `hf auth login`, or set HF_TOKEN.")
    output.result(push(values["run"], values["repo"], token, private=values["private"], progress=output.progress()))
