"""The benchmark of training runs on any text and compares models of like size."""

import json
from pathlib import Path

import pytest
import torch

from microformer.bench import train as bench
from microformer.bench.reference import ReferenceGPT


def test_bench_reports_plain_numbers_for_each_shape(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "TURNS", 1)
    monkeypatch.setattr(bench, "TURN_SECONDS", 0.0)
    monkeypatch.setattr(bench, "LOOP_STEPS", 3)
    text = tmp_path / "words.txt"
    text.write_text("the king sees a red ball and the dog takes it to the garden.\n" * 40)
    found = bench.bench_train(text, shapes=(bench.Shape("32x128", 2, 16, 16, 1, 2),))
    assert json.loads(json.dumps(found)) == found
    assert (
        found["speedup_32x128"] > 0
        and found["loop_overhead_32x128"] > -1
        and 0 < found["mfu"] <= 1
        and found["peak_rss_mb"] > 0
    )


@pytest.mark.parametrize("shape", bench.SHAPES)
def test_both_programs_train_models_of_like_size(shape: bench.Shape) -> None:
    with torch.device("meta"):
        plain = ReferenceGPT(65, width=shape.width, layers=shape.layers, heads=shape.heads, context=shape.context)
    theirs = sum(weight.numel() for weight in plain.parameters())
    ours = sum(bench.profile(bench.model_of(shape)).parameters.values())
    assert abs(ours / theirs - 1) < 0.1
