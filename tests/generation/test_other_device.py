"""What a GPU would do with writing and teaching, as far as a machine without one can tell: the same as a CPU."""

import copy
import dataclasses

import pytest

from microformer.checkpoint import Loaded
from microformer.errors import UserError
from microformer.generation.beam import beam_search
from microformer.generation.complete import complete
from microformer.generation.sampling import Sampling
from microformer.generation.speculative import speculate
from microformer.teaching.generators import finished
from microformer.teaching.session import Session
from microformer.teaching.settings import TeachSettings
from microformer.teaching.teach import teach
from tests.other_device import other_device
from tests.teaching.small_models import FACTS, make_loaded

PROMPTS = ["The king", "A"]


def moved(loaded: Loaded) -> Loaded:
    """The same on the other device, inside ``other_device``."""
    with other_device() as device:
        return dataclasses.replace(loaded, model=copy.deepcopy(loaded.model).to(device))


@pytest.mark.parametrize("changes", [{"position": "rotary"}, {"position": "alibi", "window": 16, "sinks": 2}])
def test_the_same_is_written_on_another_device(changes: dict[str, object]) -> None:
    here = make_loaded(**changes)
    there = moved(here)
    sampling = Sampling(max_tokens=80, seed=3, num_samples=2, top_k=20, top_p=0.9, min_p=0.01, repetition_penalty=1.2)
    expected = complete(here.model, here.tokenizer, PROMPTS, sampling)
    with other_device():
        assert complete(there.model, there.tokenizer, PROMPTS, sampling) == expected


def test_beams_and_drafts_are_the_same_on_another_device() -> None:
    here, sampling = make_loaded(), Sampling(max_tokens=12, temperature=0)
    there, prompt = moved(here), here.tokenizer.encode("The king")
    expected = beam_search(here.model, prompt, max_tokens=12, beams=3, end_id=here.tokenizer.end_id)
    drafted = list(speculate(here.model, here.model, prompt, sampling, end_id=here.tokenizer.end_id))
    with other_device():
        found = beam_search(there.model, prompt, max_tokens=12, beams=3, end_id=here.tokenizer.end_id)
        assert [beam.ids for beam in found] == [beam.ids for beam in expected]
        assert list(speculate(there.model, there.model, prompt, sampling, end_id=here.tokenizer.end_id)) == drafted


def test_a_memory_answers_on_another_device_and_is_taught_here() -> None:
    here, quick, sampling = make_loaded(), TeachSettings(anchor_places=64), Sampling(max_tokens=12, temperature=0)
    session = finished(teach(here, Session.blank(here), FACTS[:1], quick))
    there = moved(here)
    with other_device():
        (found,) = complete(there.model, there.tokenizer, [FACTS[0].prompt], sampling, session=session.memory)
        with pytest.raises(UserError, match="lessons are for a CPU"):
            finished(teach(there, Session.blank(there), FACTS[:1], quick))
    assert found.completion.strip() == FACTS[0].answer and found.stop == "endoftext"
