"""The shape of a model: one frozen dataclass that refuses what cannot be built."""

from dataclasses import dataclass

from microformer.errors import UserError
from microformer.settings import check, setting

GATED = ("swiglu", "geglu")
ACTIVATIONS = ("relu", "relu_squared", "gelu", "gelu_tanh", "silu", *GATED)
POSITIONS = ("learned", "sinusoidal", "rotary", "alibi", "none")


@dataclass(frozen=True)
class ModelConfig:
    """Everything that decides a model's parts and their sizes; ``vocab_size`` always comes from the tokenizer.

    Raises ``UserError`` when a value is out of its range or two values do not fit together.
    """

    vocab_size: int = setting(
        256, "How many different tokens the model knows; set by the tokenizer.", minimum=2, maximum=1_000_000
    )
    d_model: int = setting(
        128, "Width of the vector that stands for each token inside the model.", minimum=4, maximum=8192
    )
    n_layers: int = setting(4, "Number of transformer blocks, one after the other.", minimum=1, maximum=128)
    n_heads: int = setting(
        4, "Attention heads in each block; d_model must be a multiple of it.", minimum=1, maximum=128
    )
    n_kv_heads: int | None = setting(
        None,
        "Key and value heads shared by the attention heads; empty means one for each head.",
        minimum=1,
        maximum=128,
    )
    d_ff: int | None = setting(
        None,
        "Width inside the feed-forward part; empty means 4 x d_model, or 8/3 x d_model when it is gated.",
        minimum=1,
        maximum=65536,
    )
    max_seq_len: int = setting(128, "Context: how many tokens the model sees at once.", minimum=2, maximum=65536)
    dropout: float = setting(
        0.0, "Share of activations dropped in training; helps against overfitting.", minimum=0, maximum=0.9
    )
    activation: str = setting("swiglu", "Non-linearity of the feed-forward part.", choices=ACTIVATIONS)
    norm: str = setting("rmsnorm", "How activations are brought to one scale.", choices=("rmsnorm", "layernorm"))
    norm_position: str = setting("pre", "Normalise before each part (pre) or after it (post).", choices=("pre", "post"))
    norm_eps: float = setting(1e-5, "Small number that keeps the norm from dividing by zero.", above=0, maximum=0.1)
    position: str = setting("rotary", "How the model knows the order of tokens.", choices=POSITIONS)
    rotary_pct: float = setting(1.0, "Share of each head that rotary positions turn.", above=0, maximum=1)
    rotary_base: float = setting(10_000.0, "Base of the rotary angles.", above=1, maximum=1e9)
    bias: bool = setting(False, "Give linear layers and layer norms a bias.")
    tie_weights: bool = setting(True, "Use one table for reading tokens in and for predicting them.")
    qk_norm: bool = setting(False, "Normalise queries and keys before they meet; steadies high learning rates.")
    adapter_dim: int = setting(32, "Width of each block's long-term adapter; 0 leaves it out.", minimum=0, maximum=4096)

    def __post_init__(self) -> None:
        check(self)
        if self.d_model % self.n_heads:
            raise UserError(
                f"d_model is {self.d_model} and n_heads is {self.n_heads}, but d_model must be a multiple of n_heads; "
                f"try d_model {self.d_model - self.d_model % self.n_heads or self.n_heads}."
            )
        if self.n_heads % self.kv_heads:
            raise UserError(
                f"n_heads is {self.n_heads} and n_kv_heads is {self.n_kv_heads}, "
                "but n_heads must be a multiple of n_kv_heads."
            )
        if self.position == "rotary" and self.rotary_dim < 2:
            raise UserError(
                f"Rotary positions need heads at least 2 wide, but {self.n_heads} heads share d_model {self.d_model}; "
                "use fewer heads, or another position."
            )

    @property
    def head_dim(self) -> int:
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        return self.n_kv_heads or self.n_heads

    @property
    def gated(self) -> bool:
        return self.activation in GATED

    @property
    def ff_dim(self) -> int:
        """Width of the feed-forward part; a gated one is rounded up to a multiple of 8."""
        if self.d_ff is not None:
            return self.d_ff
        return -(-8 * self.d_model // 24) * 8 if self.gated else 4 * self.d_model

    @property
    def rotary_dim(self) -> int:
        """How many of a head's dimensions are turned (an even number)."""
        return int(self.head_dim * self.rotary_pct) // 2 * 2
