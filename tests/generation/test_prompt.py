"""What the model reads before it writes."""

from microformer.data.tokenizers import ByteTokenizer
from microformer.generation.prompt import prompt_ids, prompt_note, window_start


def test_every_prompt_begins_as_documents_do() -> None:
    tokenizer = ByteTokenizer()
    assert prompt_ids(tokenizer, "") == [tokenizer.end_id]
    assert prompt_ids(tokenizer, " \n") == [tokenizer.end_id, *tokenizer.encode(" \n")]


def test_typing_the_end_of_text_does_not_end_the_text() -> None:
    tokenizer = ByteTokenizer()
    assert tokenizer.end_id not in prompt_ids(tokenizer, "<|endoftext|>")[1:]


def test_the_window_stays_until_the_context_is_full_and_then_keeps_three_quarters() -> None:
    assert window_start(32, 0, 32) == 0
    assert window_start(33, 0, 32) == 33 - 24
    assert window_start(41, 9, 32) == 9
    assert window_start(3, 0, 2) == 2


def test_a_prompt_past_the_context_is_noted_with_what_was_kept() -> None:
    assert prompt_note(32, 32) is None
    note = prompt_note(100, 32)
    assert note is not None and "100" in note and "last 24" in note
