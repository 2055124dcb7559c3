"""The presets on offer: which of them suit a dataset, how long each takes here, and which to take for some minutes."""

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from microformer.errors import UserError
from microformer.model.profile import profile
from microformer.presets import ASIDE, Preset
from microformer.tasks.kinds import task_for
from microformer.training.config import RunConfig
from microformer.ui.actions.plans import (
    TALES,
    TALES_VOCABULARY,
    check_size,
    chosen_info,
    offered,
    preset_named,
    seconds_per_step,
)
from microformer.ui.actions.words import duration
from microformer.ui.workspace import Visitor, Workspace

if TYPE_CHECKING:
    from microformer.training.proposal import Proposal

DEFAULT_PRESET = "tiny"
LEAST_MINUTES, MOST_MINUTES = 0.1, 1e6
FIRST_PRESETS = ("microformer", DEFAULT_PRESET, "small")
"""Those that are shown at once; the others come on request."""


def fitting(kind: str) -> list[Preset]:
    """The presets for a dataset of this kind: those made for its rows first, then those for any dataset."""
    made = [one for one in offered() if one.config.task == task_for(kind)]
    return made + [one for one in offered() if one.config.task == "auto"]


def shortlist(kind: str, chosen: Any = None) -> list[Preset]:
    """The few presets that are shown at first for a dataset of this kind, and the chosen one."""
    return [one for one in fitting(kind) if one.config.task != "auto" or one.name in (*FIRST_PRESETS, chosen)]


def preset_for(workspace: Workspace, visitor: Visitor, dataset: Any, chosen: Any) -> str:
    """The chosen preset where it can learn from the dataset, else the one that every dataset suits."""
    names = [one.name for one in fitting(kind_of(workspace, visitor, dataset))]
    return chosen if chosen in names else DEFAULT_PRESET


def kind_of(workspace: Workspace, visitor: Visitor, dataset: Any) -> str:
    """The kind of the chosen dataset; that of a text where none can be read."""
    with contextlib.suppress(UserError):
        info = chosen_info(workspace, visitor, dataset)
        return info.kind if info else "text"
    return "text"


def proposed(workspace: Workspace, visitor: Visitor, dataset: Any, minutes: Any) -> "Proposal":
    """What to train on the dataset in so many minutes; takes some seconds the first time. Raises ``UserError``."""
    from microformer.training.proposal import propose  # brings torch

    most = workspace.limits.train_minutes
    if isinstance(minutes, bool) or not isinstance(minutes, int | float):
        raise UserError("Say how many minutes you have; 3 are enough to begin with.")
    if not LEAST_MINUTES <= minutes <= MOST_MINUTES:
        raise UserError(f"{minutes:g} minutes cannot be trained for; ask for {LEAST_MINUTES:g} to {MOST_MINUTES:,.0f}.")
    if most is not None and minutes > most:
        raise UserError(f"A run may take {most:g} minutes at most here; ask for a shorter one.")
    kind, ladder = kind_of(workspace, visitor, dataset), {}
    for one in (preset for preset in fitting(kind) if preset.name not in ASIDE):
        with contextlib.suppress(UserError):  # too large for a visitor
            check_size(workspace, with_vocabulary(one.config))
            ladder[one.name] = one.config
    if (working := workspace.supervisor.working()) is not None:
        workspace.supervisor.learn_speed(working)  # a trial beside it would be slow
    text = None if dataset == TALES else workspace.datasets.get(dataset, visitor)
    return propose(minutes, text, ladder, workspace.home)


def preset_labels(
    workspace: Workspace, visitor: Visitor, dataset: Any = TALES, chosen: Any = None, *, more: bool = False
) -> list[tuple[str, str]]:
    """Each preset's label, with how long it takes on this machine, and its name. May take seconds the first time.

    Those that the dataset is of the right kind for: a few and the chosen one, or with ``more`` all of them.

    Where none like it was trained here, only a small one is tried out; the others are taken to do as many FLOPs a
    second, which is a little too slow for the largest. Whoever chooses a preset sees it measured.
    """
    from microformer.training import estimate  # brings torch

    tried = preset_named(DEFAULT_PRESET).config
    pace = (seconds_per_step(workspace, with_vocabulary(tried)) or 1.0) / _step_flops(tried)
    labels, kind = [], kind_of(workspace, visitor, dataset)
    for one in fitting(kind) if more else shortlist(kind, chosen):
        shown = estimate.known_seconds_per_step(with_vocabulary(one.config), workspace.home)
        step = pace * _step_flops(one.config) if shown is None else shown
        training = one.config.training
        needed = duration(60 * training.max_minutes if training.max_minutes else step * (training.max_steps or 0))
        labels.append((preset_label(one, needed), one.name))
    return labels


def preset_label(preset: Preset, needed: str = "") -> str:
    """A preset in two lines: its name, with how long it takes here if that is known, and what it is for."""
    return f"{preset.name}{f' · {needed} here' if needed else ''}\n{preset.about}"


def with_vocabulary(config: RunConfig) -> RunConfig:
    """A preset as it would be for Tiny Tales in characters."""
    return replace(config, model=replace(config.model, vocab_size=TALES_VOCABULARY))


def _step_flops(config: RunConfig) -> int:
    tokens = config.training.batch_size * config.model.max_seq_len
    return tokens * profile(with_vocabulary(config).model).training_flops
