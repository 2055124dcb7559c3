"""Adapting a trained model: LoRA, fresh long-term adapters, and what is frozen stays as it was, bit for bit."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from microformer import checkpoint
from microformer.adapters.lora import merged
from microformer.data.datasets import Dataset
from microformer.data.prepare import prepare
from microformer.errors import UserError
from microformer.training.config import RunConfig
from microformer.training.derive import derive
from microformer.training.evaluate import evaluate
from microformer.training.loop import train
from microformer.training.run_directory import Run
from tests.training.conftest import run_config
from tests.training.test_loop import interrupted, quiet, weights


@pytest.fixture(scope="module")
def base(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without long-term adapters."""
    run = tmp_path_factory.mktemp("adapt") / "base"
    train(adapted(run_config(max_steps=60), adapter_dim=0), dataset, run, report=quiet)
    return run


@pytest.fixture(scope="module")
def other(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another text in the same letters: the words are spelled backwards."""
    place = tmp_path_factory.mktemp("other")
    lines = ["sees takes the red ball and gives", "the old king runs to a hat in a dog"] * 100
    (place / "words.txt").write_text("\n".join(line[::-1] for line in lines))
    prepare([place / "words.txt"], str(dataset), place / "dataset")
    return place / "dataset"


def adapted(config: RunConfig, **model: Any) -> RunConfig:
    return dataclasses.replace(config, model=dataclasses.replace(config.model, **model))


def tensors(run: Path) -> dict[str, Tensor]:
    return checkpoint.weights_of(checkpoint.load(run).model)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_lora_leaves_the_base_as_it_was_and_lowers_the_loss(
    other: Path, base: Path, tmp_path: Path, make_run_config: Callable[..., RunConfig], precision: str
) -> None:
    lines: list[str] = []
    longer = make_run_config(precision=precision, learning_rate=0.01, max_steps=30)
    config = adapted(longer, lora_rank=4, lora_targets="blocks.*", adapter_dim=0)
    train(config, other, tmp_path / "run", init=base, report=lines.append)
    learned = {name: tensor for name, tensor in tensors(tmp_path / "run").items() if ".lora_" in name}
    count = sum(tensor.numel() for tensor in learned.values())
    assert f"of which {count:,} learn" in lines[0]
    before, after = tensors(base), tensors(tmp_path / "run")
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert before.keys() | learned.keys() == after.keys() and all(tensor.any() for tensor in learned.values())
    losses = [evaluate(checkpoint.load(run).model, Dataset.open(other)).loss for run in (base, tmp_path / "run")]
    assert losses[1] < losses[0] - 0.3


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_stopped_and_resumed_lora_run_ends_with_the_same_bits(
    dataset: Path, base: Path, tmp_path: Path, make_run_config: Callable[..., RunConfig], precision: str
) -> None:
    config = adapted(make_run_config(precision=precision), lora_rank=2)
    for name in ("whole", "parts"):
        train(
            dataclasses.replace(config, training=dataclasses.replace(config.training, max_steps=1)),
            dataset,
            tmp_path / name,
            init=base,
            report=quiet,
        )
    train(config, dataset, tmp_path / "whole", resume=True, report=quiet)
    interrupted(config, dataset, tmp_path / "parts", at=5)
    train(config, dataset, tmp_path / "parts", resume=True, report=quiet)
    assert Run(tmp_path / "parts").status().step == 12
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_fresh_long_term_adapters_learn_alone_when_all_else_is_frozen(
    dataset: Path, base: Path, tmp_path: Path, make_run_config: Callable[..., RunConfig]
) -> None:
    config = make_run_config(freeze="*,!*.long_term.*")
    train(config, dataset, tmp_path / "run", init=base, report=quiet)
    before, after = tensors(base), tensors(tmp_path / "run")
    assert {name for name in after if name not in before} == {name for name in after if ".long_term." in name} != set()
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert any(bool(tensor.any()) for name, tensor in after.items() if name.endswith("long_term.up"))


def test_all_the_matrices_alone_can_learn(dataset: Path, base: Path, tmp_path: Path) -> None:
    config = adapted(run_config(freeze="*,!blocks.*,*norm*", max_steps=2), adapter_dim=0)
    train(config, dataset, tmp_path / "run", init=base, report=quiet)
    assert Run(tmp_path / "run").status().state == "finished"


def test_a_lora_run_goes_on_merged_and_can_be_merged_into_a_run_of_its_own(
    dataset: Path, base: Path, tmp_path: Path, make_run_config: Callable[..., RunConfig]
) -> None:
    train(adapted(make_run_config(), lora_rank=2), dataset, tmp_path / "lora", init=base, report=quiet)
    train(make_run_config(max_steps=1), dataset, tmp_path / "next", init=tmp_path / "lora", report=quiet)
    assert Run(tmp_path / "next").config().model.lora_rank == 0
    loaded = checkpoint.load(tmp_path / "lora")
    derive(loaded, merged(loaded.model), tmp_path / "plain", "Merged.")
    plain = checkpoint.load(tmp_path / "plain")
    assert plain.model.config.lora_rank == 0 and Run(tmp_path / "plain").status().state == "finished"
    data = Dataset.open(dataset)
    assert evaluate(plain.model, data).loss == pytest.approx(evaluate(loaded.model, data).loss, abs=1e-5)
    with pytest.raises(UserError, match="already something"):
        derive(loaded, plain.model, tmp_path / "plain", "Merged.")


def test_lora_without_a_trained_model_is_refused(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="lora_rank is 4, but low-rank additions adapt a model that is trained"):
        train(adapted(run_config(), lora_rank=4), dataset, tmp_path / "run", report=quiet)
