"""The command line: finds the command, runs it, and turns every error into one sentence and an exit status.

Exit status 0: done; 1: a fault of the program; 2: an error that the user can mend; 3: a training run that diverged;
130: interrupted. Each command is a module of ``microformer.commands`` with ``DESCRIPTION``, ``add_arguments(parser)``
and ``run(values)``; it is imported only when it is asked for, and imports what is slow only when it runs.
"""

import contextlib
import difflib
import importlib
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import microformer
from microformer.errors import UserError, of_the_machine

COMMANDS = {
    "prepare": "Make a dataset from text: choose a tokenizer, count, split off a validation part.",
    "train": "Train a model on a dataset.",
    "sample": "Let a model continue a prompt.",
    "teach": "Teach a model facts, which it keeps in a session memory.",
    "evaluate": "Measure a model on validation text.",
    "propose": "Propose what to train on this machine in the minutes you have.",
    "profile": "Tell what a configuration costs before it is trained.",
    "bench": "Measure speed or memory of the program on this machine.",
    "consolidate": "Move what a session was taught into the model's long-term memory.",
    "merge": "Make what a run learned by LoRA part of its weights.",
    "quantize": "Make a run whose weights take fewer bits.",
    "push": "Put a run on the Hugging Face Hub.",
    "pull": "Get a run from the Hugging Face Hub.",
    "export": "Write a run into one zip file, or its decoder as ONNX.",
    "import": "Read a run from such a zip file.",
}
MODULES = {"import": "import_"}  # a word of the language cannot name a module
FREE_TEXT = ("--prompt", "--forget", "--training.sample_prompt", "--name")  # values that may begin with a dash


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit status. ``arguments`` default to those of the process."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed by whoever started us
            setattr(sys, name, open(os.devnull, "r+"))  # noqa: PTH123, SIM115
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, ValueError, OSError):
            stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    try:
        with _sigterm_as_ctrl_c():
            return run(words)
    except UserError as error:
        return _complain(f"Error: {error}", 2)
    except KeyboardInterrupt:
        return _complain("Interrupted.", 130)
    except BrokenPipeError:  # whoever read our output has gone, as `head` does
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115
        return 0
    except Exception as error:
        if sentence := of_the_machine(error):
            return _complain(f"Error: {sentence}", 2)
        if os.environ.get("MICROFORMER_DEBUG"):
            raise
        detail = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return _complain(
            f"Error: the program failed in a way it did not foresee ({detail}); "
            "set MICROFORMER_DEBUG=1 to see where, and please report it.",
            1,
        )


def run(words: list[str]) -> int:
    """Run the command that ``words`` begin with. Raises ``UserError``; returns the exit status."""
    if not words or words[0] in ("-h", "--help"):
        sys.stdout.write(usage())
        return 0 if words else 2
    if words[0] == "--version":
        sys.stdout.write(f"microformer {microformer.__version__}\n")
        return 0
    try:
        command, values = parse(words)
    except SystemExit:  # --help was printed
        return 0
    return int(command(values) or 0)


def parse(words: list[str]) -> tuple[Callable[[dict[str, Any]], int | None], dict[str, Any]]:
    """The function that does what ``words`` ask for, and what to call it with. Raises ``UserError``."""
    from microformer.commands.options import Parser

    command, *rest = words
    if command not in COMMANDS:
        close = difflib.get_close_matches(command, COMMANDS, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known are {', '.join(COMMANDS)}."
        raise UserError(f"There is no command {command}; {hint}")
    module: Any = importlib.import_module(f"microformer.commands.{MODULES.get(command, command)}")
    parser = Parser(command, module.DESCRIPTION, getattr(module, "USAGE", None))
    module.add_arguments(parser)
    return module.run, parser.values(_join_free_text(rest))


def usage() -> str:
    """What ``--help`` prints: the commands with a line on each."""
    lines = ["Usage: python -m microformer COMMAND ...", "", "Commands (each has --help):"]
    lines += [f"  {name:<12} {about}" for name, about in COMMANDS.items()]
    lines += ["  --version    Tell which version this is.", ""]
    lines += ["The playground in the browser is started by: python app.py"]
    return "\n".join(lines) + "\n"


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    """Who is told to end ends as after Ctrl-C: half-written files are removed, and what was learnt is kept."""
    if threading.current_thread() is not threading.main_thread():  # where signals do not arrive
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _join_free_text(words: list[str]) -> list[str]:
    """``--prompt -5`` means the text "-5": join the two, so that the parser does not take it for a flag."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] in FREE_TEXT:
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _complain(sentence: str, status: int) -> int:
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    sys.stderr.write(re.sub(r"[\x00-\x1f\x7f]+", " ", sentence) + "\n")  # a file's name may hold line ends
    return status
