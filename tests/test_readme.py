"""What the README says is true: its commands parse, its files are there, and CI runs its line for the tests."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from microformer.cli import parse

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.M | re.S)
LINES = [line for _, block in BLOCKS for line in block.splitlines()] + re.findall(r"`(python -m [^`]+)`", README)
COMMANDS = [line for line in LINES if line.startswith("python -m microformer ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_of_the_readme_is_understood(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parse(shlex.split(line)[3:])


def test_there_are_commands_to_look_at() -> None:
    assert len(COMMANDS) >= 8


def test_ci_runs_the_readmes_test_command_word_for_word() -> None:
    (line,) = [line for line in LINES if line.startswith("python3.11") and "pytest" in line]
    assert line in (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()


def test_the_start_is_one_line() -> None:
    (line,) = [line for line in LINES if line.startswith("python3.11") and line.endswith("app.py")]
    assert "requirements.txt" in line


def test_files_that_the_readme_names_are_there() -> None:
    named = re.findall(r"`((?:microformer|presets|assets|tests)/[\w./-]*)`", README)
    named += [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


def test_the_front_matter_starts_a_space_with_what_is_installed() -> None:
    front = yaml.safe_load(README.split("---\n")[1])
    pinned = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().split())
    assert front["sdk_version"] == pinned["gradio"]
    assert (ROOT / front["app_file"]).is_file()
    assert len(front["short_description"]) <= 60
    assert f"torch=={pinned['torch']}" in README


def test_the_python_of_the_readme_runs() -> None:
    written: list[str] = []
    here: dict[str, Any] = {"print": written.append}
    for code in [block for language, block in BLOCKS if language == "python"]:
        exec(compile(code, "README.md", "exec"), here)
    assert written[0].startswith("Once upon a time")
    assert here["model"].blocks[0].feed_forward.up.weight.shape == (2 * 344, 128)
