"""AdamW and Muon, written out. Their state is plain named tensors, so that a checkpoint can hold it as it is.

PyTorch has both. They are written here because people come to read them, because creating the first
``torch.optim`` object imports a compiler (1.7 s of a run that may last ten), and because PyTorch's Muon always
multiplies in bfloat16, which a CPU without instructions for it does a hundred times slower than fp32.
"""

import functools
from collections.abc import Iterator, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn

from microformer.training.config import TrainConfig
from microformer.training.lanes import side_by_side

Named = dict[str, nn.Parameter]
TOGETHER = 2**22
"""Numbers of matrices that Muon stacks: beyond, stacking saves no time, and each of them is needed six times."""

FEW = 50_000
"""Weights that one lane has stepped over before another is awake."""

TOWARDS_ONE = ((8.1879, -23.8054, 17.5212), (3.8292, -2.7857, 0.5342), (2.4795, -1.6071, 0.3218))
"""Polynomials a x + b x^3 + c x^5 that one after the other bring all of 0.01 to 1 between 0.72 and 1.28.

Fitted for the least deviation at the end, as in Polar Express (arXiv:2505.16932). They trained Tiny Shakespeare as well
as four steps of Keller Jordan's one polynomial, which bring it between 0.68 and 1.2, and three of which do not.
"""


class Optimizer(Protocol):
    """Moves weights along their gradients. ``factor`` (0 to 1) comes from the schedule."""

    def step(self, factor: float) -> None: ...

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on besides weights and gradients, by name."""
        ...

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what ``state`` returned, bit for bit."""
        ...


class AdamW:
    """Adam with decoupled weight decay (arXiv:1711.05101): steps of equal size, whatever a gradient's scale.

    Only matrices that are not read row by row are decayed: ``decayed`` names them.
    """

    def __init__(
        self,
        parameters: Named,
        *,
        learning_rate: float,
        betas: tuple[float, float],
        weight_decay: float,
        decayed: set[str],
        eps: float = 1e-8,
    ) -> None:
        self.parameters = parameters
        self.learning_rate, self.betas, self.weight_decay, self.eps = learning_rate, betas, weight_decay, eps
        self.decayed = decayed
        self.lanes = lanes_for(parameters)
        self.steps = 0
        self.mean = {name: torch.zeros_like(weight) for name, weight in parameters.items()}
        self.square = {name: torch.zeros_like(weight) for name, weight in parameters.items()}

    def step(self, factor: float) -> None:
        self.steps += 1
        side_by_side(functools.partial(self._step, self.learning_rate * factor), self.lanes)

    @torch.no_grad()
    def _step(self, rate: float, lane: int) -> None:
        """The part of a step that one lane does."""
        beta1, beta2 = self.betas
        names = list(self.parameters)
        weights, gradients, mean, square = (
            [torch.atleast_1d(one).tensor_split(self.lanes)[lane] for one in tensors]  # a share of its rows
            for tensors in (
                [self.parameters[name] for name in names],
                _gradients([self.parameters[name] for name in names]),
                [self.mean[name] for name in names],
                [self.square[name] for name in names],
            )
        )
        torch._foreach_lerp_(mean, gradients, 1 - beta1)
        torch._foreach_mul_(square, beta2)
        torch._foreach_addcmul_(square, gradients, gradients, 1 - beta2)
        # Both averages start at zero; dividing by 1 - beta^t makes up for it.
        root = torch._foreach_sqrt(square)
        torch._foreach_div_(root, (1 - beta2**self.steps) ** 0.5)
        torch._foreach_add_(root, self.eps)
        decayed = [weight for name, weight in zip(names, weights, strict=True) if name in self.decayed]
        if self.weight_decay and decayed:
            torch._foreach_mul_(decayed, 1 - rate * self.weight_decay)
        torch._foreach_addcdiv_(weights, mean, root, -rate / (1 - beta1**self.steps))

    def state(self) -> dict[str, Tensor]:
        tensors = {"adamw.steps": torch.tensor(self.steps)}
        tensors |= {f"adamw.mean.{name}": value for name, value in self.mean.items()}
        tensors |= {f"adamw.square.{name}": value for name, value in self.square.items()}
        return tensors

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.steps = int(state["adamw.steps"])
        for name in self.parameters:
            self.mean[name].copy_(state[f"adamw.mean.{name}"])
            self.square[name].copy_(state[f"adamw.square.{name}"])


class Muon:
    """Momentum whose step is made orthogonal, so that a matrix learns in all directions at the same pace.

    From Keller Jordan (kellerjordan.github.io/posts/muon). Matrices of one shape are stacked and done together, on a
    CPU in ``lanes`` (see ``side_by_side``) that share the matrices out among themselves. ``arithmetic`` is the number
    format of the orthogonalisation, which needs no precision.
    """

    def __init__(
        self,
        parameters: Named,
        *,
        learning_rate: float,
        weight_decay: float,
        momentum: float = 0.95,
        arithmetic: torch.dtype = torch.float32,
    ) -> None:
        self.learning_rate, self.weight_decay, self.momentum = learning_rate, weight_decay, momentum
        self.arithmetic = arithmetic
        self.lanes = lanes_for(parameters)
        self.groups: dict[tuple[int, ...], Named] = {}
        for name, weight in parameters.items():
            self.groups.setdefault(tuple(weight.shape), {})[name] = weight
        self.buffers = {
            shape: torch.stack([torch.zeros_like(weight) for weight in group.values()])  # (matrices, rows, columns)
            for shape, group in self.groups.items()
        }

    def step(self, factor: float) -> None:
        side_by_side(functools.partial(self._step, self.learning_rate * factor), self.lanes)

    @torch.no_grad()
    def _step(self, rate: float, lane: int) -> None:
        """The part of a step that one lane does."""
        for shape, places in self._together(lane):
            weights: list[Tensor] = list(self.groups[shape].values())
            weights = weights[places]
            gradients = torch.stack(_gradients(weights))
            buffer = self.buffers[shape][places].lerp_(gradients, 1 - self.momentum)
            ahead = gradients.lerp_(buffer, self.momentum)  # Nesterov: look where the momentum is going
            update = orthogonal(ahead.to(self.arithmetic))
            tall = max(1.0, shape[0] / shape[1]) ** 0.5
            if self.weight_decay:
                torch._foreach_mul_(weights, 1 - rate * self.weight_decay)
            torch._foreach_add_(weights, list(update.unbind()), alpha=-rate * tall)

    def _together(self, lane: int) -> Iterator[tuple[tuple[int, ...], slice]]:
        """Which matrices one lane does at once: of one shape, and not too many for the memory that takes."""
        for shape, group in self.groups.items():
            stride = self.lanes * max(1, TOGETHER // (shape[0] * shape[1]))
            for start in range(lane, len(group), stride):
                yield shape, slice(start, min(start + stride, len(group)), self.lanes)

    def state(self) -> dict[str, Tensor]:
        return {
            f"muon.momentum.{name}": self.buffers[shape][index]
            for shape, group in self.groups.items()
            for index, name in enumerate(group)
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        for name, momentum in self.state().items():
            momentum.copy_(state[name])


class Together:
    """Several optimizers, each with its own weights, as one."""

    def __init__(self, parts: list[Optimizer]) -> None:
        self.parts = parts

    def step(self, factor: float) -> None:
        for part in self.parts:
            part.step(factor)

    def state(self) -> dict[str, Tensor]:
        return {name: tensor for part in self.parts for name, tensor in part.state().items()}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        for part in self.parts:
            part.load_state(state)


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices with the same singular vectors and all singular values near 1, by Newton-Schulz iteration.

    Each step is a polynomial of its own, ``TOWARDS_ONE``. *Shape:* (matrices, rows, columns) -> the same.
    """
    upright = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if upright else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for a, b, c in TOWARDS_ONE:
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if upright else x


def make_optimizer(model: nn.Module, config: TrainConfig, *, arithmetic: torch.dtype = torch.float32) -> Optimizer:
    """The optimizer that ``config`` names, over all weights of a model that take gradients.

    Embeddings are never decayed: a token that the text does not have must keep its own random vector, or the names
    spelled with it could not be told apart when somebody teaches them.
    """
    named = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    matrices = {name for name, weight in named.items() if weight.ndim == 2 and "blocks." in name}
    parts: list[Optimizer] = []
    if config.optimizer == "muon":
        for_muon = {name for name in matrices if ".long_term." not in name and ".lora_" not in name}
        parts.append(
            Muon(
                {name: named[name] for name in named if name in for_muon},
                learning_rate=config.muon_learning_rate,
                weight_decay=config.weight_decay,
                arithmetic=arithmetic,
            )
        )
        named = {name: weight for name, weight in named.items() if name not in for_muon}
    if named:
        parts.append(
            AdamW(
                named,
                learning_rate=config.learning_rate,
                betas=(0.9, config.beta2),
                weight_decay=config.weight_decay,
                decayed=matrices,
            )
        )
    return Together(parts)


def lanes_for(parameters: Named) -> int:
    """In how many lanes a step over these is done: one for each of PyTorch's threads on a CPU, unless they are few."""
    numbers = sum(weight.numel() for weight in parameters.values())
    on_cpu = all(weight.device.type == "cpu" for weight in parameters.values())
    return torch.get_num_threads() if on_cpu and numbers >= FEW else 1


def _gradients(weights: list[Tensor]) -> list[Tensor]:
    """Each weight's gradient; zeros for one that the loss did not reach."""
    return [torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in weights]
