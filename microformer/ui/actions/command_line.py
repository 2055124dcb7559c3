"""The command that does what the Start button does."""

import shlex
from dataclasses import asdict
from pathlib import Path
from typing import Any

from microformer.presets import Preset
from microformer.training.config import RunConfig
from microformer.ui.workspace import Workspace


def command_line(
    workspace: Workspace, base: Preset, config: RunConfig, dataset: str | None, *, tales_megabytes: int
) -> str:
    """The command, with only what differs from the preset; without a dataset, Tiny Tales are made before it."""
    # A visitor of somebody else's machine learns nothing of its folders.
    home = "workspace" if workspace.hosted else _short_path(workspace.home)
    data = f"{home}/datasets/{dataset or 'tales'}"
    words = ["python -m microformer train", f"--config presets/{base.path.name}", f"--data {data}", "--out RUN"]
    if config.task != base.config.task:
        words.append(f"--task {config.task}")
    for part, before, now in (
        ("model", asdict(base.config.model), asdict(config.model)),
        ("training", asdict(base.config.training), asdict(config.training)),
    ):
        for name, value in now.items():
            if value != before[name] and name != "vocab_size":
                words.append(f"--{part}.{name} {_argument(value)}")
    line = " ".join(words)
    if dataset is None:
        made = f"python -m microformer prepare --source tales --size {tales_megabytes}MB --tokenizer char --out {data}"
        return f"{made}\n{line}"
    return line


def _argument(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return shlex.quote(value)
    return repr(value)


def _short_path(path: Path) -> str:
    """A path as one would type it: relative where it is below the current directory."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
