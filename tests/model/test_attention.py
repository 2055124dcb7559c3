"""Written-out attention and the fused kernel are the same function."""

import pytest
import torch
from torch.nn import functional as F

from microformer.model.attention import plain_attention, plain_is_faster
from microformer.model.places import LONGEST_PLAIN, Places
from microformer.model.positions import alibi_slopes, rotary_table, rotate


@pytest.mark.parametrize("masked", [False, True])
def test_plain_attention_is_the_fused_kernel(masked: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(2, 4, 10, 8, generator=generator) for _ in range(3))
    mask = torch.randn(2, 1, 10, 10, generator=generator) if masked else None
    places = Places(None, mask, causal=not masked)
    fused = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, is_causal=not masked)
    torch.testing.assert_close(plain_attention(query, key, value, places), fused, atol=1e-5, rtol=1e-5)


def test_plain_attention_is_chosen_only_for_short_training_on_a_cpu() -> None:
    short = torch.zeros(1, 1, 64, 8, dtype=torch.bfloat16, requires_grad=True)
    assert plain_is_faster(short)
    assert not plain_is_faster(short.detach())
    assert not plain_is_faster(torch.zeros(1, 1, LONGEST_PLAIN + 1, 8, requires_grad=True))


def test_rotary_scores_depend_on_distance_alone() -> None:
    table = rotary_table(16, 8, 10_000.0)
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(1, 1, 1, 8, generator=generator), torch.randn(1, 1, 1, 8, generator=generator)

    def score(query_at: int, key_at: int) -> torch.Tensor:
        turned = rotate(query, table[query_at : query_at + 1]), rotate(key, table[key_at : key_at + 1])
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(score(5, 2), score(12, 9))
    assert not torch.isclose(score(5, 2), score(5, 3))


def test_turning_keeps_lengths_and_leaves_the_rest_of_a_head_alone() -> None:
    heads = torch.randn(2, 3, 5, 8, generator=torch.Generator().manual_seed(0))
    turned = rotate(heads, rotary_table(5, 4, 10_000.0))
    torch.testing.assert_close(turned.norm(dim=-1), heads.norm(dim=-1))
    assert torch.equal(turned[..., 4:], heads[..., 4:])


def test_alibi_slopes_are_the_papers() -> None:
    torch.testing.assert_close(alibi_slopes(8), torch.tensor([2.0**-i for i in range(1, 9)]))
    assert len(set(alibi_slopes(6).tolist())) == 6
