"""The shape of a model: one frozen dataclass that refuses what cannot be built."""

from dataclasses import dataclass, replace

from microformer.errors import UserError
from microformer.model import parts
from microformer.settings import check, setting

GATED = ("swiglu", "geglu")
ACTIVATIONS = ("relu", "relu_squared", "gelu", "gelu_tanh", "silu", *GATED)
POSITIONS = ("learned", "sinusoidal", "rotary", "alibi", "none")
KINDS = ("decoder", "encoder", "encoder_decoder")
BITS = (32, 16, 8, 4)
LORA = ("lora_rank", "lora_alpha", "lora_targets")
"""Settings that say how a model is adapted, not what it is."""


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
    ngram_rows: int = setting(
        0,
        "Rows of a table where the last few tokens (an n-gram) are looked up together; 0 leaves it out.",
        minimum=0,
        maximum=10_000_000,
    )
    ngram_longest: int = setting(
        3,
        "Tokens in the longest n-grams; shorter ones, down to 2 tokens, are looked up too.",
        minimum=2,
        maximum=8,
    )
    kind: str = setting(
        "decoder",
        "A decoder reads left to right and writes; an encoder sees all at once; an encoder_decoder answers a source.",
        choices=KINDS,
    )
    n_encoder_layers: int | None = setting(
        None, "Blocks of an encoder_decoder's encoder; empty means as many as n_layers.", minimum=1, maximum=128
    )
    inputs: str = setting("tokens", "What is read: tokens, or vectors of numbers.", choices=("tokens", "vectors"))
    input_dim: int | None = setting(
        None, "How many numbers each vector has, where vectors are read.", minimum=1, maximum=65536
    )
    outputs: int = setting(
        0,
        "Numbers predicted for a whole text (one for each class, or 1 value); 0 means that tokens are predicted.",
        minimum=0,
        maximum=100_000,
    )
    pooling: str = setting(
        "mean",
        "What stands for the whole text: the mean of its tokens, the first or the last.",
        choices=("mean", "first", "last"),
    )
    window: int | None = setting(
        None, "How many tokens back each token sees, itself included; empty means all.", minimum=1, maximum=65536
    )
    sinks: int = setting(
        0, "First tokens of a text that stay in sight when the window has moved past them.", minimum=0, maximum=1024
    )
    embedding_norm: bool = setting(False, "Normalise the embeddings before the first block.")
    attention_dropout: float = setting(0.0, "Share of attention weights dropped in training.", minimum=0, maximum=0.9)
    embedding_dropout: float | None = setting(
        None, "Share of the embeddings dropped in training; empty means the same as dropout.", minimum=0, maximum=0.9
    )
    ff_multiplier: float | None = setting(
        None, "Width inside the feed-forward part as a multiple of d_model, where d_ff is empty.", above=0, maximum=64
    )
    attention: str = setting("standard", "Name of the attention part; your own must be registered from Python.")
    feed_forward: str = setting("standard", "Name of the feed-forward part; your own must be registered from Python.")
    lora_rank: int = setting(
        0,
        "Rank of low-rank additions (LoRA) that adapt a trained model while its own weights stay; 0 leaves them out.",
        minimum=0,
        maximum=1024,
    )
    lora_alpha: float = setting(
        16.0, "Strength of the low-rank additions: they are multiplied by lora_alpha / lora_rank.", above=0
    )
    lora_targets: str = setting(
        "*.qkv,*.out", "Linear layers that get low-rank additions, as patterns of names with commas between them."
    )
    bits: int = setting(
        32, "Format of the weights: 32 is fp32; 16 is bf16, 8 and 4 are integers, for sampling only.", choices=BITS
    )

    def __post_init__(self) -> None:
        check(self)
        parts.check_known("attention", self.attention)
        parts.check_known("feed_forward", self.feed_forward)
        self._check_bits()
        self._check_heads()
        self._check_kind()
        self._check_window()

    def _check_bits(self) -> None:
        if self.bits < 32 and self.lora_rank:
            raise UserError(
                f"bits is {self.bits} and lora_rank is {self.lora_rank}, but only a model without LoRA is quantized; "
                "merge its low-rank additions first."
            )

    def _check_heads(self) -> None:
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

    def _check_kind(self) -> None:
        if (self.inputs == "vectors") != (self.input_dim is not None):
            raise UserError(
                f"inputs is {self.inputs} and input_dim is {self.input_dim}, "
                "but input_dim is needed where vectors are read, and only there."
            )
        if self.inputs == "vectors" and (self.kind == "decoder" or (self.kind == "encoder" and not self.outputs)):
            raise UserError(
                f"A {self.kind} with outputs {self.outputs} predicts the tokens that it reads, so it cannot read "
                "vectors; make it an encoder with outputs, or an encoder_decoder."
            )
        if self.ngram_rows and self.inputs == "vectors" and self.kind != "encoder_decoder":
            raise UserError(
                f"ngram_rows is {self.ngram_rows}, but this {self.kind} reads vectors, and n-grams are of tokens; "
                "set it to 0."
            )
        if self.outputs and self.kind == "encoder_decoder":
            raise UserError(
                f"outputs is {self.outputs}, but an encoder_decoder writes tokens; use a decoder or an encoder."
            )
        if self.outputs and self.kind == "decoder" and self.pooling == "first":
            raise UserError("In a decoder the first token sees nothing of the text; use the pooling mean or last.")

    def _check_window(self) -> None:
        if self.sinks and self.window is None:
            raise UserError(f"sinks is {self.sinks}, but without a window every token is in sight; set a window too.")
        if self.window is not None and self.sinks + self.window > self.max_seq_len:
            raise UserError(
                f"sinks {self.sinks} and window {self.window} together are more than the context "
                f"(max_seq_len {self.max_seq_len}); make the window smaller."
            )

    @property
    def head_dim(self) -> int:
        return self.d_model // self.n_heads

    @property
    def kv_heads(self) -> int:
        return self.n_kv_heads or self.n_heads

    @property
    def causal(self) -> bool:
        """Whether no token sees what follows it."""
        return self.kind != "encoder"

    @property
    def writes(self) -> bool:
        """Whether it predicts the next token, so that text can be sampled from it."""
        return self.causal and not self.outputs

    @property
    def continues_text(self) -> bool:
        """Whether it continues a text by itself, without a source: a causal language model."""
        return self.kind == "decoder" and not self.outputs

    @property
    def rolls(self) -> bool:
        """Whether a text can go on past the context in constant memory: places count by distance, within a window."""
        return self.kind == "decoder" and self.window is not None and self.position in ("rotary", "alibi", "none")

    @property
    def encoder(self) -> "ModelConfig":
        """The shape of an encoder_decoder's encoder."""
        return replace(self, kind="encoder", n_layers=self.n_encoder_layers or self.n_layers, outputs=1, ngram_rows=0)

    @property
    def input_dropout(self) -> float:
        """Share of the embeddings dropped in training."""
        return self.dropout if self.embedding_dropout is None else self.embedding_dropout

    @property
    def gated(self) -> bool:
        return self.activation in GATED

    @property
    def ff_dim(self) -> int:
        """Width of the feed-forward part; a gated one is rounded up to a multiple of 8."""
        if self.d_ff is not None:
            return self.d_ff
        if self.ff_multiplier is not None:
            return max(1, round(self.ff_multiplier * self.d_model))
        return -(-8 * self.d_model // 24) * 8 if self.gated else 4 * self.d_model

    @property
    def rotary_dim(self) -> int:
        """How many of a head's dimensions are turned (an even number)."""
        return int(self.head_dim * self.rotary_pct) // 2 * 2
