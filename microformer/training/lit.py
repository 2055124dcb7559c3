"""The same tasks under ``lightning.Trainer``, for its callbacks, loggers, early stopping and strategies.

    config, data = load_preset("mood"), Dataset.open("data/mood")
    trainer = lightning.Trainer(max_epochs=3, callbacks=[EarlyStopping("val_loss")])
    module = MicroformerLitModule(config, data)
    trainer.fit(module, MicroformerDataModule(config, data))
    module.save(Path("run"))   # from here on a run as any other

The command ``train`` does not need it: its loop resumes bit for bit and is faster on small machines.
"""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from microformer import checkpoint
from microformer.data.datasets import Dataset
from microformer.model.transformer import Transformer
from microformer.tasks.batch import Batch
from microformer.tasks.choose import choose_task, make_task, possible_tokens
from microformer.tasks.task import Task
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.evaluate import evaluate
from microformer.training.optimizers import make_optimizer
from microformer.training.progress import Budget
from microformer.training.resolve import resolve_task
from microformer.training.run_directory import Run
from microformer.training.schedules import learning_rate_factor
from microformer.training.setup import start_model


class MicroformerLitModule(lightning.LightningModule):
    """A model and its task. It logs ``loss``, ``val_loss`` and what else the task measures.

    ``config`` is completed from the dataset, as ``train`` does. Raises ``UserError`` where the two do not fit.
    """

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        super().__init__()
        shape = dataclasses.replace(config.model, vocab_size=dataset.tokenizer.vocab_size)
        config, shape = resolve_task(config, shape, dataset)
        self.config = dataclasses.replace(config, model=shape)
        self.dataset = dataset
        self.model: Transformer = start_model(self.config, dataset, None)
        self.task: Task = make_task(choose_task(config.task, shape, dataset), possible_tokens(self.model.logit_bias))

    def forward(self, *tensors: Tensor, **named: Tensor) -> Tensor:
        outputs: Tensor = self.model(*tensors, **named)
        return outputs

    def training_step(self, batch: Batch, index: int) -> Tensor:
        del index
        loss = self.task.loss(self.model, batch)
        self.log("loss", loss, prog_bar=True, batch_size=len(batch))
        return loss

    def validation_step(self, dataset: Dataset, index: int) -> None:
        """Evaluate the model on the whole validation split, which is one item."""
        del index
        training = self.config.training
        found = evaluate(self.model, dataset, task=self.task, batch_size=min(training.batch_size, 64))
        numbers = {name: value for name, value in found.metrics.items() if isinstance(value, float)}
        self.log_dict({"val_loss": found.loss, **numbers}, prog_bar=True, batch_size=1, sync_dist=True)

    def configure_optimizers(self) -> Any:
        steps = int(self.trainer.estimated_stepping_batches)
        optimizer = FactorOptimizer(self.model, self.config.training)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor_of(self.config.training, steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        del dataloader_idx
        return batch.to(device) if isinstance(batch, Batch) else batch

    def save(self, run: Path) -> None:
        """Make a run directory of the model as it is now: it can be sampled, taught, shared, and trained further."""
        directory = Run(run)
        directory.set_up(self.config, self.dataset.directory)
        place = run / "checkpoints" / f"step-{self.global_step}"
        checkpoint.save(place, model=self.model, optimizer_state=None, state={"step": self.global_step})
        directory.write_status("finished", self.global_step, "Trained with Lightning.")


class MicroformerDataModule(lightning.LightningDataModule):
    """A dataset's training batches, the same as those of ``train`` step by step, and its validation split."""

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        super().__init__()
        self.config, self.dataset = config, dataset
        shape = dataclasses.replace(config.model, vocab_size=dataset.tokenizer.vocab_size)
        self.task = make_task(choose_task(config.task, shape, dataset))

    def train_dataloader(self) -> DataLoader[Batch]:
        epoch = 0 if self.trainer is None else self.trainer.current_epoch
        return DataLoader(StepBatches(self.task, self.dataset, self.config, epoch), batch_size=None)

    def val_dataloader(self) -> DataLoader[Dataset]:
        return DataLoader(_Whole(self.dataset), batch_size=None)


class StepBatches(TorchDataset[Batch]):
    """The batches of one pass over the training split; item ``i`` of pass ``epoch`` is step epoch x len + i + 1.

    A ``Trainer`` repeats the first pass unless it has ``reload_dataloaders_every_n_epochs=1``.
    """

    def __init__(self, task: Task, dataset: Dataset, config: RunConfig, epoch: int = 0) -> None:
        self.task, self.dataset, self.config = task, dataset, config
        rows = task.extent(dataset, "train", config.model.max_seq_len).rows
        self.steps = max(1, math.ceil(rows / config.training.batch_size))
        self.first = epoch * self.steps + 1

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Batch:
        training, context = self.config.training, self.config.model.max_seq_len
        return self.task.batch(self.dataset, training.batch_size, context, training.seed, self.first + index)


class _Whole(TorchDataset[Dataset]):
    """A dataset as the only item."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Dataset:
        if index:
            raise IndexError(index)
        return self.dataset


class FactorOptimizer(torch.optim.Optimizer):
    """This program's AdamW or Muon behind PyTorch's interface; ``lr`` is the factor of the schedule (0 to 1)."""

    def __init__(self, model: nn.Module, training: TrainConfig) -> None:
        super().__init__([weight for weight in model.parameters() if weight.requires_grad], {"lr": 1.0})
        self.inner = make_optimizer(model, training)

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None if closure is None else closure()
        self.inner.step(self.param_groups[0]["lr"])
        return loss

    def state_dict(self) -> dict[str, Any]:
        return super().state_dict() | {"inner": self.inner.state()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.inner.load_state(state_dict["inner"])
        super().load_state_dict({name: state_dict[name] for name in ("state", "param_groups")})


def factor_of(training: TrainConfig, steps: int) -> Callable[[int], float]:
    """The schedule's factor by the number of steps done, for a run of ``steps``."""
    budget = Budget(max(1, steps))

    def factor(done: int) -> float:
        return learning_rate_factor(
            training.schedule,
            done=budget.done(done, 0.0),
            step=done + 1,
            warmup_steps=budget.warmup(training.warmup_steps),
            floor=training.min_learning_rate,
        )

    return factor
