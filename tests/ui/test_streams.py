"""Texts that are watched from a browser: nothing is missed, nothing is another's, and a reload finds them again."""

from collections.abc import Iterator

import pytest
import torch

from microformer.data.tokenizers import build_tokenizer
from microformer.errors import UserError
from microformer.generation.engine import Engine
from microformer.generation.settings import Sampling
from microformer.generation.stream import Stream
from microformer.model.transformer import Transformer
from microformer.ui.actions import streams
from microformer.ui.workspace import Visitor, Workspace, new_secret
from tests.conftest import make_config


@pytest.fixture
def engine() -> Iterator[Engine]:
    tokenizer = build_tokenizer("char", ["Once upon a time."])
    torch.manual_seed(1)
    with Engine(Transformer(make_config(vocab_size=tokenizer.vocab_size)).eval(), tokenizer) as engine:
        yield engine


def written(engine: Engine, count: int = 2, tokens: int = 12) -> list[Stream]:
    texts = engine.samples("Once", Sampling(max_tokens=tokens, seed=3, num_samples=count, temperature=1.5))
    assert all(text.wait(60) for text in texts)
    return texts


def test_asking_bit_by_bit_gives_the_whole_text_with_its_probabilities(
    workspace: Workspace, ada: Visitor, engine: Engine
) -> None:
    texts = written(engine)
    key = streams.show(workspace, ada, "sample", texts, headings=["one", "two"], about="The gate stayed closed.")
    have, seen = [0, 0], ["", ""]
    for _ in range(3):
        news = streams.follow(workspace, ada, {"key": key, "have": have})
        for i, text in enumerate(news["texts"]):
            assert text["from"] == have[i]
            seen[i] += "".join(piece for piece, _ in text["tokens"]) + text["rest"] * (have[i] == 0)
            have[i] += len(text["tokens"])
            assert all(0 <= probability <= 1 for _, probability in text["tokens"])
    assert seen == [text.text for text in texts]
    assert news["done"] and not news["gone"] and news["about"] == "The gate stayed closed."
    assert [text["heading"] for text in news["texts"]] == ["one", "two"]


def test_long_texts_come_in_several_answers(
    workspace: Workspace, ada: Visitor, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "TOKENS_AT_ONCE", 5)
    texts = written(engine, count=1)
    key = streams.show(workspace, ada, "sample", texts)
    have, answers = 0, 0
    while not (news := streams.follow(workspace, ada, {"key": key, "have": [have]}))["texts"][0]["done"]:
        assert not news["done"]
        have += len(news["texts"][0]["tokens"])
        answers += 1
    assert have + len(news["texts"][0]["tokens"]) == len(texts[0].tokens) and answers >= 1


def test_a_token_knows_what_it_was_chosen_from(workspace: Workspace, ada: Visitor, engine: Engine) -> None:
    texts = written(engine)
    key = streams.show(workspace, ada, "sample", texts)
    for number, token in enumerate(texts[1].tokens):
        told = streams.alternatives(workspace, ada, {"key": key, "text": 1, "token": number})
        assert told["probability"] == token.probability and len(told["alternatives"]) == 5
        if told["taken"] is not None:
            assert told["alternatives"][told["taken"]][1] == token.probability


@pytest.mark.parametrize("token", [-1, 10**9, True, "0", None, 0.0])
def test_a_token_that_is_not_there_is_refused(
    workspace: Workspace, ada: Visitor, engine: Engine, token: object
) -> None:
    key = streams.show(workspace, ada, "sample", written(engine))
    with pytest.raises(UserError):
        streams.alternatives(workspace, ada, {"key": key, "text": 0, "token": token})


def test_a_key_is_of_no_use_to_somebody_else(workspace: Workspace, ada: Visitor, engine: Engine) -> None:
    bob = workspace.visitor(new_secret())
    key = streams.show(workspace, ada, "sample", written(engine))
    assert streams.follow(workspace, bob, {"key": key, "have": []})["gone"]
    assert streams.latest_key(workspace, bob, "sample") is None
    with pytest.raises(UserError, match="not kept"):
        streams.alternatives(workspace, bob, {"key": key, "text": 0, "token": 0})


def test_a_reload_finds_the_latest_text_of_its_place(workspace: Workspace, ada: Visitor, engine: Engine) -> None:
    streams.show(workspace, ada, "sample", written(engine))
    key = streams.show(workspace, ada, "sample", written(engine))
    other = streams.show(workspace, ada, "chat", written(engine))
    assert streams.latest_key(workspace, ada, "sample") == key
    assert streams.latest_key(workspace, ada, "chat") == other


def test_only_the_newest_groups_are_kept(workspace: Workspace, ada: Visitor, engine: Engine) -> None:
    texts = written(engine, count=1)
    keys = [streams.show(workspace, ada, "sample", texts) for _ in range(streams.GROUPS_KEPT + 1)]
    assert streams.follow(workspace, ada, {"key": keys[0]})["gone"]
    assert not streams.follow(workspace, ada, {"key": keys[1]})["gone"]


def test_stopping_and_starting_again_end_what_is_being_written(
    workspace: Workspace, ada: Visitor, engine: Engine
) -> None:
    endless = Sampling(max_tokens=100_000, seed=1, temperature=100)
    first = engine.sample("Once", endless)
    streams.show(workspace, ada, "sample", [first])
    second = engine.sample("Once", endless)
    streams.show(workspace, ada, "sample", [second])
    assert first.wait(60)
    streams.stop(workspace, ada, "elsewhere")
    streams.stop(workspace, ada, "sample")
    assert second.wait(60) and second.stop_reason in ("stopped", "endoftext")


@pytest.mark.parametrize("request_", [{}, {"key": None}, {"key": ["x"]}, {"key": "x", "have": "y"}])
def test_nonsense_from_a_browser_finds_nothing(workspace: Workspace, ada: Visitor, request_: dict[str, object]) -> None:
    assert streams.follow(workspace, ada, request_)["gone"]
