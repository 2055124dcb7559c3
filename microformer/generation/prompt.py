"""What the model reads before it writes: the tokens of a prompt, and the window that slides over a long text.

Sampling, the plain reference and teaching all use these two rules, so that what was taught is what is read.
"""

from microformer.data.tokenizers import Tokenizer


def prompt_ids(tokenizer: Tokenizer, text: str) -> list[int]:
    """The end-of-text token and then the prompt's own: documents begin so in training.

    An empty prompt is the end-of-text token alone; white space is a prompt like any other.
    """
    return [tokenizer.end_id, *tokenizer.encode(text)]


def window_start(length: int, start: int, context: int) -> int:
    """Where the window begins over a text of ``length`` tokens, when it began at ``start`` before.

    It stays until the text outgrows the context, and then moves on so that the last three quarters of a context are
    read anew. Moving by a quarter at a time, rather than by one token, spreads the cost of reading again over many.
    """
    return start if length - start <= context else length - max(1, context * 3 // 4)


def prompt_note(length: int, context: int) -> str | None:
    """A sentence when a prompt of ``length`` tokens does not fit the context, else ``None``."""
    if length <= context:
        return None
    kept = length - window_start(length, 0, context)
    return (
        f"The prompt is {length} tokens long, but this model sees {context} at once; it goes on from the last {kept}."
    )
