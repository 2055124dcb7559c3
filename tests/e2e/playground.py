"""The real app in a process of its own, and real visitors of it; nothing here is a stand-in.

A test waits for what the page shows (``expect``), never for a time: the machine may be busy.
"""

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil
from playwright.sync_api import Browser, BrowserContext, Page, expect

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60_000  # milliseconds, for a step that needs a process to start or a model to be trained
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


class Playground:
    """``python app.py`` with a home of its own. ``extra`` are further environment variables, ``flags`` of app.py."""

    def __init__(self, home: Path, *flags: str, extra: dict[str, str] | None = None) -> None:
        self.home, self.flags, self.extra = home, flags, extra or {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> "Playground":
        """Start the app and wait until it says that it is ready."""
        log = self.log.open("a")
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "app.py"), "--port", str(self.port), *self.flags],
            cwd=ROOT,
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        log.close()
        lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=_read_lines, args=(self._process, lines), daemon=True).start()
        while "ready" not in (line := lines.get(timeout=120)):
            assert line, f"the app ended instead of starting:\n{self.log.read_text()[-3000:]}"
        return self

    def stop(self) -> None:
        """End the app as a person would with Ctrl-C; runs that are training go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=60)
            assert self._process.stdout is not None
            self._process.stdout.close()
            self._process = None

    def close(self) -> None:
        """End the app and what it started."""
        try:
            self.stop()
        finally:
            for trainer in self.trainers():
                with contextlib.suppress(psutil.Error):
                    trainer.kill()
                    trainer.wait(timeout=30)

    def trainers(self) -> list[psutil.Process]:
        """The processes that train in this home."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if any(argument.startswith(str(self.home)) for argument in process.cmdline()):
                    found.append(process)
        return found

    @property
    def log(self) -> Path:
        """What the app wrote to its standard error."""
        self.home.mkdir(parents=True, exist_ok=True)
        return self.home.parent / f"{self.home.name}.log"

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO", "HF_", "SPACE_"))}
        ours = {"MICROFORMER_HOME": str(self.home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "no_proxy": "*"}
        return kept | ours | self.extra


@dataclass
class Visit:
    """One browser of one person: its own storage, and a record of what must not happen while it is open."""

    page: Page
    context: BrowserContext
    playground: Playground
    errors: list[str] = field(default_factory=list)
    off_host: list[str] = field(default_factory=list)
    _forgiving: bool = False

    def open(self, tab: str | None = None) -> "Visit":
        """Load the page (again), wait until it knows this browser, and turn to a tab."""
        # A page that is left in the middle of a question complains of the lost answer.
        leaving = self.forgiving() if self.page.url != "about:blank" else contextlib.nullcontext()
        with leaving:
            self.page.goto(self.playground.url, wait_until="commit")
            expect(self.page.locator("body[data-visitor=known]")).to_be_attached(timeout=3 * PATIENCE)
        if tab:
            self.turn_to(tab)
        return self

    def turn_to(self, tab: str) -> None:
        """Turn to a tab by its name and wait until it shows."""
        button = self.page.get_by_role("tab", name=tab, exact=True)
        button.click()
        expect(button).to_have_attribute("aria-selected", "true")

    @property
    def secret(self) -> str:
        """The secret of this browser."""
        value = self.page.evaluate("() => window.microformer.visitor")
        assert isinstance(value, str)
        return value

    @contextlib.contextmanager
    def forgiving(self) -> Iterator[None]:
        """While the app is stopped on purpose, requests fail and the browser says so; that is no fault."""
        before, self._forgiving = self._forgiving, True
        try:
            yield
        finally:
            self._forgiving = before

    def note_error(self, text: str) -> None:
        """Record an error of the page's scripts or console."""
        if not self._forgiving:
            self.errors.append(text)

    def leave(self) -> None:
        """Close this browser, whatever the page is in the middle of."""
        self._forgiving = True
        self.context.close()

    def check(self) -> None:
        """Nothing left the host and no script failed."""
        assert not self.off_host, f"requests left the host: {self.off_host}"
        assert not self.errors, f"the browser's console shows errors: {self.errors}"


def new_visit(browser: Browser, playground: Playground, *, width: int = 1280, dark: bool = False) -> Visit:
    """A browser context with empty storage, watched for errors and for requests that leave the host."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light", accept_downloads=True
    )
    context.set_default_timeout(PATIENCE)
    visit = Visit(context.new_page(), context, playground)
    visit.page.on("console", lambda message: visit.note_error(message.text) if message.type == "error" else None)
    visit.page.on("pageerror", lambda error: visit.note_error(str(error)))
    context.on("request", lambda request: None if _local(request.url) else visit.off_host.append(request.url))
    return visit


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _local(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("data", "blob", "about") or parts.hostname in ("127.0.0.1", "localhost")


def _read_lines(process: "subprocess.Popen[str]", lines: "queue.Queue[str]") -> None:
    assert process.stdout is not None
    with contextlib.suppress(ValueError):  # closed by stop()
        for line in process.stdout:
            lines.put(line)
    lines.put("")


def choose(page: Page, widget: str, option: str) -> None:
    """Choose from a list."""
    page.locator(f"{widget} input").click()
    page.get_by_role("option", name=option, exact=True).click()


def type_number(page: Page, widget: str, value: str) -> None:
    """Type a number into a slider's box or a number field, and leave it so that it counts.

    A widget that has just come into sight may set its first value once more over what was typed.
    """
    field = page.locator(f"{widget} input[type=number]")
    for patience in (3_000, 3_000, PATIENCE):
        field.fill(value)
        field.blur()
        try:
            expect(field).to_have_value(value, timeout=patience)
            return
        except AssertionError:
            if patience == PATIENCE:
                raise
