"""What a run will cost before it starts: memory, and time on this machine after a short trial."""

import dataclasses
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import torch

from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.model.profile import learning_parameters, profile
from microformer.model.transformer import Transformer
from microformer.tasks.choose import trial
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.optimizers import make_optimizer
from microformer.training.precision import choose_precision
from microformer.training.progress import Budget
from microformer.training.runtime import PlainRuntime, find_device, piece_rows
from microformer.training.speed import SpeedMemory

OVERHEAD = 150 * 2**20
"""What the libraries' kernels and the allocator take for themselves, as measured with 5 and 40 million parameters."""
TRIAL_SECONDS = 1.0
TRIAL_AGAIN_AFTER = 600.0  # seconds
_one_trial_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Estimate:
    """Costs of a run. ``steps`` is ``None`` when the run is counted in minutes."""

    parameters: int
    memory_bytes: int
    seconds_per_step: float
    steps: int | None
    seconds: float


def estimate(config: RunConfig, train_tokens: int, home: Path | None = None) -> Estimate:
    """What training ``config`` on a text of ``train_tokens`` takes here.

    Where no run like it was trained here, a step of the same width is tried with one and two blocks and scaled up: at
    most two seconds for each shape, remembered in ``home``.
    """
    training, shape = config.training, config.model
    step = seconds_per_step(config, home)
    budget = Budget.of(training, train_tokens, training.batch_size * shape.max_seq_len)
    seconds = budget.seconds if budget.seconds is not None else (budget.steps or 0) * step
    costs, memory = profile(shape), training_memory(config, find_device(training.device))
    return Estimate(costs.total_parameters, memory, step, budget.steps, seconds)


def rows_at_once(config: RunConfig, device: torch.device) -> int:
    """Sequences that are in memory together: on a CPU, those that the threads have in hand."""
    training = config.training
    rows = max(1, training.batch_size // training.gradient_accumulation)
    if device.type != "cpu":
        return rows
    return min(rows, torch.get_num_threads() * piece_rows(config.model.d_model, config.model.max_seq_len))


def seconds_per_step(config: RunConfig, home: Path | None = None, clock: Callable[[], float] = time.time) -> float:
    """Time of one training step on this machine: what a run like it has shown, else what a trial says.

    A trial is made again after ten minutes, because the machine may have been busy; the faster one is kept.
    """
    with _one_trial_at_a_time:
        memory = SpeedMemory(home)
        known = memory.seconds_per_step(config)
        return known if known is not None else _from_trial(config, memory, clock())


def known_seconds_per_step(config: RunConfig, home: Path) -> float | None:
    """Time of one step as a run like it has shown, or ``None`` where there was none."""
    return SpeedMemory(home).seconds_per_step(config)


def learn_from(config: RunConfig, steps: int, seconds: float, home: Path) -> None:
    """Remember how long ``steps`` of a run that was trained here have taken."""
    with _one_trial_at_a_time:
        SpeedMemory(home).learn(config, steps, seconds)


def _from_trial(config: RunConfig, memory: SpeedMemory, now: float) -> float:
    shape, training = config.model, config.training
    trial = dataclasses.replace(shape, n_layers=1, dropout=0.0)
    key = [asdict(trial), training.precision, training.device, training.optimizer, torch.get_num_threads()]
    known = memory.trial(key)
    if known is None or now - known[2] > TRIAL_AGAIN_AFTER:
        first, second = (_try(dataclasses.replace(trial, n_layers=layers), training) for layers in (1, 2))
        measured = [max(2 * first - second, 0.0), max(second - first, first / 10)]
        known = [*min(measured, known[:2] if known else measured, key=sum), now]
        memory.keep_trial(key, known)
    outside, block, _ = known
    return (outside + block * shape.n_layers) * training.batch_size * shape.max_seq_len


def training_memory(config: RunConfig, device: torch.device) -> int:
    """Bytes that training holds at most beside the program: weights, what the optimizer keeps, gradients, activations.

    The peak is at the end of a forward pass or, where activations are recomputed, at the end of a backward pass, when
    all gradients are there. Checked against tests/benchmarks/memory.py.
    """
    return _state_bytes(config, device) + rows_at_once(config, device) * _row_bytes(config, device) + OVERHEAD


def _state_bytes(config: RunConfig, device: torch.device) -> int:
    """What does not depend on how many rows are read at once.

    A lane has the gradient of a table of n-grams, which comes as a whole, twice while it is taken over.
    """
    training, costs = config.training, profile(config.model)
    learning = learning_parameters(config.model)
    lanes = torch.get_num_threads() if device.type == "cpu" and training.compile != "on" else 1
    half = _bf16(config, device)
    looked_up = costs.total_parameters - costs.network_parameters  # in fp32, and never by Muon
    learning_table = 0 if config.model.lora_rank else looked_up
    averages = learning + (learning_table if training.optimizer == "muon" else learning)  # of gradients, of squares
    copy = 2 * costs.network_parameters + 4 * looked_up if half else 0
    fresh = 2 * (learning + learning_table) if half else 4 * learning
    twice = lanes * (fresh if training.recompute else 4 * learning_table)
    return 4 * costs.total_parameters + copy + 4 * (averages + lanes * learning) + twice


def _row_bytes(config: RunConfig, device: torch.device) -> int:
    """What a row that goes through the model leaves behind for its backward pass."""
    one, two = (
        profile(config.model, batch_size=rows, activation_bytes=2 if _bf16(config, device) else 4).training_bytes
        for rows in (1, 2)
    )
    shape, row = config.model, two - one
    return (
        row
        if not config.training.recompute
        else row // shape.n_layers + 4 * shape.max_seq_len * shape.d_model * (shape.n_layers + 1)
    )


def _bf16(config: RunConfig, device: torch.device) -> bool:
    training, shape = config.training, config.model
    tokens = training.batch_size * shape.max_seq_len
    return choose_precision(training.precision, device, tokens=tokens, width=shape.d_model)[0] == "bf16"


def check_memory(config: RunConfig, device: torch.device) -> None:
    """Raise ``UserError``, naming what would fit, when a run needs more memory than is free on its device."""
    rows = rows_at_once(config, device)
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    needed = training_memory(config, device)
    if needed <= free:
        return
    fits = int((free - _state_bytes(config, device) - OVERHEAD) // _row_bytes(config, device))
    remedy = (
        f"a batch_size of {fits} would fit, or more gradient_accumulation"
        if fits > 0 and rows > 1
        else "take a smaller model or context"
    )
    raise UserError(
        f"This run needs about {needed / 2**30:.1f} GB of memory, but {free / 2**30:.1f} GB are free; {remedy}."
    )


def _try(shape: ModelConfig, training: TrainConfig) -> float:
    """Seconds per token of a training step, the best of a few."""
    device = find_device(training.device)
    rows = max(torch.get_num_threads(), piece_rows(shape.d_model, shape.max_seq_len))  # one for each thread, at least
    tokens = rows * shape.max_seq_len
    precision, _ = choose_precision(training.precision, device, tokens=tokens, width=shape.d_model)
    with torch.random.fork_rng(devices=[]):
        model = Transformer(shape)
    runtime = PlainRuntime(model, device, precision)
    arithmetic = torch.bfloat16 if precision == "bf16" else torch.float32
    optimizer = make_optimizer(model, training, arithmetic=arithmetic)
    task, batch = trial(shape, rows)
    batch = batch.to(device)
    learn = quickest(lambda: float(runtime.learn(task, batch, parts=1, seed=0)), calls=4)  # float waits for a GPU
    move = quickest(lambda: optimizer.step(1.0), calls=2)
    return learn / tokens + move / (training.batch_size * shape.max_seq_len)


def quickest(work: Callable[[], object], *, calls: int, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds that the fastest of so many calls took, or of two where they take long, after one that does not count.

    The first makes kernels and memory ready, which on a busy machine may take fifty times as long as what follows.
    """
    work()
    took, began = list[float](), clock()
    while len(took) < calls and (len(took) < 2 or clock() - began < TRIAL_SECONDS / 2):
        start = clock()
        work()
        took.append(clock() - start)
    return min(took)
