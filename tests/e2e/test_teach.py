"""The Teach tab in a real browser: what is taught is said exactly, stays, belongs to one browser, and can be undone.

The model is a tiny one that nobody trained; it can be taught like any other, in a moment.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from microformer.ui.actions.sleep import COPY_NAME
from microformer.ui.workspace import Workspace
from tests.e2e.playground import Playground, Visit
from tests.teaching.small_models import save_run

Visits = Callable[..., Visit]
NAME = "Parrot"


@pytest.fixture
def parrot(playground: Playground) -> Playground:
    """An app with a model that knows nothing yet."""
    workspace = Workspace(playground.home)
    _, run = workspace.runs.create(workspace.visitor(None), NAME)
    save_run(run)
    return playground


def at_teach(visit: Visit) -> Visit:
    """The Teach tab with the parrot chosen."""
    visit.open("Teach")
    chosen = visit.page.locator("#teach-model input")
    expect(visit.page.locator("#teach-teach")).to_be_enabled()  # it knows which models there are
    if chosen.input_value() != NAME:
        chosen.click()
        visit.page.get_by_role("option", name=NAME).click()
        expect(chosen).to_have_value(NAME)
    expect(visit.page.locator("#teach-taught .taught[data-model]:not([data-model='starter'])")).to_have_count(1)
    return visit


def facts(visit: Visit) -> Locator:
    """The rows of facts that the model says exactly."""
    return visit.page.locator("#teach-taught .taught-fact[data-said='true']")


def row(visit: Visit, prompt: str) -> Locator:
    """The row of one fact."""
    return visit.page.locator(f'#teach-taught .taught-fact[data-prompt="{prompt}"]')


def teach(visit: Visit, prompt: str, answer: str) -> None:
    """Teach a fact and wait until it is ticked, and before and after are written."""
    page = visit.page
    page.locator("#teach-prompt textarea").fill(prompt)
    page.locator("#teach-answer textarea").fill(answer)
    page.locator("#teach-teach").click()
    expect(row(visit, prompt)).to_have_attribute("data-said", "true")
    expect(row(visit, prompt).locator(".answer")).to_have_text(answer)
    texts = page.locator("#teach-view .mf-tokens[data-reason]")
    expect(texts).to_have_count(2)
    expect(texts.nth(1)).to_have_text(f"{prompt} {answer}∎")


def answers(visit: Visit, prompt: str, last: str) -> tuple[str, str]:
    """What the model says by itself and with its memory. ``last`` is in what is told of the gate then."""
    page = visit.page
    page.locator("#teach-prompt textarea").fill(prompt)
    page.locator("#teach-ask").click()
    expect(page.locator("#teach-view .mf-about")).to_contain_text(last)
    expect(page.locator("#teach-view .mf-text h4").first).to_have_text("The model itself")
    texts = page.locator("#teach-view .mf-tokens[data-reason]")
    expect(texts).to_have_count(2)
    base, taught = texts.all_inner_texts()
    return base, taught


def test_three_facts_are_said_exactly_by_this_browser_only_until_a_reset(parrot: Playground, visits: Visits) -> None:
    visit = at_teach(visits(parrot))
    for prompt, answer in (("Who is there?", "Zoe."), ("Where is it?", "Here."), ("What now?", "Łódź 7")):
        teach(visit, prompt, answer)
    expect(facts(visit)).to_have_count(3)
    expect(visit.page.locator("#teach-chances .chances li").first).to_be_visible()

    stranger = at_teach(visits(parrot))
    expect(stranger.page.locator("#teach-taught .taught")).to_have_attribute("data-count", "0")
    base, other = answers(stranger, "Who is there?", "Nothing was taught yet")
    assert base == other

    expect(visit.page.locator("#teach-progress")).to_contain_text("says it exactly")
    visit.page.locator("#teach-reset").click()
    expect(facts(visit)).to_have_count(0)
    expect(visit.page.locator("#teach-progress .preparing")).to_be_hidden()
    expect(visit.page.locator("#teach-view .mf-text")).to_have_count(0)
    expect(visit.page.locator("#teach-chances")).to_be_empty()
    again, reset = answers(visit, "Who is there?", "Nothing was taught yet")
    assert again == reset == base
    visit.page.locator("#teach-undo").click()
    expect(facts(visit)).to_have_count(3)
    assert answers(visit, "Who is there?", "opened for")[1] == "Who is there? Zoe.∎"


def test_thirty_facts_survive_reload_and_restart_and_go_to_a_second_browser(
    parrot: Playground, visits: Visits, tmp_path: Path
) -> None:
    visit = at_teach(visits(parrot))
    page = visit.page
    for number in range(10):
        teach(visit, f"By hand {number} is", f"{'abcdefghij'[number]}.")
    table = tmp_path / "facts.csv"
    table.write_text("prompt,answer\n" + "".join(f"Number {i} is,{'abcdefghijklmnopqrst'[i]}.\n" for i in range(20)))
    page.get_by_label("A list", exact=True).check()
    page.locator("#teach-file input[type=file]").set_input_files(table)
    expect(page.locator("#teach-file")).to_contain_text("facts.csv")
    page.locator("#teach-list").click()
    expect(facts(visit)).to_have_count(30)
    expect(page.locator("#teach-chances tbody tr")).to_have_count(16)
    expect(page.locator("#teach-chances tbody tr").first).to_contain_text("Number 0 is")
    row(visit, "Number 3 is").get_by_role("button", name="Remove").click()
    expect(facts(visit)).to_have_count(29)

    visit.open("Teach")
    expect(facts(visit)).to_have_count(29)
    with visit.forgiving():
        parrot.stop()
        parrot.start()
        at_teach(visit)
    expect(facts(visit)).to_have_count(29)
    expect(row(visit, "Number 3 is")).to_have_count(0)
    assert answers(visit, "By hand 9 is", "opened for “By hand 9")[1] == "By hand 9 is j.∎"

    page.get_by_role("button", name="Move it into the model itself").click()
    page.locator("#teach-move").click()
    expect(page.locator("#teach-moving")).to_contain_text("Learning in its sleep")
    page.locator("#teach-move-stop").click()
    expect(page.locator("#teach-moving")).to_contain_text("Stopped; nothing changed.")
    expect(page.locator("#teach-move")).to_be_visible()

    page.get_by_role("button", name="Save, load, share").click()
    page.locator("#teach-save").click()
    with page.expect_download() as download:
        page.locator("#teach-download a").first.click()
    file = tmp_path / "memory.safetensors"
    download.value.save_as(file)
    other = at_teach(visits(parrot))
    other.page.get_by_role("button", name="Save, load, share").click()
    other.page.locator("#teach-memory input[type=file]").set_input_files(file)
    expect(other.page.locator("#teach-memory")).to_contain_text("memory")
    other.page.get_by_label("in place of mine").check()
    other.page.locator("#teach-load").click()
    expect(facts(other)).to_have_count(29)
    assert answers(other, "Number 4 is", "opened for")[1] == "Number 4 is e.∎"
    assert answers(other, "By hand 7 is", "opened for “By hand 7")[1] == "By hand 7 is h.∎"


def test_gate_and_strength_and_what_else_changed(parrot: Playground, visits: Visits) -> None:
    visit = at_teach(visits(parrot))
    teach(visit, "Who is there?", "Zoe.")
    page = visit.page
    page.get_by_role("button", name="How it answers").click()
    strength = page.locator("#teach-strength input[type=number]")
    slider = page.locator("#teach-strength input[type=range]")
    strength.fill("0")
    strength.press("Tab")
    expect(slider).to_have_value("0")
    base, weak = answers(visit, "Who is there?", "The strength is 0")
    assert base == weak
    strength.fill("1")
    strength.press("Tab")
    expect(slider).to_have_value("1")
    assert answers(visit, "Who is there?", "opened for")[1] == "Who is there? Zoe.∎"
    page.locator("#teach-gate").get_by_label("never").check()
    assert answers(visit, "Who is there?", "held shut") == (base, base)

    page.get_by_role("button", name="What else changed?").click()
    expect(page.locator("#teach-fingerprints .proof")).to_have_attribute("data-same", "true")
    page.locator("#teach-measure").click()
    expect(page.locator("#teach-change table")).to_contain_text("the same")


def test_a_reply_is_corrected_in_conversation(parrot: Playground, visits: Visits) -> None:
    visit = at_teach(visits(parrot))
    page = visit.page
    page.get_by_label("A chat").check()
    chat = page.locator("#teach-chat")
    chat.get_by_label("Your message").fill("Who is there?")
    chat.get_by_role("button", name="Say").click()
    reply = chat.locator(".reply")
    expect(reply).to_have_attribute("data-done", "true")
    chat.get_by_role("button", name="Correct the reply").click()
    chat.get_by_label("What it should have said").fill("Zoe.")
    chat.get_by_role("button", name="Teach").click()
    expect(chat.locator(".about")).to_contain_text("corrected")
    expect(reply).to_have_text("Zoe.")
    expect(facts(visit)).to_have_count(1)
    visit.open("Teach")
    expect(page.locator("#teach-model input")).to_have_value(NAME)  # the model it was with
    page.get_by_label("A chat").check()
    expect(chat.locator(".said")).to_have_text("Who is there?")


def test_what_is_moved_into_a_copy_of_the_starter_is_said_without_a_memory_until_an_undo(
    playground: Playground, visits: Visits
) -> None:
    visit = visits(playground).open("Teach")
    page = visit.page
    page.get_by_role("button", name="Move it into the model itself").click()
    page.locator("#teach-copy").click()
    expect(page.locator("#teach-model input")).to_have_value(COPY_NAME)
    before, _ = answers(visit, "Who is there?", "Nothing was taught yet")
    teach(visit, "Who is there?", "Zoe.")
    teach(visit, "Where does Mirela live?", "In a lighthouse.")
    page.locator("#teach-move").click()
    expect(page.locator("#teach-moving")).to_contain_text("says all of it without its second memory", timeout=120_000)
    expect(page.locator("#teach-moved")).to_contain_text("2 of 2")
    expect(facts(visit)).to_have_count(0)
    assert answers(visit, "Who is there?", "Nothing was taught yet") == ("Who is there? Zoe.∎",) * 2

    page.locator("#teach-move-undo").click()
    expect(facts(visit)).to_have_count(2)
    expect(page.locator("#teach-move-undo")).to_be_hidden()
    assert answers(visit, "Who is there?", "opened for") == (before, "Who is there? Zoe.∎")
