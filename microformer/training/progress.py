"""How far a run is, how far it may go, and when something is due."""

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

from microformer.errors import UserError
from microformer.training.config import TrainConfig


@dataclass
class Progress:
    """What a run knows of itself at the end of a step; a checkpoint's ``state.json`` holds it.

    ``val_loss`` and ``bits_per_byte`` were measured at this very step, or are ``None``. ``seconds`` counts all the
    time the run has worked, over all its resumes.
    """

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    val_loss: float | None = None
    bits_per_byte: float | None = None
    best_step: int | None = None
    best_loss: float | None = None
    evaluations_since_best: int = 0

    def advance(self, tokens: int, seconds: float) -> None:
        """A step over ``tokens`` tokens was done, ``seconds`` after the run began."""
        self.step += 1
        self.tokens += tokens
        self.seconds = seconds
        self.val_loss = self.bits_per_byte = None

    def judge(self, val_loss: float, bits_per_byte: float | None) -> bool:
        """Take in an evaluation; returns whether it is the best so far."""
        self.val_loss, self.bits_per_byte = val_loss, bits_per_byte
        if self.best_loss is None or val_loss < self.best_loss:
            self.best_step, self.best_loss, self.evaluations_since_best = self.step, val_loss, 0
            return True
        self.evaluations_since_best += 1
        return False

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, state: dict[str, Any]) -> "Progress":
        """What ``to_dict`` made, among other things. Raises ``UserError`` for what is no number."""
        known = {one.name: state[one.name] for one in fields(cls) if one.name in state}
        for name, value in known.items():
            empty = value is None and getattr(cls, name) is None
            if not empty and not (isinstance(value, (int, float)) and 0 <= value < math.inf):
                raise UserError(f"{name} is {value!r:.40} in the checkpoint's state, so the run cannot go on from it.")
        return cls(**known)


@dataclass(frozen=True)
class Budget:
    """How long a run may last: ``steps``, or ``seconds`` of which ``reserve`` are left for the last evaluation."""

    steps: int | None
    seconds: float | None = None

    @classmethod
    def of(cls, config: TrainConfig, train_tokens: float, tokens_per_step: float) -> "Budget":
        """Minutes if they are given, else epochs, else steps; 1,000 steps when nothing is."""
        if config.max_minutes is not None:
            return cls(None, config.max_minutes * 60)
        if config.max_epochs is not None:
            return cls(max(1, round(config.max_epochs * train_tokens / tokens_per_step)))
        return cls(config.max_steps or 1000)

    def done(self, step: int, seconds: float, reserve: float = 0.0) -> float:
        """Which share of the run lies behind ``step`` steps that took ``seconds``; 1 or more when it is over."""
        if self.seconds is not None:
            return seconds / (self.seconds - min(reserve, self.seconds / 2))
        assert self.steps is not None
        return step / self.steps

    def warmup(self, asked: int) -> int:
        """Steps of warm-up: as asked, but never more than a quarter of a run that is counted in steps."""
        return asked if self.steps is None else min(asked, self.steps // 4)


@dataclass
class Due:
    """Whether something that happens every so often is due, by steps or by time, whichever comes first."""

    every_steps: int
    every_seconds: float = float("inf")
    last_step: int = 0
    last_seconds: float = 0.0

    def now(self, step: int, seconds: float) -> bool:
        return step - self.last_step >= self.every_steps or seconds - self.last_seconds >= self.every_seconds

    def done(self, step: int, seconds: float) -> None:
        self.last_step, self.last_seconds = step, seconds
