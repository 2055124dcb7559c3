"""``quantize``: a run in fewer bits, and what that costs."""

from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser, add_json
from microformer.model.config import BITS

DESCRIPTION = (
    "Make a run whose weights take fewer bits, for sampling: 16 (bf16), 8 or 4 (integers). Size and quality are shown "
    "before and after. Such a run cannot be trained; sessions are taught on it anew."
)

BITS_ASKED = [str(bits) for bits in BITS[1:]]


def add_arguments(parser: Parser) -> None:
    """What ``quantize`` accepts."""
    parser.add_argument("run", metavar="RUN", help="A run, a checkpoint, or the word starter.")
    parser.add_argument("out", metavar="OUT", help="The directory of the new run.")
    parser.add_argument(
        "--bits", required=True, metavar="|".join(BITS_ASKED), choices=BITS_ASKED, help="Bits a weight."
    )
    parser.option("--data", metavar="DIR", help="A dataset to compare on (default: the run's).")
    add_json(parser, "sizes and bits per byte")


def run(values: dict[str, Any]) -> None:
    """Write the smaller run, and compare the two."""
    from microformer.adapters.quantize import quantized, weight_bytes
    from microformer.checkpoint import load
    from microformer.tasks.choose import task_of
    from microformer.training.derive import derive
    from microformer.training.evaluate import evaluate
    from microformer.training.held_out import validation_of

    loaded = load(values["run"])
    task = task_of(loaded.config)
    dataset = validation_of(loaded, Path(values["data"]) if "data" in values else None)
    small = quantized(loaded.model, int(values["bits"]))
    out = derive(loaded, small, Path(values["out"]), f"{loaded.run.name} in {values['bits']} bits.")
    found = [
        {"weight_bytes": weight_bytes(model), **evaluate(model, dataset, task=task).to_dict()}
        for model in (loaded.model, load(out).model)
    ]
    judged = "bits_per_byte" if "bits_per_byte" in found[0] else "loss"
    before, after = found
    smaller, rise = before["weight_bytes"] / after["weight_bytes"], after[judged] / before[judged] - 1
    if values["json"]:
        output.result_json({"before": before, "after": after, "times_smaller": smaller, f"{judged}_rise": rise})
        return
    sizes = [output.size_in_words(one["weight_bytes"]) for one in found]
    output.result(
        f"{out}: weights of {sizes[1]} instead of {sizes[0]} ({smaller:.1f} times smaller); "
        f"{judged.replace('_', ' ')} {after[judged]:.4f} instead of {before[judged]:.4f} ({rise:+.2%})."
    )
