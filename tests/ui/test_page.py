"""The wrapper through which every button calls its action: sentences for people, never a traceback."""

import warnings
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from microformer.errors import UserError
from microformer.ui import identity
from microformer.ui.launch import Address, launch_settings
from microformer.ui.page import UNEXPECTED, Page
from microformer.ui.terms import TERMS, explanations, label_class, question_mark
from microformer.ui.theme import head
from microformer.ui.workspace import Visitor, Workspace, new_secret


@pytest.fixture
def page(tmp_path: Path) -> Page:
    workspace = Workspace(tmp_path, hosted=True)
    with gr.Blocks(analytics_enabled=False) as demo:
        visitor, arrived = identity.build(workspace, demo)
    return Page(workspace, visitor, arrived)


def greet(workspace: Workspace, visitor: Visitor, request: Any) -> Any:
    if request == {"name": "nobody"}:
        raise UserError("There is no <b>nobody</b>; name somebody.")
    if request == {"name": "crash"}:
        raise ValueError("secret detail")
    return {"hello": request["name"], "visitor": visitor.key}


def test_an_action_gets_the_workspace_and_the_visitor(page: Page) -> None:
    secret = new_secret()
    result = page.shown(greet)(secret, {"name": "Ada"})
    assert result == {"hello": "Ada", "visitor": page.workspace.visitor(secret).key}


@pytest.mark.parametrize(
    ("name", "told"), [("nobody", r"There is no &lt;b&gt;nobody&lt;/b&gt;"), ("crash", "should not have")]
)
def test_what_goes_wrong_is_one_escaped_sentence_and_changes_nothing(page: Page, name: str, told: str) -> None:
    with pytest.warns(UserWarning, match=told):
        assert page.shown(greet)(new_secret(), {"name": name}) == gr.skip()


def test_an_event_that_comes_before_the_browser_is_known_waits_without_a_word(page: Page) -> None:
    assert page.shown(greet, early=True)(None, {"name": "Ada"}) == gr.skip()
    assert page.shown(greet, early=True)(new_secret(), {"name": "Ada"})["hello"] == "Ada"


def test_a_hosted_page_runs_nothing_for_a_browser_it_does_not_know(page: Page) -> None:
    with pytest.warns(UserWarning, match="reload"):
        page.shown(greet)(None, {"name": "Ada"})


def test_a_server_function_takes_the_secret_out_of_the_request(page: Page) -> None:
    function = page.server(greet)
    secret = new_secret()
    assert function({"visitor": secret, "name": "Ada"})["hello"] == "Ada"
    assert function({"visitor": secret, "name": "nobody"}) == {"error": "There is no <b>nobody</b>; name somebody."}
    assert function({"visitor": secret, "name": "crash"}) == {"error": UNEXPECTED}
    for malformed in (None, 3, "x", [secret], {"name": "Ada"}, {"visitor": 7, "name": "Ada"}):
        assert "error" in function(malformed)


def test_a_browser_keeps_its_secret_and_gets_one_when_it_has_none() -> None:
    secret = new_secret()
    assert identity.introduce(secret) == gr.skip()
    fresh = {identity.introduce(value) for value in (None, "made up", 7)}
    assert len(fresh) == 3


def test_every_term_has_an_explanation_that_reaches_the_page() -> None:
    assert all(text.endswith(".") for text in TERMS.values())
    assert set(explanations()) == {label_class(name)[5:] for name in TERMS}
    assert "</script>" not in head().split("\n")[0][len("<script>") : -len("</script>")]
    assert 'data-term="bits_per_byte"' in question_mark("bits per byte")
    with pytest.raises(KeyError):
        label_class("gibberish")


def test_the_page_is_launched_closed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
    settings = launch_settings(page.workspace, Address())
    open_doors = ("share", "mcp_server", "run_history", "enable_monitoring", "pwa", "ssr_mode", "show_error")
    assert not any(settings[name] for name in open_doors)
    assert settings["strict_cors"] and settings["allowed_paths"] == [] and settings["max_file_size"] == 20 * 10**6


def test_only_other_addresses_than_loopback_are_hosted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACE_ID", raising=False)
    assert not Address().hosted and not Address("localhost").hosted
    assert Address("0.0.0.0").hosted
    assert "evil.com" not in Address("0.0.0.0").names()
    assert "class.example.org" in Address(allowed=("class.example.org",)).names()
    monkeypatch.setenv("SPACE_ID", "somebody/microformer")
    monkeypatch.setenv("SPACE_HOST", "somebody-microformer.hf.space")
    assert Address().hosted and "somebody-microformer.hf.space" in Address().names()


def test_nothing_is_built_at_import_and_the_page_can_be_built_twice(tmp_path: Path) -> None:
    from microformer.ui.app import build_app

    with warnings.catch_warnings():
        for number in range(2):
            demo = build_app(Workspace(tmp_path / str(number)))
            assert demo.title == "Microformer"
