"""One visitor's request inside the engine: where its tokens come from, and how they become a stream of text."""

import functools
from collections.abc import Callable
from dataclasses import dataclass

from microformer.data.tokenizers import StreamDecoder, Tokenizer
from microformer.errors import UserError
from microformer.generation.batch import Row
from microformer.generation.sampling import Choice
from microformer.generation.stream import Stream, Token

FAILED = "Something went wrong while the model was writing; try again."


@dataclass(eq=False)
class Request:
    """A stream, and the row of the batch that fills it. ``label`` names a token (see ``labels``)."""

    owner: str
    stream: Stream
    row: Row
    decoder: StreamDecoder
    label: Callable[[int], str]
    end_id: int

    def pass_on(self, choice: Choice) -> None:
        """Add the token that was just chosen to the stream, and end it where the row has ended."""
        if choice.id != self.end_id:
            alternatives = [(self.label(token), probability) for token, probability in choice.alternatives]
            self.stream.write(Token(choice.id, self.decoder.push(choice.id), choice.probability, alternatives))
        if self.row.stop_reason is not None:
            self.stream.end(self.row.stop_reason, rest=self.decoder.finish())
        elif self.stream.stopping:
            self.stream.end("stopped", rest=self.decoder.finish())

    def fail(self, error: Exception) -> None:
        """End the stream with a sentence."""
        self.stream.end("stopped", error=str(error) if isinstance(error, UserError) else FAILED)


def labels(tokenizer: Tokenizer) -> Callable[[int], str]:
    """``tokenizer.token_label``, remembered: asking it five times for every token would cost more than the choice."""
    return functools.lru_cache(maxsize=100_000)(tokenizer.token_label)
