"""``sample``: a model continues a prompt."""

import secrets
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microformer.commands import output
from microformer.commands.options import Parser, add_json, add_settings, given_settings
from microformer.commands.whole import Whole, Write, add_whole_options, writer_of
from microformer.errors import UserError
from microformer.files import json_lines_of, read_text

if TYPE_CHECKING:
    from microformer.commands.sessions import Recaller
    from microformer.generation.sampling import Sampling
    from microformer.generation.stream import Stream

DESCRIPTION = (
    "Let a model continue a prompt; other tasks have it tell a label, a number or an answer. A prompt that was "
    "taught is answered from the session, word for word unless a --temperature is given."
)
TOGETHER = 256  # texts that are handed to the engine at once


def add_arguments(parser: Parser) -> None:
    """What ``sample`` accepts."""
    from microformer.commands.sessions import add_session_options
    from microformer.generation.settings import Sampling

    parser.add_argument("run", metavar="RUN", help="A run, a checkpoint, or the word starter.")
    parser.option("--prompt", metavar="TEXT", help="What to continue; without one the model begins by itself.")
    parser.option("--prompts", metavar="FILE", help='Many prompts: lines of {"prompt": "…"}.')
    parser.add_argument("--interactive", action="store_true", help="Ask for prompts at the terminal.")
    parser.add_argument("--stream", action="store_true", help="Show the text while it is written.")
    parser.add_argument("--greedy", action="store_true", help="Always take the likeliest token (temperature 0).")
    add_settings(parser, Sampling)
    add_whole_options(parser)
    add_session_options(parser)
    add_json(parser, "a line of prompt, completion and stop for each text")


def run(values: dict[str, Any]) -> None:
    """Write texts for every prompt."""
    from microformer.checkpoint import load
    from microformer.commands.predictions import tell
    from microformer.commands.sessions import Recaller
    from microformer.generation.engine import Engine
    from microformer.tasks.choose import task_of

    prompts = prompts_of(values)
    sampling = sampling_of(values)
    loaded = load(values["run"])
    task = task_of(loaded.config)
    if task.name != "language_modelling":
        tell(values, loaded, task, prompts, sampling)
        return
    recaller = Recaller(values, loaded)
    with Engine(loaded.model, loaded.tokenizer) as engine:
        write = writer_of(values, loaded, sampling) or engine.samples
        if values["interactive"]:
            converse(recaller, write, sampling, values)
            return
        together = max(1, TOGETHER // sampling.num_samples)
        for start in range(0, len(prompts), together):
            some = prompts[start : start + together]
            begun = [(prompt, text) for prompt in some for text in begin(recaller, write, prompt, sampling)]
            for prompt, text in begun:
                show(prompt, text, values, alone=len(prompts) == 1 and sampling.num_samples == 1)


def prompts_of(values: dict[str, Any]) -> list[str]:
    """The prompts that were asked for. Raises ``UserError`` for a file that does not hold prompts."""
    asked = [name for name in ("prompt", "prompts", "interactive") if values.get(name) not in (None, False)]
    if len(asked) > 1:
        raise UserError(f"--{asked[0]} and --{asked[1]} were both given; choose one of them.")
    if "prompts" not in values:
        return [values.get("prompt", "")]
    prompts = []
    for number, row in json_lines_of(read_text(Path(values["prompts"]))):
        if not isinstance(row, dict) or not isinstance(row.get("prompt"), str):
            raise UserError(f'Line {number} of {values["prompts"]} is not a prompt; it should be {{"prompt": "…"}}.')
        prompts.append(row["prompt"])
    if not prompts:
        raise UserError(f"{values['prompts']} holds no prompts; write one on each line.")
    return prompts


def sampling_of(values: dict[str, Any]) -> "Sampling":
    """The settings that were given, on top of the defaults."""
    from microformer.generation.sampling import Sampling

    given = given_settings(values, Sampling)
    if values["greedy"]:
        if given.get("temperature"):
            raise UserError(f"--greedy means temperature 0, but --temperature {values['temperature']} was given too.")
        given["temperature"] = 0.0
    if given.get("seed") is None:
        given["seed"] = secrets.randbelow(2**31)
    return Sampling(**given)


def begin(recaller: "Recaller", write: Write, prompt: str, sampling: "Sampling") -> "Sequence[Stream | Whole]":
    """Start the texts for one prompt; a session may have the model read it as it was taught."""
    answer = recaller.answer(prompt)
    if answer is not None:
        return [Whole(answer)] * sampling.num_samples
    return write(*recaller(prompt, sampling))


def show(prompt: str, text: "Stream | Whole", values: dict[str, Any], *, alone: bool) -> None:
    """Wait for one text and print it, piece by piece when it is to be streamed."""
    if text.note:
        output.note(f"Note: {text.note}")
    if values["json"]:
        completion = text.result()
        output.result_json({"prompt": prompt, "completion": completion, "stop": text.stop_reason})
        return
    if not alone:
        output.result("—" * 40)
    if values["stream"]:
        output.piece(prompt)
        for piece in pieces(text):
            output.piece(piece)
        output.piece("\n")
    else:
        output.result(prompt + text.result())


def pieces(text: "Stream | Whole") -> Iterator[str]:
    """The text as it comes, what was held back at the end included."""
    shown = 0
    if not isinstance(text, Whole):
        for token in text:
            shown += len(token.text)
            yield token.text
    yield text.text[shown:]


def converse(recaller: "Recaller", write: Write, sampling: "Sampling", values: dict[str, Any]) -> None:
    """Read prompts until the input ends. Ctrl-C stops a text that is being written, and ends an idle conversation."""
    output.note("Write how a text begins and press Enter; Ctrl-D ends.")
    while True:
        if sys.stdin.isatty():
            output.ask("> ")
        line = sys.stdin.readline()
        if not line:
            return
        prompt = line.rstrip("\r\n")
        begun = begin(recaller, write, prompt, sampling)
        try:
            for text in begun:
                show(prompt, text, {**values, "stream": True}, alone=len(begun) == 1)
        except KeyboardInterrupt:
            for text in begun:
                if not isinstance(text, Whole):
                    text.stop()
            output.piece("\n")
