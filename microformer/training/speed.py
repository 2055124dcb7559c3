"""What was measured of this machine's speed, in ``.speed.json``: short trials, and the pace of runs that were trained.

Something else may be busy during a measurement, which makes it too slow but never too fast. So the fastest counts.
"""

import contextlib
import hashlib
import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

from microformer.errors import UserError
from microformer.files import read_json, write_json
from microformer.model.profile import profile
from microformer.training.config import RunConfig

REMEMBERED = ".speed.json"
LEAST_SECONDS = 10.0
"""A run that worked for less says little: its beginning is slow."""
# What a run of another length, on another text, has in common with this one. Which precision "auto" came to is not
# known beforehand, so the pace is that of the precision a run of this kind was last given.
SAME_MODEL = (
    "d_model",
    "n_layers",
    "n_heads",
    "n_kv_heads",
    "d_ff",
    "max_seq_len",
    "adapter_dim",
    "ngram_rows",
    "ngram_longest",
    "activation",
)
SAME_TRAINING = ("batch_size", "gradient_accumulation", "optimizer")


class SpeedMemory:
    """The measurements below ``home``; without one nothing is remembered."""

    def __init__(self, home: Path | None) -> None:
        self._path = None if home is None else home / REMEMBERED
        self._trials, self._runs = (self._read(part) for part in ("trials", "runs"))

    def trial(self, key: Any) -> list[float] | None:
        """The numbers of the trial of this kind, if there was one."""
        known = self._trials.get(_hash(key))
        return known if isinstance(known, list) and all(_number(one) is not None for one in known) else None

    def keep_trial(self, key: Any, numbers: list[float]) -> None:
        self._trials[_hash(key)] = numbers
        self._write()

    def seconds_per_step(self, config: RunConfig) -> float | None:
        """The time of a step, from the fastest run of the same shape; the vocabulary may differ."""
        pace = _number(self._runs.get(_kind(config)))
        return None if pace is None else pace * _step_flops(config)

    def learn(self, config: RunConfig, steps: int, seconds: float) -> None:
        """Take in that a run has made ``steps`` in ``seconds``, with all that belongs to them."""
        if steps < 1 or seconds < LEAST_SECONDS:
            return
        pace, before = seconds / steps / _step_flops(config), _number(self._runs.get(_kind(config)))
        if before is None or pace < before:
            self._runs[_kind(config)] = pace
            self._write()

    def _read(self, part: str) -> dict[str, Any]:
        with contextlib.suppress(UserError):
            plain = read_json(self._path) if self._path is not None and self._path.is_file() else {}
            found = plain.get(part) if isinstance(plain, dict) else None
            return found if isinstance(found, dict) else {}
        return {}

    def _write(self) -> None:
        if self._path is not None:
            with contextlib.suppress(UserError, OSError):  # only a convenience
                write_json(self._path, {"trials": self._trials, "runs": self._runs})


def _step_flops(config: RunConfig) -> int:
    return config.training.batch_size * config.model.max_seq_len * profile(config.model).training_flops


def _kind(config: RunConfig) -> str:
    model, training = asdict(config.model), asdict(config.training)
    return _hash([[model[name] for name in SAME_MODEL], [training[name] for name in SAME_TRAINING]])


def _hash(key: Any) -> str:
    return hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and math.isfinite(value) and value >= 0 else None
