"""Adapting a run from the command line: LoRA, and what it has learned merged into the weights."""

from pathlib import Path

import pytest

from tests.commands.conftest import Command


def test_lora_from_training_to_a_merged_run(command: Command, place: Path, tmp_path: Path) -> None:
    where = ["--config", place / "tiny.yaml", "--data", place / "data", "--out", tmp_path / "lora"]
    ended = command("train", *where, "--init", place / "run", "--model.lora_rank", 2)
    assert ended.status == 0 and "learn" in ended.err.splitlines()[0]
    assert command("merge", tmp_path / "lora", tmp_path / "plain").status == 0
    losses = [command("evaluate", tmp_path / name, "--json").json["loss"] for name in ("lora", "plain")]
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    asked = ["--prompt", "Once", "--greedy", "--max-tokens", 20, "--json"]
    assert command("sample", tmp_path / "plain", *asked).out == command("sample", tmp_path / "lora", *asked).out
    found = command("quantize", tmp_path / "lora", tmp_path / "small", "--bits", 8, "--json").json
    assert found["times_smaller"] > 1.9 and abs(found["bits_per_byte_rise"]) < 0.05
    small = command("evaluate", tmp_path / "small", "--json").json
    assert small["bits_per_byte"] == pytest.approx(found["after"]["bits_per_byte"])
    assert "is quantized" in command("train", *where[:-1], tmp_path / "x", "--init", tmp_path / "small").err
    refused = command("export", tmp_path / "small", tmp_path / "small.onnx")
    assert refused.status == 2 and "is quantized" in refused.err and not (tmp_path / "small.onnx").exists()
    again = command("merge", tmp_path / "plain", tmp_path / "again")
    assert again.status == 2 and "nothing to merge" in again.err
