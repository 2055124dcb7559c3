"""Settings of a training run, and the complete configuration that a run keeps in its ``config.yaml``."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.settings import Setting, check, convert, describe, from_dict, setting
from microformer.tasks.kinds import KINDS

TASKS = ("auto", *KINDS)
OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("cosine", "linear", "wsd", "one_cycle", "constant")


@dataclass(frozen=True)
class TrainConfig:
    """How a model is trained. Raises ``UserError`` for a value out of its range."""

    max_steps: int | None = setting(1000, "Stop after this many optimizer steps.", minimum=1, maximum=100_000_000)
    max_epochs: float | None = setting(
        None, "Stop after this many passes over the text (instead of steps).", above=0, maximum=1e6
    )
    max_minutes: float | None = setting(
        None,
        "Stop after this many minutes (instead of steps); the learning rate follows the clock.",
        above=0,
        maximum=1e6,
        unit="minutes",
    )
    batch_size: int = setting(32, "Sequences in each step.", minimum=1, maximum=65536)
    gradient_accumulation: int = setting(
        1, "Split each step into this many smaller passes, to save memory.", minimum=1, maximum=4096
    )
    short_share: float = setting(
        0.0,
        "Share of the run, from its start, with windows half as long and twice as many; cheaper, and as good at first.",
        minimum=0,
        maximum=1,
    )
    anneal_dropout: bool = setting(False, "Let dropout fall to 0 over the run, in a straight line.")
    recompute: bool = setting(
        False, "Keep less of the forward pass and compute it again in the backward one: less memory, more time."
    )
    freeze: str = setting(
        "",
        "Weights that stay as they are: patterns of names with commas between them, such as tokens.*; the last that "
        "fits a name counts, and one after ! lets it learn.",
    )
    optimizer: str = setting(
        "adamw", "AdamW for everything, or Muon for the matrices and AdamW for the rest.", choices=OPTIMIZERS
    )
    learning_rate: float = setting(3e-3, "Size of AdamW's steps at their largest.", above=0, maximum=10)
    muon_learning_rate: float = setting(0.02, "Size of Muon's steps at their largest.", above=0, maximum=10)
    min_learning_rate: float = setting(
        0.1, "Where the learning rate ends, as a share of its largest.", minimum=0, maximum=1
    )
    warmup_steps: int = setting(50, "Steps in which the learning rate rises from zero.", minimum=0, maximum=1_000_000)
    schedule: str = setting("cosine", "How the learning rate falls after the warm-up.", choices=SCHEDULES)
    weight_decay: float = setting(0.1, "Pulls matrices towards zero; helps against overfitting.", minimum=0, maximum=10)
    beta2: float = setting(0.99, "Memory of AdamW's second moment.", above=0, maximum=0.99999)
    grad_clip: float = setting(1.0, "Largest norm of the gradient; 0 turns clipping off.", minimum=0, maximum=1e6)
    precision: str = setting(
        "auto",
        "Number format of the arithmetic; auto measures which is fastest.",
        choices=("auto", "fp32", "bf16", "fp16"),
    )
    compile: str = setting("auto", "Compile the model first; pays off in long runs.", choices=("auto", "on", "off"))
    device: str = setting(
        "auto", "Where to train; auto takes a GPU where there is one.", choices=("auto", "cpu", "cuda")
    )
    devices: int = setting(
        1, "Processes on this machine that train together, each on a device of its own.", minimum=1, maximum=1024
    )
    nodes: int = setting(1, "Machines that train together, each with as many devices.", minimum=1, maximum=1024)
    strategy: str = setting(
        "auto",
        "How devices share the work: ddp gives each a copy of the model; fsdp and deepspeed split it among GPUs.",
        choices=("auto", "ddp", "fsdp", "deepspeed"),
    )
    logger: str = setting(
        "none", "Hand the metrics to this tool as well; it must be installed.", choices=("none", "tensorboard", "wandb")
    )
    eval_every: int = setting(100, "Steps between evaluations on the validation text.", minimum=1, maximum=100_000_000)
    checkpoint_every: int = setting(500, "Steps between saved checkpoints.", minimum=1, maximum=100_000_000)
    patience: int | None = setting(
        None, "Stop when the validation loss has not improved for this many evaluations.", minimum=1, maximum=1_000_000
    )
    seed: int = setting(
        1, "Starting point of all randomness; the same seed repeats a run.", minimum=0, maximum=2**31 - 1
    )
    sample_prompt: str = setting(
        "", "What the model continues at every evaluation; empty takes the validation text's first words."
    )

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class RunConfig:
    """All of a run: what ``config.yaml`` and the presets hold. ``about`` says in one line what it is for.

    ``labels`` are the names of the classes, and ``value_mean`` and ``value_scale`` what values were standardised by; a
    run's set-up takes them from its dataset.
    """

    model: ModelConfig = field(default_factory=ModelConfig)
    training: TrainConfig = field(default_factory=TrainConfig)
    about: str = ""
    task: str = setting("auto", "What the model learns to do; auto is what the dataset's rows are for.", choices=TASKS)
    labels: tuple[str, ...] = ()
    value_mean: float = 0.0
    value_scale: float = 1.0

    def __post_init__(self) -> None:
        check(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain values of every setting, as they stand in ``config.yaml``; what a task does not need is left out."""
        plain: dict[str, Any] = {"about": self.about, "task": self.task}
        if self.labels:
            plain["labels"] = list(self.labels)
        if self.task == "regression":
            plain |= {"value_mean": self.value_mean, "value_scale": self.value_scale}
        return plain | {"model": asdict(self.model), "training": asdict(self.training)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "RunConfig":
        """Read what ``to_dict`` or a preset holds; what is left out keeps its default.

        Raises ``UserError`` with the name of a setting that is unknown or out of its range.
        """
        _refuse_unknown_parts(values)
        parts = {name: values.get(name) or {} for name in PARTS}
        for name, part in parts.items():
            if not isinstance(part, Mapping):
                raise UserError(f"{name} is {part!r}, but must be a list of settings, one on each line.")
        labels = values.get("labels") or []
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise UserError(f"labels is {labels!r}, but must be a list of names.")
        return cls(
            model=from_dict(ModelConfig, parts["model"], where="model."),
            training=from_dict(TrainConfig, parts["training"], where="training."),
            labels=tuple(labels),
            **{one.name: convert(one, values.get(one.name)) or one.default for one in PLAIN},
        )


PARTS: dict[str, type] = {"model": ModelConfig, "training": TrainConfig}
PLAIN = tuple(
    Setting(one.name, type(one.default), True, one.default, "")
    for one in fields(RunConfig)
    if isinstance(one.default, str | float)
)
"""What a configuration says beside its parts; nothing, and what is empty, means the default."""


def _refuse_unknown_parts(values: Any) -> None:
    known = [one.name for one in fields(RunConfig)]
    if not isinstance(values, Mapping):
        raise UserError(f"A configuration must be a list of settings under {' and '.join(PARTS)}.")
    for name in values:
        if name not in known:
            part = next((part for part, cls in PARTS.items() if name in {one.name for one in describe(cls)}), None)
            hint = f"it belongs under {part}." if part else "known are about, task, model, training."
            raise UserError(f"There is no part {name} in a configuration; {hint}")
