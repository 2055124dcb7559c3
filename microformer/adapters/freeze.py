"""Which weights learn, and which stay as they are."""

from collections.abc import Iterator

from torch import nn

from microformer.model.transformer import Transformer


def freeze(model: Transformer) -> None:
    """No weight of the model takes gradients; teaching trains tensors beside it."""
    model.requires_grad_(False)


def long_term_parameters(model: Transformer) -> Iterator[tuple[str, nn.Parameter]]:
    """Names and weights of the long-term adapters, block by block."""
    return ((name, weight) for name, weight in model.named_parameters() if ".long_term." in name)
