"""What ``sample`` prints of a model that does not go on from a prompt: a label, a number, or an answer to it."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from microformer.commands import output
from microformer.commands.options import whole_number
from microformer.commands.whole import MOST_BEAMS, length_penalty
from microformer.errors import UserError

if TYPE_CHECKING:
    from microformer.checkpoint import Loaded
    from microformer.generation.sampling import Sampling
    from microformer.tasks.task import Task


def tell(values: dict[str, Any], loaded: "Loaded", task: "Task", prompts: list[str], sampling: "Sampling") -> None:
    """Print what the model makes of each prompt. Raises ``UserError``."""
    from microformer.generation.predict import predict

    if values["session"] or "draft" in values:
        raise UserError("Sessions and drafts are for models that go on from a prompt; leave them out.")
    beams = whole_number(values.get("beams", "1"), "--beams", minimum=1, maximum=MOST_BEAMS)
    penalty = length_penalty(values)
    for prompt in asked() if values["interactive"] else prompts:
        found = predict(
            loaded.model,
            loaded.tokenizer,
            task,
            prompt,
            beams=beams,
            max_tokens=sampling.max_tokens,
            length_penalty=penalty,
        )
        if values["json"]:
            output.result_json(found)
        else:
            output.result(lines(found))


def asked() -> Iterator[str]:
    """Texts from the terminal, until the input ends."""
    output.note("Write a text and press Enter; Ctrl-D ends.")
    for line in sys.stdin:
        if line.strip():
            yield line.rstrip("\r\n")


def lines(found: dict[str, Any]) -> str:
    """A prediction for the terminal: labels or candidates with their probabilities, or the number."""
    if "value" in found:
        return f"{found['value']:.6g}"
    if "label" in found:
        return "\n".join(f"{share:6.1%}  {label}" for label, share in found["probabilities"].items())
    if len(found["candidates"]) == 1:
        return str(found["completion"])
    return "\n".join(f"{one['probability']:6.1%}  {one['text']}" for one in found["candidates"])
