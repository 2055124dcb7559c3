"""``merge``: what a run learned by LoRA becomes part of its weights."""

from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser
from microformer.errors import UserError

DESCRIPTION = (
    "Make the low-rank additions of a run that was trained with --model.lora_rank part of its weights. The new run "
    "says the same, a little faster; sessions that were taught on the old one belong to the old one."
)


def add_arguments(parser: Parser) -> None:
    """What ``merge`` accepts."""
    parser.add_argument("run", metavar="RUN", help="A run that was trained with LoRA.")
    parser.add_argument("out", metavar="OUT", help="The directory of the new run.")


def run(values: dict[str, Any]) -> None:
    """Write the merged run."""
    from microformer.adapters.lora import merged
    from microformer.checkpoint import load
    from microformer.training.derive import derive

    loaded = load(values["run"])
    if not loaded.model.config.lora_rank:
        raise UserError(f"{values['run']} has no low-rank additions (lora_rank is 0), so there is nothing to merge.")
    out = derive(loaded, merged(loaded.model), Path(values["out"]), f"Merged from {loaded.run.name}.")
    output.result(f"{out}: the low-rank additions are part of the weights now.")
