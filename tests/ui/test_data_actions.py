"""What the Data tab does: prepare in the background, list, describe, rename, share, delete and bring back."""

import json
from pathlib import Path

import pytest

from microformer.errors import UserError
from microformer.ui.actions import data, preparing, text_choice
from microformer.ui.actions.data import Suits
from microformer.ui.actions.text_choice import TextChoice
from microformer.ui.dataset_card import card_html, meter_share, short_number, tokens_html
from microformer.ui.workspace import Limits, Visitor, Workspace, new_secret

TEXT = "The red ball is in the garden. Ann looks for it, and finds it under the old tree.\n" * 40


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, clock=lambda: 1_000.0)


def prepared(workspace: Workspace, visitor: Visitor, **choice: object) -> str:
    """Prepare a pasted text (or what ``choice`` says) and wait for it; the dataset's id."""
    job = preparing.begin(workspace, visitor, TextChoice(**({"source": "paste", "pasted": TEXT} | choice)))
    assert job.ended.wait(60)
    assert job.state == "done", job.message
    assert job.dataset is not None
    return job.dataset


def test_a_pasted_text_becomes_a_dataset_on_the_shelf(workspace: Workspace, visitor: Visitor) -> None:
    id = prepared(workspace, visitor, name="My text")
    assert data.choices(workspace, visitor) == [("My text", id)]
    card = data.card(workspace, visitor, id)
    assert card.info.characters == len(TEXT)
    assert "".join(card.pieces) == TEXT[: data.PREVIEW_CHARACTERS]
    assert list(workspace.uploads().iterdir()) == [], "the pasted text is not kept beside its dataset"


def test_progress_tells_of_the_end_and_a_stranger_sees_none_of_it(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, hosted=True)
    one, other = workspace.visitor(new_secret()), workspace.visitor(new_secret())
    assert preparing.progress(workspace, one, {})["state"] == "none"
    prepared(workspace, one)
    told = preparing.progress(workspace, one, {})
    assert (told["state"], told["fraction"], told["says"]) == ("done", 1.0, "“Pasted text” is ready.")
    assert preparing.progress(workspace, other, {})["state"] == "none"
    assert data.choices(workspace, other) == []


def test_several_files_are_uploaded_together(workspace: Workspace, visitor: Visitor, tmp_path: Path) -> None:
    first, second = tmp_path / "one.txt", tmp_path / "two.jsonl"
    first.write_text(TEXT)
    second.write_text(json.dumps({"text": TEXT}) + "\n")
    id = prepared(workspace, visitor, source="upload", uploaded=[str(first), str(second)])
    card = data.card(workspace, visitor, id)
    assert card.item.name == "one and 1 more"
    assert card.info.documents == 2


def test_stopping_leaves_nothing_behind(workspace: Workspace, visitor: Visitor) -> None:
    job = preparing.begin(workspace, visitor, TextChoice(source="tales", size=50))
    preparing.stop(workspace, visitor)
    assert job.ended.wait(60)
    assert job.state == "stopped"
    assert data.choices(workspace, visitor) == []
    assert [path for path in workspace.datasets.root.iterdir() if path.name not in (".items", ".trash")] == []


def test_a_second_preparation_waits_for_the_first(workspace: Workspace, visitor: Visitor) -> None:
    job = preparing.begin(workspace, visitor, TextChoice(source="tales", size=50))
    with pytest.raises(UserError, match="still being prepared"):
        preparing.begin(workspace, visitor, TextChoice(source="paste", pasted=TEXT))
    preparing.stop(workspace, visitor)
    assert job.ended.wait(60)
    prepared(workspace, visitor)


def test_text_that_is_too_short_fails_with_a_sentence(workspace: Workspace, visitor: Visitor) -> None:
    job = preparing.begin(workspace, visitor, TextChoice(source="paste", pasted="One line.\nTwo lines.\n"))
    assert job.ended.wait(60)
    assert job.state == "failed"
    assert "(your text.txt) has only" in preparing.progress(workspace, visitor, {})["says"]


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ({"source": "paste", "pasted": "  "}, "no text yet"),
        ({"source": "upload", "uploaded": None}, "no file yet"),
        ({"source": "hub", "corpus": "../../etc"}, "No corpus is chosen"),
        ({"source": "elsewhere"}, "no source 'elsewhere'"),
        ({"size": float("nan")}, "must be more than 0"),
        ({"size": None}, "must be more than 0"),
        ({"size": -1}, "must be more than 0"),
        ({"tokenizer": "/etc/passwd"}, "no tokenizer"),
        ({"tokenizer": "bpe", "vocab_size": None}, "vocabulary size is empty"),
        ({"tokenizer": "given"}, "No tokenizer is chosen"),
        ({"tokenizer": "given", "like": "/etc/passwd"}, "No tokenizer is chosen"),
        ({"tokenizer": "given", "like": "dataset:../../etc"}, "dataset is not there"),
        ({"tokenizer": "given", "like": "model:abcdefghijkl"}, "run is not there"),
    ],
)
def test_bad_input_is_refused_at_once(
    workspace: Workspace, visitor: Visitor, choice: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        preparing.begin(workspace, visitor, TextChoice(**choice))
    assert preparing.current(workspace, visitor) is None


def test_a_hosted_visitor_has_limits(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "home", hosted=True, limits=Limits(upload_mb=1, datasets=1, text_mb=1))
    visitor = workspace.visitor(new_secret())
    big = tmp_path / "big.txt"
    big.write_text("x" * 1_100_000)
    for choice in ({"source": "upload", "uploaded": [str(big)]}, {"source": "paste", "pasted": "x" * 1_100_000}):
        with pytest.raises(UserError, match="1 MB is the most here"):
            preparing.begin(workspace, visitor, TextChoice(**choice))
    with pytest.raises(UserError, match="at most 1 MB"):
        preparing.begin(workspace, visitor, TextChoice(source="tales", size=2))
    prepared(workspace, visitor)
    with pytest.raises(UserError, match="delete one first"):
        preparing.begin(workspace, visitor, TextChoice(source="paste", pasted=TEXT))


def test_rename_share_delete_and_undo(workspace: Workspace, visitor: Visitor) -> None:
    id = prepared(workspace, visitor)
    assert data.rename(workspace, visitor, id, " A  better name ") == "A better name"
    assert data.share(workspace, visitor, id, True) is True
    name, token = data.delete(workspace, visitor, id)
    assert name == "A better name"
    assert data.choices(workspace, visitor) == []
    assert data.undo(workspace, visitor, token) == id
    assert data.choices(workspace, visitor) == [("A better name", id)]


def test_the_card_escapes_what_people_wrote(workspace: Workspace, visitor: Visitor) -> None:
    nasty = "<img src=x onerror=alert(1)> & more of it. " * 60
    id = prepared(workspace, visitor, pasted=nasty, name="<script>alert(1)</script>")
    shown = card_html(data.card(workspace, visitor, id))
    assert "<script" not in shown
    assert "<img" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown


def test_tokens_are_shown_as_they_are_cut() -> None:
    shown = tokens_html(["a<", "", "\n"])
    assert shown.count("<span") == 2
    assert ">a&lt;</span>" in shown


def test_the_verdict_and_the_meter_grow_with_the_text() -> None:
    ratios = [0.001, 0.4, 0.6, 4.9, 5, 19, 20, 1e6]
    verdicts = [Suits("tiny", 1, ratio).verdict for ratio in ratios]
    assert verdicts == ["far too short"] * 2 + ["a little short"] * 2 + ["enough"] * 2 + ["plenty"] * 2
    shares = [meter_share(ratio) for ratio in ratios]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)


def test_a_table_of_n_grams_asks_for_no_longer_text(workspace: Workspace, visitor: Visitor) -> None:
    info = data.card(workspace, visitor, prepared(workspace, visitor)).info
    suits = {one.name: one for one in data.suits(info)}
    assert suits["tiny"].parameters > 2 * suits["microformer"].parameters
    assert suits["tiny"].ratio > 0.8 * suits["microformer"].ratio


def test_the_warning_says_what_the_meter_shows() -> None:
    suits = [Suits("little", 1, 30), Suits("middle", 10, 3), Suits("large", 100, 0.3)]
    words = data.suits_in_words(suits)
    assert words.startswith("This text is enough for little; a little short for middle; far too short for larger")
    assert data.suits_in_words(suits[:1]) == ""
    assert "far too short for every preset" in data.suits_in_words(suits[2:])


def test_a_tokenizer_is_taken_over_from_a_dataset_or_a_file(workspace: Workspace, visitor: Visitor) -> None:
    first = prepared(workspace, visitor, name="First")
    assert ("First (dataset)", f"dataset:{first}") in text_choice.tokenizers(workspace, visitor)
    file = str(workspace.datasets.get(first, visitor) / "tokenizer.json")
    made = data.card(workspace, visitor, first).info.tokenizer_hash
    for choice in ({"like": f"dataset:{first}"}, {"tokenizer_file": file}):
        second = prepared(workspace, visitor, pasted="Zzyzx! " * 200, tokenizer="given", **choice)
        assert data.card(workspace, visitor, second).info.tokenizer_hash == made


def test_nobody_takes_over_the_tokenizer_of_somebody_else(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, hosted=True)
    one, other = workspace.visitor(new_secret()), workspace.visitor(new_secret())
    id = prepared(workspace, one)
    assert f"dataset:{id}" not in [value for _, value in text_choice.tokenizers(workspace, other)]
    with pytest.raises(UserError, match="is not there"):
        preparing.begin(workspace, other, TextChoice(tokenizer="given", like=f"dataset:{id}"))


def test_a_corpus_out_of_reach_is_said_without_words_of_the_command_line(
    workspace: Workspace, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    job = preparing.begin(
        workspace, visitor, TextChoice(source="hub", corpus="tinystories", corpus_size=1, name="Mine")
    )
    assert job.ended.wait(60)
    assert (job.state, job.offline) == ("failed", True)
    assert job.message.startswith("TinyStories could not be read from the Hugging Face Hub; check the network")
    assert "--source" not in job.message


def test_numbers_are_said_in_short() -> None:
    assert [short_number(n) for n in (12, 1_234, 385_000, 4_900_000, 39_000_000, 1_500_000_000)] == [
        "12",
        "1,000",
        "385,000",
        "4.9 million",
        "39 million",
        "1.5 billion",
    ]
