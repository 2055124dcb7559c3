"""Data and Train in a real browser with a real training process: upload, prepare, train, reload, pause, resume."""

import json
import re
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.e2e.playground import Playground, Visit, choose, type_number

Visits = Callable[..., Visit]

TEXT = "The red ball is in the garden. Ann looks for it, and finds it under the old tree.\n" * 300
# What the chart has drawn: the browser counts the points of its longest curve.
MORE_POINTS = "(count) => Number(document.querySelector('#train-view [data-part=loss]').dataset.points || 0) > count"


def upload(visit: Visit, path: Path) -> None:
    """Choose a file on the Data tab and prepare it."""
    page = visit.page
    page.get_by_label("Upload files").check()
    chooser = page.locator("#data-files input[type=file]")
    expect(chooser).to_be_attached()
    chooser.set_input_files(path)
    expect(page.locator("#data-files")).to_contain_text(path.stem)
    page.locator("#data-prepare").click()
    expect(page.locator("#data-progress .preparing")).to_have_attribute("data-state", "done")
    expect(page.locator("#data-card h3")).to_have_text(path.stem)


def points(page: Page) -> int:
    """How many points the loss chart has drawn."""
    return int(page.locator("#train-view [data-part=loss]").get_attribute("data-points") or 0)


def view(page: Page) -> Locator:
    """The live view of the shown run."""
    return page.locator("#train-view .run-view")


def looks_inside(visit: Visit) -> None:
    """The run that was just trained shows on the Inspect tab what it learnt and how it reads a text."""
    page = visit.page
    visit.turn_to("Inspect")
    expect(page.locator("#inspect-model input")).not_to_have_value("")
    page.locator("#inspect-model input").click()
    page.get_by_role("option", name="garden · tiny").click()
    expect(page.locator("#inspect-gradients figcaption")).to_contain_text("learnt most strongly")
    page.get_by_label("A text to read").fill("The red ball")
    page.locator("#inspect-look").click()
    expect(page.locator("#inspect-attention figcaption")).to_contain_text("Layer 1, head 1: the last token, “l”")
    expect(page.locator("#inspect-lens tr")).to_have_count(3)
    expect(page.locator("#inspect-lens tr").last.locator("td")).to_have_count(3)
    type_number(page, "#inspect-layer", "2")
    expect(page.locator("#inspect-attention figcaption")).to_contain_text("Layer 2, head 1")


def test_a_text_becomes_a_run_that_survives_a_reload_and_can_be_paused(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    source = tmp_path / "garden.txt"
    source.write_text(TEXT)
    upload(visit, source)
    expect(page.locator("#data-card")).to_contain_text("characters per token")
    expect(page.locator("#data-frequent figcaption")).to_contain_text("most frequent tokens")

    visit.turn_to("Train")
    expect(page.locator("#train-dataset input")).to_have_value("garden")
    page.get_by_role("button", name="Advanced: every setting").click()
    steps = page.get_by_label("Max steps")
    expect(steps).to_have_value("1000")
    steps.fill("100000")  # so that it is still training, however fast the machine
    choose(page, "#training-compile", "off")  # or a run as long as that begins with a minute of compiling
    page.get_by_role("button", name="The same as a command").click()
    expect(page.locator("#train-command textarea")).to_have_value(_with("--training.max_steps 100000"))
    page.locator("#train-start").click()
    expect(view(page).locator("[data-word=step]")).to_contain_text("of 100,000")
    expect(view(page)).to_have_attribute("data-state", "running")

    # The curve grows five times, and the node it is drawn on stays the same.
    page.wait_for_function(MORE_POINTS, arg=0)
    page.evaluate("() => { document.querySelector('#train-view [data-part=loss]').ours = true; }")
    for _ in range(5):
        page.wait_for_function(MORE_POINTS, arg=points(page))
    assert page.evaluate("() => document.querySelector('#train-view [data-part=loss]').ours")

    visit.open("Train")
    expect(view(page)).to_have_attribute("data-state", "running")
    page.wait_for_function(MORE_POINTS, arg=2)

    expect(page.locator("#train-pause")).to_be_enabled()
    page.locator("#train-pause").click()
    expect(view(page)).to_have_attribute("data-state", "stopped")
    expect(page.locator("#train-resume")).to_be_enabled()
    done = _steps_done(page)
    page.locator("#train-resume").click()
    expect(view(page)).to_have_attribute("data-state", "running")
    page.wait_for_function(
        "(done) => Number(document.querySelector('#train-view [data-word=step]').textContent.replace(/,/g, '')"
        ".split(' ')[0]) > done",
        arg=done,
    )
    expect(view(page).locator("[data-word=val_loss]")).not_to_have_text("–")
    expect(page.locator("#train-pause")).to_be_enabled()
    page.locator("#train-pause").click()
    expect(view(page)).to_have_attribute("data-state", "stopped")
    looks_inside(visit)


def test_a_first_run_takes_one_click_and_can_be_deleted_and_brought_back(visit: Visit) -> None:
    page = visit.page
    visit.turn_to("Train")
    expect(page.locator("#train-plan .plan")).to_be_visible()
    page.locator("#train-start").click()
    expect(view(page)).to_have_attribute("data-state", "running")
    page.wait_for_function(MORE_POINTS, arg=0)
    expect(page.locator("#train-pause")).to_be_enabled()
    page.locator("#train-pause").click()
    expect(view(page)).to_have_attribute("data-state", "stopped")
    expect(page.locator("#train-pause")).to_be_disabled()

    page.locator("#train-propose").click()
    expect(page.locator("#train-proposal")).to_contain_text("In 3 minutes")
    expect(page.locator("#train-propose")).to_be_enabled()
    page.get_by_role("button", name="Advanced: every setting").click()
    expect(page.get_by_label("Max minutes")).to_have_value("3")
    expect(page.get_by_label("Max steps")).to_have_value("")

    page.locator("#train-delete").click()
    expect(page.locator("#train-table")).to_contain_text("No run yet")
    page.locator("#train-undo").click()
    expect(page.locator("#train-table")).to_contain_text("Tiny Tales · tiny")
    expect(view(page)).to_have_attribute("data-state", "stopped")


def test_a_table_of_labels_becomes_a_model_that_tells_them(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    table = tmp_path / "days.csv"
    table.write_text("text,label\n" + "The sun shone and Ann sang.,good\nIt rained and Ann cried.,bad\n" * 80)
    upload(visit, table)
    visit.turn_to("Train")
    expect(page.locator("#train-plan .plan")).to_be_visible()
    page.get_by_role("button", name="Advanced: every setting").click()
    steps = page.get_by_label("Max steps")
    expect(steps).to_have_value("1000")
    steps.fill("40")
    page.get_by_role("button", name="The same as a command").click()
    expect(page.locator("#train-command textarea")).to_have_value(_with("--training.max_steps 40"))
    page.locator("#train-start").click()
    expect(view(page)).to_have_attribute("data-state", "finished")
    expect(view(page).locator(".run-score")).to_contain_text("right answers")
    expect(view(page).locator("[data-word=meaning]")).to_contain_text("who always names the commonest label")
    page.locator("#train-use").click()
    expect(page.locator("#sample-temperature")).to_be_hidden()  # nothing is drawn by chance
    page.locator("#sample-prompt textarea").fill("It rained and Ann cried.")
    page.locator("#sample-write").click()
    expect(page.locator("#sample-answer .answer")).to_have_text("bad")
    expect(page.locator("#sample-answer tr")).to_have_count(2)


def test_a_run_under_way_is_shown_again_after_the_app_was_restarted(playground: Playground, visits: Visits) -> None:
    visit = visits(playground).open("Train")
    page = visit.page
    expect(page.locator("#train-plan .plan")).to_be_visible()
    page.locator("#train-start").click()
    page.wait_for_function(MORE_POINTS, arg=0)
    with visit.forgiving():
        playground.stop()
        assert playground.trainers(), "the trainer went down with the app"
        playground.start()
        visit.open("Train")
    page.wait_for_function(MORE_POINTS, arg=1)
    expect(page.locator("#train-pause")).to_be_enabled()
    page.locator("#train-pause").click()
    expect(view(page)).to_have_attribute("data-state", "stopped")


def test_what_cannot_be_prepared_is_told_in_a_sentence(shared_playground: Playground, visits: Visits) -> None:
    visit = visits(shared_playground).open("Data")
    page = visit.page
    page.get_by_label("Paste a text").check()
    page.get_by_label("Your text").fill("Three words only.")
    page.locator("#data-prepare").click()
    progress = page.locator("#data-progress .preparing")
    expect(progress).to_have_attribute("data-state", "failed")
    expect(progress).to_contain_text("characters")

    page.get_by_label("A public corpus").check()
    expect(page.locator("#data-corpus")).to_be_visible()
    expect(page.locator("#data-prepare")).to_be_enabled()
    page.locator("#data-prepare").click()
    expect(page.locator("#data-instead")).to_be_visible()
    expect(progress).to_contain_text("could not be read")


def test_on_a_phone_nothing_is_wider_than_the_screen(
    shared_playground: Playground, visits: Visits, tmp_path: Path
) -> None:
    visit = visits(shared_playground, width=390, dark=True).open("Data")
    source = tmp_path / "lines.jsonl"
    source.write_text("".join(json.dumps({"text": TEXT[:2000]}) + "\n" for _ in range(5)))
    upload(visit, source)
    for tab in ("Data", "Train"):
        visit.turn_to(tab)
        assert visit.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")


def _steps_done(page: Page) -> int:
    text = view(page).locator("[data-word=step]").text_content() or "0"
    return int(text.split(" of ")[0].replace(",", ""))


def _with(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text))
