"""What is proposed for some minutes on a text."""

import dataclasses
import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from microformer.cli import main
from microformer.data.datasets import Dataset
from microformer.data.ngrams import ngram_loss
from microformer.errors import UserError
from microformer.model.profile import profile
from microformer.presets import with_changes
from microformer.training.config import RunConfig
from microformer.training.estimate import learn_from
from microformer.training.loop import train
from microformer.training.proposal import WITHIN, expected_bits_per_byte, propose
from microformer.training.run_directory import Run

Make = Callable[..., RunConfig]
RECORDED = Path(__file__).parent / "recorded" / "scaling.json"


@pytest.fixture
def ladder(make_run_config: Make, tmp_path: Path) -> dict[str, RunConfig]:
    """Three sizes, whose steps have been seen to take a hundredth of a second for each thousand parameters."""
    small = make_run_config()
    sizes = {"thin": 8, "middle": 16, "wide": 24}
    found = {
        name: dataclasses.replace(small, model=dataclasses.replace(small.model, d_model=width, ngram_rows=0))
        for name, width in sizes.items()
    }
    for config in found.values():
        learn_from(config, 1000, profile(config.model).total_parameters / 100, tmp_path)
    return found


def test_more_minutes_never_propose_less(ladder: dict[str, RunConfig], dataset: Path, tmp_path: Path) -> None:
    found = [propose(0.25 * 2**doubled, dataset, ladder, tmp_path) for doubled in range(12)]
    size = {name: profile(config.model).total_parameters for name, config in ladder.items()}
    for less, more in itertools.pairwise(found):
        assert size[less.preset] <= size[more.preset]
        assert less.steps * less.training["batch_size"] * size[less.preset] <= (
            more.steps * more.training["batch_size"] * size[more.preset]
        )
        assert less.bits_per_byte is not None and more.bits_per_byte is not None
    assert {one.preset for one in found} > {"thin"}


def test_a_proposed_run_ends_inside_its_budget(ladder: dict[str, RunConfig], dataset: Path, tmp_path: Path) -> None:
    found = propose(0.5, dataset, ladder, tmp_path)
    now = itertools.count(step=found.seconds_per_step / 2)  # the loop looks about once a step
    config = with_changes(ladder[found.preset], {"training": found.training | {"eval_every": 1000}})
    train(config, dataset, tmp_path / "run", clock=lambda: next(now), report=lambda line: None)
    last = Run(tmp_path / "run").last_row()
    assert last["seconds"] <= 30 and last["step"] >= found.steps
    assert f"{found.steps:,} steps" in found.sentence and found.preset in found.sentence


def test_short_runs_get_small_batches_and_long_ones_large(
    ladder: dict[str, RunConfig], dataset: Path, tmp_path: Path
) -> None:
    only = {"wide": dataclasses.replace(ladder["wide"], training=dataclasses.replace(ladder["wide"].training))}
    batches = [propose(minutes, dataset, only, tmp_path).training["batch_size"] for minutes in (1, 100_000)]
    assert batches == [4, 64]


def test_the_rule_is_as_close_to_recorded_runs_as_it_says() -> None:
    rows = json.loads(RECORDED.read_text())
    off = [
        expected_bits_per_byte(row["hardness"], row["useful_bytes"], looks_up=row["looks_up"]) / row["bits_per_byte"]
        - 1
        for row in rows
    ]
    assert math.sqrt(sum(one**2 for one in off) / len(off)) < WITHIN


def test_tales_need_not_be_made_first(ladder: dict[str, RunConfig], tmp_path: Path) -> None:
    assert propose(3, None, ladder, tmp_path).bits_per_byte == pytest.approx(0.8, abs=0.6)


def test_what_cannot_be_proposed_is_told_in_a_sentence(
    ladder: dict[str, RunConfig], dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="max_minutes"):
        propose(0, dataset, ladder, tmp_path)
    long = {
        "long": dataclasses.replace(ladder["thin"], model=dataclasses.replace(ladder["thin"].model, max_seq_len=65_536))
    }
    with pytest.raises(UserError, match="No preset suits"):
        propose(1, dataset, long, tmp_path)


def test_the_command_tells_what_to_type(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["propose", "--minutes", "1", "--data", str(dataset)]) == 0
    sentence, command = capsys.readouterr().out.splitlines()
    assert "bits per byte" in sentence and command.startswith("python -m microformer train --config ")
    assert main(["propose", "--minutes", "soon", "--data", str(dataset)]) == 2


def test_counting_finds_a_pattern_easy_and_chance_hard(dataset: Path) -> None:
    opened = Dataset.open(dataset)
    vocabulary = opened.info.vocab_size
    loss = ngram_loss(opened.train, opened.val, vocabulary)
    assert loss < opened.info.baselines["bigram"].loss < math.log(vocabulary)
    again = ngram_loss(opened.train, opened.train[: len(opened.val)], vocabulary)
    assert again < loss
