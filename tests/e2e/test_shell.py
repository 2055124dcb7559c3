"""The frame of the page: it comes up, explains its words, remembers the browser, and can be used on a phone."""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.e2e.playground import PATIENCE, Playground, Visit

Visits = Callable[..., Visit]


def test_the_steps_can_be_turned_to_by_keyboard(shared_playground: Playground, visits: Visits) -> None:
    visit = visits(shared_playground).open()
    tabs = visit.page.locator("#steps").first.get_by_role("tab")
    expect(tabs).to_have_text(["Data", "Train", "Sample", "Teach", "Share", "Inspect"])
    tabs.nth(1).focus()
    visit.page.keyboard.press("Enter")
    expect(tabs.nth(1)).to_have_attribute("aria-selected", "true")


def test_a_question_mark_explains_its_term(shared_playground: Playground, visits: Visits) -> None:
    visit = visits(shared_playground).open("Sample")
    visit.page.get_by_role("button", name="What is meant by temperature?").first.click()
    expect(visit.page.locator("#explanation")).to_contain_text("likeliest token")
    visit.page.keyboard.press("Escape")
    expect(visit.page.locator("#explanation")).to_be_hidden()


def test_a_browser_is_known_again_after_a_reload_and_a_restart(playground: Playground, visits: Visits) -> None:
    visit = visits(playground).open()
    before = visit.secret
    visit.open()
    assert visit.secret == before
    with visit.forgiving():
        playground.stop()
        playground.start()
        visit.open()
    assert visit.secret == before
    stranger = visits(playground).open()
    assert stranger.secret != before


def test_forgetting_asks_first_and_makes_a_new_visitor(shared_playground: Playground, visits: Visits) -> None:
    visit = visits(shared_playground).open()
    before = visit.secret
    button = visit.page.get_by_role("button", name="Forget this browser")
    visit.page.once("dialog", lambda dialog: dialog.dismiss())
    with visit.page.expect_event("dialog"):
        button.click()
    visit.open()
    assert visit.secret == before
    visit.page.once("dialog", lambda dialog: dialog.accept())
    with visit.page.expect_navigation():
        button.click()
    expect(visit.page.locator("body[data-visitor=known]")).to_be_attached(timeout=3 * PATIENCE)
    assert visit.secret != before


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_no_tab_is_wider_than_the_screen(shared_playground: Playground, visits: Visits, width: int, dark: bool) -> None:
    visit = visits(shared_playground, width=width, dark=dark).open()
    for tab in ("Data", "Train", "Sample", "Teach", "Share", "Inspect"):
        visit.turn_to(tab)
        assert visit.page.evaluate("document.documentElement.scrollWidth") <= width, tab
