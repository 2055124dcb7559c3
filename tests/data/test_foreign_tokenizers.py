"""Tokenizer files of the ``tokenizers`` library, as other programs write them, friendly and hostile."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch.nn import functional as F

from microformer.data.datasets import Dataset
from microformer.data.prepare import prepare
from microformer.data.tokenizers import END_ID, END_OF_TEXT, load_tokenizer
from microformer.data.tokenizers.bpe import SPLITTERS
from microformer.data.tokenizers.recognise import recognise
from microformer.errors import UserError
from microformer.model.transformer import Transformer
from tests.conftest import make_config

TEXT = "Once upon a time, Zoë's 1234 cats said: “Hello, Łódź!”\n\n  Then they didn't say it again...\n" * 5


def _trained(splitter: str = "gpt2", *, end: str = END_OF_TEXT) -> tokenizers.Tokenizer:
    """A byte-level BPE made with the library itself, the way GPT-2's is; the end token comes last, as in GPT-2."""
    made = tokenizers.Tokenizer(models.BPE())
    if splitter == "gpt2":
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    elif SPLITTERS[splitter] is None:
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
    else:
        pattern = tokenizers.Regex(SPLITTERS[splitter])
        made.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(pattern, "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
    made.decoder = decoders.ByteLevel()
    made.post_processor = processors.ByteLevel(trim_offsets=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        [TEXT], trainers.BpeTrainer(vocab_size=400, initial_alphabet=alphabet, show_progress=False)
    )
    made.add_special_tokens([end])
    return made


def _plain(made: tokenizers.Tokenizer) -> dict[str, Any]:
    return json.loads(made.to_str())


@pytest.mark.parametrize("splitter", SPLITTERS)
def test_a_known_tokenizer_encodes_as_the_library_does(splitter: str) -> None:
    library = _trained(splitter)
    ours = recognise(_plain(library))
    theirs = library.encode(TEXT, add_special_tokens=False).ids
    assert ours.encode(TEXT) == [token + 1 for token in theirs]
    assert ours.decode(ours.encode(TEXT)) == TEXT
    assert ours.vocab_size == library.get_vocab_size()


def test_a_foreign_file_is_loaded_and_saved_as_the_programs_own(tmp_path: Path) -> None:
    _trained().save(str(tmp_path / "gpt2.json"))
    tokenizer = load_tokenizer(tmp_path / "gpt2.json")
    assert tokenizer.token_label(END_ID) == END_OF_TEXT
    assert END_ID not in tokenizer.encode(f"typed: {END_OF_TEXT}")
    tokenizer.save(tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path / "tokenizer.json").hash == tokenizer.hash


def test_a_file_as_large_as_gpt2s_prepares_a_text_that_a_model_learns_from(tmp_path: Path) -> None:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = list(itertools.product(alphabet, repeat=2))[:50_000]
    vocabulary = {token: number for number, token in enumerate([*alphabet, *map("".join, merges)])}
    made = tokenizers.Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.add_special_tokens([END_OF_TEXT])
    made.save(str(tmp_path / "gpt2.json"))
    (tmp_path / "text.txt").write_text(TEXT * 20, encoding="utf-8")
    prepare([tmp_path / "text.txt"], str(tmp_path / "gpt2.json"), tmp_path / "dataset")
    dataset = Dataset.open(tmp_path / "dataset")
    assert dataset.tokenizer.vocab_size == made.get_vocab_size() == 50_257
    assert dataset.train.dtype == "uint16" and int(dataset.train.max()) > 2**15
    window = torch.tensor(dataset.train[:33].astype("int64"))[None]
    assert dataset.tokenizer.decode(window[0].tolist()) == TEXT[: len(dataset.tokenizer.decode(window[0].tolist()))]
    model = Transformer(make_config(vocab_size=50_257))
    F.cross_entropy(model(window[:, :-1])[0], window[0, 1:]).backward()
    assert model.tokens.weight.grad is not None and bool(model.tokens.weight.grad.isfinite().all())


def test_other_end_tokens_and_old_merges_are_understood() -> None:
    plain = _plain(_trained(end="</s>"))
    plain["model"]["merges"] = [" ".join(pair) for pair in plain["model"]["merges"]]
    tokenizer = recognise(plain)
    assert "</s>" not in [tokenizer.token_label(token) for token in range(tokenizer.vocab_size)]
    assert tokenizer.decode(tokenizer.encode("</s>")) == "</s>"


def test_composed_form_is_kept_as_the_files_own_rule() -> None:
    made = _trained()
    made.normalizer = normalizers.NFC()
    tokenizer = recognise(_plain(made))
    assert tokenizer.decode(tokenizer.encode("Zoe\u0308")) == "Zo\u00eb"


def _changed(**changes: Any) -> dict[str, Any]:
    return _plain(_trained()) | changes


def _changed_model(**changes: Any) -> dict[str, Any]:
    plain = _plain(_trained())
    return plain | {"model": plain["model"] | changes}


def _slow(pattern: str) -> dict[str, Any]:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    bytes_only = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    return {"type": "Sequence", "pretokenizers": [split, bytes_only]}


@pytest.mark.parametrize(
    ("plain", "sentence"),
    [
        (_changed(pre_tokenizer=_slow("(a+)+$")), "splits text"),
        (_changed(pre_tokenizer={"type": "Whitespace"}), "splits text"),
        (_changed(pre_tokenizer=None), "splits text"),
        (_changed(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": True}), "splits text"),
        (_changed(normalizer={"type": "Replace", "pattern": {"Regex": "(a+)+$"}, "content": ""}), "normalizer Replace"),
        (_changed(model={"type": "WordPiece", "vocab": {"a": 0}}), "WordPiece"),
        (_changed_model(dropout=0.5), "dropout"),
        (_changed_model(vocab={"a": 0, "b": 1}), "bytes"),
        (_changed_model(vocab={"a": "x"}), "whole number"),
        (_changed_model(merges=[["a", "b", "c"]]), "pairs"),
        (_changed_model(merges=[["a", "nowhere"]]), "nowhere"),
    ],
)
def test_what_is_not_known_is_refused_with_a_sentence(plain: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=sentence):
        recognise(plain)


def test_a_refusal_of_the_child_process_reaches_the_person(tmp_path: Path) -> None:
    path = tmp_path / "hostile.json"
    path.write_text(json.dumps(_changed(pre_tokenizer=_slow("(a+)+$"))), encoding="utf-8")
    with pytest.raises(UserError, match=r"hostile\.json cannot be used: the way it splits text"):
        load_tokenizer(path)


def test_deep_and_huge_files_are_refused(tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text("[" * 200_000, encoding="utf-8")
    with pytest.raises(UserError, match="not valid JSON"):
        load_tokenizer(deep)
    huge = tmp_path / "huge.json"
    with huge.open("wb") as file:
        file.truncate(21 * 2**20)
    with pytest.raises(UserError, match="larger than 20 MB"):
        load_tokenizer(huge)
