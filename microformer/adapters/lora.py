"""LoRA (Hu et al. 2021, arXiv:2106.09685): two narrow matrices adapt a trained linear layer."""

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.model.patterns import matching
from microformer.model.transformer import Transformer


class LoRALinear(nn.Linear):
    """``linear(x) + (x @ down.T) @ up.T * alpha / rank``; ``up`` starts at zero, so that nothing changes at first.

    Merged, the product is part of the weight and costs no time. What is saved is never merged.
    *Shape:* (…, in_features) -> (…, out_features).
    """

    def __init__(self, base: nn.Linear, *, rank: int, alpha: float) -> None:
        super().__init__(base.in_features, base.out_features, bias=base.bias is not None, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.lora_down = nn.Parameter(base.weight.new_empty(rank, base.in_features))
        self.lora_up = nn.Parameter(base.weight.new_zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.lora_down, a=5**0.5)
        self.scale = alpha / rank
        self.register_buffer("unmerged", None, persistent=False)
        self.unmerged: Tensor | None

    @classmethod
    def from_base(cls, base: nn.Linear, *, rank: int, alpha: float) -> "LoRALinear":
        """A layer that computes what ``base`` does, with its very weights, until the additions are trained."""
        return cls(base, rank=rank, alpha=alpha)

    def forward(self, hidden: Tensor) -> Tensor:
        made = F.linear(hidden, self.weight, self.bias)
        if self.unmerged is not None:
            return made
        return made + F.linear(F.linear(hidden, self.lora_down), self.lora_up) * self.scale

    @torch.no_grad()
    def merge(self) -> None:
        """Make the additions part of the weight. Merging twice does nothing."""
        if self.unmerged is None:
            self.unmerged, learns = self.weight.detach(), self.weight.requires_grad
            self.weight = nn.Parameter(self.unmerged + self.lora_up @ self.lora_down * self.scale, learns)

    @torch.no_grad()
    def unmerge(self) -> None:
        """Take the additions out of the weight again, which is then as it was, bit for bit."""
        if self.unmerged is not None:
            self.weight, self.unmerged = nn.Parameter(self.unmerged, self.weight.requires_grad), None

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if self.unmerged is not None:
            destination[f"{prefix}weight"] = self.unmerged


def add_lora(model: Transformer) -> None:
    """Give the linear layers that ``lora_targets`` names their additions. Raises ``UserError`` when it names none."""
    config = model.config
    linears = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    for name in sorted(matching(config.lora_targets, linears, setting="lora_targets")):
        made = LoRALinear.from_base(linears[name], rank=config.lora_rank, alpha=config.lora_alpha)
        model.set_submodule(name, made)


def merged(model: Transformer) -> Transformer:
    """A copy of the model with all low-rank additions in the weights, and without LoRA."""
    plain = copy.deepcopy(model)
    plain.config = dataclasses.replace(model.config, lora_rank=0)
    for name, module in list(plain.named_modules()):
        if isinstance(module, LoRALinear):
            module.merge()
            linear = nn.Linear(module.in_features, module.out_features, bias=module.bias is not None, device="meta")
            linear.weight, linear.bias = module.weight, module.bias
            plain.set_submodule(name, linear)
    return plain
