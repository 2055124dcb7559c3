"""Numbers and states of runs as people say them."""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from microformer.ui.actions.looks import Look

STATE_NAMES = {
    "queued": "waiting",
    "running": "training",
    "stopped": "paused",
    "finished": "finished",
    "diverged": "fell apart",
    "failed": "failed",
}


SCORES = {
    "classification": ("accuracy", "right answers", ".1%"),
    "regression": ("mae", "mean error", ".3g"),
    "sequence_to_sequence": ("exact_match", "exact answers", ".1%"),
    "masked_language_modelling": ("accuracy", "gaps filled rightly", ".1%"),
}
"""What a task's models are judged by, beside the loss: its name in the metrics, in words, and how it is written."""
TEXT_SCORE = ("bits_per_byte", "bits per byte", ".3f")


def score_of(task: str | None) -> tuple[str, str, str]:
    """What models for this task are judged by, as in ``SCORES``."""
    return SCORES.get(task or "", TEXT_SCORE)


def in_words(now: "Look") -> str:
    """The shown run as a sentence or two, for those who do not see the curves, and for everybody else."""
    if not now.last:
        return f"{now.item.name}: {state_in_words(now)}. The curves begin with the first step."
    parts = [f"{now.item.name} is at step {now.last['step']:,}"]
    if is_number(now.last.get("loss")):
        parts.append(f"with a training loss of {now.last['loss']:.3f}")
    text = " ".join(parts)
    if is_number(now.judged.get("val_loss")):
        text += f"; the validation loss was {now.judged['val_loss']:.3f} at step {now.judged['step']:,}"
    return text + ". Lower is better. Drag over the chart to enlarge a part, double-click to see all."


def state_in_words(now: "Look") -> str:
    """A run's state, with its place while it waits."""
    name = STATE_NAMES.get(now.status.state, now.status.state)
    return f"{name}, number {now.place} in the queue" if now.place else name


def meaning(score: str, value: Any, guess: float | None = None) -> str:
    """What a score says about the model; ``guess`` is that of giving one answer to everything."""
    if not is_number(value):
        return ""
    if score == "bits_per_byte":
        return (
            f"At {value:.2f} bits per byte the model is as unsure about each next character as if it had to "
            f"choose among {2**value:.1f}."
        )
    if score == "mae" and guess is not None:
        return f"On average it is off by {value:.3g}; who always says the middle value is off by {guess:.3g}."
    if score == "accuracy" and guess is not None:
        return f"It is right {100 * value:.0f} times in 100; who always names the commonest label, {100 * guess:.0f}."
    return ""


def duration(seconds: float | None) -> str:
    """Seconds as people say them: ``45 s``, ``3 min 20 s``, ``1 h 5 min``, ``3 days``, ``4 months``."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    whole = round(max(seconds, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 600:
        return f"{whole // 60} min {whole % 60} s".removesuffix(" 0 s")
    if whole < 3600:
        return f"{round(whole / 60)} min"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    days = whole / 86400
    if days < 60:
        return f"{days:.0f} days"
    return f"{days / 30:.0f} months" if days < 700 else f"{days / 365:,.0f} years"


def counted(number: int, what: str) -> str:
    """``1 fact``, ``2 facts``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def shortened(text: str, most: int = 32) -> str:
    """A text that may be long, cut to what a legend has room for."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def figure(value: Any, form: str) -> str:
    """A number in a format of Python's, or a dash where there is none."""
    return format(value, form) if is_number(value) else "–"


def is_number(value: Any) -> bool:
    """Whether a value from a file is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
