"""Each task from the command line: prepared, trained, resumed, evaluated and used."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Command

WORDS = ["red", "blue", "big", "old", "cat", "dog", "hat", "ball"]
CONFIG = """
about: for tests
model: {{d_model: 16, n_layers: 1, n_heads: 2, max_seq_len: 32, adapter_dim: 0, {model}}}
training: {{max_steps: 60, batch_size: 16, learning_rate: 0.01, warmup_steps: 2, eval_every: 30, precision: fp32,
           device: cpu}}
"""


def rows(kind: str) -> list[dict[str, Any]]:
    """Texts of a few words; is there a cat, how many dogs are there, and which word comes last?"""
    chance = random.Random(3)
    texts = [chance.choices(WORDS, k=chance.randint(2, 6)) for _ in range(300)]
    return {
        "labelled": [{"text": " ".join(words), "label": "cat" if "cat" in words else "none"} for words in texts],
        "valued": [{"text": " ".join(words), "value": words.count("dog")} for words in texts],
        "paired": [{"source": " ".join(words), "target": words[-1]} for words in texts],
        "text": [{"text": " ".join(words)} for words in texts],
    }[kind]


def made(command: Command, tmp_path: Path, kind: str, model: str) -> tuple[Path, Path]:
    """A dataset and a run on it that was stopped half way and resumed."""
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows(kind)))
    (tmp_path / "config.yaml").write_text(CONFIG.format(model=model))
    data, run = tmp_path / "data", tmp_path / "run"
    done = command("prepare", "--source", tmp_path / "rows.jsonl", "--tokenizer", "char", "--out", data)
    assert done.status == 0, done.err
    first = ("train", "--config", tmp_path / "config.yaml", "--data", data, "--out", run, "--training.max_steps", 30)
    done = command(*first)
    assert done.status == 0, done.err
    done = command("train", "--out", run, "--resume", "--training.max_steps", 60)
    assert done.status == 0, done.err
    return data, run


@pytest.mark.parametrize("model", ["kind: encoder", "pooling: last"])
def test_a_classifier_tells_labels_and_their_probabilities(command: Command, tmp_path: Path, model: str) -> None:
    _, run = made(command, tmp_path, "labelled", model)
    found = command("evaluate", run, "--json").json
    assert set(found) == {"loss", "accuracy", "macro_f1", "confusion", "labels"}
    assert found["labels"] == ["cat", "none"] and sum(map(sum, found["confusion"])) == 30
    assert found["accuracy"] == pytest.approx(sum(found["confusion"][i][i] for i in (0, 1)) / 30)
    told = command("sample", run, "--prompt", "red cat", "--json").json
    assert set(told) == {"prompt", "label", "probabilities"}
    assert sum(told["probabilities"].values()) == pytest.approx(1)
    assert told["label"] == max(told["probabilities"], key=told["probabilities"].__getitem__)
    assert "%" in command("sample", run, "--prompt", "red cat").out
    metrics = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert metrics[-1]["bits_per_byte"] is None and 0 <= metrics[-1]["accuracy"] <= 1
    assert metrics[-1]["loss"] < metrics[0]["loss"]
    samples = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    assert samples[-1]["text"].startswith(("cat (", "none ("))


def test_a_regressor_tells_a_number_in_the_values_units(command: Command, tmp_path: Path) -> None:
    _, run = made(command, tmp_path, "valued", "kind: encoder")
    found = command("evaluate", run, "--json").json
    assert set(found) == {"loss", "mae", "rmse", "r2"} and found["mae"] <= found["rmse"]
    told = command("sample", run, "--prompt", "a dog and a dog", "--json").json
    assert set(told) == {"prompt", "value"} and -1 < told["value"] < 4
    float(command("sample", run, "--prompt", "a dog").out)


def test_sequence_to_sequence_answers_with_candidates(command: Command, tmp_path: Path) -> None:
    _, run = made(command, tmp_path, "paired", "kind: encoder_decoder")
    found = command("evaluate", run, "--json").json
    assert set(found) == {"loss", "perplexity", "exact_match", "character_error_rate"}
    told = command("sample", run, "--prompt", "red cat", "--json", "--beams", 3).json
    assert told["completion"] == told["candidates"][0]["text"] and len(told["candidates"]) == 3
    shown = command("sample", run, "--prompt", "red cat")
    assert shown.status == 0 and command("sample", run, "--prompt", "red cat").out == shown.out


def test_an_encoder_learns_to_fill_in_text(command: Command, tmp_path: Path) -> None:
    _, run = made(command, tmp_path, "text", "kind: encoder")
    found = command("evaluate", run, "--json").json
    assert set(found) == {"loss", "perplexity", "accuracy"}
    refused = command("sample", run, "--prompt", "red cat")
    assert refused.status == 2 and "tells nothing about a whole text" in refused.err


@pytest.mark.parametrize(
    ("kind", "words", "sentence"),
    [
        ("labelled", ["--model.kind", "encoder_decoder"], "needs a model of the kind decoder or encoder"),
        ("text", ["--task", "classification"], "needs texts with labels, but this dataset holds plain text"),
        ("paired", [], "needs a model of the kind encoder_decoder"),
        ("paired", ["--task", "masked"], "task is 'masked', but must be one of auto, language_modelling"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    command: Command, tmp_path: Path, kind: str, words: list[str], sentence: str
) -> None:
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in rows(kind)))
    (tmp_path / "config.yaml").write_text(CONFIG.format(model="bias: false"))
    command("prepare", "--source", tmp_path / "rows.jsonl", "--tokenizer", "char", "--out", tmp_path / "data")
    done = command(
        "train", "--config", tmp_path / "config.yaml", "--data", tmp_path / "data", "--out", tmp_path / "run", *words
    )
    assert done.status == 2 and sentence in done.err
