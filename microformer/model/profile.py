"""What a model costs, known before it is built: parameters by part, FLOPs per token, memory to train and to sample.

A multiplication and an addition count as two FLOPs. Training costs three forward passes (the backward pass is two).
"""

import functools
from dataclasses import dataclass, replace

from torch import nn

from microformer.model.config import ModelConfig
from microformer.model.outline import outline
from microformer.model.patterns import matching
from microformer.model.transformer import Transformer

BYTES = 4  # of a 32-bit float: weights, gradients and optimizer state are kept in full precision
MARKS = {
    "_norm": "norms",
    ".long_term.": "long-term adapters",
    "attention.": "attention",
    "feed_forward.": "feed-forward",
    "positions.": "position embedding",
    "tokens.": "token embedding",
    "ngrams.": "n-gram embedding",
    "vectors.": "token embedding",
    "unembedding.": "head",
    "pooled.": "head",
}
"""Parts by what stands in the names of their weights; the first that fits counts."""
PARTS = (
    "token embedding",
    "n-gram embedding",
    "position embedding",
    "attention",
    "feed-forward",
    "long-term adapters",
    "norms",
    "head",
)


@dataclass(frozen=True)
class Profile:
    """Costs of one configuration; ``parameters`` and ``flops_per_token`` are split by part."""

    parameters: dict[str, int]
    flops_per_token: dict[str, int]
    training_bytes: int
    sampling_bytes: int
    cache_bytes_per_token: int

    @property
    def total_parameters(self) -> int:
        return sum(self.parameters.values())

    @property
    def network_parameters(self) -> int:
        """Those that every token meets: all but a table of n-grams, of which a token looks up two or three rows."""
        return self.total_parameters - self.parameters["n-gram embedding"]

    @property
    def forward_flops(self) -> int:
        """FLOPs to read one token, with a full context before it."""
        return sum(self.flops_per_token.values())

    @property
    def training_flops(self) -> int:
        """FLOPs to learn from one token."""
        return 3 * self.forward_flops


def profile(config: ModelConfig, *, batch_size: int = 32, activation_bytes: int = BYTES) -> Profile:
    """What ``config`` costs. ``batch_size`` sequences of the whole context are assumed for training.

    ``activation_bytes`` is 4 for fp32 and 2 for bf16 arithmetic.
    """
    parts = parameters_by_part(config)
    total = sum(parts.values())
    tokens = batch_size * config.max_seq_len
    cache = 2 * config.n_layers * config.kv_heads * config.head_dim * BYTES
    return Profile(
        parameters=parts,
        flops_per_token=flops_by_part(config),
        training_bytes=4 * total * BYTES + tokens * _kept_for_backward(config, activation_bytes),
        sampling_bytes=_weight_bytes(parts, config.bits) + cache * config.max_seq_len,
        cache_bytes_per_token=cache,
    )


def parameters_by_part(config: ModelConfig) -> dict[str, int]:
    """Parameters of each part; they add up to exactly what the built model has."""
    counted = dict.fromkeys(PARTS, 0)
    for name, weight in _shape(config).named_parameters():
        counted[_part_of(name)] += weight.numel()
    if config.lora_rank:
        counted["low-rank additions"] = _low_rank_parameters(config)
    return counted


def learning_parameters(config: ModelConfig) -> int:
    """How many parameters are trained: all, or with LoRA its additions and a new head."""
    parts = parameters_by_part(config)
    if not config.lora_rank:
        return sum(parts.values())
    return parts["low-rank additions"] + (parts["head"] if config.outputs else 0)


def adapted_linears(config: ModelConfig) -> list[nn.Linear]:
    """The layers that ``lora_targets`` names, without their weights."""
    linears = {name: one for name, one in _shape(config).named_modules() if isinstance(one, nn.Linear)}
    return [linears[name] for name in matching(config.lora_targets, linears, setting="lora_targets")]


def flops_by_part(config: ModelConfig) -> dict[str, int]:
    """FLOPs of one token's forward pass, each token attending to the whole context as the hardware computes it.

    In an encoder_decoder a token stands for one of the source and one of the text.
    """
    model, width = _shape(config), config.d_model
    counted = {"attention projections": 0, "attention": 0, "feed-forward": 0, "long-term adapters": 0, "head": 0}
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear) and "blocks." in name:
            part = "attention projections" if "attention." in name else "feed-forward"
            counted[part] += 2 * module.in_features * module.out_features
        elif name.endswith("attention") and "blocks." in name:
            counted["attention"] += 2 * 2 * config.max_seq_len * width
        elif name.endswith("long_term"):
            counted["long-term adapters"] += 2 * 2 * width * config.adapter_dim
    if model.vectors is not None:
        counted["feed-forward"] += 2 * (config.input_dim or 0) * width
    if config.lora_rank:
        counted["low-rank additions"] = 2 * _low_rank_parameters(config)
    counted["head"] = 0 if config.outputs else 2 * width * config.vocab_size
    return counted


def _low_rank_parameters(config: ModelConfig) -> int:
    """What LoRA adds to the layers that it adapts."""
    return config.lora_rank * sum(one.in_features + one.out_features for one in adapted_linears(config))


@functools.lru_cache(maxsize=32)
def _shape(config: ModelConfig) -> Transformer:
    """The model's parts without their numbers."""
    with outline():
        return Transformer(replace(config, dropout=0.0))


def _part_of(name: str) -> str:
    """The part that a weight of this name belongs to."""
    for mark, part in MARKS.items():
        if mark in name:
            return part
    return "norms"


def _weight_bytes(parts: dict[str, int], bits: int) -> int:
    """What weights take in memory; a table of n-grams is never packed in fewer than 16 bits."""
    looked_up = parts["n-gram embedding"]
    return (sum(parts.values()) - looked_up) * bits // 8 + looked_up * max(bits, 16) // 8


def _kept_for_backward(config: ModelConfig, size: int) -> int:
    """Bytes that a training step keeps of each token until the backward pass has used them."""
    width = config.d_model
    scores = 2 * config.n_heads * config.max_seq_len * size
    wide = config.ff_dim * (4 if config.gated else 2) * size
    residual = 8 * width * BYTES + 6 * width * size + 2 * config.adapter_dim * size
    return config.n_layers * (scores + wide + residual) + 3 * config.vocab_size * BYTES
