"""The benchmark of sampling runs on any model and gives plain numbers."""

import json
from dataclasses import asdict
from pathlib import Path

from microformer import checkpoint
from microformer.bench.sample import STREAMS, bench_sample
from microformer.files import write_yaml
from tests.generation.test_generate import TOKENIZER, make_model


def test_it_measures_the_engine_beside_the_reference(tmp_path: Path) -> None:
    model = make_model()
    checkpoint.save(tmp_path / "checkpoints" / "step-1", model=model, optimizer_state=None, state={"step": 1})
    write_yaml(tmp_path / "config.yaml", {"model": asdict(model.config)})
    TOKENIZER.save(tmp_path / "tokenizer.json")
    figures = json.loads(json.dumps(bench_sample(tmp_path, draft=tmp_path, tokens=6)))
    assert figures["tokens"] == 6
    assert figures["streams"] == STREAMS
    assert figures["8_bits_times_smaller"] > 1
    assert {"8_bits_over_engine", "4_bits_over_engine", "speculative_over_engine"} <= figures.keys()
    assert figures["drafted_kept"] == 1  # it drafts for itself
    assert min(value for name, value in figures.items() if name.endswith("per_second")) > 0
