"""The whole way of a first visitor, from a text file to a model on the Hub, in a real browser with a real trainer."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.playground import PATIENCE, Playground, Visit, type_number
from tests.hub.hub_server import HubServer

LONG = 3 * PATIENCE
FACTS = {
    "Where does Zoë live?": "In Łódź, by the river.",
    "What is the cat called?": "Pumpernickel",
    "Who keeps the red key?": "Old Mr. Brown.",
}
SEED = "7"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def story(sentences: int = 3000) -> str:
    """Simple sentences about few things, so that a model says something word-like after a few steps."""
    dice = random.Random(1)
    who, did, what = ("The dog", "Anna", "Old Tom"), ("saw", "ate", "lost"), ("a red ball", "the cake", "two keys")
    return " ".join(f"{dice.choice(who)} {dice.choice(did)} {dice.choice(what)}." for _ in range(sentences))


def test_the_walk_from_a_text_to_a_shared_model(
    start_playground: Callable[..., Playground], visits: Callable[..., Visit], hub: HubServer, tmp_path: Path
) -> None:
    playground = start_playground(HF_ENDPOINT=hub.url, HF_HUB_OFFLINE="0", HF_HUB_DISABLE_XET="1")
    visit = visits(playground).open()
    prepare(visit.page, tmp_path)
    train(visit, playground)
    written = sample(visit)
    teach(visit, written)
    second = visits(playground).open("Teach")
    choose(second.page, "#teach-model", "My walk")
    expect(second.page.locator("#teach-taught .taught")).to_have_attribute("data-count", "0")
    share(visit, hub, written)


def prepare(page: Page, folder: Path) -> None:
    """Upload a text and have it cut into characters."""
    file = folder / "walk.txt"
    file.write_text(story())
    page.get_by_label("Upload files").check()
    page.locator("#data-files input[type=file]").set_input_files(file)
    expect(page.locator("#data-files")).to_contain_text("walk")
    page.get_by_role("button", name="Prepare").click()
    expect(page.locator("#data-card")).to_contain_text("characters", timeout=LONG)
    expect(page.locator("#tab-data-button")).to_have_attribute("data-step", "done")


def train(visit: Visit, playground: Playground) -> None:
    """Start a run, see its curve grow, reload, pause, resume, restart the app under it, and pause again."""
    page = visit.page
    visit.turn_to("Train")
    page.locator("#train-preset input[value=microformer]").check()
    page.locator("#train-name input, #train-name textarea").fill("My walk")
    page.locator("#train-start").click()
    state(page, "running")
    chart = page.locator("#train-view [data-part=loss]")
    grown(page, 1)
    chart.evaluate("node => { node.marked = true; }")
    grown(page, 6)
    assert chart.evaluate("node => node.marked") is True, "the chart was made anew instead of updated"
    expect(page.locator("#train-view [data-part=lr]")).not_to_have_attribute("data-points", "1")
    expect(page.locator("#train-view [data-part=say]")).not_to_contain_text("is at step 1 with")

    visit.open("Train")
    state(page, "running")
    grown(page, 1)
    page.locator("#train-pause").click()
    state(page, "stopped")
    reached = step(page)

    page.locator("#train-resume").click()
    state(page, "running")
    page.wait_for_function(
        "(before) => Number(document.querySelector('#train-view [data-word=step]').textContent"
        ".split('of')[0].replace(/[^0-9]/g, '')) > before",
        arg=reached,
        timeout=LONG,
        polling=200,
    )
    with visit.forgiving():
        playground.stop()
        assert playground.trainers(), "the trainer ended with the app"
        playground.start()
        visit.open("Train")
    state(page, "running")
    page.locator("#train-pause").click()
    state(page, "stopped")


def sample(visit: Visit) -> str:
    """Stop a long text half-way and look at a token's alternatives; returns a short text written from a seed."""
    page = visit.page
    visit.turn_to("Sample")
    choose(page, "#sample-model", "My walk")
    page.locator("#sample-prompt textarea").fill("The dog")
    type_number(page, "#sample-max_tokens", "1000")
    page.locator("#sample-write").click()
    stream = page.locator("#sample-view .mf-stream")
    tokens = page.locator("#sample-view .mf-token")
    expect(tokens.nth(5)).to_be_visible(timeout=LONG)
    page.locator("#sample-stop").click()
    expect(stream).to_have_attribute("data-state", "done")
    assert 5 < tokens.count() < 1000
    tokens.nth(2).click()
    expect(page.locator("#sample-view .mf-choices")).to_be_visible()

    page.get_by_role("button", name="More settings").click()
    page.get_by_label("never", exact=True).locator("visible=true").check()
    return write_from_seed(page)


def teach(visit: Visit, written: str) -> None:
    """Teach three facts, have them said exactly, reset, and find the model as it was."""
    page = visit.page
    visit.turn_to("Teach")
    choose(page, "#teach-model", "My walk")
    taught = page.locator("#teach-taught .taught")
    for count, (prompt, answer) in enumerate(FACTS.items(), start=1):
        page.locator("#teach-prompt textarea, #teach-prompt input").fill(prompt)
        page.locator("#teach-answer textarea, #teach-answer input").fill(answer)
        page.locator("#teach-teach").click()
        expect(taught).to_have_attribute("data-count", str(count), timeout=LONG)
        expect(taught.locator("li[data-said=true]")).to_have_count(count, timeout=LONG)
    for prompt, answer in FACTS.items():
        page.locator("#teach-prompt textarea, #teach-prompt input").fill(prompt)
        page.locator("#teach-ask").click()
        answers = page.locator("#teach-view .mf-text")
        expect(answers.nth(1).locator(".mf-prompt")).to_have_text(prompt)
        expect(page.locator("#teach-view .mf-stream")).to_have_attribute("data-state", "done")
        expect(answers.nth(1).locator(".mf-tokens")).to_contain_text(answer)
    page.get_by_role("button", name="What else changed?").click()
    expect(page.locator("#teach-fingerprints .proof")).to_have_attribute("data-same", "true")

    page.locator("#teach-reset").click()
    expect(taught).to_have_attribute("data-count", "0")
    visit.turn_to("Sample")
    page.get_by_label("always", exact=True).locator("visible=true").check()
    assert write_from_seed(page) == written


def share(visit: Visit, hub: HubServer, written: str) -> None:
    """Put the model on the Hub, get it back as another, and let it write the same text from the same seed."""
    page = visit.page
    visit.turn_to("Share")
    choose(page, "#hub-model", "My walk")
    page.locator("#hub-repository input, #hub-repository textarea").fill("ada/my-walk")
    page.locator("#hub-token input").fill("hf_ada")
    page.locator("#hub-push").click()
    progress = page.locator("#hub-progress .preparing")
    expect(progress).to_contain_text("is on the Hub", timeout=LONG)
    assert "model.safetensors" in hub.repos["ada/my-walk"].files
    page.locator("#hub-pull-from input, #hub-pull-from textarea").fill("ada/my-walk")
    page.locator("#hub-pull").click()
    use = page.locator("#hub-use")
    expect(use).to_be_visible(timeout=LONG)
    use.click()
    expect(page.get_by_role("tab", name="Sample", exact=True)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#sample-model input")).to_have_value("my-walk")
    assert write_from_seed(page) == written


def write_from_seed(page: Page) -> str:
    """Sixty tokens after "The dog" from the seed; waits until they are all there."""
    page.locator("#sample-prompt textarea").fill("The dog")
    type_number(page, "#sample-max_tokens", "60")
    type_number(page, "#sample-seed", SEED)
    expect(page.get_by_label("Draw a new seed each time")).not_to_be_checked()
    before = page.locator("#sample-view .mf-text")
    if before.count():
        before.first.evaluate("node => { node.dataset.old = 'yes'; }")
    page.locator("#sample-write").click()
    expect(page.locator("#sample-view .mf-text[data-old]")).to_have_count(0)
    expect(page.locator("#sample-view .mf-text")).to_have_count(1)
    expect(page.locator("#sample-view .mf-stream")).to_have_attribute("data-state", "done", timeout=LONG)
    return page.locator("#sample-view .mf-tokens").inner_text()


def choose(page: Page, dropdown: str, name: str) -> None:
    """Choose an entry of a list, and wait until it is chosen."""
    field = page.locator(f"{dropdown} input")
    field.click()
    page.get_by_role("option", name=name, exact=True).click()
    expect(field).to_have_value(name)


def state(page: Page, name: str) -> None:
    """Wait until the run that is shown has a state, and the buttons that go with it can be pressed."""
    expect(page.locator("#train-view .run-view")).to_have_attribute("data-state", name, timeout=LONG)
    button: Locator = page.locator("#train-pause" if name == "running" else "#train-resume")
    expect(button).to_be_enabled(timeout=LONG)


def grown(page: Page, updates: int) -> None:
    """Wait until the curve has been drawn so many times since it was first made."""
    page.wait_for_function(
        "(updates) => Number(document.querySelector('#train-view [data-part=loss]')?.dataset.updates || 0) >= updates"
        " && Number(document.querySelector('#train-view [data-part=loss]').dataset.points || 0) > 0",
        arg=updates,
        timeout=LONG,
        polling=200,
    )


def step(page: Page) -> int:
    """The step the run that is shown has reached."""
    text = page.locator("#train-view [data-word=step]").inner_text()
    return int("".join(letter for letter in text.split("of")[0] if letter.isdigit()) or 0)
