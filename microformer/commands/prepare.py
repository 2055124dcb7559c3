"""``prepare``: text in, dataset directory out."""

import dataclasses
from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser, add_json, whole_number
from microformer.errors import UserError

DESCRIPTION = "Make a dataset from text: choose a tokenizer, count, split off a validation part."


def add_arguments(parser: Parser) -> None:
    """What ``prepare`` accepts."""
    parser.option(
        "--source",
        nargs="+",
        required=True,
        metavar="SOURCE",
        help="Tiny Tales, made on the spot (tales, or tales:mood, tales:count, tales:questions); files (.txt, .md, "
        ".jsonl, .csv), whose rows may have a label, a value or a target; or hub:NAME for a public corpus.",
    )
    parser.option(
        "--tokenizer",
        required=True,
        metavar="char|byte|bpe|wordpiece|FILE|RUN",
        help="The kind of tokenizer, or where to take one from: a tokenizer.json, a run or a dataset.",
    )
    parser.option("--vocab-size", metavar="N", help="How many tokens a new BPE tokenizer has.")
    parser.option("--out", required=True, metavar="DIR", help="Where the dataset goes.")
    parser.option("--size", metavar="5MB", help="How much text to make (with tales; default: 5MB).")
    parser.option("--seed", metavar="N", help="Which text to make (with tales; default: 1).")
    parser.option("--limit", metavar="20MB", help="Take only the first so many bytes (with hub).")
    parser.option("--val", metavar="PATH", help="A file to validate on, instead of the last tenth of the text.")
    parser.option("--name", metavar="TEXT", help="What to call the dataset.")
    add_json(parser, "what was made")


def run(values: dict[str, Any]) -> None:
    """Prepare the dataset and say what it holds."""
    from microformer.data.prepare import prepare
    from microformer.data.sources import Unreachable

    options: dict[str, Any] = {name: values[name] for name in ("size", "limit", "name") if name in values}
    if "vocab_size" in values:
        options["vocab_size"] = whole_number(values["vocab_size"], "--vocab-size", minimum=2)
    if "seed" in values:
        options["seed"] = whole_number(values["seed"], "--seed", minimum=0)
    if "val" in values:
        options["val"] = Path(values["val"])
    out = Path(values["out"])
    try:
        info = prepare(values["source"], values["tokenizer"], out, progress=output.progress(), **options)
    except Unreachable as error:
        raise UserError(f"{str(error).removesuffix('.')} (--source tales).") from error
    for sentence in (info.note, info.warning):
        if sentence:
            output.note(f"Note: {sentence}")
    if values["json"]:
        output.result_json(dataclasses.asdict(info))
        return
    output.result(
        f"{out}: {info.characters:,} characters, {info.tokens:,} tokens of {info.vocab_size:,} kinds "
        f"({info.characters_per_token:.2f} characters a token), "
        f"{info.train_tokens:,} to train on and {info.val_tokens:,} to validate on."
    )
