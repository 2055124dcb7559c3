"""A whole model from its configuration: the transformer, and the adaptations that take the place of its layers."""

from microformer.adapters.lora import add_lora
from microformer.adapters.quantize import with_packed_layers
from microformer.model.config import ModelConfig
from microformer.model.transformer import Transformer


def build_model(config: ModelConfig) -> Transformer:
    """A model with fresh weights. Raises ``UserError`` for adaptations that do not fit it."""
    model = Transformer(config)
    if config.lora_rank:
        add_lora(model)
    return model if config.bits == 32 else with_packed_layers(model)
