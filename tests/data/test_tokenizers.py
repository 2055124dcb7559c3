"""Any text becomes tokens and comes back, by every tokenizer; what is not a tokenizer is refused."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microformer.data.tokenizers import (
    END_ID,
    END_OF_TEXT,
    StreamDecoder,
    Tokenizer,
    build_tokenizer,
    find_tokenizer,
    load_tokenizer,
)
from microformer.errors import UserError

CORPUS = [
    "The red ball is in the kitchen. Where is the red ball?\n",
    "Mia said: “Look, the café is open!”\n\nThe end.\n" * 20,
    "A man, a plan, a canal: 1234567 and 89.\n",
]
TOKENIZERS = {kind: build_tokenizer(kind, CORPUS) for kind in ("char", "byte", "bpe", "wordpiece")}
KINDS = pytest.mark.parametrize("kind", TOKENIZERS)
# Text with everything in it: any character but halves of one, and the pieces that tokenizers stumble over.
TEXTS = st.text() | st.lists(
    st.sampled_from(
        ["the ", " red", "\n", "  ", "\t", "\0", END_OF_TEXT, "Zoë 7", "Łódź", "👩‍👩‍👧", "\u00a0", "'s", "é", "123"]
    )
).map("".join)


@KINDS
@given(text=TEXTS)
def test_any_text_comes_back_exactly(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert END_ID not in ids
    assert all(0 < token < tokenizer.vocab_size for token in ids)


@KINDS
@given(text=TEXTS)
def test_pieces_and_stream_join_to_the_text_of_the_ids(kind: str, text: str) -> None:
    tokenizer = TOKENIZERS[kind]
    ids = [*tokenizer.encode(text), END_ID]
    assert "".join(tokenizer.pieces(ids)) == tokenizer.decode(ids)
    assert len(tokenizer.pieces(ids)) == len(ids)
    decoder = StreamDecoder(tokenizer)
    assert "".join(decoder.push(token) for token in ids) + decoder.finish() == text


@KINDS
@given(ids=st.data())
def test_any_ids_can_be_shown(kind: str, ids: st.DataObject) -> None:
    tokenizer = TOKENIZERS[kind]
    drawn = ids.draw(st.lists(st.integers(0, tokenizer.vocab_size - 1), max_size=20))
    assert "".join(tokenizer.pieces(drawn)) == tokenizer.decode(drawn)
    decoder = StreamDecoder(tokenizer)
    assert "".join(decoder.push(token) for token in drawn) + decoder.finish() == tokenizer.decode(drawn)


@KINDS
@given(documents=st.lists(st.text().filter(lambda text: "\0" not in text), max_size=4))
def test_documents_encode_as_each_alone_with_the_end_after_it(kind: str, documents: list[str]) -> None:
    tokenizer = TOKENIZERS[kind]
    joined = tokenizer.encode_documents("".join(document + "\0" for document in documents))
    assert joined.tolist() == [token for document in documents for token in [*tokenizer.encode(document), END_ID]]


@KINDS
def test_lone_surrogates_become_the_replacement_character(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffdb"
    assert tokenizer.decode(tokenizer.encode("\ud83d\ude00")) == "😀"


@KINDS
def test_saving_and_loading_gives_the_same_tokenizer(kind: str, tmp_path: Path) -> None:
    tokenizer = TOKENIZERS[kind]
    tokenizer.save(tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    text = "The red ball, Zoë 7 and Łódź.\n" + END_OF_TEXT
    assert again.encode(text) == tokenizer.encode(text)
    assert (again.kind, again.vocab_size, again.hash) == (tokenizer.kind, tokenizer.vocab_size, tokenizer.hash)


@KINDS
def test_labels_are_printable_and_name_each_token(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    labels = [tokenizer.token_label(token) for token in range(tokenizer.vocab_size)]
    assert labels[END_ID] == END_OF_TEXT
    assert all(labels) and not any("\n" in label or " " in label for label in labels)
    if kind == "char":
        assert len(set(labels)) == len(labels)  # the byte fallback is told apart from characters


@KINDS
def test_byte_lengths_add_up_to_the_text(kind: str) -> None:
    tokenizer = TOKENIZERS[kind]
    text = "The café is open, Łódź!"
    assert tokenizer.byte_lengths[tokenizer.encode(text)].sum() == len(text.encode())
    assert tokenizer.byte_lengths[END_ID] == 0


def test_names_with_characters_the_corpus_lacks_stay_distinct() -> None:
    tokenizer = TOKENIZERS["char"]
    names = ["Zoë 7", "Zoé 7", "Łódź", "Lodz", "Łódz"]
    assert len({tuple(tokenizer.encode(name)) for name in names}) == len(names)


def test_char_vocabulary_is_the_end_the_sorted_characters_and_all_bytes() -> None:
    tokenizer = build_tokenizer("char", ["ba", "ca\0"])
    assert tokenizer.vocab_size == 1 + 3 + 256
    assert tokenizer.encode("abc") == [1, 2, 3]
    assert tokenizer.encode("\0") == [4]


def test_a_character_is_shown_by_the_token_that_completes_it() -> None:
    tokenizer = TOKENIZERS["byte"]
    assert tokenizer.pieces(tokenizer.encode("aé€")) == ["a", "", "é", "", "", "€"]
    decoder = StreamDecoder(tokenizer)
    assert [decoder.push(token) for token in tokenizer.encode("é!")] == ["", "é", "!"]


@settings(max_examples=30)
@given(
    text=st.lists(st.sampled_from(["the cat.", "\n\n", "Bob: ", " ", "  ", "3.14", "\t", "don't", "…"])).map("".join)
)
def test_bpe_word_by_word_equals_the_library_on_the_whole_text(text: str) -> None:
    tokenizer = TOKENIZERS["bpe"]
    reference = tokenizer._backend.encode(text, add_special_tokens=False).ids  # type: ignore[attr-defined]
    assert tokenizer.encode(text) == reference


@pytest.mark.parametrize(("kind", "size"), [("bpe", 300), ("wordpiece", 540)])
def test_training_gives_the_same_tokenizer_again(kind: str, size: int) -> None:
    assert build_tokenizer(kind, CORPUS, size).hash == build_tokenizer(kind, CORPUS, size).hash


def test_wordpiece_takes_the_longest_piece_from_the_left_and_survives_long_words() -> None:
    tokenizer = build_tokenizer("wordpiece", ["the cat and the dogs and the birds " * 30])
    labels = [tokenizer.token_label(token) for token in tokenizer.encode("the catdogs")]
    assert labels[:2] == [tokenizer.token_label(token) for token in tokenizer.encode("the cat")]
    long = "catdog" * 20_000 + "##ing …s"
    assert tokenizer.decode(tokenizer.encode(long)) == long


def test_bpe_learns_frequent_words_and_says_how_many_tokens_a_text_supports() -> None:
    tokenizer = build_tokenizer("bpe", ["the cat and the dog and the bird " * 30], 270)
    assert tokenizer.vocab_size == 270
    assert len(tokenizer.encode(" the")) == 1
    with pytest.raises(UserError, match=r"supports at most [\d,]+ BPE tokens, not 5,000") as raised:
        build_tokenizer("bpe", ["the cat and the dog"], 5000)
    possible = int(str(raised.value).split("at most ")[1].split(" ")[0].replace(",", ""))
    assert build_tokenizer("bpe", ["the cat and the dog"], possible).vocab_size == possible


@pytest.mark.parametrize(
    ("kind", "vocab_size", "sentence"),
    [
        ("bpe", 100, "257"),
        ("bpe", 10**9, "300,000"),
        ("char", 300, "bpe or wordpiece only"),
        ("words", None, "char, byte, bpe, wordpiece"),
        ("wordpiece", 512, "513"),
    ],
)
def test_impossible_tokenizers_are_refused(kind: str, vocab_size: int | None, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        build_tokenizer(kind, CORPUS, vocab_size)


def test_a_tokenizer_is_found_in_datasets_runs_and_checkpoints(tmp_path: Path) -> None:
    run = tmp_path / "run"
    checkpoint = run / "checkpoints" / "step-5"
    checkpoint.mkdir(parents=True)
    TOKENIZERS["byte"].save(run / "tokenizer.json")
    for given_path in (run, checkpoint, run / "tokenizer.json"):
        assert find_tokenizer(str(given_path)).samefile(run / "tokenizer.json")
    for wrong, sentence in ((tmp_path, "without a tokenizer.json"), (tmp_path / "nothing", "not there")):
        with pytest.raises(UserError, match=sentence):
            find_tokenizer(str(wrong))


def _own(**changes: object) -> dict[str, object]:
    tokenizer: Tokenizer = TOKENIZERS["bpe"]
    return tokenizer.to_dict() | changes


@pytest.mark.parametrize(
    "plain",
    [
        [],
        {"format": 2, "kind": "byte"},
        {"format": 1, "kind": "unigram"},
        {"format": 1, "kind": "char", "characters": "aa"},
        {"format": 1, "kind": "char", "characters": ["a"]},
        {"format": 1, "kind": "char", "characters": "a\0"},
        {"format": 1, "kind": "char", "characters": "a\ud800"},
        _own(tokens=["a"]),
        _own(tokens=[END_OF_TEXT, "a"], merges=[]),
        _own(tokens=[*TOKENIZERS["bpe"].to_dict()["tokens"], "the", "the"]),
        _own(tokens=[*TOKENIZERS["bpe"].to_dict()["tokens"], "not bytes"]),
        _own(tokens=7),
        _own(merges=[["q", "zzz"]]),
        _own(merges=[["a", "b", "c"]]),
        _own(merges=[["<|endoftext|", ">"]]),
        _own(splitter="(a+)+$"),
        {"format": 1, "kind": "wordpiece", "tokens": [END_OF_TEXT, "a", "…a"]},
        {"format": 1, "kind": "wordpiece", "tokens": [*TOKENIZERS["wordpiece"].to_dict()["tokens"], "…"]},
        {"format": 1, "kind": "wordpiece", "tokens": "abc"},
    ],
)
def test_damaged_tokenizer_files_are_refused_with_a_sentence(plain: object, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(plain), encoding="utf-8")
    with pytest.raises(UserError, match=r"tokenizer\.json"):
        load_tokenizer(path)
