"""The sessions that a command was given, and what they make of a prompt."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microformer.commands.options import Parser, convert_number
from microformer.errors import UserError
from microformer.settings import Setting

if TYPE_CHECKING:
    from microformer.adapters.session import SessionMemory
    from microformer.checkpoint import Loaded
    from microformer.generation.sampling import Sampling
    from microformer.teaching.session import Session

STRENGTH = Setting("--strength", float, False, 1.0, "", minimum=0, maximum=1)


def add_session_options(parser: Parser) -> None:
    """``--session``, ``--gate``, ``--strength`` and ``--lookup``."""
    parser.option(
        "--session",
        action="append",
        default=[],
        metavar="SESSION",
        help="What teach saved; may be repeated.",
    )
    parser.add_argument(
        "--gate",
        choices=("auto", "on", "off"),
        default="auto",
        help="When a session is used: for prompts like those that were taught (auto, the default), always, or never.",
    )
    parser.option("--strength", metavar="X", help="How strongly a session acts, from 0 (not at all) to 1 (default: 1).")
    parser.add_argument(
        "--lookup", action="store_true", help="Answer what was taught from the list of facts, without the model."
    )


def open_sessions(paths: list[str], loaded: "Loaded") -> list["Session"]:
    """The sessions in these directories or files. Raises ``UserError`` for one that was taught to another model."""
    if not paths:
        return []
    from microformer.teaching.store import open_session

    return [open_session(Path(path), loaded) for path in paths]


def forced(sessions: list["Session"]) -> "SessionMemory | None":
    """One memory of all the sessions, for every prompt; ``None`` when there are none."""
    from microformer.teaching.recall import recall

    return recall(sessions, "", gate="on").memory if sessions else None


class Recaller:
    """Decides for each prompt what the model reads, with which memory, or what the list of facts answers."""

    def __init__(self, values: dict[str, Any], loaded: "Loaded") -> None:
        self.sessions = open_sessions(values["session"], loaded)
        self.gate: str = values["gate"]
        self.strength = convert_number(STRENGTH, values.get("strength", 1.0))
        self.from_list: bool = values["lookup"]
        self.exact = self.gate == "auto" and "temperature" not in values
        if self.from_list and not self.sessions:
            raise UserError("--lookup answers from what a session was taught; give one with --session SESSION.")

    def __call__(self, prompt: str, sampling: "Sampling") -> tuple[str, "Sampling", "SessionMemory | None"]:
        """What the model is to read for ``prompt``, how it is to go on, and the memory to read it with.

        What was taught is said word for word (greedily), unless a temperature was asked for.
        """
        if not self.sessions or self.from_list:
            return prompt, sampling, None
        from microformer.teaching.recall import recall

        found = recall(self.sessions, prompt, self.gate, self.strength)
        if found.open and self.exact:
            sampling = replace(sampling, temperature=0.0)
        return found.reads, sampling, found.memory

    def answer(self, prompt: str) -> str | None:
        """What the list of facts says after ``prompt``, when that is what was asked for and it says anything."""
        if not self.from_list:
            return None
        from microformer.teaching.recall import look_up

        return look_up(self.sessions, prompt)
