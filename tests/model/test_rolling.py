"""A rolling cache says what is said without it, and goes on past the context in the same memory."""

from typing import Any

import pytest
import torch
from torch import Tensor

from microformer.generation.batch import Batch, Row
from microformer.generation.beam import beam_search
from microformer.generation.generate import generate
from microformer.generation.sampling import Sampling
from microformer.generation.speculative import speculate
from microformer.model.positions import alibi_slopes, rotary_table
from microformer.model.transformer import Transformer
from tests.model.test_kinds import make_model, some_tokens

CONTEXT = 32
SHAPES: list[dict[str, Any]] = [
    {"window": 6, "sinks": 2, "n_kv_heads": 2, "ngram_rows": 30},
    {"window": 6, "sinks": 2, "position": "alibi"},
    {"window": 5, "position": "none", "norm_position": "post"},
    {"window": 28, "sinks": 4, "rotary_pct": 0.5, "qk_norm": True},
    {"window": 1, "sinks": 1, "ngram_rows": 30, "ngram_longest": 4},
]


@pytest.mark.parametrize("changes", SHAPES)
def test_within_the_context_it_says_what_is_said_without(changes: dict[str, Any]) -> None:
    model, tokens = make_model(**changes), some_tokens(length=CONTEXT)
    cache = model.new_cache(3, rolling=True)
    with torch.inference_mode():
        parts = [model(part, cache=cache) for part in tokens.split([9, 1, 1, 13, 1, 7], dim=1)]
        torch.testing.assert_close(torch.cat(parts, dim=1), model(tokens), atol=1e-5, rtol=1e-5)


def plainly(model: Transformer, tokens: Tensor) -> Tensor:
    """All of a text at once, far past the context: distances are those of the text, to a sink never more than the
    context has. Written against the blocks, without masks, places or caches of ours. *Shape:* (1, seq, d_model)."""
    config, at = model.config, torch.arange(tokens.shape[1])
    distance = at[:, None] - at
    seen = (distance >= 0) & ((distance < config.window) | (at < config.sinks))
    near = torch.where(at < config.sinks, torch.minimum(distance, CONTEXT - 1 - at), distance).clamp(0, CONTEXT - 1)
    hidden = model.read(tokens)
    for block in model.blocks:
        heads = block.attention.qkv(block.attention_norm(hidden)).unflatten(-1, (3, 4, -1))
        query, key, value = (one.transpose(1, 2) for one in heads.unbind(2))
        if config.position == "rotary":  # turning a query by its distance is turning both by their places
            cos, sin = rotary_table(CONTEXT, config.head_dim, config.rotary_base)[near].unbind(-2)
            query = query[:, :, :, None]
            scores = ((query * cos + query.roll(config.head_dim // 2, -1) * sin) * key[:, :, None]).sum(-1)
        else:
            scores = query @ key.mT
        scores = scores * config.head_dim**-0.5
        if config.position == "alibi":
            scores = scores - alibi_slopes(config.n_heads)[:, None, None] * near
        mixed = scores.masked_fill(~seen, float("-inf")).softmax(-1) @ value
        hidden = hidden + block.attention.out(mixed.transpose(1, 2).flatten(2))
        hidden = block.remember(block.feed(hidden))
    return model.norm(hidden)


@pytest.mark.parametrize("position", ["rotary", "alibi", "none"])
def test_past_the_context_it_says_what_the_whole_text_says_and_grows_no_further(position: str) -> None:
    model, tokens = make_model(window=6, sinks=2, position=position, ngram_rows=30), some_tokens(1, 90)
    cache = model.new_cache(1, rolling=True)
    size = [tensor.shape for tensor in cache.keys + cache.values]
    with torch.inference_mode():
        parts = [model(tokens[:, :20], cache=cache)] + [model(tokens[:, i : i + 1], cache=cache) for i in range(20, 90)]
        expected = model.logits(plainly(model, tokens))
    assert [tensor.shape for tensor in cache.keys + cache.values] == size and size[0][2] == 6 + 2 + 1
    torch.testing.assert_close(torch.cat(parts, dim=1), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changes", SHAPES)
def test_texts_of_many_lengths_go_on_together_as_each_does_alone(changes: dict[str, Any]) -> None:
    model = make_model(**changes)
    sampling = Sampling(max_tokens=60, temperature=0.9, seed=5)
    prompts = [[1, 2, 3], [7], list(range(20)), list(range(60))]
    alone = [[choice.id for choice in generate(model, ids, sampling, end_id=63)] for ids in prompts]
    batch, rows = Batch(model, 63), [Row(ids, sampling, 5, None) for ids in prompts]
    batch.join(rows[:3])
    for step in range(70):
        if step == 4:
            batch.join(rows[3:])
        batch.leave([row for row in batch.rows if row.stop_reason is not None])
        if batch.rows:
            batch.step()
    ends = [row.ids[row.begun :] + [63] * (row.stop_reason == "endoftext") for row in rows]
    assert ends == alone


@pytest.mark.parametrize("changes", SHAPES[:2])
def test_beams_and_drafts_roll_on_as_well(changes: dict[str, Any]) -> None:
    model, draft = make_model(**changes), make_model(n_layers=1)
    model.logit_bias[63] = -1e4
    sampling = Sampling(max_tokens=50, temperature=0)
    for prompt in ([1, 2, 3], list(range(40))):
        greedy = [choice.id for choice in generate(model, prompt, sampling, end_id=63)]
        assert list(speculate(model, draft, prompt, sampling, end_id=63)) == greedy
        (found,) = beam_search(model, prompt, beams=1, max_tokens=50, end_id=63)
        assert list(found.ids) == greedy


def test_it_goes_back_no_further_than_it_can() -> None:
    model, tokens = make_model(window=6, sinks=1), some_tokens(1, 20)
    cache = model.new_cache(1, rolling=True, spare=3)
    with torch.inference_mode():
        model(tokens[:, :18], cache=cache)
        cache.truncate(15)
        torch.testing.assert_close(model(tokens[:, 15:], cache=cache), model(tokens)[:, 15:], atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="spare"):
        cache.truncate(10)
