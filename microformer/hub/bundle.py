"""A run as the few files that are shared, and a run made again from such files after each of them was checked.

The same files travel through the Hub and in a zip: the configuration, the tokenizer, the weights of one checkpoint,
what is known about it, and the metrics. The text that the model was trained on does not travel.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microformer import checkpoint
from microformer.data.tokenizers import load_tokenizer
from microformer.errors import UserError
from microformer.files import check_new_directory, directory_written_whole, read_json_lines, write_text
from microformer.training.config import RunConfig
from microformer.training.run_directory import CONFIG, METRICS, TOKENIZER, Run

WEIGHTS, STATE = checkpoint.WEIGHTS, checkpoint.STATE
NEEDED = (CONFIG, TOKENIZER, WEIGHTS)
LARGEST = {CONFIG: 2**20, TOKENIZER: 2**26, WEIGHTS: 2**33, STATE: 2**20, METRICS: 2**26}
"""The files of a bundle, and how many bytes each may have."""
LARGEST_NUMBER = 1e30


@dataclass(frozen=True)
class Bundle:
    """The files of a run that are shared, by their names in the bundle, and the checkpoint they are of."""

    files: dict[str, Path]
    checkpoint: Path
    run: Path

    @property
    def step(self) -> int:
        return step_of(self.checkpoint)


def bundle(run: str | Path) -> Bundle:
    """What of a run is shared: its best checkpoint (or the one that was named). Raises ``UserError``."""
    chosen = checkpoint.resolve(run)
    directory = checkpoint.run_of(chosen)
    RunConfig.from_dict(checkpoint.read_config(directory))
    places = {
        CONFIG: directory / CONFIG,
        TOKENIZER: directory / TOKENIZER,
        WEIGHTS: chosen / WEIGHTS,
        STATE: chosen / STATE,
        METRICS: directory / METRICS,
    }
    for name in NEEDED:
        if not places[name].is_file():
            raise UserError(f"The run {run} has no {name}, so it cannot be shared; train it again.")
    return Bundle({name: path for name, path in places.items() if path.is_file()}, chosen, directory)


def unbundle(directory: Path, out: Path, origin: str) -> Path:
    """Make a run at ``out`` from the files of a bundle in ``directory``, whole or not at all; returns ``out``.

    ``origin`` says in messages where the files came from. Raises ``UserError`` when one of them is missing, damaged or
    does not fit the others, or when ``out`` already holds something.
    """
    check_new_directory(out)
    for name in NEEDED:
        if not (directory / name).is_file():
            raise UserError(f"{origin} is not a Microformer checkpoint: it has no {name}.")
    for name, most in LARGEST.items():
        if (directory / name).is_file() and (directory / name).stat().st_size > most:
            raise UserError(f"{name} of {origin} is larger than {most // 2**20} MB, which is more than it can be.")
    try:
        config = RunConfig.from_dict(checkpoint.read_config(directory))
        tokenizer = load_tokenizer(directory / TOKENIZER)
        if tokenizer.vocab_size != config.model.vocab_size:
            raise UserError(
                f"the model knows {config.model.vocab_size} tokens, but its tokenizer has {tokenizer.vocab_size}."
            )
        model = checkpoint.load_weights(config.model, directory / WEIGHTS)
        state = _numbers(checkpoint.read_state(directory))
        metrics = [_numbers(row) for row in read_json_lines(directory / METRICS)[0]]
    except UserError as error:
        what = str(error).replace(f"{directory.name}/", "")  # a temporary name says nothing
        raise UserError(f"{origin} cannot be used: {what}") from None
    check_new_directory(out, room=2 * (directory / WEIGHTS).stat().st_size)
    step = max(0, int(state.get("step", 0)))
    with directory_written_whole(out) as beside:
        run = Run(beside)
        run.write_config(config)
        tokenizer.save(beside / TOKENIZER)
        write_text(beside / METRICS, "".join(json.dumps(row) + "\n" for row in metrics if "step" in row))
        checkpoint.save(
            beside / "checkpoints" / f"step-{step}", model=model, optimizer_state=None, state=state | {"step": step}
        )
        run.write_status("finished", step, f"From {origin}.")
    return out


def step_of(chosen: Path) -> int:
    """The step of a checkpoint directory, from its ``state.json`` or its name."""
    state = checkpoint.read_state(chosen)
    if "step" in state:
        return int(state["step"])
    digits = chosen.name.removeprefix("step-")
    return int(digits) if digits.isdigit() else 0


def _numbers(row: Any) -> dict[str, Any]:
    """The numbers of one JSON object, none beyond all use: all that a bundle's state and metrics may bring along."""
    if not isinstance(row, dict):
        return {}
    return {
        str(name)[:100]: value
        for name, value in row.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < LARGEST_NUMBER
    }
