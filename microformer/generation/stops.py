"""Stop texts: writing ends as soon as the model has written one of them, which stays in the text."""

from collections.abc import Callable, Sequence

from microformer.data.tokenizers import Tokenizer

Ended = Callable[[Sequence[int]], bool]
"""Whether the tokens written so far end in a stop text."""


def ended_by(tokenizer: Tokenizer, stops: Sequence[str]) -> Ended | None:
    """The check for some stop texts, to be asked after every token; ``None`` when there are none.

    A token stands for at least one byte, so a text of n bytes cannot reach further back than n tokens.
    """
    if not stops:
        return None
    longest = max(len(stop.encode()) for stop in stops)

    def ended(written: Sequence[int]) -> bool:
        text = tokenizer.decode(list(written[-longest:]))
        return any(stop in text for stop in stops)

    return ended
