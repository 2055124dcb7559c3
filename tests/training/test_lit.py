"""The tasks under Lightning's own trainer."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from microformer import checkpoint
from microformer.data.datasets import Dataset
from microformer.data.json_lines import JSONLinesDataset
from microformer.data.prepare import prepare
from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.tasks.choose import task_of
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.evaluate import evaluate

CONFIG = RunConfig(
    ModelConfig(kind="encoder", d_model=16, n_layers=1, n_heads=2, max_seq_len=32, adapter_dim=0),
    TrainConfig(batch_size=16, optimizer="muon", learning_rate=0.01, warmup_steps=2, device="cpu"),
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("lit") / "rows.jsonl"
    texts = [{"text": f"{'good' if n % 2 else 'bad'} number {n}", "label": "+-"[n % 2]} for n in range(160)]
    path.write_text("\n".join(json.dumps(row) for row in texts))
    prepare([path], "char", path.parent / "data")
    return path


def test_a_trainer_stops_early_logs_and_leaves_a_run(rows: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Lightning advises on small runs
        import lightning
        from lightning.pytorch.callbacks import EarlyStopping
        from lightning.pytorch.loggers import CSVLogger

        from microformer.training.lit import MicroformerDataModule, MicroformerLitModule

        data = Dataset.open(rows.parent / "data")
        stopping = EarlyStopping("val_loss", patience=1, stopping_threshold=0.2)
        quiet: dict[str, Any] = {"enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
        logger = CSVLogger(tmp_path / "logs")
        trainer = lightning.Trainer(
            max_epochs=40, callbacks=[stopping], logger=logger, log_every_n_steps=1, default_root_dir=tmp_path, **quiet
        )
        module = MicroformerLitModule(CONFIG, data)
        trainer.fit(module, MicroformerDataModule(CONFIG, data))
    assert 0 < stopping.stopped_epoch < 39 and trainer.callback_metrics["accuracy"] == 1.0
    assert module.config.labels == ("+", "-")
    module.save(tmp_path / "run")
    loaded = checkpoint.load(tmp_path / "run")
    found = evaluate(loaded.model, data, task=task_of(loaded.config))
    assert found.loss == pytest.approx(float(trainer.callback_metrics["val_loss"]), abs=1e-5)


def test_lightning_takes_the_steps_of_the_loop(rows: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from microformer.training.lit import FactorOptimizer, MicroformerDataModule, MicroformerLitModule, StepBatches

    data = Dataset.open(rows.parent / "data")
    module = MicroformerLitModule(CONFIG, data)
    batches = StepBatches(module.task, data, CONFIG, epoch=1)
    assert len(batches) == 9 == len(MicroformerDataModule(CONFIG, data).train_dataloader())
    assert torch.equal(batches[2].inputs, module.task.batch(data, 16, 32, CONFIG.training.seed, 12).inputs)
    optimizer = FactorOptimizer(module.model, CONFIG.training)
    module.task.loss(module.model, batches[0]).backward()
    optimizer.step()
    state = {name: tensor.clone() for name, tensor in optimizer.state_dict()["inner"].items()}
    again = FactorOptimizer(module.model, CONFIG.training)
    again.load_state_dict(optimizer.state_dict())
    assert all(torch.equal(tensor, state[name]) for name, tensor in again.inner.state().items())


def test_rows_of_a_file_are_a_torch_dataset(rows: Path, tmp_path: Path) -> None:
    found = JSONLinesDataset(rows)
    assert len(found) == 160 and found.kind == "labelled"
    assert found[1] == {"text": "good number 1", "label": "-"}
    (tmp_path / "plain.jsonl").write_text('"some text"')
    with pytest.raises(UserError, match="holds plain text"):
        JSONLinesDataset(tmp_path / "plain.jsonl")
