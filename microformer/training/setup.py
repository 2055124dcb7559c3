"""From a configuration to everything the loop needs: model, optimizer, runtime, all at the step to go on from."""

import dataclasses
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from microformer import checkpoint
from microformer.adapters.build import build_model
from microformer.adapters.freeze import freeze_matching
from microformer.data.datasets import Dataset
from microformer.errors import UserError
from microformer.model.transformer import NEVER_SEEN, Transformer
from microformer.tasks.choose import possible_tokens, task_of
from microformer.tasks.task import Extent, Task
from microformer.tensor_files import load_tensors
from microformer.training import fabric
from microformer.training.auto import resolve_auto
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.estimate import check_memory
from microformer.training.lanes import keep_memory
from microformer.training.loggers import Log
from microformer.training.optimizers import Optimizer, make_optimizer
from microformer.training.progress import Budget, Progress
from microformer.training.resolve import refuse_what_cannot_work, resolve_model
from microformer.training.run_directory import Run
from microformer.training.runtime import PlainRuntime, Runtime, find_device

if TYPE_CHECKING:
    from lightning.fabric import Fabric

WINDOWED = ("language_modelling", "masked_language_modelling")
"""Tasks that read windows of running text."""


@dataclass
class Job:
    """A run in the making: what it is, and where it stands."""

    run: Run
    config: RunConfig
    dataset: Dataset
    task: Task
    extent: Extent
    """What there is to learn from."""
    runtime: Runtime
    model: Transformer
    optimizer: Optimizer
    progress: Progress
    budget: Budget
    log: Log
    how: str = ""
    """In a sentence, how it is trained."""

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

    @property
    def tokens_per_step(self) -> int:
        """On average, where rows differ in length."""
        return round(self.training.batch_size * self.extent.tokens)


def set_up(
    config: RunConfig, dataset: Dataset, run: Run, *, resume: bool, init: Path | None, report: Callable[[str], None]
) -> Job:
    """Make or re-open the run's directory and build all that its steps need. The caller holds the run's lock.

    First what may refuse or measure, then what is built, and the directory last: what cannot be leaves no run behind.
    """
    resumed_from = checkpoint_to_resume(run) if resume else None
    if resumed_from is not None:
        _take_threads(resumed_from)  # before anything is measured or computed with them
    refuse_what_cannot_work(config, dataset, run, resume=resume)
    config, given = resolve_model(config, dataset, run, init)
    device = find_device(config.training.device)
    keep_memory()
    config, extent, budget, how = _settle(config, dataset, run, device)
    together = fabric.launch(config.training) if fabric.wanted(config.training) else None
    model = start_model(config, dataset, given)
    report(f"{_parameters(model)}. {how}")
    task = task_of(config.to_dict(), possible_tokens(model.logit_bias))
    if resumed_from is not None:  # before the runtime copies the weights
        model.load_state_dict(load_tensors(resumed_from / checkpoint.WEIGHTS, model.state_dict()))
    runtime = _runtime(model, config.training, device, together)
    arithmetic = torch.bfloat16 if config.training.precision == "bf16" else torch.float32
    optimizer = runtime.own_optimizer or make_optimizer(model, config.training, arithmetic=arithmetic)
    progress = Progress() if resumed_from is None else restore(resumed_from, optimizer)
    log = Log(config.training.logger if runtime.main else "none", run.path)
    _open_directory(run, config, dataset, progress.step)
    _tell_of_cut_rows(dataset, config, report)
    return Job(run, config, dataset, task, extent, runtime, model, optimizer, progress, budget, log, how)


def _settle(
    config: RunConfig, dataset: Dataset, run: Run, device: torch.device
) -> tuple[RunConfig, Extent, Budget, str]:
    """What is still open once the model's shape is known: what all machines agree on, how long it will be, and what
    ``auto`` means for a run of that length. Refuses what has no room before a step is tried out."""
    check_memory(config, device)
    if fabric.wanted(config.training):
        config = dataclasses.replace(config, training=fabric.agreed(config.training))
    extent = task_of(config.to_dict()).extent(dataset, "train", config.model.max_seq_len)
    budget = Budget.of(config.training, extent.total, config.training.batch_size * extent.tokens)
    config, how = resolve_auto(config, run, device, budget)
    return config, extent, budget, how


def _runtime(model: Transformer, training: TrainConfig, device: torch.device, together: "Fabric | None") -> Runtime:
    """What runs the steps: several processes that train ``together``, or this one alone."""
    if together is not None:
        return fabric.FabricRuntime(together, model, training)
    return PlainRuntime(model, device, training.precision, compiled=training.compile == "on")


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
    if found is not None and "consolidated" in checkpoint.read_state(found):
        raise UserError(  # its long-term adapters have grown
            f"The newest checkpoint of {run.path.name} was consolidated, so its training cannot go on; "
            "undo the consolidation first."
        )
    if found is not None and not (found / checkpoint.OPTIMIZER).is_file():
        raise UserError(
            f"The run {run.path.name} came without its optimizer, so its training cannot go on; begin a new run "
            "with its weights."
        )
    return found


def restore(directory: Path, optimizer: Optimizer) -> Progress:
    """Put a checkpoint's optimizer state in place, bit for bit, and say where the run stood."""
    try:
        optimizer.load_state(load_tensors(directory / checkpoint.OPTIMIZER))
    except (KeyError, RuntimeError):
        raise UserError(
            f"{directory.parent.parent.name} cannot be resumed with these settings: its checkpoint belongs to another "
            "optimizer; resume with the run's own config.yaml, or begin a new run with its weights."
        ) from None
    return Progress.from_dict(checkpoint.read_state(directory))


def _take_threads(directory: Path) -> None:
    """Use as many threads as a checkpoint's run did: others add up in another order, which does not give its bits."""
    threads = checkpoint.read_state(directory).get("threads")
    if isinstance(threads, int) and 1 <= threads <= (os.cpu_count() or 1):
        torch.set_num_threads(threads)


def _parameters(model: Transformer) -> str:
    """How many parameters a model has, and how many of them learn, in words."""
    total = sum(weight.numel() for weight in model.parameters())
    learning = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    some = "" if learning == total else f", of which {learning:,} learn ({learning / total:.1%})"
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
