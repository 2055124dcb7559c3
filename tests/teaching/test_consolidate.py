"""Consolidation changes the long-term adapters of a copy only, is checked, kept in the history and undone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from microformer import checkpoint
from microformer.checkpoint import Loaded, core_hash, long_term_hash
from microformer.errors import UserError
from microformer.teaching.consolidate import (
    Check,
    Consolidated,
    consolidate,
    long_term_memory,
    with_long_term,
    without_long_term,
)
from microformer.teaching.generators import finished
from microformer.teaching.history import keep_consolidated, undo_consolidation
from microformer.teaching.session import Session
from microformer.teaching.settings import TeachSettings
from microformer.teaching.store import open_session
from microformer.teaching.teach import teach
from microformer.training.run_directory import Run
from microformer.training.setup import checkpoint_to_resume
from tests.teaching.small_models import FACTS, make_loaded, save_run

PASSED = Check(recited=3, facts=3, locality=1.0, loss_before=2.0, loss_after=2.01)
HELD_OUT = torch.randint(1, 60, (4, 33), generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def slept(loaded: Loaded, taught: Session) -> Consolidated:
    """``FACTS`` moved into the long-term memory."""
    return finished(consolidate(loaded, taught, HELD_OUT))


def test_the_new_model_says_every_fact_without_a_session(slept: Consolidated) -> None:
    assert (slept.check.recited, slept.check.facts) == (3, 3)


def test_only_the_long_term_adapters_of_a_copy_changed(loaded: Loaded, slept: Consolidated) -> None:
    assert core_hash(slept.loaded.model) == core_hash(loaded.model)
    assert long_term_hash(slept.loaded.model) != long_term_hash(loaded.model)
    assert long_term_hash(loaded.model) == long_term_hash(make_loaded().model)


def test_old_units_stay_and_new_ones_stand_beside_them(loaded: Loaded, slept: Consolidated) -> None:
    old, new = (long_term_memory(model, 1) for model in (loaded.model, slept.loaded.model))
    width = old.down.shape[2]
    assert torch.equal(new.down[:, :, :width], old.down)
    assert torch.equal(new.up[:, :width], old.up)
    assert new.down.shape[2] == slept.loaded.model.config.adapter_dim > width


def test_harm_is_found_and_not_kept(taught: Session, slept: Consolidated) -> None:
    assert slept.check.locality < 0.99  # random letters are not what an untrained model writes, so nothing holds them
    with pytest.raises(UserError, match="is not kept: its next token is the same at"):
        keep_consolidated(slept, taught)


def test_long_term_adapters_are_memories_in_another_place(loaded: Loaded, slept: Consolidated) -> None:
    model, tokens = slept.loaded.model, torch.tensor([[0, 5, 9, 12]])
    memory = long_term_memory(model, 1)
    with torch.inference_mode():
        expected = model(tokens)
        torch.testing.assert_close(without_long_term(model, 1)(tokens, session=memory), expected)
        torch.testing.assert_close(with_long_term(loaded.model, memory)(tokens)[..., :60], expected[..., :60])


def test_a_check_names_everything_that_speaks_against_it() -> None:
    assert PASSED.passed
    failed = Check(recited=2, facts=3, locality=0.9, loss_before=2.0, loss_after=2.1)
    assert len(failed.complaints) == 3
    assert not replace(PASSED, loss_after=2.03).passed


def test_nothing_to_move_and_nowhere_to_move_it_are_refused(loaded: Loaded) -> None:
    with pytest.raises(UserError, match="holds no facts"):
        next(consolidate(loaded, Session.blank(loaded), HELD_OUT))
    plain = make_loaded(adapter_dim=0)
    session = Session.blank(plain).with_facts(FACTS)
    with pytest.raises(UserError, match="no long-term adapters"):
        next(consolidate(plain, session, HELD_OUT))


def test_the_history_shows_it_and_undo_brings_model_and_session_back(tmp_path: Path, quick: TeachSettings) -> None:
    save_run(tmp_path / "run")
    old = checkpoint.load(tmp_path / "run")
    session = finished(teach(old, Session.blank(old), FACTS, quick))
    wider = replace(long_term_memory(old.model, 1), down=torch.ones(1, 32, 7), up=torch.ones(1, 7, 32))
    changed = with_long_term(old.model, wider)
    directory = keep_consolidated(Consolidated(replace(old, model=changed), PASSED), session)
    assert directory.name == "step-21"
    now = checkpoint.load(tmp_path / "run")
    assert now.checkpoint == directory
    assert now.state["consolidated"]["from"] == "step-20"
    assert now.state["consolidated"]["facts"] == len(now.state["consolidated"]["prompts"]) == 3
    assert long_term_hash(now.model) == long_term_hash(changed)
    assert now.model.config.adapter_dim == 7
    with pytest.raises(UserError, match="was consolidated, so its training cannot go on"):
        checkpoint_to_resume(Run(tmp_path / "run"))
    with pytest.raises(UserError, match="another model"):
        open_session(undone := undo_consolidation(tmp_path / "run"), now)
    back = checkpoint.load(tmp_path / "run")
    assert back.checkpoint.name == "step-20"
    assert open_session(undone, back).facts == FACTS
    with pytest.raises(UserError, match="nothing to undo"):
        undo_consolidation(tmp_path / "run")
