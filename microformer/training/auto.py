"""What ``auto`` means for a run on this machine: number format, attention, lanes, compiling or not, and why.

What had to be measured is remembered beside the runs, for this machine and shape. A resumed run keeps what was chosen.
"""

import dataclasses
import shutil
from pathlib import Path

import torch

from microformer.model.config import ModelConfig
from microformer.model.places import LONGEST_PLAIN
from microformer.model.profile import profile
from microformer.training import fabric
from microformer.training.config import RunConfig
from microformer.training.estimate import seconds_per_step
from microformer.training.lanes import worth_sharing
from microformer.training.precision import choose_precision
from microformer.training.progress import Budget
from microformer.training.run_directory import Run

COMPILE_GAIN, COMPILE_SECONDS = 0.06, 30.0
"""The least that compiling was measured to save of a step (the most: 0.24), and the most that it takes."""
CLEARLY = 10
"""How many times what compiling takes it must save."""
SURELY_SHORT = 1e14
"""FLOPs: a quarter of an hour on two cores. Nothing is measured for a run that does fewer."""


def resolve_auto(config: RunConfig, run: Run, device: torch.device, budget: Budget) -> tuple[RunConfig, str]:
    """What ``auto`` means for a run of this length, and in a sentence how it is trained and why so."""
    training, home = config.training, home_of(run.path)
    if run.exists():
        before = run.config().training
        precision = before.precision if training.precision == "auto" else training.precision
        compiled = before.compile if training.compile == "auto" else training.compile
        training = dataclasses.replace(training, precision=precision, compile=compiled)
    tokens = training.batch_size * config.model.max_seq_len
    precision, why = choose_precision(training.precision, device, tokens=tokens, width=config.model.d_model, home=home)
    training = dataclasses.replace(training, precision=precision)
    config = dataclasses.replace(config, training=training)
    compiled, because = choose_compile(config, device, budget, home)
    words = [f"{precision} ({why})", attention_in_words(config.model, device), where_in_words(config, device)]
    first = "compiled first, which may take a minute" if compiled == "on" else "not compiled"
    words.append(f"{first} ({because})")
    training = dataclasses.replace(training, compile=compiled)
    return dataclasses.replace(config, training=training), f"Trained with {', '.join(words)}."


def choose_compile(config: RunConfig, device: torch.device, budget: Budget, home: Path | None) -> tuple[str, str]:
    """``on`` or ``off``, and why. ``auto`` compiles only where that clearly pays and repeats bit for bit."""
    training, shape = config.training, config.model
    if training.compile != "auto":
        return training.compile, "as asked"
    if device.type != "cpu" or fabric.wanted(training):
        return "off", "auto does so only on one CPU"
    if shape.dropout or shape.attention_dropout or shape.input_dropout:
        return "off", "dropout would not repeat"  # compiled, it draws from one generator for all lanes
    if not config.task.endswith("language_modelling"):
        return "off", "rows differ in length"
    lengths = 2 if training.short_share else 1  # of windows, each of which is compiled by itself
    needed = CLEARLY * COMPILE_SECONDS * lengths / COMPILE_GAIN
    if run_seconds(config, budget, home) < needed:
        return "off", "the run is short"
    return ("on", "the run is long") if compiler_works() else ("off", "this machine's compiler does not work")


def run_seconds(config: RunConfig, budget: Budget, home: Path | None) -> float:
    """About how long a run will last; 0 for one that is surely short. Tries a step where that is not known."""
    if budget.steps is None:
        return budget.seconds or 0.0
    tokens = config.training.batch_size * config.model.max_seq_len
    if budget.steps * tokens * profile(config.model).training_flops < SURELY_SHORT:
        return 0.0
    return budget.steps * seconds_per_step(config, home)


def compiler_works() -> bool:
    """Whether PyTorch's compiler can build something here. Takes seconds: it needs a C++ compiler of the machine."""
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl")):
        return False
    try:
        torch.compile(torch.square)(torch.ones(64))
    except Exception:  # whatever it was, the run goes on without
        return False
    return True


def attention_in_words(shape: ModelConfig, device: torch.device) -> str:
    """Which way ``attend`` goes."""
    plain = device.type == "cpu" and (shape.max_seq_len <= LONGEST_PLAIN or shape.attention_dropout > 0)
    return "plain attention" if plain else "PyTorch's attention"


def where_in_words(config: RunConfig, device: torch.device) -> str:
    """On what, and in how many lanes."""
    if device.type != "cpu":
        return f"on {device.type}"
    tokens = config.training.batch_size * config.model.max_seq_len
    lanes = torch.get_num_threads() if worth_sharing(profile(config.model).total_parameters * tokens) else 1
    return f"{lanes} threads side by side" if lanes > 1 else "1 thread"


def home_of(path: Path) -> Path:
    """Where measurements for a run or a dataset are remembered: in its workspace (``home/runs/ID``), or beside it."""
    folder = path.resolve().parent
    return folder.parent if folder.name in ("runs", "datasets") else folder
