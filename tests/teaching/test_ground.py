"""What is kept of the frozen base gives the same as reading everything anew."""

import torch

from microformer.checkpoint import Loaded
from microformer.teaching.anchors import sample_anchors
from microformer.teaching.examples import fact_example
from microformer.teaching.ground import Ground, answers, ground_of
from microformer.teaching.lesson import drift, leads, lowest, margins_of
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
        torch.testing.assert_close(one.hidden, loaded.model.hidden(one.tokens), atol=1e-4, rtol=1e-4)


def test_a_blank_memory_does_not_drift(loaded: Loaded) -> None:
    ground = Ground(loaded.model, 0)
    finished(ground.prepare())
    memory = blank_memory(loaded.model.config)
    lesson, base = ground.anchor_places(64, min(memory.layers), torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert abs(float(drift(loaded.model, memory, lesson, base))) < 1e-6


def test_the_ground_of_a_model_goes_with_it() -> None:
    one = make_loaded()
    ground = ground_of(one)
    assert ground_of(one) is ground
    del one
    assert ground._model() is None
