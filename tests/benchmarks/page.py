"""What a person feels of a training run on the page, in a real browser; each prints one line of JSON.

    python -m tests.benchmarks.page starts    from the click on Start to the first loss, ten times (preset tiny)
    python -m tests.benchmarks.page beside    how fast the page answers beside a run, and how much it slows the run

``beside`` looks at one run with the page open and closed in turn, 15 s each, so that what else the machine does
falls on both alike.
"""

import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from playwright.sync_api import Browser, expect, sync_playwright

from microformer.training.run_directory import Run
from tests.e2e.playground import CHROMIUM_FLAGS, Playground, Visit, choose, new_visit

STARTS, TURNS, TURN_SECONDS = 10, 4, 15
# Seconds from the click until the chart has drawn a point of a run that was not shown before.
CLICK = """async () => {
  const view = document.querySelector('#train-view');
  const name = () => view.querySelector('[data-word=name]').textContent;
  const points = () => Number(view.querySelector('[data-part=loss]').dataset.points || 0);
  const before = name();
  const began = performance.now();
  document.querySelector('#train-start').click();
  while (name() === before || points() === 0) await new Promise(done => setTimeout(done, 10));
  return (performance.now() - began) / 1000;
}"""
QUESTIONS = """() => performance.getEntriesByType('resource')
  .filter(one => one.name.includes('component_server')).map(one => one.duration)"""


@contextmanager
def page_and_browser() -> Iterator[tuple[Playground, Browser]]:
    """A fresh app with all of this machine's cores, and a browser."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as directory, sync_playwright() as playwright:
        playground = Playground(Path(directory) / "home", extra={"OMP_NUM_THREADS": str(os.cpu_count())})
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        try:
            yield playground.start(), chromium
        finally:
            chromium.close()
            playground.close()


def starts() -> dict[str, object]:
    """Seconds from each of the clicks to the first loss that shows; before the first, Tiny Tales are made."""
    with page_and_browser() as (playground, chromium):
        page, seconds = new_visit(chromium, playground).open("Train").page, []
        expect(page.locator("#train-plan .plan")).to_be_visible()
        for _ in range(STARTS + 1):
            expect(page.locator("#train-start")).to_be_enabled()
            page.wait_for_timeout(3000)  # a person reads the plan first
            seconds.append(page.evaluate(CLICK))
            expect(page.locator("#train-pause")).to_be_enabled()
            page.locator("#train-pause").click()
            expect(page.locator("#train-view .run-view")).to_have_attribute("data-state", "stopped")
    first, *others = (round(one, 2) for one in seconds)
    return {"first_with_tales": first, "p50_seconds": statistics.median(others), "seconds": sorted(others)}


def beside() -> dict[str, object]:
    """Milliseconds of the page's questions, and tokens a second while it is open and while it is closed."""
    answers: list[float] = []
    pace: dict[str, list[float]] = {"open": [], "closed": []}
    busy: dict[str, float] = {}
    with page_and_browser() as (playground, chromium):
        visit = new_visit(chromium, playground).open("Train")
        start_endless(visit)
        (run,) = (Run(path) for path in (playground.home / "runs").glob("[!.]*"))
        for turn in range(2 * TURNS):
            if turn % 2:
                visit.page.goto("about:blank")
            else:
                visit.open("Train")
                visit.page.evaluate("() => performance.setResourceTimingBufferSize(5000)")
            visit.page.wait_for_timeout(5000)  # loading the page is not looking at it
            before, used = len(run.metrics()[0]), processor_seconds()
            visit.page.wait_for_timeout(1000 * TURN_SECONDS)
            rows = run.metrics()[0][before:]
            pace["closed" if turn % 2 else "open"] += [row["tokens_per_second"] for row in rows]
            if turn % 2 == 0:
                answers += visit.page.evaluate(QUESTIONS)
                for name, seconds in processor_seconds().items():
                    busy[name] = busy.get(name, 0.0) + (seconds - used.get(name, 0.0)) / TURNS / TURN_SECONDS
    opened, closed = (statistics.median(pace[name]) for name in ("open", "closed"))
    return {
        "answers": len(answers),
        "answer_p50_ms": round(statistics.median(answers)),
        "answer_p95_ms": round(statistics.quantiles(answers, n=20)[-1]),
        "tokens_per_second_open": opened,
        "tokens_per_second_closed": closed,
        "slower_by": round(1 - opened / closed, 4),
        "cores_while_open": {name: round(share, 3) for name, share in busy.items()},
    }


def start_endless(visit: Visit) -> None:
    """Start a run of the preset tiny that lasts longer than anybody looks, and wait until it is under way."""
    page = visit.page
    expect(page.locator("#train-plan .plan")).to_be_visible()
    page.get_by_role("button", name="Advanced: every setting").click()
    page.get_by_label("Max steps").fill("1000000")
    page.get_by_label("Max steps").blur()
    choose(page, "#training-compile", "off")  # it would compile for the first half minute
    page.locator("#train-start").click()
    expect(page.locator("#train-view [data-word=step]")).to_contain_text("of 1,000,000")
    page.wait_for_timeout(5000)


def processor_seconds() -> dict[str, float]:
    """Processor time that the app, its trainer and the browser have used so far."""
    used: dict[str, float] = {}
    for process in psutil.process_iter(["cmdline", "cpu_times"]):
        words, times = " ".join(process.info["cmdline"] or []), process.info["cpu_times"]
        kind = next((kind for kind, word in KINDS.items() if word in words), None)
        if kind and times:
            used[kind] = used.get(kind, 0.0) + times.user + times.system
    return used


KINDS = {"app": "app.py", "trainer": "microformer train", "browser": "chrom"}

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends also when this is stopped
    told = {"starts": starts, "beside": beside}[sys.argv[1]]()
    sys.stdout.write(json.dumps(told) + "\n")
