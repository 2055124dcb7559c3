"""The teaching benchmark asks what it says it asks, and every row of its table can be measured."""

import pytest
import torch

from microformer.bench.facts100 import facts100
from microformer.bench.sessions import bench_sessions
from microformer.bench.teach import bench_teach, says_exactly
from microformer.bench.teaching_rows import FAMILIES, Family, LowRank, always
from microformer.checkpoint import Loaded, base_hash
from microformer.teaching.gate import LexicalGate
from microformer.teaching.session import Fact
from tests.teaching.small_models import make_loaded


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return make_loaded()


def test_the_protocol_is_what_it_says() -> None:
    protocol = facts100(1)
    answers = [fact.answer for fact in protocol.facts]
    assert len({fact.key for fact in protocol.facts}) == 100
    assert sum(40 <= len(answer) <= 80 for answer in answers) == 10
    assert max(answers.count(answer) for answer in answers) >= 10
    prompts = [fact.prompt for fact in protocol.facts]
    assert sum(other != prompt and other.startswith(prompt) for prompt in prompts for other in prompts) >= 5
    assert (len(protocol.near_misses), len(protocol.unrelated)) == (100, 300)
    assert all(len(texts) == 100 for texts in protocol.paraphrases.values())
    assert facts100(1) == protocol != facts100(2)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_gate_meets_its_targets_on_the_protocol(seed: int) -> None:
    protocol = facts100(seed)
    gate = LexicalGate(protocol.facts)
    assert sum(gate.decide(prompt).open for prompt in protocol.unrelated) <= 3
    assert sum(gate.decide(prompt).open for prompt in protocol.near_misses) <= 10
    for kind in ("case", "spacing"):
        opened = [gate.decide(text).fact for text in protocol.paraphrases[kind]]
        assert sum(one == fact for one, fact in zip(opened, protocol.facts, strict=True)) >= 95


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: next(iter(family.rows)))
def test_every_method_can_be_measured_and_what_a_limit_cut_off_is_said(loaded: Loaded, family: Family) -> None:
    held_out = torch.randint(1, 60, (2, 33), generator=torch.Generator().manual_seed(5))
    facts, cut = (1, "1 of 2 orders") if family.thorough else (2, "1 of 2 facts")
    limits = {"patience": 0, "longest": 0}
    report = bench_teach(loaded, held_out, families=[family], orders=2, counts=(1,), facts=facts, **limits)
    (left_out,) = report["left_out"]
    assert left_out.startswith(f"{family.name}: {cut}")
    found = report["rows"]
    assert [(entry["method"], entry["facts"]) for entry in found] == [(name, 1) for name in family.rows]
    assert all(entry["recall"] == entry["first_ten"] == 1.0 for entry in found)
    assert len({tuple(entry) for entry in found}) == 1


def test_low_rank_learning_leaves_the_model_alone(loaded: Loaded) -> None:
    before = base_hash(loaded.model)
    learner = LowRank(loaded)
    learner.learn(Fact("One is", "Zoë"))
    assert base_hash(loaded.model) == before
    assert says_exactly(learner, always(learner), ["One is"], [Fact("One is", "Zoë")]) == [True]


def test_sessions_in_one_batch_say_what_each_says_alone() -> None:
    found = bench_sessions(make_loaded(max_seq_len=128), sessions=2, facts=1)
    assert (found["recited"], found["same_tokens"]) == (2, 1.0)
    assert found["logits_apart"] < 1e-3
    assert found["kilobytes"] < 300
