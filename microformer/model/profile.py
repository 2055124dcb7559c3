"""What a model costs before it is built: parameters by part, FLOPs per token, memory to train and to sample.

A multiplication and an addition count as two FLOPs. Training costs three forward passes (the backward pass is two).
"""

from dataclasses import dataclass

from microformer.model.config import ModelConfig

BYTES = 4  # of a 32-bit float: weights, gradients and optimizer state are kept in full precision


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
    def forward_flops(self) -> int:
        """FLOPs to read one token, averaged over a full context."""
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
        sampling_bytes=total * BYTES + cache * config.max_seq_len,
        cache_bytes_per_token=cache,
    )


def parameters_by_part(config: ModelConfig) -> dict[str, int]:
    """Trainable parameters of each part; they add up to exactly what the built model has."""
    width, layers, bias = config.d_model, config.n_layers, int(config.bias)
    norm = width * (1 + (bias if config.norm == "layernorm" else 0))
    head_norm = norm // width * config.head_dim
    heads_out = (config.n_heads + 2 * config.kv_heads) * config.head_dim
    wide = config.ff_dim * (2 if config.gated else 1)
    norms = 2 * layers * norm + (norm if config.norm_position == "pre" else 0)
    return {
        "token embedding": config.vocab_size * width,
        "position embedding": config.max_seq_len * width if config.position == "learned" else 0,
        "attention": layers * (width * heads_out + width * width + bias * (heads_out + width)),
        "feed-forward": layers * (width * wide + config.ff_dim * width + bias * (wide + width)),
        "long-term adapters": layers * 2 * width * config.adapter_dim,
        "norms": norms + (2 * layers * head_norm if config.qk_norm else 0),
        "head": 0 if config.tie_weights else config.vocab_size * width,
    }


def flops_by_part(config: ModelConfig) -> dict[str, int]:
    """FLOPs of one token's forward pass, each token attending to the whole context as the hardware computes it."""
    width, layers = config.d_model, config.n_layers
    heads_out = (config.n_heads + 2 * config.kv_heads) * config.head_dim
    wide = config.ff_dim * (3 if config.gated else 2)
    return {
        "attention projections": 2 * layers * width * (heads_out + width),
        "attention": 2 * layers * 2 * config.max_seq_len * width,
        "feed-forward": 2 * layers * width * wide,
        "long-term adapters": 2 * layers * 2 * width * config.adapter_dim,
        "head": 2 * width * config.vocab_size,
    }


def _kept_for_backward(config: ModelConfig, size: int) -> int:
    """Bytes that a training step keeps of each token until the backward pass has used them."""
    width = config.d_model
    scores = 2 * config.n_heads * config.max_seq_len * size
    wide = config.ff_dim * (4 if config.gated else 2) * size
    residual = 8 * width * BYTES + 6 * width * size + 2 * config.adapter_dim * size
    return config.n_layers * (scores + wide + residual) + 3 * config.vocab_size * BYTES
