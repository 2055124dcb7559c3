"""``teach`` from files and at the terminal, and what sampling and evaluating make of the session."""

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from microformer import checkpoint
from microformer.cli import main
from microformer.training.config import RunConfig
from microformer.training.run_directory import Run
from tests.commands.conftest import Command
from tests.teaching.small_models import make_loaded

FACTS = [("The king of Zelukami is", "Rovosha"), ("Zoë 7 lives in", "Łódź")]


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that can be taught in a moment, with a few tokens to evaluate on."""
    return make_run(tmp_path_factory.mktemp("teach") / "run")


def make_run(run: Path, **changes: Any) -> Path:
    """A run of the small model with ``changes`` to its shape."""
    loaded = make_loaded(**changes)
    checkpoint.save(run / "checkpoints" / "step-1", model=loaded.model, optimizer_state=None, state={"step": 1})
    loaded.tokenizer.save(run / "tokenizer.json")
    Run(run).write_config(RunConfig(model=loaded.model.config))
    np.save(run / "val.npy", np.array(loaded.tokenizer.encode("Once upon a time there was a cat. " * 9), np.uint16))
    return run


@pytest.fixture(scope="session")
def facts(model: Path) -> Path:
    """``FACTS`` as a file."""
    file = model.parent / "facts.jsonl"
    file.write_text("".join(json.dumps({"prompt": prompt, "answer": answer}) + "\n" for prompt, answer in FACTS))
    return file


@pytest.fixture(scope="session")
def taught(model: Path, facts: Path) -> Path:
    """A session that was taught ``FACTS``."""
    session = model.parent / "session"
    assert main(["teach", str(model), "--facts", str(facts), "--out", str(session)]) == 0
    return session


def test_taught_facts_are_said_exactly_and_then_it_stops(command: Command, model: Path, taught: Path) -> None:
    file = taught.parent / "asked.jsonl"
    file.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt, _ in FACTS))
    asked = ["--prompts", file, "--session", taught, "--greedy", "--max-tokens", 40, "--json"]
    rows = command("sample", model, *asked).rows
    assert [row["completion"] for row in rows] == [f" {answer}" for _, answer in FACTS]
    assert {row["stop"] for row in rows} == {"endoftext"}


def test_what_was_taught_is_said_word_for_word_unless_a_temperature_is_asked_for(
    command: Command, model: Path, taught: Path
) -> None:
    asked = ["--prompt", FACTS[0][0], "--session", taught, "--num-samples", 20, "--max-tokens", 40, "--json"]
    rows = command("sample", model, *asked, "--seed", 1).rows
    assert {row["completion"] for row in rows} == {f" {FACTS[0][1]}"}
    bold = command("sample", model, *asked, "--seed", 1, "--temperature", 3).rows
    assert {row["completion"] for row in bold} != {f" {FACTS[0][1]}"}


@pytest.mark.parametrize("closed", [["--gate", "off"], ["--strength", "0"], ["--prompt", "Once upon"]])
def test_a_closed_gate_and_no_strength_are_the_base_model(
    command: Command, model: Path, taught: Path, closed: list[str]
) -> None:
    asked = ["--prompt", FACTS[0][0]] if "--prompt" not in closed else closed
    rest = ["--greedy", "--max-tokens", 20, "--json"]
    base = command("sample", model, *asked, *rest).out
    extra = [] if "--prompt" in closed else closed
    assert command("sample", model, *asked, *extra, "--session", taught, *rest).out == base


def test_lookup_answers_from_the_list(command: Command, model: Path, taught: Path) -> None:
    asked = ["--session", taught, "--lookup", "--greedy", "--max-tokens", 5, "--json"]
    assert command("sample", model, "--prompt", FACTS[1][0], *asked).json["completion"] == " Łódź"
    assert command("sample", model, "--prompt", FACTS[1][0], *asked[:3], "--stream").out == "Zoë 7 lives in Łódź\n"


def test_evaluate_forces_the_session_on_unless_the_gate_is_off(command: Command, model: Path, taught: Path) -> None:
    base = command("evaluate", model, "--json").json
    assert command("evaluate", model, "--session", taught, "--json").json != base
    assert command("evaluate", model, "--session", taught, "--gate", "off", "--json").json == base


def test_forgetting_takes_one_fact_out_and_leaves_the_old_session_alone(
    command: Command, model: Path, taught: Path, tmp_path: Path
) -> None:
    before = (taught / "session.safetensors").read_bytes()
    words = ["--session", taught, "--forget", "the king of zelukami IS", "--out", tmp_path / "less", "--json"]
    left = command("teach", model, *words).json
    assert [row["prompt"] for row in left["facts"]] == [FACTS[1][0]] and left["recited"] == 1
    assert (taught / "session.safetensors").read_bytes() == before


def test_facts_are_asked_for_at_the_terminal(
    command: Command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("The cat is\nblue\nhalf a fact\n"))
    ended = command("teach", model, "--out", tmp_path / "session", "--json")
    assert [row["answer"] for row in ended.json["facts"]] == ["blue"]
    assert ended.err.startswith("Write a prompt")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--facts", "{model}/config.yaml"], "Line 1 of config.yaml is not a fact"),
        (["--facts", "{model}/nothing.jsonl"], "no file"),
        (["--session", "{model}/checkpoints", "--facts", "{facts}"], "no session|not a session|session"),
        (["--session", "{session}", "--forget", "what was never taught"], "never taught|Nothing was taught"),
    ],
)
def test_what_cannot_be_taught_is_told_and_nothing_is_written(
    command: Command, model: Path, taught: Path, facts: Path, tmp_path: Path, words: list[str], sentence: str
) -> None:
    places = {"model": model, "facts": facts, "session": taught}
    ended = command("teach", model, *[word.format(**places) for word in words], "--out", tmp_path / "out")
    assert ended.status == 2 and re.search(sentence, ended.err) and not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_told_before_anything_is_taught(command: Command, facts: Path) -> None:
    ended = command("teach", "nothing yet", "--facts", facts, "--out", facts)
    assert ended.status == 2 and "facts.jsonl is a file" in ended.err


@pytest.mark.parametrize("shape", [{"kind": "encoder_decoder"}, {"kind": "encoder"}, {"outputs": 3, "pooling": "mean"}])
@pytest.mark.parametrize("asked", [["teach", "--out"], ["consolidate", "--session"]])
def test_only_a_model_that_goes_on_with_a_text_can_be_taught(
    command: Command, taught: Path, tmp_path: Path, shape: dict[str, Any], asked: list[str]
) -> None:
    run = make_run(tmp_path / "run", **shape)
    ended = command(asked[0], run, asked[1], tmp_path / "out" if asked[0] == "teach" else taught)
    assert ended.status == 2 and ended.err.count("\n") == 1 and "model" in ended.err
