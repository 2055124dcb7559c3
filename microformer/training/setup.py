"""From a configuration to everything the loop needs: model, optimizer, runtime, all at the step to go on from."""

import dataclasses
import functools
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from microformer import checkpoint
from microformer.adapters.build import build_model
from microformer.adapters.freeze import freeze_matching
from microformer.adapters.lora import merged
from microformer.data.datasets import Dataset
from microformer.data.tokenizers import load_tokenizer
from microformer.errors import UserError
from microformer.files import free_bytes
from microformer.model.config import LORA, ModelConfig
from microformer.model.profile import parameters_by_part
from microformer.model.transformer import NEVER_SEEN, Transformer
from microformer.tasks import Extent, Task, choose_task, make_task, possible_tokens
from microformer.training import fabric
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.estimate import check_memory
from microformer.training.lanes import keep_memory
from microformer.training.loggers import Log
from microformer.training.optimizers import Optimizer, make_optimizer
from microformer.training.precision import choose_precision
from microformer.training.progress import Budget, Progress
from microformer.training.run_directory import TOKENIZER, Run
from microformer.training.runtime import PlainRuntime, Runtime, find_device

WINDOWED = ("language_modelling", "masked_language_modelling")
"""Tasks that read windows of running text."""
FREE_BYTES = 50 * 2**20
"""Space that must be left on the disk beside a run's checkpoints before it starts."""


@dataclass
class Job:
    """A run in the making: what it is, and where it stands."""

    run: Run
    config: RunConfig
    dataset: Dataset
    task: Task
    runtime: Runtime
    model: Transformer
    optimizer: Optimizer
    progress: Progress
    budget: Budget
    log: Log

    @property
    def training(self) -> TrainConfig:
        return self.config.training

    @property
    def context(self) -> int:
        return self.config.model.max_seq_len

    @property
    def tired(self) -> bool:
        """Whether the validation loss has not improved for as long as the run's patience."""
        patience = self.training.patience
        return patience is not None and self.progress.evaluations_since_best >= patience

    @functools.cached_property
    def extent(self) -> Extent:
        """What there is to learn from."""
        return self.task.extent(self.dataset, "train", self.context)

    @property
    def tokens_per_step(self) -> int:
        """On average, where rows differ in length."""
        return round(self.training.batch_size * self.extent.tokens)


def set_up(
    config: RunConfig, dataset: Dataset, run: Run, *, resume: bool, init: Path | None, report: Callable[[str], None]
) -> Job:
    """Make or re-open the run's directory and build all that its steps need. The caller holds the run's lock."""
    resumed_from = checkpoint_to_resume(run) if resume else None
    if resumed_from is not None:
        _take_threads(resumed_from)
    _refuse_what_cannot_work(config, dataset, run, resume=resume)
    config, given = _resolve_model(config, dataset, run, init)
    device = find_device(config.training.device)
    keep_memory()
    check_memory(config, device)
    if fabric.wanted(config.training):
        config = dataclasses.replace(config, training=fabric.agreed(config.training))
    config, how = _resolve_auto(config, run, device)
    together = fabric.launch(config.training) if fabric.wanted(config.training) else None
    model = start_model(config, dataset, given)
    report(f"{_parameters(model)} {how}")
    chosen = choose_task(config.task, config.model, dataset)
    task = make_task(chosen, possible_tokens(model.logit_bias))
    if resumed_from is not None:
        model.load_state_dict(checkpoint.load_tensors(resumed_from / checkpoint.WEIGHTS))
    precision = config.training.precision
    runtime: Runtime
    if together is not None:
        runtime = fabric.FabricRuntime(together, model, config.training)
    else:
        runtime = PlainRuntime(model, device, precision, compiled=config.training.compile == "on")
    arithmetic = torch.bfloat16 if precision == "bf16" else torch.float32
    optimizer = runtime.own_optimizer or make_optimizer(model, config.training, arithmetic=arithmetic)
    progress = Progress()
    if resumed_from is not None:
        progress = restore(resumed_from, optimizer)
    log = Log(config.training.logger if runtime.main else "none", run.path)
    _open_directory(run, config, dataset, progress.step)
    extent = task.extent(dataset, "train", config.model.max_seq_len)
    budget = Budget.of(config.training, extent.total, config.training.batch_size * extent.tokens)
    _tell_of_cut_rows(dataset, config, report)
    return Job(run, config, dataset, task, runtime, model, optimizer, progress, budget, log)


def _tell_of_cut_rows(dataset: Dataset, config: RunConfig, report: Callable[[str], None]) -> None:
    """Say how many rows lose their end, in a task that reads rows."""
    if config.task not in WINDOWED and (cut := dataset.train_rows.longer_than(config.model.max_seq_len)):
        report(
            f"{cut:,} of {len(dataset.train_rows):,} rows are longer than the context of {config.model.max_seq_len} "
            "tokens and lose their end; a larger max_seq_len reads more of them."
        )


def checkpoint_to_resume(run: Run) -> Path | None:
    """The checkpoint to go on from, if there is one. Raises ``UserError`` when it cannot be trained any further."""
    found = checkpoint.newest(run.path)
    if found is not None and "consolidated" in checkpoint.read_json(found / checkpoint.STATE):
        raise UserError(  # its long-term adapters have grown
            f"The newest checkpoint of {run.path.name} was consolidated, so its training cannot go on; "
            "take that back with consolidate --undo first."
        )
    if found is not None and not (found / checkpoint.OPTIMIZER).is_file():
        raise UserError(
            f"The run {run.path.name} came without its optimizer, so its training cannot go on; begin a new run "
            "with its weights by --init."
        )
    return found


def restore(directory: Path, optimizer: Optimizer) -> Progress:
    """Put a checkpoint's optimizer state in place, bit for bit, and say where the run stood."""
    try:
        optimizer.load_state(checkpoint.load_tensors(directory / checkpoint.OPTIMIZER))
    except (KeyError, RuntimeError):
        raise UserError(
            f"{directory.parent.parent.name} cannot be resumed with these settings: its checkpoint belongs to another "
            "optimizer; resume with the run's own config.yaml, or start a new run with --init."
        ) from None
    return Progress.from_dict(checkpoint.read_json(directory / checkpoint.STATE))


def _take_threads(directory: Path) -> None:
    """Use as many threads as a checkpoint's run did: others add up in another order, which does not give its bits."""
    threads = checkpoint.read_json(directory / checkpoint.STATE).get("threads")
    if isinstance(threads, int) and 1 <= threads <= (os.cpu_count() or 1):
        torch.set_num_threads(threads)


def _refuse_what_cannot_work(config: RunConfig, dataset: Dataset, run: Run, *, resume: bool) -> None:
    if run.exists() and not resume:
        raise UserError(
            f"There is already a run in {run.path}; go on with it by --resume, or choose another directory with --out."
        )
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


def _resolve_model(
    config: RunConfig, dataset: Dataset, run: Run, init: Path | None
) -> tuple[RunConfig, Transformer | None]:
    """The model's shape: the tokenizer sets the vocabulary, and ``init`` or a run to be resumed set the rest."""
    tokenizer = dataset.tokenizer
    shape, given = dataclasses.replace(config.model, vocab_size=tokenizer.vocab_size), None
    if run.exists() or init is None:
        config, shape = resolve_task(config, shape, dataset)
    if run.exists():
        if load_tokenizer(run.path / TOKENIZER).hash != tokenizer.hash:
            raise UserError(
                "The dataset has another tokenizer than the run; resume with the dataset it was started on."
            )
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
    elif init is not None:
        loaded = checkpoint.load(init)
        if loaded.model.config.bits < 32:
            raise UserError(f"{init} is quantized, so it cannot be trained; begin with the run that it was made from.")
        given = merged(loaded.model)
        if loaded.tokenizer.hash != tokenizer.hash:
            raise UserError(
                f"{init} has another tokenizer than the dataset; prepare the dataset with --tokenizer {init}."
            )
        chosen = {name: getattr(shape, name) for name in ("dropout", *LORA)}
        adapter_dim = given.config.adapter_dim or shape.adapter_dim  # adapters that are there stay
        shape = dataclasses.replace(given.config, **chosen, adapter_dim=adapter_dim, outputs=0, pooling=shape.pooling)
        config, shape = resolve_task(config, shape, dataset)
    elif shape.lora_rank:
        raise UserError(
            f"lora_rank is {shape.lora_rank}, but low-rank additions adapt a model that is trained already; "
            "give one with --init RUN, or set lora_rank to 0."
        )
    return dataclasses.replace(config, model=shape), given


def resolve_task(config: RunConfig, shape: ModelConfig, dataset: Dataset) -> tuple[RunConfig, ModelConfig]:
    """What the model is to learn, with what must be known of the answers, and the numbers it then tells."""
    chosen = choose_task(config.task, shape, dataset)
    config = dataclasses.replace(config, **dataclasses.asdict(chosen))
    return config, dataclasses.replace(shape, outputs=chosen.outputs)


def _resolve_auto(config: RunConfig, run: Run, device: torch.device) -> tuple[RunConfig, str]:
    """What ``auto`` means here, and how it is trained in words. A resumed run keeps what was chosen at its start."""
    training = config.training
    if run.exists():
        before = run.config().training
        precision = before.precision if training.precision == "auto" else training.precision
        compiled = before.compile if training.compile == "auto" else training.compile
        training = dataclasses.replace(training, precision=precision, compile=compiled)
    precision, why = choose_precision(
        training.precision, device, tokens=training.batch_size * config.model.max_seq_len, width=config.model.d_model
    )
    # Compiled, steps were measured to take 6 to 24 % less time on a CPU, the less the larger the model, after half a
    # minute of compiling for each shape of a piece: a run must last ten minutes to gain anything from it.
    compiled = "off" if training.compile == "auto" else training.compile
    count = torch.get_num_threads()
    threads = "" if device.type == "cuda" else f" with {count} thread{'s' if count > 1 else ''}"
    how = f"on {device.type}{threads}; precision {why}; compile {compiled}."
    training = dataclasses.replace(training, precision=precision, compile=compiled)
    return dataclasses.replace(config, training=training), how


def _parameters(model: Transformer) -> str:
    """How many parameters a model has, and how many of them learn, in words."""
    total = sum(weight.numel() for weight in model.parameters())
    learning = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    some = "" if learning == total else f", of which {learning:,} learn ({learning / total:.1%}),"
    return f"{total / 1e6:.2f} million parameters{some}"


def start_model(config: RunConfig, dataset: Dataset, given: Transformer | None) -> Transformer:
    """A model with fresh weights drawn from the seed, or with the ``given`` ones as far as those go."""
    torch.manual_seed(config.training.seed)
    model = build_model(config.model)
    freeze_matching(model, config.training.freeze)
    seen = torch.from_numpy(dataset.seen_tokens())
    if given is not None:
        mine, theirs = model.state_dict(), given.state_dict()  # a head for another task is left behind
        fits = {name: weight for name, weight in theirs.items() if name in mine and weight.shape == mine[name].shape}
        model.load_state_dict(mine | fits)
        seen = seen | (given.logit_bias == 0)
    model.logit_bias.copy_(torch.where(seen, 0.0, NEVER_SEEN))
    model.recompute = config.training.recompute
    return model


def _open_directory(run: Run, config: RunConfig, dataset: Dataset, step: int) -> None:
    """Make the run's directory, or clear from it what an earlier trainer left unfinished after ``step``."""
    if run.exists():
        run.forget_rows_after(step)
        run.clear_request()
        for unfinished in (run.path / "checkpoints").glob(".step-*"):  # of a trainer that was killed while it wrote
            shutil.rmtree(unfinished, ignore_errors=True)
        run.write_config(config)
    else:
        run.set_up(config, dataset.directory)
