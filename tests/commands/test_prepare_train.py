"""``prepare``, ``train``, ``evaluate`` and ``profile`` as a person types them."""

import math
from pathlib import Path

import pytest

from microformer.files import read_yaml
from microformer.training.run_directory import Run
from tests.commands.conftest import Command


def test_prepare_says_in_json_what_it_made(command: Command, place: Path, tmp_path: Path) -> None:
    words = ["--source", place / "text.txt", "--tokenizer", "byte", "--out", tmp_path / "d", "--json", "--name", "-x"]
    made = command("prepare", *words)
    assert made.status == 0
    assert made.json["vocab_size"] == 257 and made.json["name"] == "-x"
    assert made.json["train_tokens"] + made.json["val_tokens"] == made.json["tokens"]


def test_tales_are_made_of_the_size_and_seed_that_are_asked_for(command: Command, tmp_path: Path) -> None:
    for name in ("a", "b"):
        words = ["--source", "tales", "--size", "20kB", "--seed", 7, "--tokenizer", "char", "--out", tmp_path / name]
        assert command("prepare", *words).status == 0
    assert (tmp_path / "a" / "train.npy").read_bytes() == (tmp_path / "b" / "train.npy").read_bytes()


def test_flags_go_over_the_file_and_the_vocabulary_is_the_tokenizers(
    command: Command, place: Path, tmp_path: Path
) -> None:
    where = ["--config", place / "tiny.yaml", "--data", place / "data", "--out", tmp_path / "run"]
    ended = command("train", *where, "--training.max_steps", "3e0", "--model.n_kv_heads", "2", "--model.d_ff", "null")
    assert (ended.status, ended.out) == (0, "")
    config = Run(tmp_path / "run").config()
    assert (config.training.max_steps, config.model.n_kv_heads, config.model.d_ff) == (3, 2, None)
    assert config.model.vocab_size == Run(place / "run").config().model.vocab_size
    assert config.training.learning_rate == 0.01  # 1e-2 in YAML is text; it is taken as the number that is meant


def test_asking_for_minutes_or_epochs_puts_the_steps_aside(command: Command, place: Path, tmp_path: Path) -> None:
    where = ["--config", place / "tiny.yaml", "--data", place / "data", "--out", tmp_path / "run"]
    assert command("train", *where, "--training.max_epochs", "0.1").status == 0
    training = read_yaml(tmp_path / "run" / "config.yaml")["training"]
    assert training["max_steps"] is None and training["max_epochs"] == 0.1


def test_a_resume_needs_no_more_than_the_run_and_may_go_further(command: Command, place: Path, tmp_path: Path) -> None:
    where = ["--config", place / "tiny.yaml", "--data", place / "data", "--out", tmp_path / "run"]
    assert command("train", *where, "--resume").status == 0  # there is no run yet: it begins
    assert command("train", *where).status == 2  # without --resume it does not write over one
    assert command("train", "--out", tmp_path / "run", "--resume", "--training.max_steps", "8").status == 0
    assert Run(tmp_path / "run").status().step == 8
    again = command("train", *where, "--resume")
    assert again.status == 0 and f"which {place / 'tiny.yaml'} has others (training.max_steps)" in again.err
    assert "has others" not in command("train", *where, "--resume", "--training.max_steps", "9").err


def test_evaluate_prints_three_numbers_that_belong_together(command: Command, place: Path) -> None:
    found = command("evaluate", place / "run", "--json").json
    assert set(found) == {"loss", "perplexity", "bits_per_byte"}
    assert found["perplexity"] == pytest.approx(math.exp(found["loss"]))
    assert command("evaluate", place / "run", "--data", place / "data", "--json").json == found
    assert "bits per byte" in command("evaluate", place / "run").out


def test_evaluate_says_what_it_cannot_know_of_another_text(command: Command, place: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("Zzz! 17 quick QUIZ. " * 60)
    source = ["--source", tmp_path / "other.txt", "--tokenizer", place / "run", "--out", tmp_path / "other"]
    assert command("prepare", *source).status == 0
    ended = command("evaluate", place / "run", "--data", tmp_path / "other", "--json")
    assert "were never seen in training" in ended.err
    assert 0 < ended.json["loss"] < 10


def test_evaluate_refuses_a_dataset_of_another_tokenizer(command: Command, place: Path, tmp_path: Path) -> None:
    words = ["--source", place / "text.txt", "--tokenizer", "byte", "--out", tmp_path / "d"]
    assert command("prepare", *words).status == 0
    assert "another tokenizer" in command("evaluate", place / "run", "--data", tmp_path / "d").err


def test_profile_counts_what_the_trained_model_has(command: Command, place: Path) -> None:
    from microformer.checkpoint import load

    found = command("profile", "--config", place / "tiny.yaml", "--data", place / "data", "--json").json
    assert found["parameters"] == sum(one.numel() for one in load(place / "run").model.parameters())
    assert sum(found["parameters_by_part"].values()) == found["parameters"]
    assert found["memory"]["training_bytes"] > found["memory"]["sampling_bytes"] > 4 * found["parameters"]
    assert "parameters" in command("profile", "--config", "small", "--vocab-size", "512").out


def test_export_and_import_give_a_run_that_says_the_same(command: Command, place: Path, tmp_path: Path) -> None:
    assert command("export", place / "run", tmp_path / "run.zip").status == 0
    assert command("import", tmp_path / "run.zip", tmp_path / "again").status == 0
    asked = ["--prompt", "Once", "--seed", 3, "--max-tokens", 20, "--json"]
    assert command("sample", tmp_path / "again", *asked).out == command("sample", place / "run", *asked).out
    assert "give another one" in command("evaluate", tmp_path / "again").err
