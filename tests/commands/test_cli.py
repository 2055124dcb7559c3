"""Every error is one sentence on standard error, and the exit status tells whose it is."""

import io
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import microformer
from microformer.cli import COMMANDS, main, usage
from microformer.training.run_directory import Run
from tests.commands.conftest import Command

TEXT = ["--source", "{place}/text.txt", "--tokenizer", "char"]
TALES = ["--source", "tales:mood", "--tokenizer", "char"]


def test_help_names_every_command(command: Command) -> None:
    ended = command("--help")
    assert ended.status == 0
    assert all(name in ended.out for name in COMMANDS)
    assert command().status == 2
    assert usage() == ended.out


def test_the_version_needs_no_installation() -> None:
    code = "import sys\nfrom microformer.cli import main\nsys.exit(main(['--version']))"
    here = {"PYTHONPATH": str(Path(__file__).parents[2])}
    words = [sys.executable, "-S", "-c", code]  # -S: without what is installed
    done = subprocess.run(words, capture_output=True, text=True, env=here, check=False)
    assert (done.returncode, done.stdout) == (0, f"microformer {microformer.__version__}\n"), done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(command: Command, name: str) -> None:
    ended = command(name, "--help")
    assert ended.status == 0 and f"python -m microformer {name}" in ended.out and not ended.err


def test_help_comes_at_once_because_it_loads_no_tensor_library() -> None:
    code = (
        "import sys\nfrom microformer.cli import COMMANDS, main\n"
        "assert not any(main([name, '--help']) for name in COMMANDS)\nassert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["trian"], "did you mean train?"),
        (["train"], "--out is missing"),
        (["train", "--out", "{place}/x"], "give one with --config"),
        (["train", "--config", "tniy", "--out", "{place}/x"], "did you mean tiny?"),
        (["train", "--config", "{place}/tiny.yaml", "--out", "{place}/x"], "give one with --data"),
        (["train", "--config", "{place}/tiny.yaml", "--out", "x", "--training.max_step", "3"], "--training.max_steps?"),
        (["train", "--config", "{place}/tiny.yaml", "--out", "x", "--training.learning_rate", "-1"], "more than 0"),
        (["train", "--config", "{place}/tiny.yaml", "--out", "x", "--training.batch_size", "2.5"], "batch_size"),
        (["train", "--config", "{place}/tiny.yaml", "--out", "x", "--model.d_model", "18"], "multiple of n_heads"),
        (["train", "--config", "{place}/text.txt", "--out", "x"], "text.txt"),
        (["train", "--config", "{place}/tiny.yaml", "--data", "{place}", "--out", "{place}/x"], "dataset"),
        (["prepare", "--source", "{place}/nothing.txt", "--tokenizer", "char", "--out", "{place}/x"], "nothing.txt"),
        (["prepare", "--source", "tales", "--tokenizer", "words", "--out", "{place}/x"], "words"),
        (["prepare", "--source", "tales", "--tokenizer", "bpe", "--vocab-size", "x", "--out", "y"], "--vocab-size"),
        (["prepare", "--source", "hub:text8", "--tokenizer", "char", "--out", "{place}/x"], r"\(--source tales\)\.$"),
        (["prepare", *TEXT, "--size", "5MB", "--out", "{place}/x"], "The size is 5MB, but text.txt is read"),
        (["prepare", *TEXT, "--seed", "3", "--out", "{place}/x"], "The seed is 3, but text.txt is read"),
        (["prepare", *TALES, "--limit", "1MB", "--out", "{place}/x"], "The limit is 1MB, but tales:mood is made"),
        (["prepare", *TALES, "--val", "{place}/text.txt", "--out", "{place}/x"], "leave text.txt out"),
        (["sample", "{place}/nothing", "--prompt", "a"], "There is no run"),
        (["sample", "{place}/no\nthing\x1b", "--prompt", "a"], "There is no run at .*/no thing ;"),
        (["sample", "", "--prompt", "a"], "RUN is empty, but must name a place; see"),
        (["sample", "starter", "--session", "{place}/x", "--session", ""], "--session is empty"),
        (["train", "--config", "tiny", "--data", "{place}/data", "--out", ""], "--out is empty"),
        (["train", "--config", "{place}/tiny.yaml", "--data", "{place}/data", "--out", "{place}/data"], "is a dataset"),
        (["prepare", "--source", "tales", "--tokenizer", "", "--out", "{place}/x"], "--tokenizer is empty"),
        (["teach", "{place}/run", "--out", "{place}/run"], "is a run; give the session a place"),
        (["teach", "{place}/run", "--out", "{place}/data"], "is a dataset; give the session a place"),
        (["sample", "{place}/run", "--top-p", "0"], "top_p is 0"),
        (["sample", "{place}/run", "--top-k", "-1"], "top_k is -1"),
        (["sample", "{place}/run", "--temperature", "nan"], "temperature"),
        (["sample", "{place}/run", "--max-tokens", "0"], "max_tokens"),
        (["sample", "{place}/run", "--greedy", "--temperature", "1"], "--greedy means temperature 0"),
        (["sample", "{place}/run", "--prompt", "a", "--interactive"], "both given"),
        (["sample", "{place}/run", "--max-tokens", "many"], "--max-tokens is 'many'"),
        (["sample", "{place}/run", "--beams", "1e9"], "--beams is 1e9, but must be .* at most 256"),
        (["sample", "{place}/run", "--prompts", "{place}/digits.jsonl"], "Line 1 of .*digits.jsonl is not a prompt"),
        (["sample", "{place}/run", "--prompts", "{place}/text.txt"], "Line 1 of .*text.txt is not a prompt"),
        (["sample", "{place}/run", "--session", "{place}/nothing"], "nothing"),
        (["sample", "{place}/run", "--strength", "2", "--session", "{place}/nothing"], "nothing|strength"),
        (["sample", "{place}/run", "--lookup"], "--lookup answers from"),
        (["sample", "{place}/run", "--gate", "maybe"], "--gate: invalid choice: 'maybe'"),
        (["sample", "{place}/run", "more"], "no place for the word 'more'"),
        (["evaluate", "{place}/run", "--gate", "auto"], "invalid choice"),
        (["evaluate", "{place}/run", "--data", "{place}/nothing"], "nothing"),
        (["profile", "--config", "tiny", "--data", "x", "--vocab-size", "3"], "drop one"),
        (["consolidate", "{place}/run"], "give a session"),
        (["consolidate", "{place}/run", "--undo"], "nothing to undo"),
        (["consolidate", "starter", "--session", "{place}/nothing"], "shared by everybody"),
        (["consolidate", "{place}/nothing", "--undo"], "There is no run at"),
        (["bench", "train"], "text file"),
        (["bench", "everything"], "invalid choice"),
        (["export", "{place}/run", "{place}/no/such/folder/x.zip"], "no folder"),
        (["import", "{place}/text.txt", "{place}/x"], "not a zip file"),
        (["pull", "../x", "{place}/x"], "not the name of a repository"),
        (["train", "--out", "x", "--seed", "3"], r"did you mean --training.seed\? See python -m microformer train"),
        (["train", "--config", "tiny", "--data", "{place}/data", "--out", "{place}/text.txt"], "text.txt"),
        (["train", "--config", "tiny", "--data", "{place}/data", "--out", "{place}/text.txt/x"], "text.txt/x"),
        (["train", "--config", "tiny", "--data", "{place}/data", "--out", "{place}/" + "x" * 300], "name too long"),
        (["sample", "x" * 300], "name too long"),
        (["prepare", "--source", "tales", "--tokenizer", "byte", "--out", "{place}/text.txt/x"], "text.txt"),
    ],
)
def test_what_a_user_can_mend_is_told_in_one_line(
    command: Command, place: Path, words: list[str], sentence: str
) -> None:
    ended = command(*[word.format(place=place) for word in words])
    assert ended.status == 2
    assert re.search(sentence, ended.err), ended.err
    assert ended.err.startswith("Error: ") and ended.err.count("\n") == 1 and "Traceback" not in ended.err
    assert ended.out == ""


def test_a_fault_of_the_program_is_one_line_and_another_status(
    command: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(COMMANDS, "options", "A module without a run function, as a bug would be.")
    ended = command("options")
    assert ended.status == 1 and "MICROFORMER_DEBUG" in ended.err and ended.err.count("\n") == 1
    monkeypatch.setenv("MICROFORMER_DEBUG", "1")
    with pytest.raises(AttributeError):
        main(["options"])


def test_a_run_that_somebody_trains_is_not_consolidated(command: Command, place: Path) -> None:
    with Run(place / "run").lock():
        ended = command("consolidate", place / "run", "--undo")
    assert ended.status == 2 and "Another trainer is working on the run" in ended.err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no such device")
def test_closed_and_full_outputs_are_no_fault_of_the_program(place: Path) -> None:
    words = [sys.executable, "-m", "microformer", "profile", "--config", "tiny"]
    shell = 'exec "$@" <&- >&- 2>&-'
    assert subprocess.run(["sh", "-c", shell, "sh", *words], check=False, timeout=600).returncode == 0
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=600)
    assert done.returncode == 2 and "No space left" in done.stderr and done.stderr.count("\n") == 1


class Terminated(io.StringIO):
    """A terminal at which nothing is typed before the process is told to end."""

    def readline(self, *limits: int) -> str:
        signal.raise_signal(signal.SIGTERM)
        return ""


def test_sigterm_ends_a_command_as_ctrl_c_does(command: Command, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminated())
    before = signal.getsignal(signal.SIGTERM)
    ended = command("sample", place / "run", "--interactive")
    assert ended.status == 130 and ended.err.endswith("\nInterrupted.\n")
    assert signal.getsignal(signal.SIGTERM) == before


def test_the_module_is_the_command_line(place: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "microformer", "evaluate", place / "nothing"],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: There is no run") and done.stderr.count("\n") == 1
