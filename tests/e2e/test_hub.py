"""The Share tab in a real browser: a model goes to a Hub on this machine and comes back, or travels as a file."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.playground import PATIENCE, Playground, Visit
from tests.hub.conftest import make_run
from tests.hub.hub_server import HubServer

LONG = 2 * PATIENCE
Visits = Callable[..., Visit]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def arrive(playground: Playground, visit: Visit) -> Page:
    """Make a run, turn to the tab, and choose it."""
    runs = playground.home / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    make_run(runs / "small")
    page = visit.open("Share").page
    field = page.locator("#hub-model input")
    expect(field).not_to_have_value("")
    field.click()
    page.get_by_role("option", name="small", exact=True).click()
    expect(field).to_have_value("small")
    return page


def says(page: Page) -> Locator:
    return page.locator("#hub-progress [data-part=says]")


def test_a_model_goes_to_the_hub_and_comes_back(
    start_playground: Callable[..., Playground], visits: Visits, hub: HubServer
) -> None:
    playground = start_playground(HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="0", HF_HUB_DISABLE_XET="1")
    page = arrive(playground, visits(playground))
    token = page.locator("#hub-token input")
    page.locator("#hub-repository input, #hub-repository textarea").fill("mine")
    token.fill("hf_nobody")
    page.locator("#hub-push").click()
    expect(says(page)).to_contain_text("does not know this token", timeout=LONG)
    expect(token).to_have_value("")

    token.fill("hf_ada")
    page.locator("#hub-push").click()
    expect(says(page)).to_contain_text("is on the Hub", timeout=LONG)
    expect(token).to_have_value("")
    expect(page.locator("#hub-stop")).to_be_hidden()
    assert "README.md" in hub.repos["ada/mine"].files

    page.locator("#hub-pull-from input, #hub-pull-from textarea").fill("ada/mine")
    page.locator("#hub-pull").click()
    expect(says(page)).to_contain_text("“mine” is here", timeout=LONG)
    use = page.locator("#hub-use")
    expect(use).to_be_visible()
    use.click()
    expect(page.get_by_role("tab", name="Sample", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#sample-model input")).to_have_value("mine")
    page.locator("#sample-write").click()
    expect(page.locator("#sample-view .mf-stream")).to_have_attribute("data-state", "done", timeout=LONG)


def test_a_model_travels_as_a_file(playground: Playground, visits: Visits, tmp_path: Path) -> None:
    page = arrive(playground, visits(playground))
    page.set_viewport_size({"width": 390, "height": 700})  # where the button is a long way below
    page.get_by_label("8 bits").check()
    page.locator("#hub-pack").click()
    expect(says(page)).to_contain_text("small-8-bits.zip is ready", timeout=LONG)
    expect(says(page)).to_be_in_viewport()
    button = page.locator("#hub-download")
    expect(button).to_be_in_viewport()
    with page.expect_download() as download:
        button.click()
    file = tmp_path / "small.zip"
    download.value.save_as(file)
    assert download.value.suggested_filename == "small-8-bits.zip"

    page.locator("#hub-file input[type=file]").set_input_files(file)
    expect(says(page)).to_contain_text("is here", timeout=LONG)
    wrong = tmp_path / "wrong.zip"
    wrong.write_bytes(b"nothing of use")
    page.locator("#hub-file input[type=file]").set_input_files(wrong)
    expect(says(page)).to_contain_text("wrong.zip", timeout=LONG)
    expect(page.locator("#hub-use")).to_be_hidden()
