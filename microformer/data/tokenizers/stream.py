"""Text from tokens that arrive one at a time."""

import codecs

from microformer.data.tokenizers.base import Tokenizer


class StreamDecoder:
    """Turns tokens into text as they come, and holds back the bytes of a character that is not complete yet.

    What all ``push`` calls and the last ``finish`` give, joined, is ``tokenizer.decode`` of all tokens.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """The text that becomes certain with this token; empty in the middle of a character."""
        return self._decoder.decode(self._tokenizer.token_bytes(token))

    def finish(self) -> str:
        """What was held back: nothing, or U+FFFD for a character that was never completed."""
        return self._decoder.decode(b"", final=True)
