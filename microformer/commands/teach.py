"""``teach``: facts and passages into a session, from files or at the terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microformer.commands import output
from microformer.commands.options import Parser, add_json
from microformer.errors import UserError
from microformer.files import check_folder, read_text

if TYPE_CHECKING:
    from microformer.checkpoint import Loaded
    from microformer.teaching.session import Fact, Session
    from microformer.teaching.teach import Teaching

    Lesson = Callable[[Session], Teaching]

DESCRIPTION = (
    "Teach a model facts (or a passage), which it keeps in a session beside its weights. Without --facts, --text and "
    "--forget you are asked for them at the terminal."
)


def add_arguments(parser: Parser) -> None:
    """What ``teach`` accepts."""
    parser.add_argument("run", metavar="RUN", help="A run, a checkpoint, or the word starter.")
    parser.option(
        "--facts", metavar="FILE", help='Lines of {"prompt": "…", "answer": "…"}, or a table (.csv, .tsv) of the two.'
    )
    parser.option("--text", metavar="FILE", help="A passage to know by heart, word for word.")
    parser.option("--forget", metavar="PROMPT", help="Take out what was taught for this prompt.")
    parser.option("--session", metavar="SESSION", help="Go on from this session, which stays as it is.")
    parser.option("--out", metavar="SESSION", required=True, help="Where the new session goes.")
    add_json(parser, "what was taught, and whether the model says it")


def run(values: dict[str, Any]) -> None:
    """Teach what was asked for, save the session, and say which facts the model says exactly."""
    from microformer.checkpoint import load
    from microformer.commands.lessons import finished
    from microformer.commands.sessions import open_sessions
    from microformer.teaching.lists import read_facts
    from microformer.teaching.session import Session
    from microformer.teaching.store import save_session
    from microformer.teaching.teach import check_fits

    out = Path(values["out"])
    check_folder(out)
    for name, what in (("config.yaml", "a run"), ("dataset.json", "a dataset")):
        if (out / name).is_file():
            raise UserError(f"{out} is {what}; give the session a place of its own.")
    facts = read_facts(Path(values["facts"])) if "facts" in values else None
    text = read_text(Path(values["text"])) if "text" in values else None
    loaded = load(values["run"])
    old = open_sessions([values["session"]], loaded) if "session" in values else []
    session = old[0] if old else Session.blank(loaded)
    check_fits(loaded, session)
    session = replace(session, name=session.name or out.stem)
    began = time.monotonic()
    for lesson in lessons(loaded, values, facts, text):
        try:
            session = finished(lesson(session), keep=lambda learnt: save_session(learnt, out))
        except UserError as error:
            if facts is not None or text is not None or "forget" in values:
                raise
            output.note(f"Error: {error}")  # in conversation, the next fact may be better
            continue
        save_session(session, out)
    report(session, facts, values, time.monotonic() - began, out)


def lessons(
    loaded: "Loaded", values: dict[str, Any], facts: list["Fact"] | None, text: str | None
) -> Iterator["Lesson"]:
    """What is to be done to a session, one lesson after the other: functions from a session to a ``Teaching``."""
    from microformer.teaching.teach import forget, teach, teach_text

    if "forget" in values:
        yield lambda session: forget(loaded, session, values["forget"])
    if facts is not None:
        yield lambda session: teach(loaded, session, facts)
    if text is not None:
        yield lambda session: teach_text(loaded, session, text)
    if facts is None and text is None and "forget" not in values:
        for fact in ask():

            def one(session: "Session", fact: "Fact" = fact) -> "Teaching":
                return teach(loaded, session, [fact])

            yield one


def ask() -> Iterator["Fact"]:
    """Facts as a person types them: a line for the prompt, a line for the answer, until the input ends."""
    from microformer.teaching.session import Fact

    output.note("Write a prompt, press Enter, write the answer, press Enter. Ctrl-D ends and keeps what was taught.")
    while True:
        pair = []
        for question in ("prompt> ", "answer> "):
            if sys.stdin.isatty():
                output.ask(question)
            line = sys.stdin.readline()
            if not line:
                return
            pair.append(line.rstrip("\r\n"))
        yield Fact(*pair)


def report(session: "Session", facts: list["Fact"] | None, values: dict[str, Any], seconds: float, out: Path) -> None:
    """Say how it went; facts that the model does not say exactly are named."""
    rows = [
        {"prompt": fact.prompt, "answer": fact.answer, "recited": said}
        for fact, said in zip(session.facts, session.recited, strict=True)
    ]
    missing = [row["prompt"] for row in rows if not row["recited"]]
    for prompt in missing[:10]:
        output.note(f"Note: the model does not say the answer to {prompt!r} exactly yet; teach it again.")
    if values["json"]:
        said = len(rows) - len(missing)
        output.result_json({"taught": len(rows), "recited": said, "seconds": round(seconds, 3), "facts": rows})
        return
    known = f", {sum(session.known)} of {len(session.passages)} passages known by heart" if session.passages else ""
    output.result(
        f"{out}: {len(rows) - len(missing)} of {len(rows)} facts are said exactly{known}; {seconds:.1f} seconds."
    )
