"""Beam search against looking at every continuation there is."""

import itertools

import pytest
import torch

from microformer.generation.beam import Beam, beam_search
from microformer.generation.generate import generate
from microformer.generation.sampling import Sampling
from microformer.model.transformer import Transformer
from tests.conftest import make_config

VOCABULARY, END, LONGEST = 4, 0, 4


def toy(context: int = 16, seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    model = Transformer(make_config(vocab_size=VOCABULARY, max_seq_len=context, tie_weights=False)).eval()
    with torch.no_grad():
        model.unembedding.weight.mul_(40)
    return model


def every_continuation(model: Transformer, prompt: list[int]) -> list[Beam]:
    """All texts of at most LONGEST tokens: those that end before, and those that are cut off there."""
    found = []
    for length in range(1, LONGEST + 1):
        for ids in itertools.product(range(VOCABULARY), repeat=length):
            if END in ids[:-1] or (length < LONGEST and ids[-1] != END):
                continue
            with torch.inference_mode():
                logits = model(torch.tensor([[*prompt, *ids]]))[0, len(prompt) - 1 : -1].double().log_softmax(-1)
            total = float(logits.gather(1, torch.tensor(ids)[:, None]).sum())
            ended = ids[-1] == END
            found.append(Beam(ids[:-1] if ended else ids, total, ended))
    return found


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_with_enough_beams_it_finds_what_exhaustive_search_finds(seed: int, length_penalty: float) -> None:
    model, prompt, beams = toy(seed=seed), [1, 3, 2], VOCABULARY**LONGEST
    best = sorted(every_continuation(model, prompt), key=lambda one: -one.score(length_penalty))[:10]
    found = beam_search(model, prompt, beams=beams, max_tokens=LONGEST, end_id=END, length_penalty=length_penalty)[:10]
    assert [one.ids for one in found] == [one.ids for one in best]
    for mine, theirs in zip(found, best, strict=True):
        assert mine.log_probability == pytest.approx(theirs.log_probability, abs=1e-4)


@pytest.mark.parametrize("context", [16, 8])
def test_one_beam_is_greedy_also_past_the_context(context: int) -> None:
    model, prompt = toy(context), [1, 2, 3]
    model.logit_bias[END] = -1e4
    greedy = [choice.id for choice in generate(model, prompt, Sampling(max_tokens=20, temperature=0), end_id=END)]
    (found,) = beam_search(model, prompt, beams=1, max_tokens=20, end_id=END)
    assert list(found.ids) == greedy
    assert not found.ended
