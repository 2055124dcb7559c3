"""Our encoder and encoder_decoder with others' weights say what their models say: BERT, BART, PyTorch's own layer."""

import itertools

import pytest
import torch
import transformers
from torch import nn

from microformer.model.config import ModelConfig
from microformer.model.places import Encoded
from microformer.model.transformer import Transformer
from tests.model.test_parity import CONTEXT, LAYERS, TOKENS, VOCABULARY, WIDTH, Weights, lively, with_weights

LENGTHS = torch.tensor([CONTEXT, 5, 11])
READ = torch.arange(CONTEXT) < LENGTHS[:, None]
INNER = 72
SIDE = {"layers": LAYERS, "attention_heads": 4, "ffn_dim": INNER}


def post_norm(kind: str, **changes: object) -> ModelConfig:
    """What BERT and BART share."""
    shape = {"vocab_size": VOCABULARY, "d_model": WIDTH, "n_layers": LAYERS, "n_heads": 4, "d_ff": INNER}
    like = {"norm": "layernorm", "norm_position": "post", "activation": "gelu", "bias": True, "position": "learned"}
    rest = {"max_seq_len": CONTEXT, "embedding_norm": True, "adapter_dim": 0}
    return ModelConfig(kind=kind, **shape | like | rest | changes)


def joined(state: Weights, ours: str, theirs: list[str]) -> Weights:
    """Matrices that others keep apart, one above the other."""
    return {f"{ours}.{what}": torch.cat([state[f"{one}.{what}"] for one in theirs]) for what in ("weight", "bias")}


def renamed(state: Weights, names: dict[str, str]) -> Weights:
    return {
        f"{ours}.{what}": state[f"{theirs}.{what}"] for theirs, ours in names.items() for what in ("weight", "bias")
    }


def bert_weights(state: Weights) -> Weights:
    weights = {
        "tokens.weight": state["embeddings.word_embeddings.weight"],
        "positions.weight": state["embeddings.position_embeddings.weight"],
    } | renamed(state, {"embeddings.LayerNorm": "embedding_norm"})
    names = {
        "attention.output.dense": "attention.out",
        "attention.output.LayerNorm": "attention_norm",
        "intermediate.dense": "feed_forward.up",
        "output.dense": "feed_forward.down",
        "output.LayerNorm": "feed_forward_norm",
    }
    for layer in range(LAYERS):
        theirs, ours = f"encoder.layer.{layer}.", f"blocks.{layer}."
        qkv = [f"{theirs}attention.self.{name}" for name in ("query", "key", "value")]
        weights |= joined(state, f"{ours}attention.qkv", qkv)
        weights |= renamed(state, {theirs + one: ours + other for one, other in names.items()})
    return weights


def test_bert() -> None:
    shape = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": 4, "intermediate_size": INNER}
    config = transformers.BertConfig(vocab_size=VOCABULARY, max_position_embeddings=CONTEXT, **shape)
    theirs = transformers.BertModel(config, add_pooling_layer=False)
    lively(theirs)
    with torch.no_grad():
        theirs.embeddings.token_type_embeddings.weight.zero_()
    ours = with_weights(post_norm("encoder", norm_eps=1e-12), bert_weights(dict(theirs.state_dict())))
    with torch.inference_mode():
        expected = theirs(input_ids=TOKENS, attention_mask=READ.long()).last_hidden_state
        torch.testing.assert_close(ours.hidden(TOKENS, lengths=LENGTHS)[READ], expected[READ], atol=1e-5, rtol=1e-5)


def bart_weights(state: Weights) -> Weights:
    """BART numbers its learned positions from 2."""
    weights = {
        "tokens.weight": state["model.shared.weight"],
        "positions.weight": state["model.decoder.embed_positions.weight"][2:],
        "encoder.positions.weight": state["model.encoder.embed_positions.weight"][2:],
    }
    for (side, prefix), layer in itertools.product((("encoder", "encoder."), ("decoder", "")), range(LAYERS)):
        theirs, ours = f"model.{side}.layers.{layer}.", f"{prefix}blocks.{layer}."
        weights |= joined(state, f"{ours}attention.qkv", [f"{theirs}self_attn.{name}_proj" for name in "qkv"])
        names = {
            f"model.{side}.layernorm_embedding": f"{prefix}embedding_norm",
            f"{theirs}self_attn.out_proj": f"{ours}attention.out",
            f"{theirs}self_attn_layer_norm": f"{ours}attention_norm",
            f"{theirs}fc1": f"{ours}feed_forward.up",
            f"{theirs}fc2": f"{ours}feed_forward.down",
            f"{theirs}final_layer_norm": f"{ours}feed_forward_norm",
        }
        if side == "decoder":
            names |= {
                f"{theirs}encoder_attn.q_proj": f"{ours}cross_attention.query",
                f"{theirs}encoder_attn.out_proj": f"{ours}cross_attention.out",
                f"{theirs}encoder_attn_layer_norm": f"{ours}cross_norm",
            }
            both = [f"{theirs}encoder_attn.{name}_proj" for name in "kv"]
            weights |= joined(state, f"{ours}cross_attention.key_value", both)
        weights |= renamed(state, names)
    return weights


def test_bart() -> None:
    sides = {f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in SIDE.items()}
    theirs = transformers.BartForConditionalGeneration(
        transformers.BartConfig(vocab_size=VOCABULARY, max_position_embeddings=CONTEXT, d_model=WIDTH, **sides)
    )
    lively(theirs)
    ours = with_weights(post_norm("encoder_decoder"), bart_weights(dict(theirs.state_dict())))
    source = TOKENS.flip(1)
    with torch.inference_mode():
        expected = theirs(input_ids=source, attention_mask=READ.long(), decoder_input_ids=TOKENS).logits
        whole = ours(TOKENS, source=source, source_lengths=LENGTHS)
        torch.testing.assert_close(whole, expected, atol=1e-5, rtol=1e-5)
        cache, encoded = ours.new_cache(3), ours.encode(source, LENGTHS)
        parts = [ours(part, source=encoded, cache=cache) for part in TOKENS.split([7, 1, 1, CONTEXT - 9], dim=1)]
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("norm_position", ["pre", "post"])
def test_pytorchs_own_decoder_layer(norm_position: str) -> None:
    layer = nn.TransformerDecoderLayer(
        WIDTH, 4, INNER, dropout=0.0, activation="gelu", batch_first=True, norm_first=norm_position == "pre"
    )
    lively(layer)
    config = post_norm("encoder_decoder", n_layers=1, norm_position=norm_position, position="none")
    ours, state = Transformer(config).eval(), dict(layer.state_dict())
    names = {"self_attn.in_proj_": "attention.qkv.", "self_attn.out_proj.": "attention.out."}
    names |= {"multihead_attn.out_proj.": "cross_attention.out.", "norm1.": "attention_norm.", "norm2.": "cross_norm."}
    names |= {"norm3.": "feed_forward_norm.", "linear1.": "feed_forward.up.", "linear2.": "feed_forward.down."}
    weights = {new + what: state[old + what] for old, new in names.items() for what in ("weight", "bias")}
    for what in ("weight", "bias"):
        query, key_value = state[f"multihead_attn.in_proj_{what}"].split([WIDTH, 2 * WIDTH])
        weights |= {f"cross_attention.query.{what}": query, f"cross_attention.key_value.{what}": key_value}
    ours.blocks[0].load_state_dict(weights)
    generator = torch.Generator().manual_seed(2)
    hidden, memory = (torch.randn(3, CONTEXT, WIDTH, generator=generator) for _ in range(2))
    causal = nn.Transformer.generate_square_subsequent_mask(CONTEXT)
    places = ours.places(CONTEXT, source=Encoded(memory, LENGTHS))
    with torch.inference_mode():
        expected = layer(hidden, memory, tgt_mask=causal, memory_key_padding_mask=~READ)
        torch.testing.assert_close(ours.run_blocks(hidden, places), expected, atol=1e-5, rtol=1e-5)
