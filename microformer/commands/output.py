"""Where commands write: results to standard output, everything else to standard error."""

import json
import sys
from collections.abc import Callable
from typing import Any


def result(text: str) -> None:
    """One line (or block) of the command's result."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def piece(text: str) -> None:
    """A piece of text as it is made, without a line's end."""
    sys.stdout.write(text)
    sys.stdout.flush()


def result_json(value: Any) -> None:
    """One line of JSON on standard output; what JSON cannot say (not a number) is written as ``null``."""
    result(json.dumps(_finite(value), ensure_ascii=False, allow_nan=False))


def ask(question: str) -> None:
    """A question to the person at the terminal, who answers on the same line."""
    sys.stderr.write(question)
    sys.stderr.flush()


def note(text: str) -> None:
    """A line for the person at the terminal, on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def progress() -> Callable[[float, str], None]:
    """A ``progress(fraction, text)`` for long work: one line that is rewritten, where standard error is a terminal."""
    if not sys.stderr.isatty():
        return lambda fraction, text: None
    shown = ""

    def show(fraction: float, text: str) -> None:
        nonlocal shown
        line = f"{min(max(fraction, 0.0), 1.0):4.0%} {text}"[:100]
        if line != shown:
            sys.stderr.write("\r" + line.ljust(len(shown)) + ("\n" if fraction >= 1 else ""))
            sys.stderr.flush()
            shown = "" if fraction >= 1 else line

    return show


def size_in_words(count: float) -> str:
    """Bytes as a person reads them: ``1.5 MB``."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def _finite(value: Any) -> Any:
    if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
        return None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(one) for one in value]
    return value
