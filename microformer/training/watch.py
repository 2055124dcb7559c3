"""What a trainer notes while it works: rows of metrics, evaluations, samples, and the checkpoints that are kept."""

import math
import shutil
from typing import Any

import torch
from torch import Tensor

from microformer import checkpoint
from microformer.tasks.task import Evaluation
from microformer.training.evaluate import evaluate, evaluating
from microformer.training.progress import Due
from microformer.training.setup import WINDOWED, Job

ROW_STEPS, ROW_SECONDS = 10, 0.5
EVALUATION_SHARE = 0.1
"""Evaluations during a run may cost this share of its time; the last one reads the whole validation text."""
SAMPLE_TOKENS = 100
HEADLINES = ("bits_per_byte", "perplexity")
"""Metrics that have a column of their own, or say no more than the loss."""


class Diverged(Exception):
    """A loss, a gradient or a weight is no longer a finite number; the last checkpoint is from before that."""

    def __init__(self, step: int) -> None:
        super().__init__(
            f"Training diverged at step {step}: the loss is no longer a number; "
            "lower the learning rate and resume, or start again."
        )


class Metrics:
    """Gathers what a row of ``metrics.jsonl`` says about the steps since the last row.

    Losses stay on the device until a row is due, so that a GPU is not made to wait at each step.
    """

    def __init__(self, job: Job) -> None:
        progress = job.progress
        self.job, self.total, self.count = job, torch.zeros((), device=job.runtime.device), 0
        self.due = Due(ROW_STEPS, ROW_SECONDS, progress.step, progress.seconds)
        self.first_step = progress.step + 1
        self.tokens, self.since = progress.tokens, progress.seconds

    def add(self, loss: Tensor) -> None:
        self.total += loss
        self.count += 1

    def row(self, rate: float, norm: Tensor) -> dict[str, Any]:
        """The row for the steps since the last; ``Diverged`` if a loss or the gradient is not finite."""
        progress = self.job.progress
        loss, gradient = float(self.job.runtime.reduce(self.total / self.count)), float(norm)
        if not (math.isfinite(loss) and math.isfinite(gradient)):
            raise Diverged(progress.step)
        pace = (progress.tokens - self.tokens) / max(progress.seconds - self.since, 1e-9)
        self.total, self.count = torch.zeros_like(self.total), 0
        self.due.done(progress.step, progress.seconds)
        return {
            "step": progress.step,
            "tokens": progress.tokens,
            "seconds": round(progress.seconds, 3),
            "loss": loss,
            "val_loss": None,
            "bits_per_byte": None,
            "lr": rate,
            "grad_norm": gradient,
            "tokens_per_second": round(pace, 1),
        }

    def is_due(self) -> bool:
        progress = self.job.progress
        return progress.step == self.first_step or self.due.now(progress.step, progress.seconds)

    def restart_clock(self) -> None:
        """Evaluating, sampling and saving since the row was made do not count against the training's pace."""
        self.tokens, self.since = self.job.progress.tokens, self.job.progress.seconds


def gradient_by_layer(job: Job, norm: float) -> list[float]:
    """The norm of each block's part of the newest gradient, before it was clipped; ``norm`` is that of all of it.

    Empty where a runtime keeps gradients to itself.
    """
    parts = [[weight.grad for weight in block.parameters() if weight.grad is not None] for block in job.model.blocks]
    everything = [weight.grad for weight in job.model.parameters() if weight.grad is not None]
    if not everything or not all(parts):
        return []
    norms = torch.stack([torch.stack(torch._foreach_norm(part)).norm() for part in [everything, *parts]])
    clipped, *layers = norms.tolist()
    return [round(one * norm / clipped, 6) if clipped else 0.0 for one in layers]


class Judge:
    """Evaluates on the same validation windows each time, and on all of them at the end."""

    def __init__(self, job: Job) -> None:
        self.job = job
        # A forward pass is a third of a training step.
        between = job.training.eval_every * job.tokens_per_step
        self.extent = job.task.extent(job.dataset, "val", job.context)
        self.windows = self._at_most(3 * EVALUATION_SHARE * between)
        self.last_windows: int | None = None

    def judge(self, *, last: bool) -> tuple[dict[str, float | None], bool]:
        """The evaluation as parts of a row, and whether this is the best step so far.

        The steps of a run are compared on the same windows; what the last row tells is of all of them, in fp32.
        """
        found = self._evaluate(self.windows, precise=last and self.windows == self.last_windows)
        if not math.isfinite(found.loss):
            raise Diverged(self.job.progress.step)
        better = self.job.progress.judge(found.loss, found.bits_per_byte)
        if last and self.windows != self.last_windows:
            found = self._evaluate(self.last_windows, precise=True)
        metrics = ((name, one) for name, one in found.metrics.items() if name not in HEADLINES)
        others = {name: one for name, one in metrics if isinstance(one, float) and math.isfinite(one)}
        return {"val_loss": found.loss, "bits_per_byte": found.bits_per_byte, **others}, better

    def reserve(self, pace: float) -> float:
        """Seconds that the last evaluation will take in a run that trains on ``pace`` tokens a second.

        When that is more than a tenth of a budget in minutes, the last evaluation reads less.
        """
        seconds = self.job.budget.seconds
        if seconds is None:
            return 0.0
        most = EVALUATION_SHARE * seconds
        self.last_windows = self._at_most(2 * pace * most)
        return min(self.extent.total / (2 * max(pace, 1.0)), most)

    def _at_most(self, tokens: float) -> int | None:
        """How many windows or rows hold ``tokens``; ``None`` when that is all there are."""
        rows = int(max(8 * self.job.context, tokens) / self.extent.tokens)
        return None if rows >= self.extent.rows else rows

    def _evaluate(self, windows: int | None, *, precise: bool) -> Evaluation:
        job = self.job
        return evaluate(
            job.model if precise else job.runtime.quick_model(),
            job.dataset,
            context=job.context,
            batch_size=min(job.training.batch_size, 64),
            max_windows=windows,
            task=job.task,
        )


def write_sample(job: Job) -> None:
    """Write down what the model makes of a text: the same one at every evaluation, with the same random numbers."""
    if not job.runtime.main or job.runtime.own_optimizer is not None:
        return  # one text is enough, and a model that is split among devices cannot write by itself
    prompt = job.training.sample_prompt or (first_words(job) if job.task.name in WINDOWED else first_row(job))
    if job.task.name == "masked_language_modelling":
        return  # it writes nothing
    with evaluating(job.model):
        text = continuation(job, prompt) if job.task.name in WINDOWED else prediction(job, prompt)
    job.run.append_sample({"step": job.progress.step, "prompt": prompt, "text": text})


def continuation(job: Job, prompt: str) -> str:
    """How the model continues a prompt."""
    from microformer.generation.complete import complete
    from microformer.generation.sampling import Sampling

    sampling = Sampling(max_tokens=SAMPLE_TOKENS, seed=job.training.seed)
    (found,) = complete(job.model, job.dataset.tokenizer, [prompt], sampling)
    return found.completion


def prediction(job: Job, prompt: str) -> str:
    """What the model predicts about a text, or answers to it, in words."""
    from microformer.generation.predict import in_words, predict

    return in_words(predict(job.model, job.dataset.tokenizer, job.task, prompt))


def first_row(job: Job) -> str:
    """The first text that the model is validated on."""
    texts = job.dataset.val_rows.texts
    return job.dataset.tokenizer.decode(texts.tokens[: texts.offsets[1]].tolist())


def first_words(job: Job, characters: int = 24) -> str:
    """How the validation text begins: whole words, up to about ``characters``."""
    tokenizer = job.dataset.tokenizer
    text = tokenizer.decode([int(token) for token in job.dataset.val[: 4 * characters]]).lstrip()
    return text[:characters].rsplit(maxsplit=1)[0] if text.strip() else text


def save(job: Job) -> None:
    """Write the checkpoint of this step, then remove all but the last two and the best. Raises ``Diverged``."""
    if not bool(torch.stack(torch._foreach_norm(list(job.model.parameters()))).isfinite().all()):
        raise Diverged(job.progress.step)
    state = job.progress.to_dict() | {
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "capability": torch.backends.cpu.get_cpu_capability(),
    }
    directory = job.run.path / "checkpoints" / f"step-{job.progress.step}"
    job.runtime.save(directory, model=job.model, optimizer=job.optimizer, state=state)
    if job.runtime.main:
        kept = checkpoint.checkpoints(job.run.path)
        for old in kept[:-2]:
            if old.name != f"step-{job.progress.best_step}":
                (old / checkpoint.MANIFEST).unlink(missing_ok=True)  # first, so that nobody reads the rest
                shutil.rmtree(old, ignore_errors=True)
