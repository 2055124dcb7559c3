"""``sample``: the contract of its lines, and that the same request writes the same text."""

import io
import json
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import Command


def test_a_line_of_json_for_each_text(command: Command, place: Path) -> None:
    ended = command("sample", place / "run", "--prompt", "Once", "--max-tokens", 10, "--num-samples", 3, "--json")
    assert ended.status == 0 and len(ended.rows) == 3
    for row in ended.rows:
        assert list(row) == ["prompt", "completion", "stop"]
        assert row["prompt"] == "Once" and row["stop"] in ("length", "endoftext")


def test_the_same_seed_writes_the_same_text_and_another_another(command: Command, place: Path) -> None:
    asked = ["sample", place / "run", "--prompt", "Once", "--max-tokens", 40, "--temperature", 1.5, "--json"]
    first = command(*asked, "--seed", 1).out
    assert command(*asked, "--seed", 1).out == first
    assert command(*asked, "--seed", 2).out != first


def test_greedy_is_temperature_zero_whatever_the_seed(command: Command, place: Path) -> None:
    asked = ["sample", place / "run", "--prompt", "Once", "--max-tokens", 20, "--json"]
    greedy = command(*asked, "--greedy").out
    assert command(*asked, "--temperature", 0, "--seed", 9).out == greedy


def test_prompts_of_a_file_are_answered_in_order(command: Command, place: Path, tmp_path: Path) -> None:
    prompts = ["Once", " ", "", "-5", "null", "Łódź\nZoë 7", "x" * 100]
    file = tmp_path / "prompts.jsonl"
    file.write_text("".join(json.dumps({"prompt": prompt, "more": 1}) + "\n\n" for prompt in prompts))
    rows = command("sample", place / "run", "--prompts", file, "--max-tokens", 5, "--greedy", "--json").rows
    assert [row["prompt"] for row in rows] == prompts
    for row in rows[:4]:
        alone = command("sample", place / "run", "--prompt", row["prompt"], "--max-tokens", 5, "--greedy", "--json")
        assert alone.json == row


def test_the_text_may_grow_past_the_context(command: Command, place: Path) -> None:
    row = command("sample", place / "run", "--prompt", "Once", "--max-tokens", 100, "--seed", 1, "--json").json
    assert row["stop"] == "endoftext" or len(row["completion"]) > 64


def test_a_prompt_longer_than_the_context_is_told_beside_the_result(command: Command, place: Path) -> None:
    ended = command("sample", place / "run", "--prompt", "x" * 100, "--max-tokens", 3, "--json")
    assert ended.err.startswith("Note: The prompt is 101 tokens long") and len(ended.rows) == 1


def test_streamed_text_is_the_same_text(command: Command, place: Path) -> None:
    asked = ["sample", place / "run", "--prompt", "Once", "--max-tokens", 30, "--seed", 4]
    whole = command(*asked).out
    assert whole.startswith("Once") and command(*asked, "--stream").out == whole


def test_interactive_reads_prompts_until_the_input_ends(
    command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("Once\nTom\n"))
    ended = command("sample", place / "run", "--interactive", "--greedy", "--max-tokens", 5)
    assert ended.status == 0
    assert [line[:3] for line in ended.out.splitlines() if line] == ["Onc", "Tom"]


def test_a_draft_writes_the_same_greedy_text(command: Command, place: Path) -> None:
    asked = ["sample", place / "run", "--prompt", "Once", "--max-tokens", 20, "--greedy", "--json"]
    assert command(*asked, "--draft", place / "run", "--ahead", 3).json == command(*asked).json


def test_one_beam_is_greedy_and_more_give_as_many_texts_as_asked(command: Command, place: Path) -> None:
    asked = ["sample", place / "run", "--prompt", "Once", "--max-tokens", 8, "--json"]
    assert command(*asked, "--beams", 1).json == command(*asked, "--greedy").json
    assert len(command(*asked, "--beams", 3, "--num-samples", 3).rows) == 3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--beams", 0], "--beams is 0"),
        (["--beams", 2, "--num-samples", 3], "give more beams"),
        (["--beams", 2, "--draft", "starter"], "choose one"),
        (["--length-penalty", 2], "--beams"),
        (["--ahead", 2], "--draft"),
        (["--draft", "starter"], "another tokenizer"),
        (["--beams", 2, "--stop", "x"], "--stop"),
        (["--repetition-penalty", 0], "repetition_penalty is 0.0"),
    ],
)
def test_what_beams_and_drafts_cannot_do_is_a_sentence(
    command: Command, place: Path, options: list[object], sentence: str
) -> None:
    ended = command("sample", place / "run", "--prompt", "Once", "--max-tokens", 3, *options)
    assert ended.status == 2
    assert sentence in ended.err
