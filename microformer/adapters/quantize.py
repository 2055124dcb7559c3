"""Weights in fewer bits for sampling: int8 with a scale for each row, or int4 with a scale and a middle for each group.

Only weights are rounded; activations stay bf16, so no data is needed for calibration. The products are
PyTorch's own kernels for packed integers. ``torchao`` 0.18 was tried: without a compiler its int8 layer took twice as
long as fp32 for one token (141 against 73 microseconds, 512 to 1,536 wide), and it packs no int4 for a CPU.
"""

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.adapters.lora import merged
from microformer.errors import UserError
from microformer.model.transformer import Transformer

GROUP = 64
"""Inputs of a row that share an int4 scale: 4.5 bits a weight in all."""
INPUTS, OUTPUTS = 32, 16
"""How many inputs the int8 kernel reads at a time (past the end of a row it would crash) and how many outputs the int4
kernel makes. Weights are padded with zeros to a multiple."""
SHRINK = (1.0, 0.95, 0.9, 0.85, 0.8)
"""How much of a group's range is tried; cutting an outlier off can serve the others."""


class PackedLinear(nn.Module, ABC):
    """A linear map whose weight is packed integers. *Shape:* (…, in_features) -> (…, out_features) in bf16."""

    scale: Tensor

    reads_at_once = INPUTS

    def __init__(self, in_features: int, out_features: int, bias: bool = False) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.filling = -in_features % self.reads_at_once
        self.bias = nn.Parameter(torch.zeros(out_features)) if bias else None

    @classmethod
    def from_base(cls, base: nn.Linear | nn.Embedding) -> Self:
        """The rounded form of a layer or a table."""
        rows, width = base.weight.shape
        bias = getattr(base, "bias", None)
        made = cls(width, rows, bias is not None)
        made.pack(base.weight.detach().float())
        if bias is not None:
            made.bias = nn.Parameter(bias.detach())
        return made

    @abstractmethod
    def pack(self, weight: Tensor) -> None:
        """Take over a weight, rounded. *Shape:* (out_features, in_features)."""

    def forward(self, hidden: Tensor) -> Tensor:
        hidden = hidden.to(torch.bfloat16)
        rows = hidden.reshape(-1, self.in_features)
        if self.filling:
            rows = F.pad(rows, (0, self.filling))
        if torch.is_grad_enabled() and hidden.requires_grad:  # a session is being taught
            made: Tensor = _Differentiable.apply(rows, self)
        else:
            made = self.product(rows)
        made = made.view(*hidden.shape[:-1], self.out_features)
        return made if self.bias is None else made + self.bias

    @abstractmethod
    def product(self, rows: Tensor) -> Tensor:
        """*Shape:* (rows, in_features + filling) in bf16 -> (rows, out_features)."""

    @abstractmethod
    def dequantized(self) -> Tensor:
        """The weight as numbers again. *Shape:* (out_features, in_features + filling) of fp32."""


class Int8Linear(PackedLinear):
    """``packed`` (out_features, in_features + filling) of int8 times ``scale`` (out_features,)."""

    def __init__(self, in_features: int, out_features: int, bias: bool = False) -> None:
        super().__init__(in_features, out_features, bias)
        self.register_buffer("scale", torch.zeros(out_features, dtype=torch.bfloat16))
        self.register_buffer("packed", torch.zeros(out_features, in_features + self.filling, dtype=torch.int8))
        self.packed: Tensor

    def pack(self, weight: Tensor) -> None:
        self.scale = (weight.abs().amax(1) / 127).clamp(min=1e-12).bfloat16()
        whole = (weight / self.scale.float()[:, None]).round().clamp(-127, 127)
        self.packed = F.pad(whole.to(torch.int8), (0, self.filling))

    def product(self, rows: Tensor) -> Tensor:
        return torch.ops.aten._weight_int8pack_mm(rows, self.packed, self.scale)

    def dequantized(self) -> Tensor:
        return self.packed.float() * self.scale.float()[:, None]


class Int8Table(Int8Linear):
    """Token vectors that are looked up and, with tied weights, multiplied with as well.

    Not in 4 bits: the int4 kernel keeps them in an order of its own, from which no row can be looked up, so that a
    table for both would be in memory twice, as large as this one.
    """

    @property
    def weight(self) -> Tensor:
        return self.dequantized()[:, : self.in_features]

    def forward(self, tokens: Tensor) -> Tensor:
        rows = self.packed[tokens].float() * self.scale[tokens].float().unsqueeze(-1)
        return rows[..., : self.in_features]

    def read_out(self, hidden: Tensor) -> Tensor:
        """Logits of all tokens. *Shape:* (…, d_model) -> (…, vocab)."""
        return super().forward(hidden)


class Int4Linear(PackedLinear):
    """Integers 0 to 15, less 8, times the group's scale, plus its middle: ``scale`` (groups, rows, 2) has both.

    In memory they lie as the processor's kernel wants them (``kernel``). A file has ``packed`` (rows, inputs / 2), two
    neighbours to a byte, the first in the low half; both sides are padded with zeros.
    """

    reads_at_once = GROUP

    def __init__(self, in_features: int, out_features: int, bias: bool = False) -> None:
        super().__init__(in_features, out_features, bias)
        inputs, rows = in_features + self.filling, out_features + -out_features % OUTPUTS
        self.register_buffer("scale", torch.zeros(inputs // GROUP, rows, 2, dtype=torch.bfloat16))
        self.register_buffer("kernel", torch.zeros(rows, inputs // 2, dtype=torch.uint8), persistent=False)
        self.kernel: Tensor

    def pack(self, weight: Tensor) -> None:
        filled = F.pad(weight, (0, self.filling, 0, len(self.kernel) - len(weight)))
        numbers, scale = _rounded(filled.unflatten(1, (-1, GROUP)))
        self.scale = scale.transpose(0, 1).contiguous()
        self.kernel = _for_kernel(numbers.flatten(1))

    def product(self, rows: Tensor) -> Tensor:
        return self._multiply(rows, self.scale)[:, : self.out_features]

    def dequantized(self) -> Tensor:
        return self.product(torch.eye(self.in_features + self.filling, dtype=torch.bfloat16)).T.float()

    def _multiply(self, rows: Tensor, scale: Tensor) -> Tensor:
        return torch.ops.aten._weight_int4pack_mm_for_cpu(rows, self.kernel, GROUP, scale)

    def _numbers(self) -> Tensor:
        """What the kernel holds, read by multiplying with ones. *Shape:* (rows, inputs) of 0 to 15."""
        if self.kernel.is_meta:
            return torch.empty(len(self.kernel), len(self.scale) * GROUP, dtype=torch.uint8, device="meta")
        plain = torch.ones_like(self.scale)
        plain[..., 1] = 8
        return self._multiply(torch.eye(len(self.scale) * GROUP, dtype=torch.bfloat16), plain).T.to(torch.uint8)

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        numbers = self._numbers()
        destination[f"{prefix}packed"] = numbers[:, ::2] | (numbers[:, 1::2] << 4)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        packed = state_dict.pop(f"{prefix}packed")
        self.kernel = _for_kernel(torch.stack([packed & 15, packed >> 4], dim=-1).flatten(1))
        super()._load_from_state_dict(state_dict, prefix, *rest)


class _Differentiable(torch.autograd.Function):
    """The packed product with a gradient for what it reads; the weight has none."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, layer: PackedLinear) -> Tensor:
        ctx.layer = layer
        return layer.product(rows)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return (grad.float() @ ctx.layer.dequantized()).to(grad.dtype), None


def quantized(model: Transformer, bits: int) -> Transformer:
    """A copy of the model with its weights in ``bits``; low-rank additions are merged first.

    With 8 bits the linear layers of the blocks and the token tables are int8; with 4 the linear layers are int4. All
    else, and with 16 bits everything, is bf16. Raises ``UserError`` for a model that is quantized already.
    """
    if model.config.bits != 32:
        raise UserError(
            f"This model's weights have {model.config.bits} bits already; quantize the one it was made from."
        )
    made = merged(model)
    made.config = dataclasses.replace(made.config, bits=bits)
    for name, kind in _packed_layers(made):
        made.set_submodule(name, kind.from_base(made.get_submodule(name)))  # type: ignore[arg-type]
    return _rest_in_bf16(made).eval()


def with_packed_layers(model: Transformer) -> Transformer:
    """A model that was just built, with empty layers of the ``bits`` in its configuration, to load weights into."""
    for name, kind in _packed_layers(model):
        base: Any = model.get_submodule(name)
        rows, width = base.weight.shape
        model.set_submodule(name, kind(width, rows, getattr(base, "bias", None) is not None))
    return _rest_in_bf16(model)


def _packed_layers(model: Transformer) -> list[tuple[str, type[PackedLinear]]]:
    """Names of the layers that are packed integers, and what they become."""
    if model.config.bits == 16:
        return []
    linear: type[PackedLinear] = Int8Linear if model.config.bits == 8 else Int4Linear
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and "blocks." in name]
    tables = [name for name in ("tokens", "unembedding") if getattr(model, name) is not None]
    return [(name, linear) for name in names] + [(name, Int8Table) for name in tables]


def _rest_in_bf16(model: Transformer) -> Transformer:
    """The model with all weights that are not packed in bf16; none of them learns."""
    for weight in model.parameters():
        weight.data = weight.data.bfloat16()
    return model.requires_grad_(False)


def weight_bytes(model: Transformer) -> int:
    """What the model's weights take in memory."""
    return sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()])


def _rounded(groups: Tensor) -> tuple[Tensor, Tensor]:
    """Numbers 0 to 15, and scale and middle of each group, with the least squared error among ``SHRINK``.

    *Shape:* (rows, groups, GROUP) -> the same of uint8, (rows, groups, 2) of bf16.
    """
    low, high = groups.amin(-1, keepdim=True), groups.amax(-1, keepdim=True)
    best_error = torch.full_like(low, float("inf"))
    numbers, both = torch.zeros_like(groups), torch.zeros(*groups.shape[:-1], 2, device=groups.device)
    for share in SHRINK:
        scale = ((high - low) * share / 15).clamp(min=1e-12).bfloat16().float()
        middle = ((high + low) / 2 + scale / 2).bfloat16().float()  # 0 to 15 less 8 is -8 to 7
        tried = ((groups - middle) / scale + 8).round().clamp(0, 15)
        error = ((tried - 8) * scale + middle - groups).square().sum(-1, keepdim=True)
        better = error < best_error
        best_error = torch.where(better, error, best_error)
        numbers = torch.where(better, tried, numbers)
        both = torch.where(better, torch.cat([scale, middle], dim=-1), both)
    return numbers.to(torch.uint8), both.bfloat16()


def _for_kernel(numbers: Tensor) -> Tensor:
    """*Shape:* (rows, inputs) of 0 to 15 -> (rows, inputs / 2) in the order that this processor reads them."""
    if numbers.is_meta:
        return torch.empty(len(numbers), numbers.shape[1] // 2, dtype=torch.uint8, device="meta")
    return torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers.int(), 2)
