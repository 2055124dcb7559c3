"""The evidence shown to who taught agrees with what the model does."""

import torch

from microformer.checkpoint import Loaded
from microformer.teaching.frozen_base import frozen_base_of
from microformer.teaching.generators import finished
from microformer.teaching.proof import answer_chances, own_probes, what_else_changed
from microformer.teaching.session import Session
from tests.teaching.small_models import FACTS


def test_the_answer_became_likely_token_by_token(loaded: Loaded, taught: Session) -> None:
    chances = answer_chances(loaded, taught, FACTS[0])
    assert "".join(chance.text for chance in chances[:-1]) == FACTS[0].completion
    assert len(chances) == len(FACTS[0].completion) + 1
    assert all(0 <= chance.before <= 1 and chance.after > 0.2 for chance in chances)
    assert sum(chance.after for chance in chances) > sum(chance.before for chance in chances)


def test_a_blank_session_changed_nothing(loaded: Loaded) -> None:
    change = what_else_changed(loaded, Session.blank(loaded), ["one", "two"], held_out(loaded))
    assert (change.gated, change.forced) == (2, 2)
    assert change.loss_base == change.loss_gated == change.loss_forced


def test_behind_the_gate_nothing_unrelated_changed(loaded: Loaded, taught: Session) -> None:
    change = what_else_changed(loaded, taught, ["Once upon a time", "T", " ", "The king of"], held_out(loaded))
    assert change.gated == 4
    assert change.loss_gated == change.loss_base
    assert change.loss_forced != change.loss_base


def test_probes_are_beginnings_of_the_models_own_text(loaded: Loaded, taught: Session) -> None:
    finished(frozen_base_of(loaded).prepare())
    probes = own_probes(loaded, taught, 5)
    assert 1 <= len(probes) <= 5
    assert len(set(probes)) == len(probes)


def held_out(loaded: Loaded) -> torch.Tensor:
    """Random letters in windows of 32."""
    return torch.randint(1, 60, (4, 33), generator=torch.Generator().manual_seed(5))
