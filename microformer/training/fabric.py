"""Several processes train one model: Lightning Fabric as the runtime of the same loop.

Fabric starts the processes (or joins those that torchrun or SLURM started), and its strategies keep them together. A
run on one device never imports it. On a CPU, ``ddp`` works and is tested; what needs GPUs has not been tried.
"""

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from microformer import checkpoint
from microformer.adapters.build import build_model
from microformer.errors import UserError
from microformer.model.dropout import chance_from
from microformer.model.transformer import Transformer
from microformer.tasks.batch import Batch
from microformer.tasks.task import Task
from microformer.training.config import TrainConfig
from microformer.training.optimizers import Optimizer
from microformer.training.runtime import find_device, shrink

if TYPE_CHECKING:
    from lightning.fabric import Fabric

SHARDING = ("fsdp", "deepspeed")
"""Strategies that split the weights among the devices."""
RANKS = ("RANK", "LOCAL_RANK", "SLURM_PROCID")
"""Where torchrun, Lightning's launcher and SLURM tell a process its number."""


def wanted(training: TrainConfig) -> bool:
    """Whether these settings ask for more than one process or device."""
    return training.devices > 1 or training.nodes > 1 or training.strategy != "auto"


def is_main(training: TrainConfig) -> bool:
    """Whether this process is the one that writes the run, before Fabric is there to ask."""
    return not wanted(training) or all(os.environ.get(name, "0") == "0" for name in RANKS)


def fabric_arguments(training: TrainConfig) -> dict[str, Any]:
    """What Fabric is asked for. Raises ``UserError`` for what this machine or these settings cannot do."""
    device, processes = find_device(training.device), training.devices * training.nodes
    if device.type == "cpu" and training.strategy in SHARDING:
        raise UserError(
            f"strategy is {training.strategy}, which splits a model among GPUs, and there is none here; use ddp."
        )
    if device.type == "cuda" and training.devices > torch.cuda.device_count():
        raise UserError(f"devices is {training.devices}, but this machine has {torch.cuda.device_count()} GPUs.")
    if device.type == "cpu" and training.devices > (os.cpu_count() or 1):
        raise UserError(f"devices is {training.devices}, but this machine has {os.cpu_count()} processors.")
    pieces = processes * training.gradient_accumulation
    if training.batch_size % pieces:
        raise UserError(
            f"batch_size is {training.batch_size}, but must be a multiple of {processes} processes times "
            f"{training.gradient_accumulation} passes; try {max(1, training.batch_size // pieces) * pieces}."
        )
    if training.strategy in SHARDING and training.optimizer != "adamw":
        raise UserError(f"optimizer is {training.optimizer}, but {training.strategy} works with adamw only.")
    return {
        "accelerator": device.type,
        "devices": training.devices,
        "num_nodes": training.nodes,
        "strategy": "ddp" if training.strategy == "auto" else training.strategy,
        "precision": {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}.get(training.precision, "32-true"),
    }


def agreed(training: TrainConfig) -> TrainConfig:
    """The same settings with a precision that needs no measuring, so that all processes choose the same: unless one was
    asked for, bf16 on GPUs and fp32 on CPUs."""
    if training.precision != "auto":
        return training
    return replace(training, precision="bf16" if find_device(training.device).type == "cuda" else "fp32")


def launch(training: TrainConfig) -> "Fabric":
    """Fabric with all its processes running, each of which returns from here.

    Raises ``UserError`` in a notebook: the others begin by running the script again.
    """
    begun = any(name in os.environ for name in RANKS)
    if training.devices > 1 and not begun and not hasattr(sys.modules["__main__"], "__file__"):
        raise UserError(
            f"devices is {training.devices}, but only a script or the command line can start other processes; "
            "use python -m microformer train, or set devices to 1."
        )
    from lightning.fabric import Fabric

    logging.getLogger("lightning.fabric").setLevel(logging.WARNING)  # it tells each process's number, to everybody
    arguments = fabric_arguments(training)
    if arguments["strategy"] == "ddp":
        from lightning.fabric.strategies import DDPStrategy

        arguments["strategy"] = DDPStrategy(forward_sync_buffers=False)
    fabric = Fabric(**arguments)
    fabric.launch()
    return fabric


class FabricRuntime:
    """One of several processes; each learns from its share of every batch."""

    def __init__(self, fabric: "Fabric", model: Transformer, training: TrainConfig) -> None:
        self.fabric, self.model = fabric, model
        self.device, self.main = fabric.device, fabric.is_global_zero
        self.own_optimizer = ShardedAdamW(model, training) if training.strategy in SHARDING else None
        self.module: Any
        if self.own_optimizer is None:
            self.module = fabric.setup_module(model)
        else:
            self.module, self.own_optimizer.inner = fabric.setup(model, self.own_optimizer.inner)
        self._chance = torch.Generator(device=self.device)

    def learn(self, task: Task, batch: Batch, *, parts: int, seed: int, dropout: float = 1.0) -> Tensor:
        for weight in self.module.parameters():
            weight.grad = None
        rank, size = self.fabric.global_rank, self.fabric.world_size
        total = torch.zeros((), device=self.device)
        for part, piece in enumerate(batch.share(rank, size).split(parts)):
            weight = size * piece.predictions / batch.predictions  # the processes' gradients are averaged
            self._chance.manual_seed((seed * 4099 + part) * size + rank)
            with (
                self.fabric.no_backward_sync(self.module, enabled=part < parts - 1),
                chance_from(self._chance, dropout),
            ):
                loss = task.loss(self.module, piece.to(self.device)) * weight
                self.fabric.backward(loss)
            total += loss.detach()
        return total

    def clip(self, largest: float) -> Tensor:
        if self.own_optimizer is not None:
            norm = self.fabric.clip_gradients(self.module, self.own_optimizer.inner, max_norm=largest or float("inf"))
            return torch.zeros((), device=self.device) if norm is None else norm
        return shrink([weight.grad for weight in self.module.parameters() if weight.grad is not None], largest)

    def reduce(self, value: Tensor) -> Tensor:
        return self.fabric.all_reduce(value, reduce_op="mean")  # type: ignore[return-value]

    def agree(self, seconds: float, asked: bool) -> tuple[float, bool]:
        shared = torch.tensor([seconds, float(asked)], dtype=torch.float64, device=self.device)
        torch.distributed.broadcast(shared, src=0)
        return float(shared[0]), bool(shared[1])

    def quick_model(self) -> Transformer:
        return self.model if self.own_optimizer is None else self.module

    def save(self, directory: Path, *, model: Transformer, optimizer: Optimizer | None, state: dict[str, Any]) -> None:
        if self.own_optimizer is not None:
            model = self._gathered()
        if self.main:
            optimizer_state = None if optimizer is None else optimizer.state()
            checkpoint.save(directory, model=model, optimizer_state=optimizer_state, state=state)

    def _gathered(self) -> Transformer:
        """The whole model in one piece, on the CPU of the first process."""
        from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        weights = get_model_state_dict(self.module._forward_module, options=options)
        whole = build_model(self.model.config)
        if self.main:
            whole.load_state_dict({name.removeprefix("module."): weight for name, weight in weights.items()})
        return whole


class ShardedAdamW:
    """PyTorch's AdamW, whose state Fabric splits with the weights. It is not saved: a resume begins it anew."""

    def __init__(self, model: Transformer, training: TrainConfig) -> None:
        self.rate = training.learning_rate
        self.inner: Any = torch.optim.AdamW(
            [weight for weight in model.parameters() if weight.requires_grad],
            lr=self.rate,
            betas=(0.9, training.beta2),
            weight_decay=training.weight_decay,
        )

    def step(self, factor: float) -> None:
        for group in self.inner.param_groups:
            group["lr"] = self.rate * factor
        self.inner.step()

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        del state
