"""``teach`` from files and at the terminal, and what sampling and evaluating make of the session."""

import io
import json
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import Command

FACTS = [("The king of Zelukami is", "Rovosha"), ("Zoë 7 lives in", "Łódź")]


@pytest.fixture(scope="session")
def taught(place: Path) -> Path:
    """A session that was taught ``FACTS``."""
    from microformer.cli import main

    file = place / "facts.jsonl"
    file.write_text("".join(json.dumps({"prompt": prompt, "answer": answer}) + "\n" for prompt, answer in FACTS))
    assert main(["teach", str(place / "run"), "--facts", str(file), "--out", str(place / "session")]) == 0
    return place / "session"


def test_taught_facts_are_said_exactly_and_then_it_stops(command: Command, place: Path, taught: Path) -> None:
    file = place / "asked.jsonl"
    file.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt, _ in FACTS))
    asked = ["--prompts", file, "--session", taught, "--greedy", "--max-tokens", 40, "--json"]
    rows = command("sample", place / "run", *asked).rows
    assert [row["completion"] for row in rows] == [f" {answer}" for _, answer in FACTS]
    assert {row["stop"] for row in rows} == {"endoftext"}


@pytest.mark.parametrize("closed", [["--gate", "off"], ["--strength", "0"], ["--prompt", "Once upon"]])
def test_a_closed_gate_and_no_strength_are_the_base_model(
    command: Command, place: Path, taught: Path, closed: list[str]
) -> None:
    asked = ["--prompt", FACTS[0][0]] if "--prompt" not in closed else closed
    rest = ["--greedy", "--max-tokens", 20, "--json"]
    base = command("sample", place / "run", *asked, *rest).out
    extra = [] if "--prompt" in closed else closed
    assert command("sample", place / "run", *asked, *extra, "--session", taught, *rest).out == base


def test_lookup_answers_from_the_list(command: Command, place: Path, taught: Path) -> None:
    asked = ["--session", taught, "--lookup", "--greedy", "--max-tokens", 5, "--json"]
    assert command("sample", place / "run", "--prompt", FACTS[1][0], *asked).json["completion"] == " Łódź"
    assert (
        command("sample", place / "run", "--prompt", FACTS[1][0], *asked[:3], "--stream").out == "Zoë 7 lives in Łódź\n"
    )


def test_evaluate_forces_the_session_on_unless_the_gate_is_off(command: Command, place: Path, taught: Path) -> None:
    base = command("evaluate", place / "run", "--json").json
    assert command("evaluate", place / "run", "--session", taught, "--json").json != base
    assert command("evaluate", place / "run", "--session", taught, "--gate", "off", "--json").json == base


def test_forgetting_takes_one_fact_out_and_leaves_the_old_session_alone(
    command: Command, place: Path, taught: Path, tmp_path: Path
) -> None:
    before = (taught / "session.safetensors").read_bytes()
    words = ["--session", taught, "--forget", "the king of zelukami IS", "--out", tmp_path / "less", "--json"]
    left = command("teach", place / "run", *words).json
    assert [row["prompt"] for row in left["facts"]] == [FACTS[1][0]] and left["recited"] == 1
    assert (taught / "session.safetensors").read_bytes() == before


def test_facts_are_asked_for_at_the_terminal(
    command: Command, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("The cat is\nblue\nhalf a fact\n"))
    ended = command("teach", place / "run", "--out", tmp_path / "session", "--json")
    assert [row["answer"] for row in ended.json["facts"]] == ["blue"]
    assert ended.err.startswith("Write a prompt")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--facts", "{place}/text.txt"], "Line 1 of text.txt is not a fact"),
        (["--facts", "{place}/nothing.jsonl"], "no file"),
        (["--session", "{place}/run", "--facts", "{place}/facts.jsonl"], "no session|not a session|session"),
        (["--session", "{place}/session", "--forget", "what was never taught"], "never taught|Nothing was taught"),
    ],
)
def test_what_cannot_be_taught_is_told_and_nothing_is_written(
    command: Command, place: Path, taught: Path, tmp_path: Path, words: list[str], sentence: str
) -> None:
    import re

    ended = command("teach", place / "run", *[word.format(place=place) for word in words], "--out", tmp_path / "out")
    assert ended.status == 2 and re.search(sentence, ended.err) and not (tmp_path / "out").exists()
