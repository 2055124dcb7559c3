"""What a configuration comes to on a dataset: the model's shape and the task, or why it cannot be."""

import dataclasses
from pathlib import Path

from microformer import checkpoint
from microformer.adapters.lora import merged
from microformer.data.datasets import Dataset
from microformer.data.tokenizers import load_tokenizer
from microformer.errors import UserError
from microformer.files import free_bytes
from microformer.model.config import LORA, ModelConfig
from microformer.model.profile import parameters_by_part
from microformer.model.transformer import Transformer
from microformer.tasks.choose import choose_task
from microformer.training import fabric
from microformer.training.config import RunConfig
from microformer.training.run_directory import TOKENIZER, Run

FREE_BYTES = 50 * 2**20
"""Space that must be left on the disk beside a run's checkpoints before it starts."""


def refuse_what_cannot_work(config: RunConfig, dataset: Dataset, run: Run, *, resume: bool) -> None:
    """Raise ``UserError`` for what the settings, the text or the disk make impossible."""
    if run.exists() and not resume:
        raise UserError(f"There is already a run in {run.path}; resume it, or choose another directory.")
    if (run.path / "dataset.json").is_file():
        raise UserError(f"{run.path} is a dataset; choose another directory for the run.")
    context, have = config.model.max_seq_len, len(dataset.train)
    if have <= context and dataset.kind == "text":
        raise UserError(
            f"The training text is {have} tokens long, but the context (max_seq_len) is {context}; "
            "take a longer text or a smaller context."
        )
    if config.training.batch_size % config.training.gradient_accumulation:
        raise UserError(
            f"batch_size is {config.training.batch_size} and gradient_accumulation is "
            f"{config.training.gradient_accumulation}, but batch_size must be a multiple of gradient_accumulation."
        )
    if config.model.bits < 32:
        raise UserError(
            f"bits is {config.model.bits}, but a model is trained in 32; make it smaller by quantize afterwards."
        )
    if config.training.anneal_dropout and config.training.compile == "on":
        raise UserError("Compiled code cannot change its dropout; set compile to off, or anneal_dropout to false.")
    if fabric.wanted(config.training):
        fabric.fabric_arguments(config.training)
    shape = dataclasses.replace(config.model, vocab_size=dataset.tokenizer.vocab_size)
    needed = 4 * 3 * 4 * sum(parameters_by_part(shape).values()) + FREE_BYTES  # last two, best, and one being written
    free = free_bytes(run.path)
    if free < needed:
        raise UserError(
            f"The disk has {free // 2**20} MB free, but this run needs {needed // 2**20} MB for its checkpoints; "
            "free some space or train a smaller model."
        )


def resolve_model(
    config: RunConfig, dataset: Dataset, run: Run, init: Path | None
) -> tuple[RunConfig, Transformer | None]:
    """The model's shape: the tokenizer sets the vocabulary, and ``init`` or a run to be resumed set the rest.

    Returns the model of ``init`` too.
    """
    shape = dataclasses.replace(config.model, vocab_size=dataset.tokenizer.vocab_size)
    if run.exists():
        config, shape = resolve_task(config, shape, dataset)
        _must_be_as_before(config, shape, dataset, run)
        return dataclasses.replace(config, model=shape), None
    given = None
    if init is not None:
        given = _model_to_begin_with(init, dataset)
        chosen = {name: getattr(shape, name) for name in ("dropout", *LORA)}
        adapter_dim = given.config.adapter_dim or shape.adapter_dim  # adapters that are there stay
        shape = dataclasses.replace(given.config, **chosen, adapter_dim=adapter_dim, outputs=0, pooling=shape.pooling)
    elif shape.lora_rank:
        raise UserError(
            f"lora_rank is {shape.lora_rank}, but low-rank additions adapt a model that is trained already; "
            "name the run to begin with, or set lora_rank to 0."
        )
    config, shape = resolve_task(config, shape, dataset)
    return dataclasses.replace(config, model=shape), given


def _must_be_as_before(config: RunConfig, shape: ModelConfig, dataset: Dataset, run: Run) -> None:
    """Raise ``UserError`` when a run is to go on with another tokenizer, other labels or another model."""
    if load_tokenizer(run.path / TOKENIZER).hash != dataset.tokenizer.hash:
        raise UserError("The dataset has another tokenizer than the run; resume with the dataset it was started on.")
    known = run.config()
    before = dataclasses.replace(known.model, outputs=known.model.outputs or shape.outputs)  # it may be queued yet
    if known.labels not in ((), config.labels):
        raise UserError("The dataset has other labels than the run; resume with the dataset it was started on.")
    if before != shape:
        name = next(f.name for f in dataclasses.fields(shape) if getattr(before, f.name) != getattr(shape, f.name))
        raise UserError(
            f"model.{name} is {getattr(shape, name)}, but the run was started with {getattr(before, name)}; "
            "resume with the same model, or start a new run."
        )


def _model_to_begin_with(init: Path, dataset: Dataset) -> Transformer:
    """The model of the run ``init``, if it can be trained on this dataset."""
    loaded = checkpoint.load(init)
    if loaded.model.config.bits < 32:
        raise UserError(f"{init} is quantized, so it cannot be trained; begin with the run that it was made from.")
    if loaded.tokenizer.hash != dataset.tokenizer.hash:
        raise UserError(f"{init} has another tokenizer than the dataset; prepare the dataset with that of {init}.")
    return merged(loaded.model)


def resolve_task(config: RunConfig, shape: ModelConfig, dataset: Dataset) -> tuple[RunConfig, ModelConfig]:
    """What the model is to learn, with what must be known of the answers, and the numbers it then tells."""
    chosen = choose_task(config.task, shape, dataset)
    config = dataclasses.replace(config, **dataclasses.asdict(chosen))
    return config, dataclasses.replace(shape, outputs=chosen.outputs)
