"""Encoders, encoder_decoders and pooled heads: what is theirs alone. What holds for all is in test_combinations."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from microformer.errors import UserError
from microformer.model import fused
from microformer.model.config import POSITIONS
from microformer.model.transformer import Transformer
from tests.conftest import make_config


def make_model(**changes: Any) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(make_config(**changes)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return model


def some_tokens(rows: int = 3, length: int = 12, seed: int = 1) -> Tensor:
    return torch.randint(0, 64, (rows, length), generator=torch.Generator().manual_seed(seed))


LENGTHS = torch.tensor([12, 7, 1])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("position", POSITIONS)
def test_padding_changes_nothing_that_an_encoder_says(position: str, training: bool) -> None:
    model = make_model(kind="encoder", position=position).train(training)
    tokens = some_tokens()
    with torch.set_grad_enabled(training):
        padded = model(tokens, lengths=LENGTHS)
        for row, length in enumerate(LENGTHS.tolist()):
            alone = model(tokens[row : row + 1, :length])
            torch.testing.assert_close(padded[row : row + 1, :length], alone, atol=1e-5, rtol=1e-5)


def test_an_encoder_sees_what_follows() -> None:
    model, tokens = make_model(kind="encoder"), some_tokens()
    other = tokens.clone()
    other[:, -1] = (other[:, -1] + 1) % 64
    assert not torch.allclose(model(tokens)[:, 0], model(other)[:, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("kind", "pooling"),
    [("encoder", "mean"), ("encoder", "first"), ("encoder", "last"), ("decoder", "mean"), ("decoder", "last")],
)
def test_one_answer_about_each_text_whatever_it_is_padded_with(kind: str, pooling: str) -> None:
    model, tokens = make_model(kind=kind, outputs=3, pooling=pooling), some_tokens()
    found = model(tokens, lengths=LENGTHS)
    assert found.shape == (3, 3)
    for row, length in enumerate(LENGTHS.tolist()):
        torch.testing.assert_close(found[row], model(tokens[row : row + 1, :length])[0], atol=1e-5, rtol=1e-5)


def test_an_encoder_reads_vectors() -> None:
    model = make_model(kind="encoder", inputs="vectors", input_dim=5, outputs=1)
    vectors = torch.randn(3, 12, 5, generator=torch.Generator().manual_seed(1))
    found = model(vectors, lengths=LENGTHS)
    assert found.shape == (3, 1)
    torch.testing.assert_close(found[1], model(vectors[1:2, :7])[0], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("changes", [{}, {"inputs": "vectors", "input_dim": 5}, {"n_encoder_layers": 3}])
def test_a_source_is_read_once_and_its_padding_changes_nothing(changes: dict[str, Any]) -> None:
    model, tokens = make_model(kind="encoder_decoder", **changes), some_tokens()
    generator = torch.Generator().manual_seed(2)
    source = torch.randn(3, 12, 5, generator=generator) if changes.get("input_dim") else some_tokens(seed=2)
    with torch.inference_mode():
        whole = model(tokens, source=source, source_lengths=LENGTHS)
        cache = model.new_cache(3)
        parts = [model(tokens[:, :5], source=source, source_lengths=LENGTHS, cache=cache)]
        kept = [tensor.data_ptr() for pair in cache.across.values() for tensor in pair]
        parts += [model(tokens[:, i : i + 1], cache=cache) for i in range(5, 12)]
        assert kept == [tensor.data_ptr() for pair in cache.across.values() for tensor in pair]
        torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=1e-5, rtol=1e-5)
        for row, length in enumerate(LENGTHS.tolist()):
            alone = model(tokens[row : row + 1], source=source[row : row + 1, :length])
            torch.testing.assert_close(whole[row : row + 1], alone, atol=1e-5, rtol=1e-5)


def test_rows_of_a_cache_take_their_sources_with_them() -> None:
    model, tokens, source = make_model(kind="encoder_decoder"), some_tokens(), some_tokens(seed=2)
    with torch.inference_mode():
        whole = model(tokens, source=source, source_lengths=LENGTHS)
        cache = model.new_cache(3)
        model(tokens[:, :5], source=model.encode(source, LENGTHS), cache=cache)
        swapped = model(tokens[[2, 0], 5:], cache=cache.rows([2, 0]))
    torch.testing.assert_close(swapped, whole[[2, 0], 5:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "encoder", "position": "alibi"},
        {"kind": "encoder", "window": 3, "sinks": 1},
        {"kind": "encoder_decoder", "n_kv_heads": 2, "embedding_norm": True, "qk_norm": True},
        {"window": 4, "sinks": 1, "norm_position": "post"},
    ],
)
def test_written_out_backward_passes_serve_every_kind(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    model = make_model(**changes).train()
    tokens, source = some_tokens(), some_tokens(seed=2)

    def gradients() -> list[Tensor]:
        given = {"source": source, "source_lengths": LENGTHS} if model.encoder else {"lengths": LENGTHS}
        kept = (torch.arange(12) < LENGTHS[:, None]).flatten()
        loss = F.cross_entropy(model(tokens, **given).flatten(0, 1)[kept], tokens.roll(1).flatten()[kept])
        return list(torch.autograd.grad(loss, list(model.parameters())))

    ours = gradients()
    monkeypatch.setattr(fused, "pays", lambda *tensors: False)
    torch.testing.assert_close(ours, gradients(), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["attention_dropout", "embedding_dropout"])
def test_each_dropout_acts_alone_and_only_in_training(name: str) -> None:
    model, tokens = make_model(**{name: 0.5}), some_tokens()
    assert torch.equal(model(tokens), model(tokens))
    model.train()
    assert not torch.equal(model(tokens), model(tokens))


def test_the_feed_forward_width_can_be_a_multiple() -> None:
    assert make_config(ff_multiplier=2.5).ff_dim == 40
    assert make_config(ff_multiplier=2.5, d_ff=24).ff_dim == 24


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "encoder_decoder", "outputs": 2}, "an encoder_decoder writes tokens"),
        ({"outputs": 2, "pooling": "first"}, "the first token sees nothing"),
        ({"kind": "encoder", "inputs": "vectors", "outputs": 1}, "input_dim is needed where vectors"),
        ({"inputs": "vectors", "input_dim": 3}, "cannot read vectors"),
        ({"sinks": 2}, "set a window too"),
        ({"window": 31, "sinks": 2}, "more than the context"),
        ({"attention": "mine"}, "known are standard"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_words(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make_config(**changes)


def test_what_a_model_cannot_do_is_refused_in_words() -> None:
    with pytest.raises(UserError, match="give it a source"):
        make_model(kind="encoder_decoder")(some_tokens())
    with pytest.raises(UserError, match="takes no source"):
        make_model()(some_tokens(), source=some_tokens())
    with pytest.raises(UserError, match="does not write texts"):
        make_model(outputs=2).new_cache()
    with pytest.raises(UserError, match="not tokens"):
        make_model(outputs=2).logits(torch.zeros(1, 16))
