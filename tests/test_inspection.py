"""What the Inspect tab shows of a model is what the model does."""

import pytest
import torch

from microformer.errors import UserError
from microformer.inspection import read
from tests.teaching.small_models import make_loaded


def test_what_a_token_takes_sums_to_one_and_comes_from_before() -> None:
    reading = read(make_loaded(), "Where is it?")
    assert reading.tokens == list("Where␣is␣it?")
    assert len(reading.attention) == 3
    for weights in reading.attention:
        assert weights.shape == (4, 12, 12)
        torch.testing.assert_close(weights.sum(-1), torch.ones(4, 12))
        assert not weights.triu(1).any()


def test_the_lens_ends_with_what_the_model_says() -> None:
    loaded = make_loaded()
    reading = read(loaded, "Where is", candidates=3)
    assert len(reading.lens) == 4
    with torch.no_grad():
        shares = loaded.model(torch.tensor([loaded.tokenizer.encode("Where is")]))[0, -1].softmax(-1)
    for candidate, share in zip(reading.lens[-1], shares.sort(descending=True).values, strict=False):
        assert candidate.probability == pytest.approx(float(share), rel=1e-4)


def test_a_long_text_is_read_by_its_end_and_an_empty_one_refused() -> None:
    loaded = make_loaded()
    reading = read(loaded, "abc" * 100, most_tokens=5)
    assert reading.tokens == list("bcabc") and reading.skipped == 295
    with pytest.raises(UserError, match="empty"):
        read(loaded, "")


def test_a_model_that_judges_whole_texts_has_no_next_token() -> None:
    assert read(make_loaded(outputs=2), "Where is it?").lens == []
