"""What a run will be, before it starts: its configuration, its size and parts, memory, time, and the command for it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from microformer.data.info import DatasetInfo
from microformer.errors import UserError
from microformer.model.profile import parameters_by_part, profile
from microformer.presets import BUDGETS, Preset, presets
from microformer.tasks.kinds import KINDS, task_for
from microformer.training.config import RunConfig
from microformer.training.fabric import wanted
from microformer.training.progress import Budget
from microformer.ui.actions.command_line import command_line
from microformer.ui.workspace import Visitor, Workspace

TALES = "tales"
"""Stands for a dataset that is made when the run starts: the least clicks from an empty workspace to a first loss."""
TALES_MEGABYTES = 5
# A model whose trial with two blocks would take more than this is not tried out.
TRIAL_BYTES = 1_000_000_000
# A guess of the vocabulary where no dataset is known yet.
TALES_VOCABULARY = 320


@dataclass(frozen=True)
class Plan:
    """What a run will be, before it starts."""

    config: RunConfig
    parts: dict[str, int]
    """Parameters by part."""
    memory: int
    """Bytes while training."""
    steps: int | None
    """For a run that is counted in minutes, about how many: once it is ``measured``, if it is not beyond guessing."""
    tokens: int | None
    passes: float | None
    """How often the text is read."""
    seconds: float | None
    """Estimated duration on this machine, if it was ``measured`` and is not beyond guessing."""
    measured: bool
    text_tokens: int | None
    command: str

    @property
    def parameters(self) -> int:
        return sum(self.parts.values())


def plan(
    workspace: Workspace,
    visitor: Visitor,
    dataset: Any,
    preset: Any,
    model: Mapping[str, Any],
    training: Mapping[str, Any],
    *,
    measure: bool = False,
) -> Plan:
    """What the chosen settings amount to. Raises ``UserError`` where they cannot be trained.

    ``measure`` says how long it will take and whether there is memory for it; that may take some seconds the first
    time, because a step like it is tried out.
    """
    info = chosen_info(workspace, visitor, dataset)
    base = preset_named(preset)
    vocabulary = info.vocab_size if info else TALES_VOCABULARY
    config = configuration(*suited(base, info, model, training), vocabulary, base.about)
    check_size(workspace, config)
    rows = -(-config.training.batch_size // config.training.gradient_accumulation)
    cost = profile(replace(config.model, outputs=numbers_told(info, config)), batch_size=rows)
    text_tokens = info.train_tokens if info else TALES_MEGABYTES * 900_000
    per_step = config.training.batch_size * tokens_of_row(info, config)
    steps, seconds = length(workspace, config, Budget.of(config.training, text_tokens, per_step), measure)
    if measure:
        check_memory(config)
    return Plan(
        config=config,
        parts=cost.parameters,
        memory=cost.training_bytes,
        steps=steps,
        tokens=round(steps * per_step) if steps else None,
        passes=steps * per_step / text_tokens if steps else None,
        seconds=seconds,
        measured=measure,
        text_tokens=text_tokens,
        command=command_line(workspace, base, config, dataset if info else None, tales_megabytes=TALES_MEGABYTES),
    )


def suited(
    base: Preset, info: DatasetInfo | None, model: Mapping[str, Any], training: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values of both forms with the preset's task where none was chosen, and a kind of model that can learn it."""
    asked = training.get("task") or "auto"
    task = base.config.task if asked == "auto" else asked
    model, training = dict(model), {**training, "task": task}
    if task != "auto" or (info is not None and info.kind != "text"):
        natural = task_for(info.kind if info else "text")
        kinds, _ = KINDS.get(natural if task == "auto" else task, ((model["kind"],), ""))
        if model["kind"] not in kinds:
            model["kind"] = kinds[0]
    return model, training


def tokens_of_row(info: DatasetInfo | None, config: RunConfig) -> float:
    """How many tokens the model learns from at once: its context, or what a row of labelled or paired data has."""
    context = config.model.max_seq_len
    if info is None or _reads_windows(info, config):
        return context
    return min(context, info.train_tokens / max(1.0, 0.9 * info.documents))


def numbers_told(info: DatasetInfo | None, config: RunConfig) -> int:
    """How many numbers the model will tell about a whole text, as its dataset says: see ``ModelConfig.outputs``."""
    if info is None or _reads_windows(info, config):
        return 0
    return {"labelled": len(info.labels), "valued": 1}.get(info.kind, 0)


def _reads_windows(info: DatasetInfo, config: RunConfig) -> bool:
    """Whether what is learned is running text, not rows."""
    return info.kind == "text" or config.task.endswith("language_modelling")


def configuration(model: Mapping[str, Any], training: Mapping[str, Any], vocab_size: int, about: str = "") -> RunConfig:
    """A checked configuration from the values of the two forms. Raises ``UserError`` with the name of the setting.

    Steps, passes and minutes are three ways to say how long; with none of them there is no end.
    """
    settings = dict(training)
    task = settings.pop("task", "auto")
    values = {"about": about, "task": task, "model": {**model, "vocab_size": vocab_size}, "training": settings}
    if all(training.get(name) is None for name in BUDGETS):
        raise UserError("The run would have no end; set Max steps, Max epochs or Max minutes.")
    return RunConfig.from_dict(values)


def check_size(workspace: Workspace, config: RunConfig) -> None:
    """Raise ``UserError`` for a model larger than a visitor may train here, or for more than one device."""
    if workspace.limits.parameters is not None and wanted(config.training):
        raise UserError("Runs of visitors use one device; set devices and nodes to 1, and strategy to auto.")
    most, asked = workspace.limits.parameters, sum(parameters_by_part(config.model).values())
    if most is not None and asked > most:
        raise UserError(
            f"This model has {asked / 1e6:,.0f} million parameters, but {most / 1e6:,.0f} million are the most here; "
            "choose a smaller preset."
        )


def offered() -> list[Preset]:
    """The presets on the page: all but the starter's, which is for whoever wants to make it again by command."""
    return [one for one in presets() if one.name != "starter"]


def preset_named(name: Any) -> Preset:
    """The preset of this name, or ``UserError``."""
    found = next((one for one in offered() if one.name == name), None)
    if found is None:
        raise UserError(f"There is no preset {name!r}; choose one of {', '.join(one.name for one in offered())}.")
    return found


def length(workspace: Workspace, config: RunConfig, budget: Budget, measure: bool) -> tuple[int | None, float | None]:
    """Steps and seconds of a run: the one that it is counted in, and the other as far as it can be ``measure``d."""
    step = seconds_per_step(workspace, config) if measure else None
    if budget.seconds is not None:
        return steps_within(budget.seconds, step) if step else None, budget.seconds
    assert budget.steps is not None
    return budget.steps, step and budget.steps * step


def steps_within(seconds: float, step: float) -> int:
    """About how many steps of so many seconds a run takes in its time."""
    from microformer.training.proposal import USED  # brings torch

    return max(1, round(USED * seconds / step))


def seconds_per_step(workspace: Workspace, config: RunConfig) -> float | None:
    """The time of a step on this machine, or ``None`` where it is too large to be tried out beside the page."""
    from microformer.training import estimate  # brings torch

    if (working := workspace.supervisor.working()) is not None:
        workspace.supervisor.learn_speed(working)  # a trial beside it would be slow
    tried = profile(replace(config.model, n_layers=2), batch_size=1)
    if tried.training_bytes > TRIAL_BYTES:
        return None
    return estimate.seconds_per_step(config, workspace.home)


def check_memory(config: RunConfig) -> None:
    """Raise ``UserError``, naming what would fit, when a run needs more memory than there is."""
    from microformer.training import estimate, runtime  # brings torch

    estimate.check_memory(config, runtime.find_device(config.training.device))


def chosen_info(workspace: Workspace, visitor: Visitor, dataset: Any) -> DatasetInfo | None:
    """The card of the chosen dataset, or ``None`` for Tiny Tales that are yet to be made."""
    if dataset == TALES:
        return None
    if not dataset:
        raise UserError("No dataset is chosen; pick one, or prepare one on the Data tab.")
    return DatasetInfo.read(workspace.datasets.get(dataset, visitor))
