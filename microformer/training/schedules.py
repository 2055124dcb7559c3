"""How the learning rate moves during a run: pure functions of how much of the run is done.

``done`` is 0 at the start and 1 at the end, and may follow steps or the clock. Each function returns a factor from 0 to
1 that multiplies the learning rate; all but ``constant`` end at ``floor``.
"""

import math
from collections.abc import Callable


def cosine(done: float, floor: float) -> float:
    """Half a cosine wave from 1 down to ``floor`` (arXiv:1608.03983)."""
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))


def linear(done: float, floor: float) -> float:
    """A straight line from 1 down to ``floor``."""
    return 1 - (1 - floor) * done


def wsd(done: float, floor: float, decay: float = 0.3) -> float:
    """Warm-up, stable, decay: constant, then a line down over the last ``decay`` of the run (arXiv:2404.06395)."""
    return linear(min(1.0, max(0.0, done - (1 - decay)) / decay), floor)


def one_cycle(done: float, floor: float, peak: float = 0.3) -> float:
    """Half a cosine wave up from 0.04 to 1 until ``peak``, then one down to ``floor`` (arXiv:1708.07120)."""
    if done < peak:
        return cosine(1 - done / peak, 0.04)
    return cosine((done - peak) / (1 - peak), floor)


def constant(done: float, floor: float) -> float:
    """No change at all."""
    return 1.0


SHAPES: dict[str, Callable[[float, float], float]] = {
    "cosine": cosine,
    "linear": linear,
    "wsd": wsd,
    "one_cycle": one_cycle,
    "constant": constant,
}


def learning_rate_factor(schedule: str, *, done: float, step: int, warmup_steps: int, floor: float) -> float:
    """What the learning rate is multiplied by in step ``step`` (the first is 1).

    The warm-up is a line that reaches 1 at step ``warmup_steps``.
    """
    rising = min(1.0, step / warmup_steps) if warmup_steps else 1.0
    return rising * SHAPES[schedule](min(max(done, 0.0), 1.0), floor)
