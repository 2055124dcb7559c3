"""N-grams: each token is told by the few before it as well, from a table that hashes share."""

import pytest
import torch

from microformer.errors import UserError
from microformer.model.ngrams import MULTIPLIER, NO_TOKEN, PRIME, NGrams
from microformer.model.transformer import Transformer
from tests.conftest import make_config
from tests.model.test_kinds import make_model, some_tokens


def plain_hash(run: list[int]) -> int:
    """Of a run, the last token first."""
    hashed = 0
    for token in run:
        hashed = (hashed * MULTIPLIER + token + 1) % PRIME
    return hashed


def test_a_token_has_a_row_for_every_run_that_ends_with_it() -> None:
    table = NGrams(make_config(ngram_rows=1000, ngram_longest=4))
    text = [NO_TOKEN, NO_TOKEN, NO_TOKEN, 63, 0, 7, 7, 7, 7]
    (places,) = table.places(torch.tensor([text])).tolist()
    backwards = [text[place::-1] for place in range(3, len(text))]
    assert places == [[plain_hash(run[:length]) % 1000 for length in (2, 3, 4)] for run in backwards]


def test_a_vocabulary_of_a_million_does_not_overflow() -> None:
    table = NGrams(make_config(vocab_size=1_000_000, ngram_rows=10**6, ngram_longest=3))
    ((places,),) = table.places(torch.tensor([[999_999, 999_998, 999_997]])).tolist()
    run = [999_997, 999_998, 999_999]
    assert places == [plain_hash(run[:2]) % 10**6, plain_hash(run) % 10**6]


def test_each_token_takes_the_sum_of_its_rows() -> None:
    model, tokens = make_model(ngram_rows=30), some_tokens()
    assert model.ngrams is not None and model.tokens is not None
    before = torch.cat([torch.full((3, 2), NO_TOKEN), tokens], dim=1)
    rows = model.ngrams.weight[model.ngrams.places(before)].sum(2)  # (B, T, C)
    torch.testing.assert_close(model.read(tokens), model.tokens(tokens) + rows)


def test_before_training_they_add_nothing() -> None:
    torch.manual_seed(0)
    plain = Transformer(make_config())
    torch.manual_seed(0)
    assert torch.equal(Transformer(make_config(ngram_rows=30))(some_tokens()), plain(some_tokens()))


def test_vectors_have_none() -> None:
    with pytest.raises(UserError, match="set it to 0"):
        make_config(kind="encoder", outputs=2, inputs="vectors", input_dim=3, ngram_rows=30)
    made = make_model(kind="encoder_decoder", inputs="vectors", input_dim=3, ngram_rows=30)
    assert made.ngrams is not None and made.encoder is not None and made.encoder.ngrams is None
