"""What is kept of the frozen base gives the same as reading everything anew."""

import itertools
from dataclasses import replace

import pytest
import torch

from microformer.checkpoint import Loaded
from microformer.teaching.anchors import sample_anchors
from microformer.teaching.drift import drift
from microformer.teaching.examples import fact_example
from microformer.teaching.frozen_base import FrozenBase, frozen_base_of, head_input, lower_activations, predictions
from microformer.teaching.generators import finished
from microformer.teaching.lesson import lowest_margins, margins_of, place_margins
from microformer.teaching.session import Fact, Session, blank_memory
from tests.teaching.small_models import FACTS, make_loaded


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_predictions_from_kept_activations_equal_the_whole_model(loaded: Loaded, blocks: int) -> None:
    examples = [fact_example(loaded, fact) for fact in (*FACTS, Fact("A", "b" * 50))]
    memory = blank_memory(loaded.model.config, blocks=blocks)
    memory = replace(memory, up=torch.randn_like(memory.up))
    found = predictions(FrozenBase(loaded.model, 0), memory, examples)
    for row, example in enumerate(examples):
        whole = loaded.model(torch.tensor([example.tokens]), session=memory)[0, example.first :]
        torch.testing.assert_close(found.logits[found.rows == row], whole, atol=1e-4, rtol=1e-4)
        assert found.targets[found.rows == row].tolist() == list(example.targets)


def test_margins_say_how_far_the_right_token_leads(loaded: Loaded, taught: Session) -> None:
    example = fact_example(loaded, FACTS[0])
    found = predictions(frozen_base_of(loaded), taught.memory, [example])
    likeliest = found.logits.detach().topk(2).values
    (margin,) = lowest_margins(found, place_margins(found), 1)
    assert margin >= 0.5
    assert abs(margin - float((likeliest[:, 0] - likeliest[:, 1]).min())) < 1e-5


def test_margins_come_in_the_order_of_the_examples(loaded: Loaded, taught: Session) -> None:
    examples = [fact_example(loaded, fact) for fact in (FACTS[2], Fact("Not taught", "at all"), FACTS[0])]
    margins = finished(margins_of(frozen_base_of(loaded), taught.memory, examples))
    assert [margin >= 0.5 for margin in margins] == [True, False, True]


def test_anchors_are_what_the_base_writes_and_repeatable(loaded: Loaded) -> None:
    one, two = (finished(sample_anchors(loaded.model, 0, first=1, seed=3)) for _ in range(2))
    assert torch.equal(one.tokens, two.tokens)
    assert not torch.equal(one.tokens, finished(sample_anchors(loaded.model, 0, first=1, seed=4)).tokens)
    with torch.inference_mode():
        torch.testing.assert_close(one.head_input, loaded.model.hidden(one.tokens), atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(one.lower, lower_activations(loaded.model, one.tokens, 1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("layers", [1, 3])
def test_a_session_begins_where_the_anchors_were_noted(layers: int) -> None:
    loaded = make_loaded(n_layers=layers)
    base, first = FrozenBase(loaded.model, 0), min(blank_memory(loaded.model.config).layers)
    noted = finished(base.prepare()).lower
    assert base.lower_of_anchors(first) is noted


def test_a_blank_memory_does_not_drift(loaded: Loaded) -> None:
    base = FrozenBase(loaded.model, 0)
    finished(base.prepare())
    memory = blank_memory(loaded.model.config)
    batch, read = base.anchor_places(64, min(memory.layers), torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert abs(float(drift(loaded.model, memory, batch, read))) < 1e-6


def test_drift_and_its_gradient_are_those_of_the_divergence_over_all_tokens(loaded: Loaded, taught: Session) -> None:
    base = FrozenBase(loaded.model, 0)
    finished(base.prepare())
    batch, read = base.anchor_places(64, min(taught.memory.layers), torch.Generator().manual_seed(0))
    with torch.no_grad():
        blank = blank_memory(loaded.model.config)
        before = loaded.model.logits(head_input(loaded.model, blank, batch)).softmax(-1)
    up = taught.memory.up.clone().requires_grad_()
    memory = replace(taught.memory, up=up)
    after = loaded.model.logits(head_input(loaded.model, memory, batch), memory).log_softmax(-1)
    whole = (before * (before.clamp(min=1e-30).log() - after)).sum(-1).mean()
    found = drift(loaded.model, memory, batch, read)
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-3)
    gradients = [torch.autograd.grad(one, [up], retain_graph=True)[0] for one in (found, whole)]
    torch.testing.assert_close(*gradients, atol=1e-5, rtol=1e-3)


def test_drift_among_some_tokens_sees_only_those(loaded: Loaded, taught: Session) -> None:
    base = FrozenBase(loaded.model, 0)
    finished(base.prepare())
    batch, read = base.anchor_places(64, min(taught.memory.layers), torch.Generator().manual_seed(0))
    every = torch.arange(loaded.model.config.vocab_size)
    with torch.no_grad():
        whole, among = (drift(loaded.model, taught.memory, batch, read, some) for some in (None, every))
        torch.testing.assert_close(whole, among)
        assert abs(float(drift(loaded.model, taught.memory, batch, read, every[:1]))) < 1e-6


@pytest.mark.parametrize("first", [0, 1, 2])
def test_places_of_anchors_come_with_what_follows_and_what_the_base_says_there(loaded: Loaded, first: int) -> None:
    base = FrozenBase(loaded.model, 0)
    anchors = finished(base.prepare())
    batch, read = base.anchor_places(40, first, torch.Generator().manual_seed(0))
    with torch.no_grad():
        here = head_input(loaded.model, blank_memory(loaded.model.config), batch)
    torch.testing.assert_close(here, read, atol=1e-4, rtol=1e-4)
    follows = {
        (there, token)
        for there, token in zip(
            anchors.head_input[:, :-1, 0].flatten().tolist(), anchors.tokens[:, 1:].flatten().tolist(), strict=True
        )
    }
    found = zip(read[:, 0].tolist(), batch.targets.tolist(), strict=True)
    assert all((there, token) in follows for there, token in found)


def test_the_frozen_base_of_a_model_goes_with_it() -> None:
    one = make_loaded()
    base = frozen_base_of(one)
    assert frozen_base_of(one) is base
    del one
    assert base._model() is None


def test_two_who_prepare_share_the_work(loaded: Loaded) -> None:
    base = FrozenBase(loaded.model, loaded.tokenizer.end_id)
    alone = sum(1 for _ in FrozenBase(loaded.model, loaded.tokenizer.end_id).prepare())
    first, second = base.prepare(), base.prepare()
    steps = 0
    for one in itertools.cycle((first, second)):
        try:
            next(one)
        except StopIteration:
            break
        steps += 1
    assert steps == alone
    assert base.anchors is not None
    assert list(second) == list(first) == []
