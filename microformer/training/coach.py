"""What a run's curves say, in plain words, with the remedy. Rules are data: a name, a condition, two sentences."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Rows = Sequence[dict[str, Any]]


@dataclass(frozen=True)
class Facts:
    """What the rules look at. ``train`` and ``validation`` are (step, loss) pairs in order; losses are in nats.

    ``done`` is the share of the run that is over. ``train_tokens``, ``parameters``, ``context`` and
    ``document_tokens`` (how long a document is on average) are 0 where not known.
    """

    train: list[tuple[int, float]]
    validation: list[tuple[int, float]]
    state: str = "running"
    done: float = 0.0
    train_tokens: int = 0
    parameters: int = 0
    context: int = 0
    document_tokens: float = 0.0

    @property
    def best(self) -> tuple[int, float]:
        return min(self.validation, key=lambda point: (point[1], point[0]))


@dataclass(frozen=True)
class Rule:
    """``applies`` decides; ``says`` is what is seen and ``remedy`` what to do, both made from the facts."""

    name: str
    applies: Callable[[Facts], bool]
    says: Callable[[Facts], str]
    remedy: str


@dataclass(frozen=True)
class Advice:
    """A rule that applies, as two sentences."""

    name: str
    says: str
    remedy: str

    @property
    def text(self) -> str:
        return f"{self.says} {self.remedy}"


def advise(rows: Rows, **known: Any) -> list[Advice]:
    """What the rows of a run's ``metrics.jsonl`` call for, the most pressing first; often nothing.

    ``known`` are the other fields of ``Facts``, as far as they are known.
    """
    train = [(row["step"], row["loss"]) for row in rows if _number(row.get("loss"))]
    validation = [(row["step"], row["val_loss"]) for row in rows if _number(row.get("val_loss"))]
    facts = Facts(train, validation, **known)
    found = [Advice(rule.name, rule.says(facts), rule.remedy) for rule in RULES if rule.applies(facts)]
    # A run that diverged has no other problem worth mentioning.
    return found[:1] if found and found[0].name in ("diverged", "rate too high") else found


def overfits(facts: Facts) -> bool:
    """The validation loss has risen well above its best at two evaluations in a row, while the training loss fell."""
    step, lowest = facts.best if facts.validation else (0, 0.0)
    later = [loss for at, loss in facts.validation if at > step]
    if len(later) < 2 or min(later[-2:]) < lowest + 0.02:
        return False
    return _mean_loss(facts.train, after=step) < _mean_loss(facts.train, before=step)


def rate_too_high(facts: Facts) -> bool:
    """The training loss climbed far above what it had been, and stayed there."""
    losses = [loss for _, loss in facts.train]
    if len(losses) < 20:
        return False
    best = min(_smooth(losses))
    return _mean(losses[-5:]) > best + max(0.5, 0.25 * best)


def rate_too_low(facts: Facts) -> bool:
    """The training loss still falls in a straight line and has come only a little way when much of the run is over."""
    losses = _smooth([loss for _, loss in facts.train])
    if len(losses) < 20 or facts.done < 0.3:
        return False
    third = len(losses) // 3
    early, late = losses[third] - losses[2 * third], losses[2 * third] - losses[-1]
    return losses[0] - losses[-1] < 0.35 * losses[0] and late > 0.02 and late > 0.8 * early


def stands_still(facts: Facts) -> bool:
    """Neither loss has moved over the last four evaluations, and the run is not about to end."""
    if len(facts.validation) < 6 or facts.done > 0.8 or facts.state != "running":
        return False
    last = [loss for _, loss in facts.validation[-4:]]
    first_step = facts.validation[-4][0]
    middle = (first_step + facts.validation[-1][0]) / 2
    falling = _mean_loss(facts.train, after=first_step, before=middle) - _mean_loss(facts.train, after=middle)
    return max(last) - min(last) < 0.005 and abs(falling) < 0.005


def text_too_small(facts: Facts) -> bool:
    """A model that could learn its text by heart: more than half as many weights as tokens."""
    return bool(facts.train_tokens) and facts.parameters > 0.5 * facts.train_tokens and overfits(facts)


def context_too_long(facts: Facts) -> bool:
    """The model looks back over several documents that have nothing to do with each other."""
    return bool(facts.train) and 0 < facts.document_tokens < facts.context / 4


RULES = (
    Rule(
        "diverged",
        lambda facts: facts.state == "diverged",
        lambda facts: "The training diverged: its loss is no longer a number.",
        "Start again with half the learning rate, or with a longer warm-up; the last good checkpoint is kept.",
    ),
    Rule(
        "rate too high",
        rate_too_high,
        lambda facts: (
            f"The loss was down at {min(loss for _, loss in facts.train):.2f} and has climbed to "
            f"{_mean([loss for _, loss in facts.train][-5:]):.2f}."
        ),
        "Steps this large overshoot: stop, and start again with a third of the learning rate.",
    ),
    Rule(
        "text too small",
        text_too_small,
        lambda facts: (
            f"The model has {facts.parameters:,} weights and only {facts.train_tokens:,} tokens to learn from, "
            "so it learns the text by heart."
        ),
        "Give it more text, or take a smaller model or more dropout.",
    ),
    Rule(
        "overfitting",
        lambda facts: overfits(facts) and not text_too_small(facts),
        lambda facts: (
            f"Since step {facts.best[0]:,} the model gets better on its own text and worse on text it has not seen."
        ),
        "The best checkpoint is kept and is the one that is used; stop here, or add text or dropout.",
    ),
    Rule(
        "rate too low",
        rate_too_low,
        lambda facts: "The loss still falls in a straight line and has come only a little way.",
        "Try three times the learning rate, or more steps.",
    ),
    Rule(
        "plateau",
        stands_still,
        lambda facts: f"Nothing has moved since step {facts.validation[-4][0]:,}.",
        "More steps will not help much: stop, or take a larger model or a lower learning rate.",
    ),
    Rule(
        "context too long",
        context_too_long,
        lambda facts: (
            f"The context is {facts.context:,} tokens, but a document has {facts.document_tokens:,.0f} on average: "
            "most of what the model looks back at has nothing to do with what it writes."
        ),
        "A shorter context learns as much in less time.",
    ),
)


def _smooth(losses: list[float], width: int = 5) -> list[float]:
    return [_mean(losses[max(0, at - width + 1) : at + 1]) for at in range(width - 1, len(losses))]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _mean_loss(points: list[tuple[int, float]], *, after: float = -1, before: float = math.inf) -> float:
    """The mean loss of the last ten rows (at most) of the steps after ``after``, up to ``before``."""
    return _mean([loss for step, loss in points if after < step <= before][-10:])


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
