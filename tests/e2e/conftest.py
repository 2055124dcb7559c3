"""Fixtures of the tests in a real browser: ``playground`` is the app, ``visit`` one person's browser at it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.e2e.playground import CHROMIUM_FLAGS, PATIENCE, Playground, Visit, new_visit

HERE = Path(__file__).parent
expect.set_options(timeout=PATIENCE)


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Every test in this folder drives a browser; a busy machine may starve it, so three more tries are granted."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.flaky(reruns=3))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: Any) -> Iterator[None]:
    """Let fixtures know whether their test failed."""
    report = (yield).get_result()  # type: ignore[misc]
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for a module, ended with it: its event loop would be in the way of other tests."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def start_playground(tmp_path: Path) -> Iterator[Callable[..., Playground]]:
    """Start an app with flags and environment variables of one's choice."""
    started: list[Playground] = []

    def start(*flags: str, **extra: str) -> Playground:
        started.append(Playground(tmp_path / f"home{len(started)}", *flags, extra=extra))
        return started[-1].start()

    yield start
    for one in started:
        one.close()


@pytest.fixture
def playground(start_playground: Callable[..., Playground]) -> Playground:
    """A fresh app with an empty home, alone on its machine."""
    return start_playground()


@pytest.fixture(scope="module")
def shared_playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Playground]:
    """One app for a module, for tests that leave nothing behind that disturbs the next."""
    one = Playground(tmp_path_factory.mktemp("playground") / "home").start()
    yield one
    one.close()


@pytest.fixture
def visits(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Visit]]:
    """Open further browsers: ``visits(playground, width=390, dark=True)``. Each is checked in the end.

    Where the test failed, what each of them showed is kept as a picture, and its console is printed.
    """
    opened: list[Visit] = []

    def make(playground: Playground, **look: Any) -> Visit:
        opened.append(new_visit(browser, playground, **look))
        return opened[-1]

    yield make
    for number, one in enumerate(opened):
        if getattr(request.node, "failed", False):
            picture = tmp_path / f"visit{number}.png"
            one.page.screenshot(path=picture, full_page=True)
            sys.stderr.write(f"{picture}\n{one.errors}\n{one.playground.log.read_text()[-3000:]}\n")
        one.leave()
    for one in opened:
        one.check()


@pytest.fixture
def visit(playground: Playground, visits: Callable[..., Visit]) -> Visit:
    """One person's browser at the fresh ``playground``, the page open."""
    return visits(playground).open()
