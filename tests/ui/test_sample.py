"""What the Sample tab does, without a browser: which models there are, what is written, and what is refused."""

from typing import Any

import pytest

from microformer.errors import UserError
from microformer.generation.settings import Sampling
from microformer.training.run_directory import Run
from microformer.ui.actions import models, sample, streams
from microformer.ui.workspace import Visitor, Workspace, new_secret
from tests.hub.conftest import make_run

GREEDY = {"temperature": 0.0, "max_tokens": 12}


@pytest.fixture
def run(workspace: Workspace, ada: Visitor) -> str:
    id, path = workspace.runs.create(ada, "My model")
    make_run(path)
    return id


def text_of(workspace: Workspace, visitor: Visitor, begun: sample.Begun) -> list[str]:
    group = streams.groups(workspace, visitor).get(begun.key)
    assert group is not None
    return [stream.result(60) for stream in group.streams]


def test_models_are_those_with_a_checkpoint_that_the_visitor_may_use(
    workspace: Workspace, ada: Visitor, run: str
) -> None:
    workspace.runs.create(ada, "Nothing trained yet")
    bob = workspace.visitor(new_secret())
    own = [id for _, id in models.models(workspace, ada) if id != "starter"]
    assert own == [run]
    assert all(id == "starter" for _, id in models.models(workspace, bob))
    workspace.runs.share(run, True, ada)
    assert ("My model (shared)", run) in models.models(workspace, bob)


def test_every_kept_checkpoint_can_be_chosen(workspace: Workspace, ada: Visitor, run: str) -> None:
    names = models.checkpoints(workspace, ada, run)
    assert [id for _, id in names] == ["best", "newest", "step-20"]
    assert "2.500" in names[-1][0]
    for _, id in names:
        assert models.speaker_of(workspace, ada, run, id).loaded.checkpoint.name == "step-20"


@pytest.mark.parametrize("checkpoint", ["step-21", "../..", "", 7, ["step-20"]])
def test_a_checkpoint_that_is_not_there_is_refused(
    workspace: Workspace, ada: Visitor, run: str, checkpoint: Any
) -> None:
    with pytest.raises(UserError, match="checkpoint"):
        models.speaker_of(workspace, ada, run, checkpoint)


def test_the_same_seed_writes_the_same_text_and_a_drawn_one_is_told(
    workspace: Workspace, ada: Visitor, run: str
) -> None:
    values = {"temperature": 1.0, "max_tokens": 12, "num_samples": 2}
    drawn = sample.begin(workspace, ada, run, "best", "Once", values)
    first = text_of(workspace, ada, drawn)
    again = sample.begin(workspace, ada, run, "best", "Once", values | {"seed": drawn.seed})
    assert text_of(workspace, ada, again) == first and len(first) == 2


def test_a_run_of_somebody_else_cannot_be_sampled(workspace: Workspace, run: str) -> None:
    bob = workspace.visitor(new_secret())
    with pytest.raises(UserError, match="not there"):
        sample.begin(workspace, bob, run, "best", "Once", GREEDY)
    with pytest.raises(UserError, match="not there"):
        models.checkpoints(workspace, bob, run)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"max_tokens": sample.MOST_TOKENS + 1}, "max_tokens"),
        ({"num_samples": sample.MOST_SAMPLES + 1}, "num_samples"),
        ({"top_p": 0.0}, "top_p"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_out_of_range_get_a_sentence_with_their_name(
    workspace: Workspace, ada: Visitor, run: str, values: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        sample.begin(workspace, ada, run, "best", "Once", values)


def test_a_prompt_that_is_far_too_long_is_refused(workspace: Workspace, ada: Visitor, run: str) -> None:
    with pytest.raises(UserError, match="shorten"):
        sample.begin(workspace, ada, run, "best", "x" * (sample.MOST_PROMPT + 1), GREEDY)


def test_top_k_beyond_the_vocabulary_and_an_empty_prompt_are_fine(workspace: Workspace, ada: Visitor, run: str) -> None:
    begun = sample.begin(workspace, ada, run, None, None, {"top_k": 10**6, "max_tokens": 3})
    assert len(text_of(workspace, ada, begun)) == 1


def test_a_setting_left_out_has_its_default() -> None:
    assert sample.checked({"seed": 4}) == Sampling(seed=4)


def test_a_prompt_of_tales_gives_way_to_one_that_suits_the_model_and_a_typed_one_does_not(
    workspace: Workspace, ada: Visitor, run: str
) -> None:
    assert models.suited(workspace, ada, run, models.TALES_PROMPTS[0]) == models.TALES_PROMPTS[0], "none is known"
    Run(workspace.runs.get(run, ada)).append_sample({"step": 1, "prompt": "The sea", "text": " is wide."})
    assert models.suited(workspace, ada, run, models.TALES_PROMPTS[0]) == "The sea"
    assert models.suited(workspace, ada, run, "What I typed") == "What I typed"


def test_beginnings_are_the_first_words_of_some_lines() -> None:
    text = "short\n\nFirst line of a text with words\nFirst line of a text with words\nThe second one is here too\n"
    assert models.beginnings(text) == ["First line of a text", "The second one is here"]
    assert models.beginnings("") == []
