"""Where a step's arithmetic happens. The loop knows devices, precision and other processes only through ``Runtime``."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from microformer import checkpoint
from microformer.errors import UserError
from microformer.model.transformer import Transformer
from microformer.training.optimizers import Optimizer


class Runtime(Protocol):
    """What the loop needs done for it, on one device or on many."""

    device: torch.device
    main: bool
    """Whether this process writes the run directory."""

    def set_up(self, model: Transformer) -> nn.Module:
        """Put the model where it is trained; returns what is called in a training step."""
        ...

    def arithmetic(self) -> contextlib.AbstractContextManager[Any]:
        """A context in which forward passes use the run's number format."""
        ...

    def backward(self, loss: Tensor) -> None: ...

    def clip(self, weights: Iterable[Tensor], largest: float) -> Tensor:
        """Shrink all gradients so that their joint norm is at most ``largest`` (0: never); returns the norm before."""
        ...

    def reduce(self, value: Tensor) -> Tensor:
        """The mean of a value over all processes."""
        ...

    def save(
        self, directory: Path, *, model: Transformer, optimizer: Optimizer | None, state: dict[str, Any]
    ) -> None: ...


class PlainRuntime:
    """One process and one device, without any framework."""

    main = True

    def __init__(self, device: torch.device, precision: str, *, compiled: bool = False) -> None:
        self.device, self.compiled = device, compiled
        self.number_format = torch.bfloat16 if precision == "bf16" else torch.float32

    def set_up(self, model: Transformer) -> nn.Module:
        model.to(self.device)
        return torch.compile(model) if self.compiled else model  # type: ignore[return-value]

    def arithmetic(self) -> contextlib.AbstractContextManager[Any]:
        if self.number_format == torch.float32:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.number_format)

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def clip(self, weights: Iterable[Tensor], largest: float) -> Tensor:
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        norm = torch.stack(torch._foreach_norm(gradients)).norm()
        if largest:
            torch._foreach_mul_(gradients, (largest / (norm + 1e-6)).clamp(max=1.0))
        return norm

    def reduce(self, value: Tensor) -> Tensor:
        return value

    def save(self, directory: Path, *, model: Transformer, optimizer: Optimizer | None, state: dict[str, Any]) -> None:
        optimizer_state = None if optimizer is None else optimizer.state()
        checkpoint.save(directory, model=model, optimizer_state=optimizer_state, state=state)


def find_device(name: str = "auto") -> torch.device:
    """The device that ``name`` means: a GPU where there is one, else the CPU. ``UserError`` if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device is cuda, but PyTorch finds no GPU here; use cpu, or auto.")
    return torch.device(name)
