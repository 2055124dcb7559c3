"""The plain reference, and the batch that must agree with it."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from microformer.adapters.session import SessionMemory
from microformer.data.tokenizers import ByteTokenizer
from microformer.generation.batch import Batch, Row
from microformer.generation.complete import complete
from microformer.generation.generate import generate
from microformer.generation.prompt import prompt_ids
from microformer.generation.sampling import Choice, Sampling
from microformer.model.transformer import Transformer
from tests.conftest import make_config

TOKENIZER = ByteTokenizer()
PROMPTS = ["", "Once", "Once upon a time there was a king", "x" * 100]


def make_model(**changes: object) -> Transformer:
    """Untrained, but lively: its texts wander, seldom end, and are far from any tie."""
    torch.manual_seed(0)
    shape = {"vocab_size": TOKENIZER.vocab_size, "tie_weights": False}
    model = Transformer(make_config(**shape | changes)).eval()
    with torch.no_grad():
        model.unembedding.weight.mul_(40)
        for block in model.blocks:
            block.attention.qkv.weight.mul_(20)
            block.feed_forward.down.weight.mul_(40)
        model.logit_bias[TOKENIZER.end_id] = -1
    return model


def make_session(model: Transformer, seed: int, width: int = 4) -> SessionMemory:
    blank = SessionMemory.blank(model.config, layers=(1,), width=width, seed=seed)
    up = torch.randn(blank.up.shape, generator=torch.Generator().manual_seed(seed))
    return SessionMemory(blank.layers, blank.down, up)


def reference(
    model: Transformer, prompt: str, sampling: Sampling, session: SessionMemory | None = None
) -> list[Choice]:
    ids = prompt_ids(TOKENIZER, prompt)
    return list(generate(model, ids, sampling, session=session, end_id=TOKENIZER.end_id))


def batched(model: Transformer, rows: list[Row]) -> list[list[int]]:
    """Tokens that each row wrote; row ``i`` joins when the first has written ``3 * i`` tokens, and leaves when done."""
    batch = Batch(model, TOKENIZER.end_id)
    written: dict[Row, list[int]] = {row: [] for row in rows}
    waiting = list(enumerate(rows))
    steps = 0
    while waiting or batch.rows:
        batch.join([row for i, row in waiting if steps >= 3 * i])
        waiting = [(i, row) for i, row in waiting if steps < 3 * i]
        if batch.rows:
            for row, choice in zip(batch.rows, batch.step(), strict=True):
                written[row].append(choice.id)
            batch.leave([row for row in batch.rows if row.stop_reason is not None])
        steps += 1
    return list(written.values())


@pytest.mark.parametrize("position", ["rotary", "learned", "sinusoidal", "alibi", "none"])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_that_join_and_leave_write_what_the_reference_writes(position: str, temperature: float) -> None:
    model = make_model(position=position)
    settings = [Sampling(max_tokens=n, temperature=temperature, seed=n) for n in (60, 5, 40, 70)]
    rows = [Row(prompt_ids(TOKENIZER, p), s, s.seed, None) for p, s in zip(PROMPTS, settings, strict=True)]
    expected = [[one.id for one in reference(model, p, s)] for p, s in zip(PROMPTS, settings, strict=True)]
    assert batched(model, rows) == expected


def test_rows_with_different_sessions_write_what_they_write_alone() -> None:
    model = make_model()
    sessions = [make_session(model, 1), None, make_session(model, 2, width=6), None]
    sampling = Sampling(max_tokens=40, temperature=0)
    rows = [Row(prompt_ids(TOKENIZER, p), sampling, 0, s) for p, s in zip(PROMPTS, sessions, strict=True)]
    expected = [[one.id for one in reference(model, p, sampling, s)] for p, s in zip(PROMPTS, sessions, strict=True)]
    assert expected[0] != [one.id for one in reference(model, PROMPTS[0], sampling)], "the session must matter"
    assert batched(model, rows) == expected


def test_probabilities_and_alternatives_agree_with_the_reference() -> None:
    model = make_model()
    sampling = Sampling(max_tokens=20, temperature=0.7, top_k=5, seed=4)
    batch = Batch(model, TOKENIZER.end_id)
    batch.join([Row(prompt_ids(TOKENIZER, "Once"), sampling, sampling.seed, None)])
    for plain in reference(model, "Once", sampling):
        (choice,) = batch.step()
        assert choice.id == plain.id
        assert choice.probability == pytest.approx(plain.probability, abs=1e-4)
        assert len(choice.alternatives) == 5
        assert all(a[1] >= b[1] for a, b in pairwise(choice.alternatives))


def test_generation_stops_at_the_end_of_text_token_and_yields_it_last() -> None:
    model = make_model()
    with torch.no_grad():
        model.logit_bias[TOKENIZER.end_id] = 1e4
    assert [one.id for one in reference(model, "Once", Sampling())] == [TOKENIZER.end_id]


def test_a_row_that_cannot_be_read_leaves_the_batch_as_it_was() -> None:
    model = make_model()
    sampling = Sampling(max_tokens=9, temperature=0)
    row = Row(prompt_ids(TOKENIZER, "Once"), sampling, 0, None)
    batch = Batch(model, TOKENIZER.end_id)
    batch.join([row])
    with pytest.raises(IndexError):
        batch.join([Row([10**6, 1], sampling, 0, None)])
    while row.stop_reason is None:
        batch.step()
    assert row.ids[5:] == [one.id for one in reference(model, "Once", sampling)]


def test_the_cache_is_no_larger_than_the_rows_need() -> None:
    batch = Batch(make_model(), TOKENIZER.end_id)
    batch.join([Row([0, 1, 2], Sampling(max_tokens=4), 0, None)])
    assert batch._cache is not None and batch._cache.capacity == 7


@pytest.mark.parametrize("max_rows", [1, 3, 32])
def test_complete_writes_every_sample_of_every_prompt_in_order(max_rows: int) -> None:
    model = make_model()
    sampling = Sampling(max_tokens=12, seed=5, num_samples=2)
    done = complete(model, TOKENIZER, PROMPTS, sampling, max_rows=max_rows)
    expected = [
        [one.id for one in reference(model, prompt, Sampling(max_tokens=12, seed=5 + i))]
        for prompt in PROMPTS
        for i in range(2)
    ]
    assert [one.prompt for one in done] == [prompt for prompt in PROMPTS for _ in range(2)]
    assert [list(one.ids) for one in done] == [[i for i in ids if i != TOKENIZER.end_id] for ids in expected]
    assert [one.completion for one in done] == [TOKENIZER.decode(one.ids) for one in done]


def test_complete_of_no_prompts_is_nothing() -> None:
    assert complete(make_model(), TOKENIZER, [], Sampling()) == []


def test_a_stop_text_ends_a_text_and_stays_in_it() -> None:
    model, sampling = make_model(), Sampling(max_tokens=60, temperature=1, seed=0)
    (whole,) = complete(model, TOKENIZER, ["Once"], sampling)
    stop = whole.completion[10:13]
    (cut,) = complete(model, TOKENIZER, ["Once"], replace(sampling, stop=f"never this|{stop}"))
    assert cut.stop == "stop"
    assert cut.completion == whole.completion[: whole.completion.index(stop) + len(stop)]


def test_stop_texts_are_told_apart_and_new_lines_can_be_written() -> None:
    assert Sampling(stop="a b|\\n|").stops == ("a b", "\n")
    assert Sampling().stops == ()
