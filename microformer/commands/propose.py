"""``propose``: what to train on a text in some minutes on this machine, and how good it will be."""

import dataclasses
from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser, add_json, convert_number
from microformer.settings import Setting

MINUTES = Setting("--minutes", float, False, None, "", minimum=0.1, maximum=1e6)

DESCRIPTION = "Propose a preset and a batch for a text and a number of minutes on this machine."

USAGE = "--minutes X --data DIR [--json]"


def add_arguments(parser: Parser) -> None:
    """What ``propose`` accepts."""
    parser.option("--minutes", required=True, metavar="X", help="How long the training may take.")
    parser.option("--data", required=True, metavar="DIR", help="A dataset that prepare made.")
    add_json(parser, "the proposal")


def run(values: dict[str, Any]) -> None:
    """Try a step, and print the sentence and the command to train with."""
    from microformer.data.datasets import Dataset
    from microformer.presets import ASIDE, presets
    from microformer.tasks.kinds import task_for
    from microformer.training.auto import home_of
    from microformer.training.proposal import propose

    minutes, data = convert_number(MINUTES, values["minutes"]), Path(values["data"])
    kind = Dataset.open(data).kind
    tasks = {"auto", task_for(kind)} if kind == "text" else {task_for(kind)}
    ladder = {one.name: one.config for one in presets() if one.config.task in tasks and one.name not in ASIDE}
    found = propose(minutes, data, ladder, home_of(data))
    if values["json"]:
        output.result_json(dataclasses.asdict(found))
        return
    output.result(found.sentence)
    flags = f"--training.max_minutes {minutes:g} --training.batch_size {found.training['batch_size']}"
    output.result(f"python -m microformer train --config {found.preset} --data {data} --out RUN {flags}")
