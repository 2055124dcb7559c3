"""How fast a model learns: the real training step beside the plain reference, in the same run on the same machine."""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from microformer.bench.reference import ReferenceGPT, ReferenceTrainer
from microformer.data.datasets import Dataset
from microformer.data.prepare import prepare
from microformer.model.config import ModelConfig
from microformer.model.profile import profile
from microformer.tasks.language import LanguageModelling
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.evaluate import evaluating
from microformer.training.loop import run_steps, take_step
from microformer.training.run_directory import Run
from microformer.training.setup import Job, set_up

LEARN_STEPS = 200
"""Steps at a steady pace after which what both programs have learned is compared."""
TURNS = 5
TURN_SECONDS = 0.4
LOOP_STEPS, LOOP_SECONDS = 40, 2.0
GOAL = 1.88
"""Validation loss on Tiny Shakespeare that nanoGPT's recipe for a CPU ends at, after ``REFERENCE_TOKENS``."""
REFERENCE_TOKENS = 2000 * 12 * 64


@dataclass(frozen=True)
class Shape:
    """What both programs train: batch x context tokens a step of a model of this size."""

    name: str
    batch_size: int
    context: int
    width: int
    layers: int
    heads: int


SHAPES = (
    Shape("12x64", 12, 64, 128, 4, 4),
    Shape("32x128", 32, 128, 128, 4, 4),
    Shape("6x256", 32, 256, 256, 6, 8),
)


def bench_train(
    data: Path, *, shapes: tuple[Shape, ...] = SHAPES, report: Callable[[str], None] | None = None
) -> dict[str, Any]:
    """Tokens a second of a training step, ours and the reference's, for each shape, on the text file ``data``.

    ``speedup_NAME`` is ours over the reference's, each the median of turns that alternate, so that a busy moment of
    the machine touches both. ``val_loss_NAME`` and ``reference_val_loss_NAME``, for the first shape, tell what both
    have learned from as many tokens: our models have fewer blocks (see ``model_of``). ``mfu`` is what the 32 x 128 step
    achieves of the best matrix product this machine does.
    """
    found: dict[str, Any] = {"threads": torch.get_num_threads(), "torch": torch.__version__}
    with tempfile.TemporaryDirectory() as directory:
        prepare([data], "char", Path(directory) / "dataset")
        dataset = Dataset.open(Path(directory) / "dataset")
        for shape in shapes:
            if report is not None:
                report(f"{shape.name}: {shape.layers} layers, {shape.width} wide")
            job = our_job(shape, dataset, Run(Path(directory) / shape.name))
            found |= compare(shape, job, dataset)
            if shape is shapes[0]:
                found |= compare_learning(shape, our_job(shape, dataset, Run(Path(directory) / "learning")), dataset)
            if shape.name == "32x128":
                looped = our_job(shape, dataset, Run(Path(directory) / "loop"), steps=LOOP_STEPS)
                found |= loop_overhead(looped, bare_step(job))
        if "reference_tokens_per_second_12x64" in found:
            if report is not None:
                report("shakespeare-fast: the whole command")
            pace = found["reference_tokens_per_second_12x64"]
            found |= time_to_goal(dataset.directory, Path(directory) / "fast", pace)
    rates = [rate for name, rate in found.items() if name.startswith("flops_")]
    best = max(*rates, best_matrix_product())
    for name in [name for name in found if name.startswith("flops_")]:
        found[name.replace("flops", "mfu")] = round(found.pop(name) / best, 3)
    if "mfu_32x128" in found:
        found["mfu"] = found["mfu_32x128"]
    return found | {"best_matrix_product_gflops": round(best / 1e9, 1), "peak_rss_mb": peak_rss_mb()}


def compare(shape: Shape, job: Job, dataset: Dataset) -> dict[str, Any]:
    """One shape, both programs in turn."""
    reference = reference_of(shape, dataset)
    steps: dict[str, Callable[[], object]] = {"ours": bare_step(job), "reference": reference.step}
    speeds: dict[str, list[float]] = {name: [] for name in steps}
    for step in steps.values():
        step()  # the first step sets up what later ones find ready
    for _ in range(TURNS):
        for name, step in steps.items():
            speeds[name].append(tokens_per_second(step, job.tokens_per_step))
    mine, theirs = (statistics.median(speeds[name]) for name in ("ours", "reference"))
    return {
        f"speedup_{shape.name}": round(mine / theirs, 3),
        f"tokens_per_second_{shape.name}": round(mine, 1),
        f"reference_tokens_per_second_{shape.name}": round(theirs, 1),
        f"parameters_{shape.name}": sum(weight.numel() for weight in job.model.parameters()),
        f"reference_parameters_{shape.name}": sum(weight.numel() for weight in reference.model.parameters()),
        f"flops_{shape.name}": mine * profile(job.config.model).training_flops,
    }


def compare_learning(shape: Shape, job: Job, dataset: Dataset) -> dict[str, Any]:
    """The loss of both on the validation text, after as many tokens."""
    reference = reference_of(shape, dataset)
    for step in (bare_step(job), reference.step):
        for _ in range(LEARN_STEPS):
            step()
    models = {"val_loss": job.model, "reference_val_loss": reference.model}
    return {f"{name}_{shape.name}": round(loss_of(model, shape, dataset), 4) for name, model in models.items()}


@torch.inference_mode()
def loss_of(model: nn.Module, shape: Shape, dataset: Dataset) -> float:
    """On the whole validation text, in windows of the context."""
    with evaluating(model):
        return LanguageModelling().evaluate(model, dataset, context=shape.context, batch_size=shape.batch_size).loss


def bare_step(job: Job) -> Callable[[], None]:
    """A training step with nothing around it."""

    def step() -> None:
        take_step(job, 1.0)
        job.progress.advance(job.tokens_per_step, 0.0)

    return step


def loop_overhead(job: Job, step: Callable[[], object]) -> dict[str, Any]:
    """What the whole loop (clock, metrics, requests) costs over the bare ``step``, which is timed before and after it.

    The machine's pace drifts within seconds by more than what is measured here.
    """
    paces = [tokens_per_second(step, job.tokens_per_step, LOOP_SECONDS)]
    run_steps(job, threading.Event(), time.monotonic, lambda line: None)
    paces.append(tokens_per_second(step, job.tokens_per_step, LOOP_SECONDS))
    rows, _ = job.run.metrics()
    done, seconds = (rows[-1][name] - rows[0][name] for name in ("tokens", "seconds"))
    return {"loop_overhead_32x128": round(statistics.mean(paces) * seconds / done - 1, 3)}


def time_to_goal(data: Path, out: Path, reference_pace: float) -> dict[str, Any]:
    """How long the whole command takes that trains presets/shakespeare-fast.yaml, imports and last evaluation included.

    The ratio is the time in which the reference at ``reference_pace`` tokens a second takes nanoGPT's 2,000 steps of
    12 x 64, after which nanoGPT is at 1.88; its own start and evaluations count for nothing. Both are ``None`` when the
    text is another, on which the preset does not get there.
    """
    preset = Path(__file__).parents[2] / "presets" / "shakespeare-fast.yaml"
    command = [sys.executable, "-m", "microformer", "train", "--config", str(preset), "--data", str(data)]
    began = time.perf_counter()
    subprocess.run([*command, "--out", str(out)], check=True, capture_output=True)
    seconds = time.perf_counter() - began
    loss = Run(out).metrics()[0][-1]["val_loss"]
    there = loss <= GOAL
    return {
        "fast_val_loss": round(loss, 4),
        f"time_to_{GOAL}_seconds": round(seconds, 2) if there else None,
        f"time_to_{GOAL}_ratio": round(REFERENCE_TOKENS / reference_pace / seconds, 2) if there else None,
    }


def reference_of(shape: Shape, dataset: Dataset) -> ReferenceTrainer:
    """The reference for this shape, with a new model."""
    size = dataset.info.vocab_size
    plain = ReferenceGPT(size, width=shape.width, layers=shape.layers, heads=shape.heads, context=shape.context)
    return ReferenceTrainer(plain, dataset.train, batch_size=shape.batch_size, context=shape.context)


def our_job(shape: Shape, dataset: Dataset, run: Run, *, steps: int = 1000) -> Job:
    """The trainer's own job for this shape, with everything that ``auto`` chooses here."""
    training = TrainConfig(
        max_steps=steps, batch_size=shape.batch_size, optimizer="muon", device="cpu", eval_every=steps
    )
    job = set_up(RunConfig(model_of(shape), training), dataset, run, resume=False, init=None, report=lambda line: None)
    job.model.train()
    return job


def model_of(shape: Shape) -> ModelConfig:
    """Our model of a shape, made as presets/shakespeare-fast.yaml is.

    A quarter of the reference's blocks, rounded up; the parameters of the others are a table of n-grams, which is
    looked up instead of multiplied. A block has about 12 x width ^ 2 of them.
    """
    layers = -(-shape.layers // 4)
    return ModelConfig(
        vocab_size=65,
        d_model=shape.width,
        n_layers=layers,
        n_heads=shape.heads,
        max_seq_len=shape.context,
        activation="relu_squared",
        norm="layernorm",
        position="alibi",
        adapter_dim=0,
        ngram_rows=12 * shape.width * (shape.layers - layers),
    )


def tokens_per_second(step: Callable[[], object], tokens: int, duration: float = TURN_SECONDS) -> float:
    """How many tokens a second ``step`` handles in ``duration`` seconds, with ``tokens`` in each of its calls."""
    done, began = 0, time.perf_counter()
    while done == 0 or time.perf_counter() - began < duration:
        step()
        done += 1
    return done * tokens / (time.perf_counter() - began)


def best_matrix_product(size: int = 1024) -> float:
    """FLOP/s of the fastest of some matrix products on this machine, in the number format that is fastest."""
    best = 0.0
    for dtype in (torch.float32, torch.bfloat16):
        for rows, inner, columns in ((size, size, size), (4 * size, size // 8, size // 2)):
            left, right = torch.ones(rows, inner, dtype=dtype), torch.ones(inner, columns, dtype=dtype)
            began = time.perf_counter()
            for _ in range(10):
                start = time.perf_counter()
                left @ right
                best = max(best, 2 * rows * inner * columns / (time.perf_counter() - start))
                if time.perf_counter() - began > TURN_SECONDS:
                    break
    return best


def peak_rss_mb() -> float:
    """The most memory this process ever held."""
    if sys.platform == "win32":
        import psutil

        return round(psutil.Process().memory_info().peak_wset / 2**20, 1)
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)
