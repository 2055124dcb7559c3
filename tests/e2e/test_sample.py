"""The Sample tab in a real browser: text that streams, stops, survives a reload, and shows what it was chosen from."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from playwright.sync_api import Page, expect

from microformer import checkpoint
from microformer.data.tokenizers import build_tokenizer
from microformer.files import write_text
from microformer.model.transformer import Transformer
from microformer.training.config import RunConfig, TrainConfig
from microformer.training.run_directory import Run
from tests.conftest import make_config
from tests.e2e.playground import Playground, Visit, type_number

Visits = Callable[..., Visit]
NAME = "endless"


@pytest.fixture(scope="module")
def writer(shared_playground: Playground) -> Iterator[Playground]:
    """An app with a run that never ends a text by itself, and is large enough not to be done before one can look."""
    make_endless(shared_playground.home / "runs" / NAME)
    yield shared_playground


def make_endless(directory: Path) -> None:
    """A run with random weights for which the end of a text is out of the question."""
    tokenizer = build_tokenizer("char", ["Once upon a time there was a cat."])
    config = make_config(vocab_size=tokenizer.vocab_size, n_layers=12, d_model=64, max_seq_len=128)
    torch.manual_seed(2)
    model = Transformer(config)
    model.logit_bias[tokenizer.end_id] = -1e4
    checkpoint.save(directory / "checkpoints" / "step-5", model=model, optimizer_state=None, state={"step": 5})
    tokenizer.save(directory / "tokenizer.json")
    Run(directory).write_config(RunConfig(model=config, training=TrainConfig(max_steps=5)))
    row = {"step": 5, "prompt": "A cat\nwas there", "text": "."}
    write_text(directory / "samples.jsonl", json.dumps(row) + "\n")


def arrive(visit: Visit) -> Page:
    """Turn to the tab and choose the model."""
    page = visit.open("Sample").page
    expect(page.locator("#sample-write")).to_be_enabled()
    field = page.locator("#sample-model input")
    field.click()
    page.get_by_role("option", name=NAME, exact=True).click()
    expect(field).to_have_value(NAME)
    # The examples of a model come with it: once they are there, nothing of the choice is under way any more.
    expect(page.locator("#sample-example-0")).to_have_text("A cat was there")
    return page


def number(page: Page, name: str, value: str) -> None:
    """Type into the number box of a setting and leave it."""
    type_number(page, f"#sample-{name}", value)


def write(page: Page) -> None:
    """Press the button, and wait until a new text has begun."""
    page.evaluate("() => document.querySelectorAll('#sample-view .mf-text').forEach(one => one.dataset.old = 'yes')")
    page.locator("#sample-write").click()
    expect(page.locator("#sample-view .mf-text[data-old]")).to_have_count(0)
    expect(page.locator("#sample-view .mf-token").first).to_be_attached()


def is_done(page: Page) -> None:
    expect(page.locator("#sample-view .mf-stream")).to_have_attribute("data-state", "done")
    expect(page.locator("#sample-stop")).to_be_disabled()


def test_a_text_streams_survives_a_reload_and_is_stopped_half_way(writer: Playground, visits: Visits) -> None:
    visit = visits(writer)
    page = arrive(visit)
    page.get_by_role("button", name="More settings").click()
    number(page, "num_samples", "8")
    number(page, "max_tokens", "2000")
    write(page)
    expect(page.locator("#sample-stop")).to_be_enabled()
    expect(page.locator("#sample-view .mf-text")).to_have_count(8)
    expect(page.locator("#sample-view .mf-text").first.locator(".mf-token").nth(20)).to_be_attached()
    visit.open("Sample")
    first = page.locator("#sample-view .mf-text").first.locator(".mf-token")
    expect(first.nth(20)).to_be_attached()
    expect(page.locator("#sample-view .mf-text")).to_have_count(8)
    expect(page.locator("#sample-stop")).to_be_enabled()
    page.locator("#sample-stop").click()
    is_done(page)
    assert 20 < first.count() < 2000
    expect(page.locator("#sample-view .mf-ending").first).to_have_text("stopped")


def test_the_same_seed_writes_the_same_text_and_every_token_can_be_looked_into(
    writer: Playground, visits: Visits
) -> None:
    page = arrive(visits(writer))
    page.locator("#sample-prompt textarea").fill("Once upon")
    number(page, "max_tokens", "12")
    page.get_by_role("button", name="More settings").click()
    number(page, "num_samples", "2")
    write(page)
    is_done(page)
    texts = page.locator("#sample-view .mf-tokens")
    expect(texts).to_have_count(2)
    first = texts.all_inner_texts()
    seed = page.locator("#sample-seed input").input_value()
    expect(page.locator("#sample-view h4")).to_have_text([f"Seed {seed}", f"Seed {int(seed) + 1}"])

    fresh = page.get_by_label("Draw a new seed each time")
    expect(fresh).to_be_checked()
    number(page, "seed", seed)
    expect(fresh).not_to_be_checked()
    write(page)
    is_done(page)
    assert texts.all_inner_texts() == first

    tokens = texts.first.locator(".mf-token")
    expect(tokens).to_have_count(12)
    assert 0 <= float(tokens.nth(3).get_attribute("data-probability") or "nan") <= 1
    tokens.nth(3).click()
    panel = page.locator("#sample-view .mf-choices")
    expect(panel).to_have_attribute("data-token", "3")
    expect(panel.locator("li")).to_have_count(5)
    texts.first.focus()
    page.keyboard.press("ArrowRight")
    expect(panel).to_have_attribute("data-token", "4")
    expect(tokens.nth(4)).to_have_class("mf-token mf-picked")
    page.keyboard.press("ArrowLeft")
    expect(panel).to_have_attribute("data-token", "3")


def test_an_example_fills_the_prompt_and_a_bad_setting_gets_a_sentence(writer: Playground, visits: Visits) -> None:
    page = arrive(visits(writer))
    prompt = page.locator("#sample-prompt textarea")
    page.locator("#sample-example-0").click()
    expect(prompt).to_have_value("A cat\nwas there")
    number(page, "max_tokens", "5")
    page.get_by_role("button", name="More settings").click()
    number(page, "seed", "-3")
    page.locator("#sample-write").click()
    expect(page.get_by_text("seed is -3, but must be a whole number")).to_be_visible()
    expect(page.locator("#sample-view .mf-stream")).to_have_attribute("data-state", "none")
    number(page, "seed", "3")
    write(page)
    is_done(page)
    expect(page.locator("#sample-view .mf-prompt")).to_have_text("A cat\nwas there")
