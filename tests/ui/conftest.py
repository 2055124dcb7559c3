"""What the tests of the page share."""

import asyncio
from collections.abc import Iterator

import pytest


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
