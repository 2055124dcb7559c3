"""``evaluate``: how well a run does on validation data."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from microformer.commands import output
from microformer.commands.options import Parser, add_json
from microformer.errors import UserError
from microformer.tasks.kinds import KINDS

if TYPE_CHECKING:
    from microformer.data.datasets import Dataset
    from microformer.tasks.task import Task

DESCRIPTION = "Measure a model on all validation text of its dataset, in windows of its context, or on all rows."


def add_arguments(parser: Parser) -> None:
    """What ``evaluate`` accepts."""
    parser.add_argument("run", metavar="RUN", help="A run, a checkpoint, or the word starter.")
    parser.option("--data", metavar="DIR", help="Another dataset with the same tokenizer.")
    parser.option(
        "--session", action="append", default=[], metavar="SESSION", help="Measure with this session; may be repeated."
    )
    parser.add_argument(
        "--gate",
        choices=("on", "off"),
        default="on",
        help="With a session: on uses it for every token (the default), off for none.",
    )
    add_json(parser, "loss, perplexity and bits_per_byte, or what the task is measured by,")


def run(values: dict[str, Any]) -> None:
    """Measure and print."""
    from microformer.checkpoint import load
    from microformer.commands.sessions import forced, open_sessions
    from microformer.tasks.choose import task_of
    from microformer.training.evaluate import count_never_seen, evaluate
    from microformer.training.held_out import validation_of

    loaded = load(values["run"])
    task = task_of(loaded.config)
    dataset = validation_of(loaded, Path(values["data"]) if "data" in values else None)
    refuse_other_rows(task, dataset)
    sessions = open_sessions(values["session"], loaded)
    memory = forced(sessions) if values["gate"] == "on" else None
    if task.name == "language_modelling" and (strange := count_never_seen(loaded.model, dataset, memory)):
        output.note(
            f"{strange:,} of the {len(dataset.val):,} tokens of this text were never seen in training, and the model "
            f"cannot say them; each counts as a blind guess among all {loaded.tokenizer.vocab_size:,}."
        )
    found = evaluate(loaded.model, dataset, session=memory, task=task)
    if values["json"]:
        output.result_json({**found.to_dict(), **named_labels(task)})
    elif task.name == "language_modelling":
        output.result(
            f"loss {found.loss:.4f}, perplexity {found.perplexity:.2f}, {found.bits_per_byte:.4f} bits per byte "
            f"on {len(dataset.val):,} tokens"
        )
    else:
        numbers = {name: value for name, value in found.to_dict().items() if isinstance(value, float)}
        metrics = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in numbers.items())
        output.result(f"{metrics} on {round(task.extent(dataset, 'val', loaded.model.config.max_seq_len).rows):,} rows")


def refuse_other_rows(task: "Task", dataset: "Dataset") -> None:
    """Raise ``UserError`` for a dataset whose rows are not what the task is about."""
    from microformer.tasks.whole_texts import Classification

    _, needed = KINDS[task.name]
    if needed not in ("text", dataset.kind):
        raise UserError(
            f"This run does {task.name.replace('_', ' ')}, but the dataset holds {dataset.kind} rows; "
            "give one of its kind with --data DIR."
        )
    if isinstance(task, Classification) and tuple(dataset.info.labels) != task.labels:
        raise UserError(f"The dataset has the labels {', '.join(dataset.info.labels)}, but the run knows others.")


def named_labels(task: "Task") -> dict[str, list[str]]:
    """The names of the rows and columns of a confusion matrix."""
    from microformer.tasks.whole_texts import Classification

    return {"labels": list(task.labels)} if isinstance(task, Classification) else {}
