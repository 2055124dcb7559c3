"""One untrained model and one taught session for the tests of a process; both are values that nothing changes."""

import pytest

from microformer.checkpoint import Loaded
from microformer.teaching.generators import finished
from microformer.teaching.session import Session
from microformer.teaching.settings import TeachSettings
from microformer.teaching.teach import teach
from tests.teaching.small_models import FACTS, make_loaded


@pytest.fixture(scope="session")
def loaded() -> Loaded:
    """One model for all tests of a process; nothing changes it."""
    return make_loaded()


@pytest.fixture(scope="session")
def quick() -> TeachSettings:
    """The default lesson with fewer anchors, which is all that a tiny model needs."""
    return TeachSettings(anchor_places=64)


@pytest.fixture(scope="session")
def taught(loaded: Loaded, quick: TeachSettings) -> Session:
    """A session that was taught ``FACTS``."""
    return finished(teach(loaded, Session.blank(loaded), FACTS, quick))
