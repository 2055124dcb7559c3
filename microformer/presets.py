"""Presets: complete configurations in YAML that a person can pick from, and single settings changed on top of one.

What is read is strict: an unknown name, a value of another type or out of its range is refused with a sentence.
"""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from microformer.errors import UserError
from microformer.files import read_yaml
from microformer.training.config import RunConfig

DIRECTORY = Path(__file__).parent.parent / "presets"
BUDGETS = ("max_steps", "max_epochs", "max_minutes")
ASIDE = ("starter", "microformer")
"""Presets for something else than the best of some minutes: the one that ships, and one for looking inside."""


@dataclass(frozen=True)
class Preset:
    """A preset on offer: its name (``tiny``), its file, and its configuration with a line of what it is for."""

    name: str
    path: Path
    config: RunConfig

    @property
    def about(self) -> str:
        return self.config.about


def presets(directory: Path = DIRECTORY) -> list[Preset]:
    """All presets, those with the smallest models first."""
    found = [Preset(path.stem, path, load_preset(path)) for path in sorted(directory.glob("*.yaml"))]
    return sorted(found, key=lambda preset: preset.config.model.n_layers * preset.config.model.d_model**2)


def load_preset(preset: str | Path) -> RunConfig:
    """The configuration in a YAML file, or of the preset of that name (``tiny``). Raises ``UserError``."""
    path = Path(preset)
    if not path.suffix and not path.is_file():
        path = DIRECTORY / f"{path.name}.yaml"
    if not path.exists():
        known = [one.stem for one in sorted(DIRECTORY.glob("*.yaml"))]
        close = difflib.get_close_matches(path.stem, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"give a YAML file, or one of {', '.join(known)}."
        raise UserError(f"There is no configuration {preset}; {hint}")
    values = read_yaml(path)
    try:
        return RunConfig.from_dict(values)
    except UserError as error:
        raise UserError(f"In {path.name}: {error}") from None


def with_changes(config: RunConfig, changes: Mapping[str, Any]) -> RunConfig:
    """``config`` with ``{"task": …, "model": {name: value}, "training": {…}}`` put over it. Raises ``UserError``.

    Steps, epochs and minutes are three ways to say how long: asking for one puts the others of ``config`` aside.
    """
    plain = config.to_dict()
    training = changes.get("training", {})
    asked = [name for name in BUDGETS if training.get(name) is not None]
    if asked:
        plain["training"] |= dict.fromkeys(BUDGETS, None)
    plain["task"] = changes.get("task", config.task)
    for part in ("model", "training"):
        plain[part] |= changes.get(part, {})
    return RunConfig.from_dict(plain)
