"""What a request has produced so far: written by the engine's thread, read by any other."""

import threading
from collections.abc import Iterator
from typing import NamedTuple

from microformer.errors import UserError


class Token(NamedTuple):
    """A token as it is shown.

    ``text`` is what it adds to the text: empty while a character is still incomplete. ``probability`` and
    ``alternatives`` (likeliest first, pairs of label and probability) are explained at ``sampling.Choice``.
    """

    id: int
    text: str
    probability: float
    alternatives: list[tuple[str, float]]


class Stream:
    """One text while it is being written. Iterate to receive tokens as they come, or look at ``tokens`` at any time.

    ``tokens`` only ever grows (the end-of-text token is not among them), so a reader may remember how many it has
    seen; to be sure to miss none it reads ``done`` first. ``seed`` is the seed that was used, ``note`` a sentence
    about the prompt, ``stop_reason`` one of ``endoftext``, ``length``, ``stop`` (a stop text was written), ``stopped``
    once it is done, and ``error`` a sentence when it could not be finished.
    """

    def __init__(self, prompt: str, seed: int, note: str | None = None) -> None:
        self.prompt = prompt
        self.seed = seed
        self.note = note
        self.tokens: list[Token] = []
        self.stop_reason: str | None = None
        self.error: str | None = None
        self.stopping = False
        self._rest = ""
        self._started = False
        self._changed = threading.Condition()
        self._ended = threading.Event()  # whoever only waits for the end is not woken by every token

    @classmethod
    def looked_up(cls, prompt: str, text: str, note: str) -> "Stream":
        """A text that no model wrote, whole from the beginning; its ``stop_reason`` is ``lookup``."""
        stream = cls(prompt, 0, note)
        stream.end("lookup", rest=text)
        return stream

    @property
    def done(self) -> bool:
        return self.stop_reason is not None

    @property
    def text(self) -> str:
        """What was written so far, without the prompt; once done, it is what decoding all the tokens gives."""
        return "".join([token.text for token in list(self.tokens)]) + self._rest

    def stop(self) -> None:
        """Ask for no more tokens; ``done`` follows within a token's time. Stopping twice, or too late, does nothing."""
        with self._changed:
            self.stopping = True
            if not self._started:
                self._end("stopped", None, "")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is done, at most ``timeout`` seconds; says whether it is. Never call it from a job."""
        return self._ended.wait(timeout)

    def result(self, timeout: float | None = None) -> str:
        """The whole text once it is done. Raises ``UserError`` when it failed or did not end in ``timeout`` seconds."""
        if not self.wait(timeout):
            raise UserError(f"The text was not finished within {timeout:g} seconds; try a smaller maximum length.")
        if self.error is not None:
            raise UserError(self.error)
        return self.text

    def __iter__(self) -> Iterator[Token]:
        """Tokens as they come. Raises ``UserError`` behind the last one when the text could not be finished."""
        seen = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda seen=seen: self.done or len(self.tokens) > seen)  # type: ignore[misc]
                done, fresh = self.done, self.tokens[seen:]
            yield from fresh
            seen += len(fresh)
            if done:
                break
        if self.error is not None:
            raise UserError(self.error)

    def begin(self) -> bool:
        """For the engine: from now on it writes; ``False`` when the stream was stopped while it waited."""
        with self._changed:
            self._started = True
            return not self.done

    def write(self, token: Token) -> None:
        """For the engine: add a token."""
        with self._changed:
            self.tokens.append(token)
            self._changed.notify_all()

    def end(self, reason: str, *, error: str | None = None, rest: str = "") -> None:
        """For the engine: nothing more will come. ``rest`` stands for a character that was never completed."""
        with self._changed:
            self._end(reason, error, rest)

    def _end(self, reason: str, error: str | None, rest: str) -> None:
        if not self.done:
            self.error, self._rest = error, rest
            self.stop_reason = reason
            self._ended.set()
            self._changed.notify_all()
