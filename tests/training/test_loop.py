"""Whole runs: budgets, checkpoints, and a resume that ends with the same bits."""

import dataclasses
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from microformer import checkpoint
from microformer.data.datasets import Dataset
from microformer.errors import UserError
from microformer.files import sha256
from microformer.generation.threads import threads
from microformer.tensor_files import load_tensors, save_tensors
from microformer.training.config import RunConfig
from microformer.training.loop import train
from microformer.training.run_directory import Run

Make = Callable[..., RunConfig]
KEYS = ["step", "tokens", "seconds", "loss", "val_loss", "bits_per_byte", "lr", "grad_norm", "tokens_per_second"]


def quiet(line: str) -> None:
    """Nobody is at the terminal."""


def weights(run: Path) -> bytes:
    found = checkpoint.newest(run)
    assert found is not None
    return (found / checkpoint.WEIGHTS).read_bytes()


def interrupted(config: RunConfig, dataset: Path, run: Path, *, at: int) -> None:
    """Train until step ``at`` asks for a stop, as a page would."""

    def clock() -> float:
        clock.calls += 1  # type: ignore[attr-defined]
        if clock.calls == at + 1:  # type: ignore[attr-defined]
            Run(run).request_stop()
        return 0.0

    clock.calls = 0  # type: ignore[attr-defined]
    train(config, dataset, run, resume=Run(run).exists(), clock=clock, report=quiet)


def test_a_run_leaves_a_whole_directory(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    lines: list[str] = []
    train(make_run_config(), dataset, tmp_path / "run", report=lines.append)
    run = Run(tmp_path / "run")
    assert run.status().state == "finished" and run.status().step == 12
    assert not run.alive()
    rows, _ = run.metrics()
    assert all(list(row) == KEYS + ["grad_norm_by_layer"] * (row["val_loss"] is not None) for row in rows)
    assert rows[0]["step"] == 1 and rows[-1]["step"] == 12
    assert rows[-1]["tokens"] == 12 * 4 * 16
    assert [row["step"] for row in rows if row["val_loss"] is not None] == [6, 12]
    assert rows[-1]["val_loss"] < rows[0]["loss"]
    samples, _ = run.samples()
    assert [row["step"] for row in samples] == [6, 12]
    assert samples[0]["prompt"] == samples[1]["prompt"] != ""
    assert run.data() == dataset
    assert lines[-1] == run.status().message
    loaded = checkpoint.load(tmp_path / "run")
    assert loaded.state["step"] == 12 and loaded.model.config == run.config().model


def test_config_yaml_holds_every_setting_with_what_auto_chose(
    dataset: Path, tmp_path: Path, make_run_config: Make
) -> None:
    train(make_run_config(precision="auto", max_steps=1), dataset, tmp_path / "run", report=quiet)
    written = Run(tmp_path / "run").config()
    assert written.training.precision in ("fp32", "bf16") and written.training.compile == "off"
    assert written.model.vocab_size == checkpoint.load(tmp_path / "run").tokenizer.vocab_size
    assert written.about == "for tests"


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_stopped_and_resumed_runs_end_with_the_same_bits(
    dataset: Path, tmp_path: Path, make_run_config: Make, optimizer: str
) -> None:
    config = make_run_config(optimizer=optimizer, dropout=0.2)
    train(config, dataset, tmp_path / "whole", report=quiet)
    for stop in (4, 3):
        interrupted(config, dataset, tmp_path / "parts", at=stop)
        assert Run(tmp_path / "parts").status().state == "stopped"
    train(config, dataset, tmp_path / "parts", resume=True, report=quiet)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")
    rows, _ = Run(tmp_path / "parts").metrics()
    steps = [row["step"] for row in rows]
    assert steps == sorted(set(steps)) and steps[-1] == 12


def test_a_resume_uses_as_many_threads_as_the_run_began_with(
    dataset: Path, tmp_path: Path, make_run_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microformer.training.lanes.WORTH_SHARING", 0)  # little as there is to do here
    monkeypatch.setattr("microformer.training.optimizers.FEW", 0)
    config = make_run_config(optimizer="muon", dropout=0.2)
    with threads(min(2, os.cpu_count() or 1)):
        train(config, dataset, tmp_path / "whole", report=quiet)
        interrupted(config, dataset, tmp_path / "parts", at=4)
    with threads(1):
        train(config, dataset, tmp_path / "parts", resume=True, report=quiet)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_windows_are_short_for_the_share_of_the_run_that_asks_for_it(
    dataset: Path, tmp_path: Path, make_run_config: Make
) -> None:
    config = make_run_config(short_share=0.5)
    train(config, dataset, tmp_path / "run", report=quiet)
    train(
        dataclasses.replace(config, training=dataclasses.replace(config.training, short_share=0.0)),
        dataset,
        tmp_path / "whole",
        report=quiet,
    )
    rows, whole = (Run(tmp_path / name).metrics()[0] for name in ("run", "whole"))
    assert [row["tokens"] for row in rows] == [row["tokens"] for row in whole]
    assert rows[0]["loss"] != whole[0]["loss"]
    interrupted(config, dataset, tmp_path / "parts", at=7)
    train(config, dataset, tmp_path / "parts", resume=True, report=quiet)
    assert weights(tmp_path / "parts") == weights(tmp_path / "run")


def test_annealed_dropout_ends_as_none_and_resumes_to_the_same_bits(
    dataset: Path, tmp_path: Path, make_run_config: Make
) -> None:
    config = make_run_config(dropout=0.9, anneal_dropout=True)
    train(config, dataset, tmp_path / "whole", report=quiet)
    train(make_run_config(dropout=0.9), dataset, tmp_path / "plain", report=quiet)
    (annealed, *_, last), (plain, *_, noisy) = (Run(tmp_path / name).metrics()[0] for name in ("whole", "plain"))
    assert annealed["loss"] == plain["loss"]  # all of it in the first step
    assert last["loss"] < noisy["loss"]
    interrupted(config, dataset, tmp_path / "parts", at=7)
    train(config, dataset, tmp_path / "parts", resume=True, report=quiet)
    assert weights(tmp_path / "parts") == weights(tmp_path / "whole")


def test_compiled_code_cannot_anneal_dropout(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    with pytest.raises(UserError, match="anneal_dropout"):
        train(make_run_config(anneal_dropout=True, compile="on"), dataset, tmp_path / "run", report=quiet)


def test_accumulated_gradients_are_those_of_the_whole_batch(
    dataset: Path, tmp_path: Path, make_run_config: Make
) -> None:
    for parts in (1, 4):
        train(make_run_config(gradient_accumulation=parts), dataset, tmp_path / str(parts), report=quiet)
    first, second = (checkpoint.load(tmp_path / name).model.state_dict() for name in ("1", "4"))
    for name, weight in first.items():
        torch.testing.assert_close(weight, second[name], atol=2e-3, rtol=0)


def test_evaluations_tell_how_strongly_each_layer_learns(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    config = make_run_config(max_steps=4, eval_every=2, grad_clip=1e-3)  # clipped, which is not to be seen
    train(config, dataset, tmp_path / "run", report=quiet)
    judged = [row for row in Run(tmp_path / "run").metrics()[0] if row["val_loss"] is not None]
    for row in judged:
        norms = row["grad_norm_by_layer"]
        assert len(norms) == config.model.n_layers and all(norm > 0 for norm in norms)
        assert sum(norm**2 for norm in norms) < row["grad_norm"] ** 2


def test_resume_of_a_finished_run_changes_nothing(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    train(make_run_config(), dataset, tmp_path / "run", report=quiet)
    before = weights(tmp_path / "run")
    train(make_run_config(), dataset, tmp_path / "run", resume=True, report=quiet)
    assert weights(tmp_path / "run") == before
    assert Run(tmp_path / "run").status().state == "finished"


def test_a_finished_run_can_be_given_more_steps(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    train(make_run_config(), dataset, tmp_path / "run", report=quiet)
    train(make_run_config(max_steps=15), dataset, tmp_path / "run", resume=True, report=quiet)
    assert Run(tmp_path / "run").status().step == 15


def test_resume_without_a_run_begins_one(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    train(make_run_config(max_steps=2), dataset, tmp_path / "run", resume=True, report=quiet)
    assert Run(tmp_path / "run").status().state == "finished"


def test_resume_goes_on_from_the_newest_whole_checkpoint(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    config = make_run_config()
    train(config, dataset, tmp_path / "run", report=quiet)
    before = weights(tmp_path / "run")
    newest = checkpoint.newest(tmp_path / "run")
    assert newest is not None
    (newest / checkpoint.WEIGHTS).write_bytes(b"torn")
    train(config, dataset, tmp_path / "run", resume=True, report=quiet)
    assert weights(tmp_path / "run") == before


def test_the_last_two_checkpoints_and_the_best_are_kept(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    # With a huge learning rate later steps are worse than the first.
    config = make_run_config(max_steps=12, eval_every=1, checkpoint_every=2, learning_rate=3.0, muon_learning_rate=3.0)
    train(config, dataset, tmp_path / "run", report=quiet)
    kept = [int(path.name.removeprefix("step-")) for path in checkpoint.checkpoints(tmp_path / "run")]
    rows, _ = Run(tmp_path / "run").metrics()
    best = min((row["val_loss"], row["step"]) for row in rows)[1]
    assert set(kept[-2:]) | {best} == set(kept)
    assert kept[-1] == 12 and best in kept


def test_a_run_that_diverges_keeps_its_last_finite_checkpoint(
    dataset: Path, tmp_path: Path, make_run_config: Make
) -> None:
    train(make_run_config(max_steps=5), dataset, tmp_path / "run", report=quiet)
    _poison(tmp_path / "run")
    before = weights(tmp_path / "run")
    train(make_run_config(max_steps=200), dataset, tmp_path / "run", resume=True, report=quiet)
    status = Run(tmp_path / "run").status()
    assert status.state == "diverged" and "lower the learning rate" in status.message
    assert weights(tmp_path / "run") == before


def _poison(run: Path) -> None:
    """Make the next gradient overflow: weights that are finite, but as large as they can be."""
    directory = checkpoint.newest(run)
    assert directory is not None
    tensors = load_tensors(directory / checkpoint.WEIGHTS)
    tensors["blocks.0.long_term.up"] = torch.full_like(tensors["blocks.0.long_term.up"], 3e38)
    save_tensors(tensors, directory / checkpoint.WEIGHTS)
    manifest = json.loads((directory / checkpoint.MANIFEST).read_text())
    manifest[checkpoint.WEIGHTS] = sha256(directory / checkpoint.WEIGHTS)
    (directory / checkpoint.MANIFEST).write_text(json.dumps(manifest))


def test_patience_ends_a_run_that_does_not_get_better(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    config = make_run_config(max_steps=500, eval_every=1, patience=2, learning_rate=5.0, muon_learning_rate=5.0)
    train(config, dataset, tmp_path / "run", report=quiet)
    status = Run(tmp_path / "run").status()
    assert status.state == "finished" and status.step < 500 and "early" in status.message


def test_a_budget_in_minutes_ends_decayed_inside_it(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    now = 0.0

    def clock() -> float:
        nonlocal now
        now += 1.0  # every look at the clock is a second later
        return now

    config = make_run_config(max_minutes=0.5, max_steps=None, eval_every=1000, schedule="linear")
    train(config, dataset, tmp_path / "run", clock=clock, report=quiet)
    rows, _ = Run(tmp_path / "run").metrics()
    assert rows[-1]["seconds"] <= 30 and rows[-1]["step"] >= 10
    assert rows[-1]["lr"] < 0.3 * config.training.learning_rate
    assert rows[-1]["val_loss"] is not None


def test_epochs_count_passes_over_the_text(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    train(make_run_config(max_epochs=0.1, max_steps=None), dataset, tmp_path / "run", report=quiet)
    rows, _ = Run(tmp_path / "run").metrics()
    assert rows[-1]["tokens"] == pytest.approx(0.1 * len(Dataset.open(dataset).train), abs=4 * 16)


def test_init_begins_with_the_weights_of_another_run(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    train(make_run_config(max_steps=30), dataset, tmp_path / "first", report=quiet)
    train(make_run_config(max_steps=1), dataset, tmp_path / "second", init=tmp_path / "first", report=quiet)
    rows, _ = Run(tmp_path / "second").metrics()
    fresh, _ = Run(tmp_path / "first").metrics()
    assert rows[0]["loss"] < fresh[0]["loss"] - 0.3


def test_a_second_trainer_is_refused(dataset: Path, tmp_path: Path, make_run_config: Make) -> None:
    run = Run(tmp_path / "run")
    run.path.mkdir()
    refused = threading.Event()
    with run.lock():
        assert run.alive()
        with pytest.raises(UserError, match="Another trainer"), Run(run.path).lock(patience=0.0):
            refused.set()
    assert not refused.is_set() and not run.alive()
