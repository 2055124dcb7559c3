"""What is kept of the frozen base gives the same as reading everything anew."""

import itertools
from dataclasses import replace

import torch

from microformer.checkpoint import Loaded
from microformer.teaching.anchors import sample_anchors
from microformer.teaching.drift import drift
from microformer.teaching.examples import fact_example
from microformer.teaching.ground import Base, Ground, answers, ground_of, head_input
from microformer.teaching.lesson import leads, lowest, margins_of
from microformer.teaching.session import Fact, Session, blank_memory
from tests.teaching.small_models import FACTS, finished, make_loaded


def test_answers_from_kept_activations_equal_the_whole_model(loaded: Loaded, taught: Session) -> None:
    examples = [fact_example(loaded, fact) for fact in (*FACTS, Fact("A", "b" * 50))]
    said = answers(Ground(loaded.model, 0), taught.memory, examples)
    for row, example in enumerate(examples):
        whole = loaded.model(torch.tensor([example.tokens]), session=taught.memory)[0, example.first :]
        torch.testing.assert_close(said.logits[said.rows == row], whole, atol=1e-4, rtol=1e-4)
        assert said.targets[said.rows == row].tolist() == list(example.targets)


def test_margins_say_how_far_the_right_token_leads(loaded: Loaded, taught: Session) -> None:
    example = fact_example(loaded, FACTS[0])
    said = answers(ground_of(loaded), taught.memory, [example])
    likeliest = said.logits.detach().topk(2).values
    (margin,) = lowest(said, leads(said), 1)
    assert margin >= 0.5
    assert abs(margin - float((likeliest[:, 0] - likeliest[:, 1]).min())) < 1e-5


def test_margins_come_in_the_order_of_the_examples(loaded: Loaded, taught: Session) -> None:
    examples = [fact_example(loaded, fact) for fact in (FACTS[2], Fact("Not taught", "at all"), FACTS[0])]
    margins = finished(margins_of(ground_of(loaded), taught.memory, examples))
    assert [margin >= 0.5 for margin in margins] == [True, False, True]


def test_anchors_are_what_the_base_writes_and_repeatable(loaded: Loaded) -> None:
    one, two = (finished(sample_anchors(loaded.model, 0, seed=3)) for _ in range(2))
    assert torch.equal(one.tokens, two.tokens)
    assert not torch.equal(one.tokens, finished(sample_anchors(loaded.model, 0, seed=4)).tokens)
    with torch.inference_mode():
        chances = loaded.model(one.tokens).softmax(-1)
    torch.testing.assert_close(one.chances, chances.gather(2, one.likely), atol=1e-4, rtol=1e-4)
    assert bool((one.chances.sum(2) > 0.9).all())


def test_a_blank_memory_does_not_drift(loaded: Loaded) -> None:
    ground = Ground(loaded.model, 0)
    finished(ground.prepare())
    memory = blank_memory(loaded.model.config)
    lesson, base = ground.anchor_places(64, min(memory.layers), torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert abs(float(drift(loaded.model, memory, lesson, base))) < 1e-6


def test_drift_and_its_slope_are_those_of_the_divergence_over_all_tokens(loaded: Loaded, taught: Session) -> None:
    ground = Ground(loaded.model, 0)
    finished(ground.prepare())
    lesson, _ = ground.anchor_places(64, min(taught.memory.layers), torch.Generator().manual_seed(0))
    with torch.no_grad():
        blank = blank_memory(loaded.model.config)
        before = loaded.model.logits(head_input(loaded.model, blank, lesson)).softmax(-1)
    up = taught.memory.up.clone().requires_grad_()
    memory = replace(taught.memory, up=up)
    after = loaded.model.logits(head_input(loaded.model, memory, lesson), memory).log_softmax(-1)
    whole = (before * (before.clamp(min=1e-30).log() - after)).sum(-1).mean()
    everything = Base(torch.arange(before.shape[1]).expand_as(before), before)
    found = drift(loaded.model, memory, lesson, everything)
    torch.testing.assert_close(found, whole, atol=1e-5, rtol=1e-3)
    slopes = [torch.autograd.grad(one, [up], retain_graph=True)[0] for one in (found, whole)]
    torch.testing.assert_close(*slopes, atol=1e-5, rtol=1e-3)


def test_tokens_that_are_not_listed_count_as_one(loaded: Loaded, taught: Session) -> None:
    ground = Ground(loaded.model, 0)
    finished(ground.prepare())
    lesson, base = ground.anchor_places(64, min(taught.memory.layers), torch.Generator().manual_seed(0))
    few = Base(base.likely[:, :3], base.chances[:, :3])
    with torch.no_grad():
        assert 0 < drift(loaded.model, taught.memory, lesson, few) < drift(loaded.model, taught.memory, lesson, base)


def test_the_ground_of_a_model_goes_with_it() -> None:
    one = make_loaded()
    ground = ground_of(one)
    assert ground_of(one) is ground
    del one
    assert ground._model() is None


def test_two_who_prepare_share_the_work(loaded: Loaded) -> None:
    ground = Ground(loaded.model, loaded.tokenizer.end_id)
    alone = sum(1 for _ in Ground(loaded.model, loaded.tokenizer.end_id).prepare())
    first, second = ground.prepare(), ground.prepare()
    steps = 0
    for one in itertools.cycle((first, second)):
        try:
            next(one)
        except StopIteration:
            break
        steps += 1
    assert steps == alone
    assert ground.anchors is not None
    assert list(second) == list(first) == []
