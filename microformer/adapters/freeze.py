"""Which weights learn, and which stay as they are."""

from microformer.errors import UserError
from microformer.model.patterns import matching
from microformer.model.transformer import Transformer


def freeze_matching(model: Transformer, patterns: str) -> None:
    """Freeze the weights whose names fit ``patterns`` (see ``matching``); with LoRA, all others are frozen first.

    Raises ``UserError`` for a pattern that fits no weight, and when nothing is left to learn.
    """
    weights = dict(model.named_parameters())
    if model.config.lora_rank:
        head = "" if model.pooled is None else "!pooled.*"  # fresh for its task
        patterns = f"*,!*.lora_*,{head},{patterns}"
    frozen = matching(patterns, weights, setting="freeze")
    if len(frozen) == len(weights):
        raise UserError("freeze leaves no weight that could learn; let some go with a pattern such as !*.long_term.*.")
    for name, weight in weights.items():
        weight.requires_grad_(name not in frozen)
