"""The picture and the words of a model card."""

import io
from pathlib import Path

import yaml
from PIL import Image

from microformer.hub.bundle import bundle
from microformer.hub.card import model_card
from microformer.hub.picture import loss_picture, ticks


def test_the_picture_shows_both_curves() -> None:
    rows = [{"step": step, "loss": 4 - step / 10, "val_loss": 4.2 - step / 10} for step in range(20)]
    drawn = Image.open(io.BytesIO(loss_picture(rows) or b"")).convert("RGB")
    colours = {colour for _, colour in drawn.getcolors(2**20) or []}
    assert drawn.size == (760, 380)
    for wanted in ((217, 72, 15), (157, 180, 232)):
        assert any(max(abs(a - b) for a, b in zip(colour, wanted, strict=True)) < 12 for colour in colours)


def test_there_is_no_picture_of_one_point_or_of_no_numbers() -> None:
    assert loss_picture([{"step": 3, "loss": 1.0}]) is None
    assert loss_picture([{"step": 1, "loss": float("nan")}, {"step": 2, "loss": None}]) is None


def test_ticks_are_round_numbers() -> None:
    assert ticks(0.13, 1.08, 5) == [0.2, 0.4, 0.6, 0.8, 1.0]
    assert ticks(0, 1000, 6) == [0, 200, 400, 600, 800, 1000]


def test_the_cards_front_matter_and_settings_are_yaml(run: Path) -> None:
    card = model_card(bundle(run), "ada/first", pictured=False)
    assert yaml.safe_load(card.split("---")[1])["pipeline_tag"] == "text-generation"
    assert yaml.safe_load(card.split("```yaml\n")[1].split("```")[0])["model"]["d_model"] == 16
    assert "loss.png" not in card and "n-grams" not in card.split("```")[0]


def test_the_card_tells_of_a_table_of_n_grams(run: Path) -> None:
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["model"] |= {"ngram_rows": 8192, "ngram_longest": 4}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "| n-grams | up to 4 tokens, in 8,192 rows |" in model_card(bundle(run), "ada/first", pictured=False)


def test_a_sample_cannot_break_out_of_its_block(run: Path) -> None:
    (run / "samples.jsonl").write_text('{"step": 1, "prompt": "", "text": "a\\n```\\n<script>"}\n')
    assert "````text\na\n```\n<script>\n````" in model_card(bundle(run), "ada/first", pictured=True)
