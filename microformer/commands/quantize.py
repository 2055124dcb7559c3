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
    parser.add_argument("--bits", required=True, metavar="|".join(BITS_ASKED), choices=BITS_ASKED, help="Bits a weight.")
    parser.option("--data", metavar="DIR", help="A dataset to compare on (default: the run's).")
    add_json(parser, "sizes and bits per byte")


def run(values: dict[str, Any]) -> None:
    """Write the smaller run, and compare the two."""
    from microformer.adapters.quantize import quantized, weight_bytes
    from microformer.checkpoint import load
    from microformer.commands.validation import validation_of
    from microformer.training.derive import derive
    from microformer.training.evaluate import evaluate

    loaded = load(values["run"])
    dataset = validation_of(loaded, Path(values["data"]) if "data" in values else None)
    small = quantized(loaded.model, int(values["bits"]))
    out = derive(loaded, small, Path(values["out"]), f"{loaded.run.name} in {values['bits']} bits.")
    found = {}
    for name, model in (("before", loaded.model), ("after", load(out).model)):
        found[name] = {"weight_bytes": weight_bytes(model), "bits_per_byte": evaluate(model, dataset).bits_per_byte}
    before, after = found["before"], found["after"]
    smaller = before["weight_bytes"] / after["weight_bytes"]
    rise = after["bits_per_byte"] / before["bits_per_byte"] - 1
    if values["json"]:
        output.result_json({**found, "times_smaller": smaller, "bits_per_byte_rise": rise})
        return
    sizes = [output.size_in_words(one["weight_bytes"]) for one in (before, after)]
    output.result(
        f"{out}: weights of {sizes[1]} instead of {sizes[0]} ({smaller:.1f} times smaller); "
        f"{after['bits_per_byte']:.4f} bits per byte instead of {before['bits_per_byte']:.4f} ({rise:+.2%})."
    )
