"""The one place that reads and writes weights: safetensors only, checked before a model is built from them.

A run directory holds ``checkpoints/step-N/`` with ``model.safetensors``, ``optimizer.safetensors`` (while it can be
resumed), ``state.json`` and ``manifest.json``, which has the SHA-256 of each and is written last.
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from microformer.adapters.build import build_model
from microformer.data.tokenizers import Tokenizer, load_tokenizer
from microformer.errors import UserError
from microformer.files import directory_written_whole, read_json, read_yaml, sha256, write_json
from microformer.model.config import ModelConfig
from microformer.model.outline import outline
from microformer.model.transformer import Transformer
from microformer.settings import from_dict
from microformer.tensor_files import load_tensors, read_header, save_tensors

STARTER = Path(__file__).parent.parent / "assets" / "starter"
WEIGHTS, OPTIMIZER, STATE, MANIFEST = "model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"
MOST_STEPS = 1e12


@dataclass(frozen=True)
class Loaded:
    """A model with what it needs to be used, and where it came from. ``config`` is the run's whole ``config.yaml``."""

    model: Transformer
    tokenizer: Tokenizer
    config: dict[str, Any]
    run: Path
    checkpoint: Path
    state: dict[str, Any]


def save(
    directory: Path, *, model: Transformer, optimizer_state: Mapping[str, Tensor] | None, state: dict[str, Any]
) -> None:
    """Write one checkpoint directory (``…/checkpoints/step-N``) whole or not at all.

    ``state`` is plain JSON (step, val_loss, …). Raises ``UserError`` when the disk is full.
    """
    with directory_written_whole(directory) as beside:
        save_tensors(weights_of(model), beside / WEIGHTS)
        if optimizer_state is not None:
            save_tensors(optimizer_state, beside / OPTIMIZER)
        write_json(beside / STATE, state)
        write_json(beside / MANIFEST, {file.name: sha256(file) for file in sorted(beside.iterdir())})


def weights_of(model: Transformer) -> dict[str, Tensor]:
    """All weights by name, on the CPU. Tables that are computed from the configuration are left out."""
    return {name: tensor.detach() for name, tensor in model.state_dict().items()}


def is_whole(directory: Path) -> bool:
    """Whether every file that the manifest lists is there with the bytes it was written with."""
    try:
        manifest = read_json(directory / MANIFEST)
        return WEIGHTS in manifest and all(
            "/" not in name and sha256(directory / name) == digest for name, digest in manifest.items()
        )
    except (UserError, OSError, TypeError, AttributeError):
        return False


def checkpoints(run: Path) -> list[Path]:
    """The checkpoint directories of a run that have a manifest, oldest first. ``is_whole`` tells whether it holds."""
    found = []
    for directory in (run / "checkpoints").glob("step-*"):
        number = directory.name.removeprefix("step-")
        if number.isdigit() and (directory / MANIFEST).is_file():
            found.append((int(number), directory))
    return [directory for _, directory in sorted(found)]


def newest(run: Path) -> Path | None:
    """The newest whole checkpoint of a run, or ``None``."""
    return next((one for one in reversed(checkpoints(run)) if is_whole(one)), None)


def best(run: Path) -> Path | None:
    """The whole checkpoint with the lowest validation loss (the newest when none was evaluated), or ``None``.

    A newest one that was consolidated comes first: somebody asked for it, and it had to pass a check of its own.
    """
    whole = [one for one in checkpoints(run) if is_whole(one)]
    if whole and "consolidated" in read_state(whole[-1]):
        return whole[-1]
    judged = [(loss, one) for one in whole if (loss := read_state(one).get("val_loss")) is not None]
    return min(judged)[1] if judged else whole[-1] if whole else None


def read_state(checkpoint: Path) -> dict[str, Any]:
    """What is known of a checkpoint besides its weights (step, val_loss, …); nothing where it came without.

    Raises ``UserError`` for what no checkpoint holds.
    """
    state = read_json(checkpoint / STATE) if (checkpoint / STATE).is_file() else {}
    if isinstance(state, dict):
        step, loss = state.get("step", 0), state.get("val_loss") or 0.0
        numbers = isinstance(step, (int, float)) and isinstance(loss, (int, float))
        if numbers and 0 <= step < MOST_STEPS and abs(loss) < math.inf:
            return state
    raise UserError(f"{checkpoint.name}/{STATE} is not what a checkpoint holds; use another checkpoint.")


def resolve(run: str | Path) -> Path:
    """The checkpoint directory that ``run`` means: ``starter``, a run directory (its best), or a checkpoint itself."""
    path = STARTER if str(run) == "starter" else Path(run)
    if not path.is_dir():
        raise UserError(f"There is no run at {run}; give a run directory, a checkpoint directory, or the word starter.")
    if (path / MANIFEST).is_file():
        if not is_whole(path):
            raise UserError(f"The checkpoint {path} is damaged: a file does not match its manifest; use another one.")
        return path
    found = best(path)
    if found is None:
        if (path / "config.yaml").is_file():
            raise UserError(f"The run {run} has no checkpoint yet; train it, or wait until it saves its first one.")
        raise UserError(f"{run} is not a run: it has no config.yaml and no checkpoints; give a run directory.")
    return found


def run_of(checkpoint: Path) -> Path:
    """The run directory that a checkpoint directory lies in."""
    return checkpoint.absolute().parent.parent


def load(run: str | Path, *, device: str = "cpu") -> Loaded:
    """Build the model of ``run`` (see ``resolve``) in evaluation mode. Raises ``UserError`` for what does not fit."""
    checkpoint = resolve(run)
    directory = run_of(checkpoint)
    config = read_config(directory)
    tokenizer = load_tokenizer(directory / "tokenizer.json")
    shape = from_dict(ModelConfig, config["model"], where="model.")
    if shape.vocab_size != tokenizer.vocab_size:
        raise UserError(
            f"The model knows {shape.vocab_size} tokens, but its tokenizer has {tokenizer.vocab_size}; "
            "the files do not belong together."
        )
    model = load_weights(shape, checkpoint / WEIGHTS).to(device)
    return Loaded(model.eval(), tokenizer, config, directory, checkpoint, read_state(checkpoint))


def read_config(run: Path) -> dict[str, Any]:
    """A run's ``config.yaml`` as plain values, with at least ``model`` in it."""
    config = read_yaml(run / "config.yaml")
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        raise UserError(f"{run.name}/config.yaml does not describe a Microformer model.")
    return config


def load_weights(config: ModelConfig, path: Path) -> Transformer:
    """A model of this shape with the weights of a file, after checking names, shapes, types, size and finiteness.

    How wide its long-term adapters are is the file's to say: consolidation widens them.
    """
    adapter = read_header(path).get("blocks.0.long_term.down", {}).get("shape")
    if config.adapter_dim and adapter is not None and len(adapter) == 2:
        config = replace(config, adapter_dim=adapter[1])
    with outline():
        model = build_model(config)
    tensors = load_tensors(path, model.state_dict())
    if any(not bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise UserError(f"{path.name} holds values that are not finite numbers; these weights cannot be used.")
    with _generator_kept():
        model = build_model(config)
    model.load_state_dict(tensors)
    if config.bits == 32:  # the others were made from such a model
        model.lift_unseen()
    return model


def base_hash(model: Transformer) -> str:
    """SHA-256 of every weight: what a session was taught on."""
    return _hash(weights_of(model).items())


def core_hash(model: Transformer) -> str:
    """SHA-256 of the weights without the long-term adapters (and without which tokens are open)."""
    kept = weights_of(model).items()
    return _hash((name, tensor) for name, tensor in kept if ".long_term." not in name and name != "logit_bias")


def long_term_hash(model: Transformer) -> str:
    """SHA-256 of the long-term adapters."""
    return _hash((name, tensor) for name, tensor in weights_of(model).items() if ".long_term." in name)


def _hash(named: Iterable[tuple[str, Tensor]]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(named, key=lambda pair: pair[0]):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _generator_kept() -> Any:
    """Building a model draws random weights that are then replaced; callers' random numbers must not notice."""
    return torch.random.fork_rng(devices=[])
