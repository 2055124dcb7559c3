"""What the tests of the page share."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from microformer.ui.workspace import Visitor, Workspace, new_secret
from tests.teaching.small_models import save_run


@pytest.fixture(autouse=True)
def close_event_loops(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Gradio 6.31 makes an event loop for every ``Blocks`` that is built outside of one, and never closes it."""
    made: list[asyncio.AbstractEventLoop] = []
    original = asyncio.new_event_loop

    def recorded() -> asyncio.AbstractEventLoop:
        made.append(original())
        return made[-1]

    monkeypatch.setattr(asyncio, "new_event_loop", recorded)
    yield
    for loop in made:
        if not loop.is_running():
            loop.close()


@pytest.fixture
def workspace(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workspace]:
    """A hosted playground with an empty home; somebody's own one where a module says ``HOSTED = False``."""
    workspace = Workspace(tmp_path / "home", hosted=getattr(request.module, "HOSTED", True))
    yield workspace
    workspace.close()


@pytest.fixture
def visitor(workspace: Workspace) -> Visitor:
    """Whoever has the page open, where nobody else does."""
    return workspace.visitor(new_secret())


@pytest.fixture
def ada(workspace: Workspace) -> Visitor:
    """Somebody with a browser."""
    return workspace.visitor(new_secret())


@pytest.fixture
def bob(workspace: Workspace) -> Visitor:
    """Somebody else with another browser."""
    return workspace.visitor(new_secret())


@pytest.fixture
def model(workspace: Workspace, ada: Visitor) -> str:
    """The id of a run of Ada's that everybody may use."""
    id, run = workspace.runs.create(ada, "tiny")
    save_run(run)
    workspace.runs.share(id, True, ada)
    return id
