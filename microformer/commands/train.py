"""``train``: a configuration and a dataset in, a run directory out. The page starts this same command."""

from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser, add_settings, given_settings
from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.settings import describe
from microformer.training.config import RunConfig, TrainConfig

DESCRIPTION = (
    "Train a model on a dataset. Every setting of the configuration can be changed with a flag of its own, "
    "such as --training.max_steps 500 or --model.d_model 64."
)

USAGE = "--config FILE --data DIR --out RUN [--resume] [--init RUN] [--task TASK] [--model.NAME X] [--training.NAME X]"

FOUND_OUT = ("vocab_size", "outputs")
"""What a model gets from its dataset, whatever its configuration says."""


def add_arguments(parser: Parser) -> None:
    """What ``train`` accepts: where things are, and each setting of the model and of the training."""
    parser.option("--config", metavar="FILE", help="A YAML file such as presets/tiny.yaml, or a preset's name.")
    parser.option("--data", metavar="DIR", help="A dataset that prepare made.")
    parser.option("--out", required=True, metavar="RUN", help="The run's directory.")
    parser.add_argument("--resume", action="store_true", help="Go on from the newest checkpoint, if there is one.")
    parser.option("--init", metavar="RUN", help="Begin with the weights of this run instead of random ones.")
    add_settings(parser, RunConfig)
    add_settings(parser, ModelConfig, prefix="model.", leave_out=("vocab_size", "bits"))
    add_settings(parser, TrainConfig, prefix="training.")


def run(values: dict[str, Any]) -> int:
    """Train, and return the exit status: 0 when the run finished or was stopped, 3 when it diverged."""
    from microformer.training.loop import train
    from microformer.training.run_directory import Run

    out = Path(values["out"])
    known = Run(out) if values["resume"] and Run(out).exists() else None
    config = configuration(values, known.config() if known else None)
    if known and "config" in values and (other := settings_that_differ(configuration(values, None), config)):
        output.note(
            f"Note: the run goes on with the settings it has, of which {values['config']} has others "
            f"({', '.join(other)}); what is to change in its training, give as a flag."
        )
    data = Path(values["data"]) if "data" in values else known.data() if known else None
    if data is None and known:
        raise UserError(f"The dataset of the run {out.name} is not here; bring it back, or give another one like it.")
    if data is None:
        raise UserError("There is no dataset to train on; give one with --data DIR (prepare makes it).")
    init = Path(values["init"]) if "init" in values else None
    train(config, data, out, resume=values["resume"], init=init)
    return 3 if Run(out).status().state == "diverged" else 0


def configuration(values: dict[str, Any], known: RunConfig | None) -> RunConfig:
    """The file's configuration, or that of the run which is resumed, with the flags put over it.

    A resumed run keeps its own configuration, in which what ``auto`` chose already stands.
    """
    from microformer.presets import load_preset, with_changes

    if known is None and "config" not in values:
        raise UserError("There is no configuration; give one with --config FILE, for example presets/tiny.yaml.")
    base = known or load_preset(values["config"])
    changes: dict[str, Any] = {
        **given_settings(values, RunConfig),
        "model": given_settings(values, ModelConfig, prefix="model."),
        "training": given_settings(values, TrainConfig, prefix="training."),
    }
    return with_changes(base, changes)


def settings_that_differ(asked: RunConfig, config: RunConfig) -> list[str]:
    """The names of settings that ``asked`` has otherwise than ``config``, but for what a run finds out by itself."""
    found = []
    for name, part, other in (("model", asked.model, config.model), ("training", asked.training, config.training)):
        for known in describe(type(part)):
            wanted = getattr(part, known.name)
            if wanted not in ("auto", getattr(other, known.name)) and known.name not in FOUND_OUT:
                found.append(f"{name}.{known.name}")
    return found
