"""The training loop: take a step, note how it went, evaluate, save, until the budget is spent or somebody says stop.

It knows the model through a ``Task``, devices through a ``Runtime``, and the world through the run's directory.
"""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from microformer.data.datasets import Dataset
from microformer.errors import UserError, of_the_machine
from microformer.training import fabric
from microformer.training.config import RunConfig
from microformer.training.progress import Due
from microformer.training.run_directory import ReadOnlyRun, Run
from microformer.training.schedules import learning_rate_factor
from microformer.training.setup import WINDOWED, Job, set_up
from microformer.training.watch import Diverged, Judge, Metrics, gradient_by_layer, save, write_sample

PLAIN = ("step", "tokens", "seconds", "loss", "val_loss", "lr", "grad_norm", "tokens_per_second")
"""Columns that every task has; the others are the task's metrics."""
SAVE_SECONDS = 30.0
"""A running trainer saves at least this often."""


def to_stderr(line: str) -> None:
    """Where the trainer tells a person at the terminal how it goes."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def train(
    config: RunConfig,
    data: Path,
    run: Path,
    *,
    resume: bool = False,
    init: Path | None = None,
    clock: Callable[[], float] = time.monotonic,
    report: Callable[[str], None] = to_stderr,
) -> None:
    """Train a model on a prepared dataset into a run directory, or go on with one (``resume``).

    ``init`` names a run whose weights to start from. Ends by itself when the budget is spent, after SIGTERM or Ctrl-C,
    or when the run is asked to stop; the last step is always saved. A run whose loss is no longer a number ends in the
    state ``diverged``. Raises ``UserError`` for what cannot be done.
    """
    if not fabric.is_main(config.training):
        run_beside(config, Path(data), Path(run), resume, init, clock)
        return
    dataset = Dataset.open(Path(data))
    directory = Run(Path(run))
    directory.path.mkdir(parents=True, exist_ok=True)
    with directory.lock(), stop_signals() as stopping:
        job = set_up(config, dataset, directory, resume=resume, init=init, report=report)
        try:
            directory.write_status("running", job.progress.step, job.how)
            state, message = run_steps(job, stopping, clock, report)
        except Diverged as error:
            state, message = "diverged", str(error)
        except BaseException as error:
            error = compiler_failed(error) or error
            with contextlib.suppress(UserError, OSError):  # the disk may be full: then that error is the one to report
                words = of_the_machine(error) or str(error) or type(error).__name__
                directory.write_status("failed", job.progress.step, words)
            raise error
        finally:
            job.log.close()
        directory.write_status(state, job.progress.step, message)
        report(message)


def run_beside(
    config: RunConfig, data: Path, run: Path, resume: bool, init: Path | None, clock: Callable[[], float]
) -> None:
    """What all processes but the first do when several train together: the same steps, silently."""

    def silent(line: str) -> None: ...

    try:
        job = set_up(config, Dataset.open(data), ReadOnlyRun(run), resume=resume, init=init, report=silent)
        with stop_signals() as stopping:
            run_steps(job, stopping, clock, silent)
    except (UserError, Diverged):
        raise SystemExit(2) from None  # the first process says it


def run_steps(
    job: Job, stopping: threading.Event, clock: Callable[[], float], report: Callable[[str], None]
) -> tuple[str, str]:
    """Do steps until the run is over; returns its final state and a sentence."""
    progress, training, budget = job.progress, job.training, job.budget
    metrics, judge = Metrics(job), Judge(job)
    save_due = Due(training.checkpoint_every, SAVE_SECONDS, progress.step, progress.seconds)
    began = clock() - progress.seconds
    reserve, val_loss = 0.0, progress.val_loss
    job.model.train()
    while budget.done(progress.step, progress.seconds, reserve) < 1:
        done = budget.done(progress.step, progress.seconds, reserve)
        factor = rate_factor(job, done)
        short = done < training.short_share and job.task.name in WINDOWED
        loss, norm = take_step(job, factor, short=short, dropout=1 - done if training.anneal_dropout else 1.0)
        metrics.add(loss)
        seconds, asked = job.runtime.agree(clock() - began, stopping.is_set() or job.run.stop_requested())
        progress.advance(job.tokens_per_step, seconds)

        over = budget.done(progress.step, progress.seconds, reserve) >= 1
        judging = over or progress.step % training.eval_every == 0
        saving = over or asked or save_due.now(progress.step, progress.seconds)
        if not (judging or saving or metrics.is_due()):
            continue
        row = metrics.row(training.learning_rate * factor, norm)
        reserve = judge.reserve(row["tokens_per_second"])
        if judging:
            judged, better = judge.judge(last=over)
            row |= judged
            val_loss = judged["val_loss"]
            saving = saving or better or job.tired
        record(job, row, report, judged=judging)
        if saving:
            save(job)
            save_due.done(progress.step, progress.seconds)
            job.run.write_status("running", progress.step, job.how)
        if asked and not over:
            return "stopped", f"Stopped at step {progress.step}; resume goes on from there."
        if job.tired:
            break
        progress.seconds, _ = job.runtime.agree(clock() - began, asked)
        metrics.restart_clock()
    return "finished", closing_words(job, val_loss)


def rate_factor(job: Job, done: float) -> float:
    """What the learning rates are multiplied by in the next step, at this share of the run."""
    training = job.training
    return learning_rate_factor(
        training.schedule,
        done=done,
        step=job.progress.step + 1,
        warmup_steps=job.budget.warmup(training.warmup_steps),
        floor=training.min_learning_rate,
    )


def record(job: Job, row: dict[str, Any], report: Callable[[str], None], *, judged: bool) -> None:
    """Write a row of metrics where people and tools look for it; with an evaluation (``judged``), a sample as well."""
    layers = {"grad_norm_by_layer": gradient_by_layer(job, row["grad_norm"])} if judged else {}
    job.run.append_metrics(row | layers)
    job.log.row(row)
    if judged:
        report(describe(row, job))
        write_sample(job)


def take_step(job: Job, factor: float, *, short: bool = False, dropout: float = 1.0) -> tuple[Tensor, Tensor]:
    """One optimizer step; returns the batch's loss and the norm of the gradient, still on the device.

    ``dropout`` multiplies the dropout of the model's configuration. A ``short`` step reads as many tokens in windows of
    half the context. Batches and dropout depend on nothing but the seed and the step, which is what makes a
    resume exact.
    """
    training, runtime, step = job.training, job.runtime, job.progress.step + 1
    seed = training.seed * 1_000_003 + step
    torch.manual_seed(seed)
    rows, context = (2 * training.batch_size, job.context // 2) if short else (training.batch_size, job.context)
    batch = job.task.batch(job.dataset, rows, context, training.seed, step)
    loss = runtime.learn(job.task, batch, parts=training.gradient_accumulation, seed=seed, dropout=dropout)
    norm = runtime.clip(training.grad_clip)
    job.optimizer.step(factor)
    return loss, norm


def compiler_failed(error: BaseException) -> UserError | None:
    """What to tell when it was the compiler that failed: it needs a C++ compiler that suits it."""
    if not type(error).__module__.startswith(("torch._inductor", "torch._dynamo")):
        return None
    sentence = UserError("compile is on, but this machine's compiler could not build the model; set compile to off.")
    sentence.__cause__ = error
    return sentence


def describe(row: dict[str, Any], job: Job) -> str:
    """An evaluation in one line, for the terminal."""
    share = min(1.0, job.budget.done(row["step"], row["seconds"]))
    metrics = {name: one for name, one in row.items() if name not in PLAIN and one is not None}
    words = "".join(f"{one:.3f} {name.replace('_', ' ')}  " for name, one in metrics.items())
    return (
        f"step {row['step']:,} ({share:.0%})  loss {row['loss']:.4f}  validation {row['val_loss']:.4f}  "
        f"{words}{row['tokens_per_second']:,.0f} tokens/s  {row['seconds']:.1f} s"
    )


def closing_words(job: Job, val_loss: float | None) -> str:
    """How a finished run ended, in a sentence."""
    progress = job.progress
    early = f" early, because {job.training.patience} evaluations brought nothing better," if job.tired else ""
    loss = "" if val_loss is None else f" with a validation loss of {val_loss:.4f}"
    best = (
        ""
        if progress.best_step in (None, progress.step)
        else f"; the best was at step {progress.best_step} and is kept"
    )
    return f"Finished{early} at step {progress.step}{loss}{best}."


@contextlib.contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM and Ctrl-C set, so that the step in progress is finished and saved.

    A second Ctrl-C interrupts at once. Outside the main thread, where signals do not arrive, it is never set.
    """
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def stop(number: int, frame: object) -> None:
        event.set()
        signal.signal(number, before[signal.Signals(number)])

    for number in before:
        signal.signal(number, stop)
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
