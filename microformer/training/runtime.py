"""Where a step's arithmetic happens. The loop knows devices, precision and other processes only through ``Runtime``."""

import copy
import functools
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from microformer import checkpoint
from microformer.errors import UserError
from microformer.generation.threads import threads
from microformer.model.dropout import chance_from
from microformer.model.transformer import Transformer
from microformer.tasks.batch import Batch
from microformer.tasks.task import Task
from microformer.training.lanes import side_by_side, worth_sharing
from microformer.training.optimizers import Optimizer

PIECE_NUMBERS = 2**18
"""Tokens x width that go through a model together on a CPU, so that what an operation reads stays in its cache."""


class Runtime(Protocol):
    """What the loop needs done for it, on one device or on many."""

    device: torch.device
    main: bool
    """Whether this process writes the run directory."""

    @property
    def own_optimizer(self) -> Optimizer | None:
        """An optimizer that comes with the runtime, where the weights are split among devices."""
        ...

    def learn(self, task: Task, batch: Batch, *, parts: int, seed: int, dropout: float = 1.0) -> Tensor:
        """Leave the gradient of a batch's mean loss in the weights, and return that loss, still on the device.

        The batch goes through the model in at least ``parts`` pieces. ``seed`` decides what dropout drops, and
        ``dropout`` how much of what the model's configuration says.
        """
        ...

    def clip(self, largest: float) -> Tensor:
        """Shrink all gradients so that their joint norm is at most ``largest`` (0: never); returns the norm before."""
        ...

    def reduce(self, value: Tensor) -> Tensor:
        """The mean of a value over all processes."""
        ...

    def agree(self, seconds: float, asked: bool) -> tuple[float, bool]:
        """What the first process says: how long the run has worked, and whether it was asked to stop."""
        ...

    def quick_model(self) -> Transformer:
        """The model as it is now, in the number format that it is trained in."""
        ...

    def save(
        self, directory: Path, *, model: Transformer, optimizer: Optimizer | None, state: dict[str, Any]
    ) -> None: ...


class PlainRuntime:
    """One process and one device, without any framework.

    With bf16 the products are done by a copy of the model, brought up to date once a step: the blocks in bf16; the
    residual stream, the embeddings and the weights that the optimizer moves stay in fp32.

    On a CPU each thread learns from pieces of the batch of its own ("lanes"). The two threads of a small machine then
    meet once in a step, not at each of its hundreds of operations, and each works in its own cache.
    """

    main = True
    own_optimizer = None

    def __init__(self, model: Transformer, device: torch.device, precision: str, *, compiled: bool = False) -> None:
        self.device, self.compiled = device, compiled
        self.model = model.to(device)
        self.copy = in_bf16(model) if precision == "bf16" else model
        self.forward: nn.Module = torch.compile(self.copy) if compiled else self.copy  # type: ignore[assignment]
        self.weights: list[Tensor] = [weight for weight in model.parameters() if weight.requires_grad]
        self.learning: list[Tensor] = [weight for weight in self.copy.parameters() if weight.requires_grad]
        self.lanes = torch.get_num_threads() if device.type == "cpu" else 1
        self.numbers = sum(weight.numel() for weight in self.weights)
        self._here = threading.local()
        self.sparing = self.copy.recompute and device.type == "cpu"  # a backward pass stays in its thread only there
        for place, weight in enumerate(self.learning if self.sparing else ()):
            weight.register_hook(functools.partial(self._take, place))

    @threads(1)
    def learn(self, task: Task, batch: Batch, *, parts: int, seed: int, dropout: float = 1.0) -> Tensor:
        self.quick_model()
        for weight in self.weights:
            weight.grad = None  # makes room
        sharing = worth_sharing(self.numbers * batch.positions * len(batch))
        lanes = min(self.lanes, len(batch)) if sharing else 1
        if self.device.type == "cpu":
            rows = piece_rows(self.model.config.d_model, batch.positions)
            parts = max(parts, lanes * -(-len(batch) // (lanes * rows)))
        pieces = list(enumerate(batch.split(min(parts, len(batch)))))
        predictions = batch.predictions

        def follow(lane: int) -> tuple[Tensor, list[Tensor]]:
            return self._follow(task, pieces[lane::lanes], predictions, seed, dropout)

        found = side_by_side(follow, lanes)
        for weight, *gradients in zip(self.weights, *(gradients for _, gradients in found), strict=True):
            for one in gradients[1:]:
                gradients[0].add_(one)
            weight.grad = gradients[0]
        return sum((loss for loss, _ in found[1:]), start=found[0][0])

    def _follow(
        self, task: Task, pieces: Sequence[tuple[int, Batch]], predictions: int, seed: int, dropout: float
    ) -> tuple[Tensor, list[Tensor]]:
        """The part that some numbered pieces of a batch of ``predictions`` have in its mean loss and its gradient."""
        total = torch.zeros((), device=self.device)
        gradients: list[Tensor | None] = [None] * len(self.weights)
        chance = torch.Generator()
        for index, piece in pieces:
            chance.manual_seed(seed * 4099 + index)
            with chance_from(chance, dropout):
                loss = task.loss(self.forward, piece.to(self.device)) * (piece.predictions / predictions)
            self._here.gradients = gradients
            found: list[Tensor | None] = list(torch.autograd.grad(loss, self.learning, allow_unused=True))
            self._here.gradients = None
            for place in range(0 if self.sparing else len(found)):
                one, found[place] = found[place], None  # let go of at once: a large model's take as much as its weights
                if one is not None:
                    self._add(gradients, place, one)
            total += loss.detach()
        kept = zip(self.weights, gradients, strict=True)
        return total, [torch.zeros_like(weight) if one is None else one for weight, one in kept]

    def _add(self, gradients: list[Tensor | None], place: int, one: Tensor) -> None:
        before = gradients[place]
        gradients[place] = one.to(self.weights[place].dtype, copy=True) if before is None else before.add_(one)

    def _take(self, place: int, gradient: Tensor) -> Tensor:
        """Add a weight's gradient as soon as it is known, and leave nothing of it behind.

        Where activations are computed again, all gradients at once would take much of what that saves.
        """
        gradients = getattr(self._here, "gradients", None)
        if gradients is None:
            return gradient  # somebody else's backward pass
        self._add(gradients, place, gradient)
        return gradient.new_zeros(()).expand_as(gradient)

    @torch.no_grad()
    def quick_model(self) -> Transformer:
        if self.copy is not self.model:
            torch._foreach_copy_(self.learning, self.weights)
        return self.copy

    @threads(1)
    def clip(self, largest: float) -> Tensor:
        return shrink([weight.grad for weight in self.weights if weight.grad is not None], largest)

    def reduce(self, value: Tensor) -> Tensor:
        return value

    def agree(self, seconds: float, asked: bool) -> tuple[float, bool]:
        return seconds, asked

    def save(self, directory: Path, *, model: Transformer, optimizer: Optimizer | None, state: dict[str, Any]) -> None:
        optimizer_state = None if optimizer is None else optimizer.state()
        checkpoint.save(directory, model=model, optimizer_state=optimizer_state, state=state)


def piece_rows(width: int, context: int) -> int:
    """How many sequences go through a model together on a CPU."""
    return max(1, PIECE_NUMBERS // (width * context))


def shrink(gradients: list[Tensor], largest: float) -> Tensor:
    """Scale gradients in place to a joint norm of at most ``largest`` (0: leave them); returns the norm before."""
    norm = torch.stack(torch._foreach_norm(gradients)).norm()
    if largest:
        torch._foreach_mul_(gradients, (largest / (norm + 1e-6)).clamp(max=1.0))
    return norm


def in_bf16(model: Transformer) -> Transformer:
    """A copy whose blocks multiply in bf16. Embeddings, whose gradients are sums over the whole batch, stay in fp32."""
    made = copy.deepcopy(model)
    for stack in (made, made.encoder):
        if stack is not None:
            stack.blocks.to(torch.bfloat16)
            stack.norm.to(torch.bfloat16)
    return made


def find_device(name: str = "auto") -> torch.device:
    """The device that ``name`` means: a GPU where there is one, else the CPU. ``UserError`` if it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UserError("device is cuda, but PyTorch finds no GPU here; use cpu, or auto.")
    return torch.device(name)
