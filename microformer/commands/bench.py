"""``bench``: what this machine makes of the program, beside a plain reference measured in the same minutes."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser, add_json
from microformer.errors import UserError

DESCRIPTION = (
    "Measure on this machine: train (speed of training, on the text file --data), sample (speed of writing), teach (a "
    "hundred facts by several methods, on --run and on a model of the characters of --data; 20 minutes), questions "
    "(whether a model follows the stories of Tiny Tales)."
)


def add_arguments(parser: Parser) -> None:
    """What ``bench`` accepts."""
    parser.add_argument("what", metavar="|".join(BENCHES), choices=list(BENCHES), help="What to measure.")
    parser.option("--run", default="starter", metavar="RUN", help="The model to measure (default: starter).")
    parser.option("--draft", metavar="RUN", help="With sample: measure speculative decoding with this small model too.")
    parser.option("--data", metavar="FILE", help="A text file to train on.")
    add_json(parser, "the figures")


def run(values: dict[str, Any]) -> None:
    """Measure and print."""
    found, text = BENCHES[values["what"]](values)
    if values["json"]:
        output.result_json(found)
    else:
        output.result(text or "\n".join(f"{name:<32} {value}" for name, value in found.items()))


def train(values: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Training steps, ours and the reference's."""
    from microformer.bench.train import bench_train

    return bench_train(_data(values), report=output.note), ""


def sample(values: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Tokens a second, with and without the cache."""
    from microformer.bench.sample import bench_sample

    return bench_sample(values["run"], draft=values.get("draft")), ""


def teach(values: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The Facts-100 protocol over several methods; long, so that it tells on the way what it found."""
    from microformer.bench.sessions import bench_sessions
    from microformer.bench.teach import STEPS, bench_teach, character_model
    from microformer.checkpoint import load
    from microformer.training.held_out import validation_of, windows_of

    with tempfile.TemporaryDirectory() as directory:
        models = {values["run"]: load(values["run"])}
        if "data" in values:
            name = f"characters of {Path(values['data']).name}, {STEPS} steps"
            models[name] = character_model(_data(values), Path(directory), output.note)
        found = {}
        for name, loaded in models.items():
            held_out = windows_of(validation_of(loaded, None), loaded.model.config.max_seq_len)
            output.note(name)
            found[name] = bench_teach(loaded, held_out, report=output.note)
        output.note("thirty sessions at once")
        found[values["run"]]["many_sessions"] = bench_sessions(models[values["run"]])
    rows = [{"model": name} | row for name, report in found.items() for row in report["rows"]]
    names = list(rows[0])
    table = [names, *[[row[name] for name in names] for row in rows]]
    return {"models": found}, "\n".join("\t".join(_short(cell) for cell in line) for line in table)


def questions(values: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Where is it? By number of moves, beside the guess that names the last place mentioned."""
    from microformer.bench.questions import questions as ask

    report = ask(values["run"])
    return report.to_dict(), str(report)


def _short(cell: Any) -> str:
    return f"{cell:.3f}" if isinstance(cell, float) else str(cell)


def _data(values: dict[str, Any]) -> Path:
    if "data" not in values:
        raise UserError("There is no text file to train on; give one with --data FILE.")
    return Path(values["data"])


BENCHES: dict[str, Callable[[dict[str, Any]], tuple[dict[str, Any], str]]] = {
    "train": train,
    "sample": sample,
    "teach": teach,
    "questions": questions,
}
