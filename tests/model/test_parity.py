"""Our decoder with others' weights says what their models say: GPT-2, Llama and PyTorch's own layer."""

import dataclasses
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn

from microformer.model.config import ModelConfig
from microformer.model.transformer import Transformer

Weights = dict[str, Tensor]
VOCABULARY, CONTEXT, WIDTH, LAYERS = 50, 24, 32, 3
TOKENS = torch.randint(0, VOCABULARY, (3, CONTEXT), generator=torch.Generator().manual_seed(0))


def lively(module: nn.Module) -> nn.Module:
    """Weights far from their small start, biases far from zero: a part that is wired wrongly must show."""
    torch.manual_seed(1)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return module.eval()


def with_weights(config: ModelConfig, weights: Weights) -> Transformer:
    """Our model with these weights, all of them and no others."""
    model = Transformer(config).eval()
    model.load_state_dict(weights | {"logit_bias": torch.zeros(config.vocab_size)})
    return model


def check_whole_and_cached(model: Transformer, expected: Tensor) -> None:
    """Logits of whole texts, and of the same texts read a few tokens at a time. *Shape:* (batch, seq, vocab)."""
    with torch.inference_mode():
        torch.testing.assert_close(model(TOKENS), expected, atol=1e-5, rtol=1e-5)
        cache = model.new_cache(len(TOKENS))
        parts = [model(part, cache=cache) for part in TOKENS.split([7, 1, 1, CONTEXT - 9], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, atol=1e-5, rtol=1e-5)


def logits_of(other: Any) -> Tensor:
    with torch.inference_mode():
        return other(input_ids=TOKENS).logits.clone()


def check_padded(model: Transformer, other: Any) -> None:
    """Rows of unlike length, padded on the right: read at once, and gone on with from a cache that holds them all."""
    lengths = torch.tensor([CONTEXT - 1, 5, 11])
    read = torch.arange(CONTEXT) < lengths[:, None]
    with torch.inference_mode():
        expected = other(input_ids=TOKENS, attention_mask=read.long()).logits
        torch.testing.assert_close(model(TOKENS)[read], expected[read], atol=1e-5, rtol=1e-5)
        cache = model.new_cache(len(TOKENS))
        model(TOKENS[:, :-1], cache=cache, lengths=lengths)
        following = TOKENS[torch.arange(3), lengths][:, None]
        found = model(following, cache=cache)[:, 0]
        for row, length in enumerate(lengths.tolist()):
            alone = other(input_ids=TOKENS[row : row + 1, : length + 1]).logits[0, -1]
            torch.testing.assert_close(found[row], alone, atol=1e-5, rtol=1e-5)


def gpt2_weights(state: Weights) -> Weights:
    """GPT-2 keeps its matrices transposed."""
    weights = {
        "tokens.weight": state["transformer.wte.weight"],
        "positions.weight": state["transformer.wpe.weight"],
        "norm.weight": state["transformer.ln_f.weight"],
        "norm.bias": state["transformer.ln_f.bias"],
    }
    names = {
        "ln_1": "attention_norm",
        "attn.c_attn": "attention.qkv",
        "attn.c_proj": "attention.out",
        "ln_2": "feed_forward_norm",
        "mlp.c_fc": "feed_forward.up",
        "mlp.c_proj": "feed_forward.down",
    }
    for layer in range(LAYERS):
        for theirs, ours in names.items():
            weight = state[f"transformer.h.{layer}.{theirs}.weight"]
            weights[f"blocks.{layer}.{ours}.weight"] = weight.T.contiguous() if weight.ndim == 2 else weight
            weights[f"blocks.{layer}.{ours}.bias"] = state[f"transformer.h.{layer}.{theirs}.bias"]
    return weights


def test_gpt2() -> None:
    theirs = transformers.GPT2LMHeadModel(
        transformers.GPT2Config(vocab_size=VOCABULARY, n_positions=CONTEXT, n_embd=WIDTH, n_layer=LAYERS, n_head=4)
    )
    lively(theirs)
    config = ModelConfig(
        vocab_size=VOCABULARY,
        d_model=WIDTH,
        n_layers=LAYERS,
        n_heads=4,
        max_seq_len=CONTEXT,
        activation="gelu_tanh",
        norm="layernorm",
        position="learned",
        bias=True,
        adapter_dim=0,
    )
    ours = with_weights(config, gpt2_weights(dict(theirs.state_dict())))
    check_whole_and_cached(ours, logits_of(theirs))
    check_padded(ours, theirs)


def llama_weights(state: Weights, *, tied: bool) -> Weights:
    """Llama keeps queries, keys and values apart, and gate and up."""
    weights = {"tokens.weight": state["model.embed_tokens.weight"], "norm.weight": state["model.norm.weight"]}
    if not tied:
        weights["unembedding.weight"] = state["lm_head.weight"]
    for layer in range(LAYERS):
        theirs, ours = f"model.layers.{layer}.", f"blocks.{layer}."
        qkv = [state[f"{theirs}self_attn.{name}_proj.weight"] for name in "qkv"]
        up = [state[f"{theirs}mlp.{name}_proj.weight"] for name in ("gate", "up")]
        weights |= {
            f"{ours}attention_norm.weight": state[f"{theirs}input_layernorm.weight"],
            f"{ours}attention.qkv.weight": torch.cat(qkv),
            f"{ours}attention.out.weight": state[f"{theirs}self_attn.o_proj.weight"],
            f"{ours}feed_forward_norm.weight": state[f"{theirs}post_attention_layernorm.weight"],
            f"{ours}feed_forward.up.weight": torch.cat(up),
            f"{ours}feed_forward.down.weight": state[f"{theirs}mlp.down_proj.weight"],
        }
    return weights


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("kv_heads", [1, 2, 4])
def test_llama(kv_heads: int, tied: bool) -> None:
    theirs = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=WIDTH,
            intermediate_size=40,
            num_hidden_layers=LAYERS,
            num_attention_heads=4,
            num_key_value_heads=kv_heads,
            max_position_embeddings=CONTEXT,
            rms_norm_eps=1e-6,
            tie_word_embeddings=tied,
        )
    )
    lively(theirs)
    config = ModelConfig(
        vocab_size=VOCABULARY,
        d_model=WIDTH,
        n_layers=LAYERS,
        n_heads=4,
        n_kv_heads=kv_heads,
        d_ff=40,
        max_seq_len=CONTEXT,
        norm_eps=1e-6,
        tie_weights=tied,
        adapter_dim=0,
    )
    ours = with_weights(config, llama_weights(dict(theirs.state_dict()), tied=tied))
    check_whole_and_cached(ours, logits_of(theirs))
    check_padded(ours, theirs)


@pytest.mark.parametrize("norm_position", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_pytorchs_own_layer(activation: str, norm_position: str) -> None:
    layer = nn.TransformerEncoderLayer(
        WIDTH, 4, 72, dropout=0.0, activation=activation, batch_first=True, norm_first=norm_position == "pre"
    )
    lively(layer)
    config = ModelConfig(
        vocab_size=VOCABULARY,
        d_model=WIDTH,
        n_layers=1,
        n_heads=4,
        d_ff=72,
        max_seq_len=CONTEXT,
        activation=activation,
        norm="layernorm",
        norm_position=norm_position,
        position="none",
        bias=True,
        adapter_dim=0,
    )
    ours = Transformer(config).eval()
    names = {
        "self_attn.in_proj_": "attention.qkv.",
        "self_attn.out_proj.": "attention.out.",
        "linear1.": "feed_forward.up.",
        "linear2.": "feed_forward.down.",
        "norm1.": "attention_norm.",
        "norm2.": "feed_forward_norm.",
    }
    state = {
        ours_name + name.removeprefix(theirs): tensor
        for name, tensor in layer.state_dict().items()
        for theirs, ours_name in names.items()
        if name.startswith(theirs)
    }
    ours.blocks[0].load_state_dict(state)
    hidden = torch.randn(3, CONTEXT, WIDTH, generator=torch.Generator().manual_seed(2))
    causal = nn.Transformer.generate_square_subsequent_mask(CONTEXT)
    with torch.inference_mode():
        expected = layer(hidden, src_mask=causal, is_causal=True)
        torch.testing.assert_close(ours.run_blocks(hidden, ours.places(CONTEXT)), expected, atol=1e-5, rtol=1e-5)
    encoder, lengths = Transformer(dataclasses.replace(config, kind="encoder")).eval(), torch.tensor([CONTEXT, 5, 11])
    encoder.blocks[0].load_state_dict(state)
    padding = torch.arange(CONTEXT) >= lengths[:, None]
    with torch.inference_mode():
        expected = layer(hidden, src_key_padding_mask=padding)[~padding]
        found = encoder.run_blocks(hidden, encoder.places(CONTEXT, lengths=lengths))[~padding]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
