"""Many visitors, one model: nobody's text depends on anybody else's, and nobody waits for ever."""

import threading
from collections.abc import Generator, Iterator
from itertools import pairwise
from typing import Any

import pytest
import torch

from microformer.adapters.session import SessionMemory
from microformer.data.tokenizers import ByteTokenizer
from microformer.errors import UserError
from microformer.generation.engine import Engine
from microformer.generation.sampling import Sampling
from microformer.generation.stream import Stream
from tests.generation.test_generate import PROMPTS, TOKENIZER, make_model, make_session, reference

LONG = Sampling(max_tokens=100_000, seed=9)
SHORT = Sampling(max_tokens=20, seed=9)
WAIT = 60.0  # far more than anything here takes; only a deadlock reaches it


@pytest.fixture
def engine() -> Iterator[Engine]:
    model = make_model()
    model.logit_bias[TOKENIZER.end_id] = -1e4  # texts end by their length only
    with Engine(model, TOKENIZER, clock=lambda: 0.0) as engine:
        yield engine


def wait_for_tokens(stream: Stream, count: int) -> None:
    for _, _ in zip(range(count), stream, strict=False):
        pass


def expected_text(engine: Engine, prompt: str, sampling: Sampling, session: SessionMemory | None = None) -> str:
    return TOKENIZER.decode([one.id for one in reference(engine.model, prompt, sampling, session)])


def test_a_stream_writes_what_the_reference_writes(engine: Engine) -> None:
    for prompt in PROMPTS:
        stream = engine.sample(prompt, Sampling(max_tokens=70, seed=1))
        assert stream.result(WAIT) == expected_text(engine, prompt, Sampling(max_tokens=70, seed=1))
        assert (stream.stop_reason, len(stream.tokens)) == ("length", 70)


def test_the_same_seed_writes_the_same_text_while_others_stream(engine: Engine) -> None:
    sessions = [None, make_session(engine.model, 1), make_session(engine.model, 2)]
    alone = [engine.sample(p, SHORT, s, owner="alone").result(WAIT) for p in PROMPTS for s in sessions]
    others = [engine.sample("Other", LONG, s, owner="other") for s in sessions]
    for other in others:
        wait_for_tokens(other, 2)
    together = [engine.sample(p, SHORT, s, owner="alone") for p in PROMPTS for s in sessions]
    assert [stream.result(WAIT) for stream in together] == alone
    assert not any(other.done for other in others)


def test_iterating_gives_each_token_once_and_the_pieces_make_the_text(engine: Engine) -> None:
    stream = engine.sample("Once", SHORT)
    tokens = list(stream)
    assert tokens == stream.tokens == list(stream)
    assert stream.text == TOKENIZER.decode([token.id for token in tokens])
    assert all(0 < token.probability <= 1 and len(token.alternatives) == 5 for token in tokens)


def test_samples_are_what_their_seeds_give_alone(engine: Engine) -> None:
    streams = engine.samples("Once", Sampling(max_tokens=15, seed=3, num_samples=3))
    alone = [engine.sample("Once", Sampling(max_tokens=15, seed=3 + i)).result(WAIT) for i in range(3)]
    assert [stream.result(WAIT) for stream in streams] == alone
    assert [stream.seed for stream in streams] == [3, 4, 5]


def test_a_seed_that_was_drawn_is_told_and_repeats_the_text(engine: Engine) -> None:
    first = engine.sample("Once", Sampling(max_tokens=15))
    assert engine.sample("Once", Sampling(max_tokens=15, seed=first.seed)).result(WAIT) == first.result(WAIT)


def test_an_ended_text_says_so_and_does_not_show_the_end_token() -> None:
    model = make_model()
    model.logit_bias[TOKENIZER.end_id] = 1e4
    with Engine(model, TOKENIZER) as engine:
        stream = engine.sample("Once", SHORT)
        assert (stream.result(WAIT), stream.tokens, stream.stop_reason) == ("", [], "endoftext")


def test_a_long_prompt_is_noted_and_a_short_one_is_not(engine: Engine) -> None:
    assert engine.sample("Once", SHORT).note is None
    note = engine.sample("x" * 100, SHORT).note
    assert note is not None and "101 tokens" in note


def test_stop_ends_a_stream_under_way_and_one_that_waits() -> None:
    with Engine(make_model(), TOKENIZER, max_rows=1) as engine:
        engine.model.logit_bias[TOKENIZER.end_id] = -1e4
        first, second = engine.sample("a", LONG), engine.sample("b", LONG)
        wait_for_tokens(first, 3)
        second.stop()
        assert (second.done, second.stop_reason, second.tokens) == (True, "stopped", [])
        first.stop()
        assert first.wait(WAIT) and first.stop_reason == "stopped"
        assert first.result() == first.text != ""


def test_every_owner_is_let_in_however_many_texts_another_writes() -> None:
    with Engine(make_model(), TOKENIZER, max_rows=2) as engine:
        engine.model.logit_bias[TOKENIZER.end_id] = -1e4
        for stream in [engine.sample("a", LONG, owner="a") for _ in range(4)][:2]:
            wait_for_tokens(stream, 1)
        assert len(engine.sample("b", SHORT, owner="b").result(WAIT)) > 0


def test_limits_are_per_owner_and_a_sentence() -> None:
    with Engine(make_model(), TOKENIZER, max_streams=2, max_jobs=1) as engine:
        engine.model.logit_bias[TOKENIZER.end_id] = -1e4
        streams = [engine.sample("a", LONG, owner="a") for _ in range(2)]
        with pytest.raises(UserError, match="already have 2"):
            engine.sample("a", LONG, owner="a")
        engine.sample("b", LONG, owner="b")
        streams[0].stop()
        assert streams[0].wait(WAIT)
        engine.sample("a", SHORT, owner="a")
        engine.run(endless(), owner="a")
        with pytest.raises(UserError, match="already have 1"):
            engine.run(endless(), owner="a")
        engine.run(endless(), owner="b")


def endless() -> Generator[int, None, None]:
    step = 0
    while True:
        yield step
        step += 1


def test_streams_and_jobs_go_on_beside_each_other(engine: Engine) -> None:
    stream = engine.sample("Once", LONG)
    wait_for_tokens(stream, 1)
    seen: list[int] = []

    def lesson() -> Generator[int, None, str]:
        for _ in range(10):
            seen.append(len(stream.tokens))
            yield len(seen)
        return "taught"

    assert engine.run(lesson()).result(WAIT) == "taught"
    assert seen == list(range(seen[0], seen[0] + 10)), "a token for every step while both take no time"
    assert not stream.done


def test_a_stream_gets_as_much_time_as_a_job_takes() -> None:
    time = [0.0]

    def clock() -> float:
        time[0] += 1.0  # each look at the clock takes a second, so a token takes one
        return time[0]

    model = make_model()
    model.logit_bias[TOKENIZER.end_id] = -1e4
    with Engine(model, TOKENIZER, clock=clock) as engine:
        stream = engine.sample("Once", LONG)
        wait_for_tokens(stream, 1)
        seen = []

        def slow() -> Generator[None, None, None]:
            for _ in range(3):
                seen.append(len(stream.tokens))
                time[0] += 7.0  # a step takes eight seconds
                yield

        engine.run(slow()).result(WAIT)
    assert [later - earlier for earlier, later in pairwise(seen)] == [8, 8]


def test_jobs_of_different_owners_take_turns_and_of_one_owner_wait(engine: Engine) -> None:
    order: list[str] = []
    ready = threading.Event()

    def job(name: str) -> Generator[None, None, None]:
        for _ in range(2):
            ready.wait(WAIT)
            order.append(name)
            yield

    jobs = [engine.run(job(name), owner=name[0]) for name in ("a1", "a2", "b1")]
    ready.set()
    for one in jobs:
        one.result(WAIT)
    assert order == ["a1", "b1", "a1", "b1", "a2", "a2"]


def test_a_job_can_learn_on_the_engines_thread(engine: Engine) -> None:
    def lesson() -> Generator[None, None, float]:
        model = make_model()
        model(torch.tensor([[1, 2, 3]])).sum().backward()
        yield
        return float(model.tokens.weight.grad.abs().sum())

    engine.sample("Once", SHORT).result(WAIT)
    assert engine.run(lesson()).result(WAIT) > 0


def test_a_job_that_fails_or_is_cancelled_harms_nobody(engine: Engine) -> None:
    def failing() -> Generator[int, None, None]:
        yield 1
        raise UserError("The answer is empty; write one.")

    stream = engine.sample("Once", LONG)
    endless_job = engine.run(endless(), owner="b")
    with pytest.raises(UserError, match="answer is empty"):
        engine.run(failing()).result(WAIT)
    endless_job.cancel()
    with pytest.raises(UserError, match="stopped"):
        endless_job.result(WAIT)
    wait_for_tokens(stream, 5)
    assert not stream.done


def test_a_session_that_does_not_fit_fails_alone(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    fits = make_session(engine.model, 1)
    other = SessionMemory(fits.layers, torch.zeros(1, 99, 4), torch.ones(1, 4, 99))
    stream = engine.sample("Once", LONG, owner="a")
    wait_for_tokens(stream, 1)
    both = [engine.sample("Once", SHORT, session, owner="b") for session in (other, fits)]
    with pytest.raises(UserError, match="went wrong"):
        both[0].result(WAIT)
    assert both[1].result(WAIT) == expected_text(engine, "Once", SHORT, fits)
    assert not stream.done
    assert "could not go on" in caplog.text


def test_a_diverged_model_ends_its_streams_with_a_sentence_and_the_engine_lives(engine: Engine) -> None:
    with torch.no_grad():
        kept = engine.model.unembedding.weight.clone()
        engine.model.unembedding.weight.fill_(float("nan"))
    stream = engine.sample("Once", SHORT)
    with pytest.raises(UserError, match="diverged"):
        list(stream)
    with torch.no_grad():
        engine.model.unembedding.weight.copy_(kept)
    assert engine.sample("Once", SHORT).result(WAIT) == expected_text(engine, "Once", SHORT)


def test_closing_ends_what_is_under_way_and_refuses_more() -> None:
    model = make_model()
    model.logit_bias[TOKENIZER.end_id] = -1e4
    engine = Engine(model, TOKENIZER, max_rows=1)
    closed: list[Any] = []

    def lesson() -> Generator[None, None, None]:
        try:
            while True:
                yield
        finally:
            closed.append(True)

    streams = [engine.sample("Once", LONG) for _ in range(2)]
    job = engine.run(lesson())
    wait_for_tokens(streams[0], 2)
    assert engine.busy
    engine.close()
    engine.close()
    assert closed == [True]
    assert all(stream.done and stream.error for stream in streams)
    with pytest.raises(UserError, match="put away"):
        job.result(WAIT)
    with pytest.raises(UserError, match="put away"):
        engine.sample("Once", SHORT)


def test_many_threads_sampling_at_once_each_get_their_own_text(engine: Engine) -> None:
    got: dict[int, str] = {}

    def visit(number: int) -> None:
        sampling = Sampling(max_tokens=25, seed=number)
        got[number] = "".join(token.text for token in engine.sample(f"I am {number}", sampling, owner=str(number)))

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    for number in range(8):
        stream = engine.sample(f"I am {number}", Sampling(max_tokens=25, seed=number))
        stream.wait(WAIT)
        assert got[number] == "".join(token.text for token in stream.tokens)


def test_a_character_cut_in_half_at_the_end_is_shown_as_the_tokenizer_shows_it() -> None:
    tokenizer = ByteTokenizer()
    model = make_model()
    with torch.no_grad():
        model.logit_bias[tokenizer.encode("é")[0]] = 1e4
    with Engine(model, tokenizer) as engine:
        stream = engine.sample("Once", Sampling(max_tokens=1))
        assert stream.result(WAIT) == "\N{REPLACEMENT CHARACTER}"
        assert stream.tokens[0].text == ""
