"""Answers to sources: batched is alone, cached is uncached, and the beam finds what looking at everything finds."""

import itertools
from typing import Any

import pytest
import torch

from microformer.data.tokenizers import build_tokenizer
from microformer.errors import UserError
from microformer.generation.answers import answer, read_sources
from microformer.generation.beam import Beam, beam_search
from microformer.generation.engine import Engine
from microformer.generation.sampling import Sampling
from microformer.model.transformer import Transformer
from tests.conftest import make_config

VOCABULARY, END, LONGEST = 6, 0, 3
SOURCES = [[1, 2, 3, 4, 5], [3], [5, 5, 2]]


def toy(**changes: Any) -> Transformer:
    torch.manual_seed(0)
    shape = {"kind": "encoder_decoder", "vocab_size": VOCABULARY, "max_seq_len": 12, "tie_weights": False}
    model = Transformer(make_config(**shape | changes)).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return model


def plainly(model: Transformer, source: list[int], max_tokens: int) -> list[int]:
    """Greedy without cache, batch or padding."""
    ids: list[int] = []
    while len(ids) < max_tokens:
        with torch.inference_mode():
            logits = model(torch.tensor([[END, *ids]]), source=torch.tensor([source]))
        ids.append(int(logits[0, -1].argmax()))
        if ids[-1] == END:
            return ids[:-1]
    return ids


@pytest.mark.parametrize("position", ["rotary", "alibi", "learned"])
def test_answers_to_many_sources_are_those_to_each_alone(position: str) -> None:
    model = toy(position=position)
    found = answer(model, read_sources(model, SOURCES), Sampling(max_tokens=8, temperature=0), end_id=END)
    assert [list(one.ids) for one in found] == [plainly(model, source, 8) for source in SOURCES]


def test_samples_are_those_of_their_seeds_whoever_else_is_asked() -> None:
    model = toy()
    many = answer(model, read_sources(model, SOURCES), Sampling(max_tokens=8, seed=3, num_samples=2), end_id=END)
    second = answer(model, read_sources(model, SOURCES[1:2]), Sampling(max_tokens=8, seed=4), end_id=END)
    assert len(many) == 6 and many[3] == second[0]
    assert len({one.ids for one in many}) > 1


def test_an_answer_ends_with_the_context_at_the_latest() -> None:
    model = toy()
    model.logit_bias[END] = -1e4
    (found,) = answer(model, read_sources(model, SOURCES[:1]), Sampling(max_tokens=50, temperature=0), end_id=END)
    assert (len(found.ids), found.stop) == (12, "length")


def test_the_beam_finds_what_exhaustive_search_finds() -> None:
    model, source = toy(), SOURCES[2]
    every = []
    for length in range(1, LONGEST + 1):
        for ids in itertools.product(range(VOCABULARY), repeat=length):
            if END in ids[:-1] or (length < LONGEST and ids[-1] != END):
                continue
            with torch.inference_mode():
                logits = model(torch.tensor([[END, *ids[:-1]]]), source=torch.tensor([source]))[0].double()
            total = float(logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None]).sum())
            every.append(Beam(ids[:-1] if ids[-1] == END else ids, total, ids[-1] == END))
    best = sorted(every, key=lambda one: -one.score(1.0))[:10]
    found = beam_search(
        model, [END], beams=VOCABULARY**LONGEST, max_tokens=LONGEST, end_id=END, source=read_sources(model, [source])
    )
    assert [one.ids for one in found[:10]] == [one.ids for one in best]


def test_one_beam_is_greedy() -> None:
    model = toy()
    for source in SOURCES:
        read = read_sources(model, [source])
        (found,) = beam_search(model, [END], beams=1, max_tokens=8, end_id=END, source=read)
        assert list(found.ids) == plainly(model, source, 8)


@pytest.mark.parametrize("changes", [{}, {"kind": "encoder"}, {"kind": "decoder", "outputs": 2}])
def test_a_model_that_does_not_go_on_with_a_text_is_refused_by_the_engine(changes: dict[str, Any]) -> None:
    tokenizer = build_tokenizer("byte", "")
    model = toy(vocab_size=tokenizer.vocab_size, **changes)
    with Engine(model, tokenizer) as engine, pytest.raises(UserError, match="does not continue a text"):
        engine.sample("A text", Sampling())
