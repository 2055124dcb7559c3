"""The two pictures of the README, taken from the real page: ``python -m tests.e2e.pictures`` (about four minutes).

A model is trained for a while on Tiny Tales, and the starter writes a story, one token of which is clicked.
"""

import os
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.e2e.playground import CHROMIUM_FLAGS, PATIENCE, ROOT, Playground, new_visit

LONG = 5 * PATIENCE


def main() -> None:
    """Take both pictures into ``assets/``."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        playground = Playground(Path(folder) / "home").start()
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_FLAGS)
        try:
            visit = new_visit(browser, playground).open("Train")
            train(visit.page)
            choose_preset(visit.open("Train").page)
            keep(visit.page, ROOT / "assets" / "page-train.png")
            visit = new_visit(browser, playground, dark=True).open("Sample")
            write(visit.page)
            keep(visit.page, ROOT / "assets" / "page-sample.png")
        finally:
            browser.close()
            playground.close()


def train(page: Page) -> None:
    """Train the smallest model until its curve has a shape; the first run of all tells how long such a run takes."""
    choose_preset(page)
    page.locator("#train-name input, #train-name textarea").fill("My first model")
    page.locator("#train-start").click()
    view = page.locator("#train-view")
    expect(view.locator("[data-part=samples] li").nth(4)).to_be_attached(timeout=LONG)


def choose_preset(page: Page) -> None:
    """Choose the smallest, and wait until it is known how long it takes: once a run is under way, from that."""
    page.locator("#train-preset input[value=microformer]").check()
    expect(page.locator("#train-plan .plan")).not_to_contain_text("…", timeout=LONG)


def write(page: Page) -> None:
    """Let the starter write, and look at what a token was chosen from."""
    page.locator("#sample-prompt textarea").fill("Once upon a time")
    page.get_by_role("button", name="More settings").click()
    seed = page.locator("#sample-seed input")
    seed.fill("6")  # the same story each time
    seed.blur()
    expect(page.get_by_label("Draw a new seed each time")).not_to_be_checked()
    page.get_by_role("button", name="More settings").click()
    page.locator("#sample-write").click()
    expect(page.locator("#sample-view .mf-stream")).to_have_attribute("data-state", "done", timeout=LONG)
    unsure = "node => Number(node.dataset.probability) < 0.3"
    tokens = page.locator("#sample-view .mf-token")
    next(one for one in tokens.all() if one.evaluate(unsure)).click()
    expect(page.locator("#sample-view .mf-choices li")).not_to_have_count(0)


def keep(page: Page, path: Path) -> None:
    """The page without its foot."""
    page.locator("#foot").evaluate("foot => foot.remove()")
    page.mouse.move(0, 0)
    page.screenshot(path=path, full_page=True, clip={"x": 0, "y": 0, "width": 1280, "height": 1100})
    Image.open(path).convert("RGB").save(path, optimize=True)


if __name__ == "__main__":
    main()
