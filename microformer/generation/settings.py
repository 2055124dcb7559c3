"""The settings of one request for text; forms and command lines read them without loading a tensor library."""

from dataclasses import dataclass

from microformer.settings import check, setting


@dataclass(frozen=True)
class Sampling:
    """Settings of one request. Raises ``UserError`` for a value out of its range.

    Sample ``i`` of ``num_samples`` is what the seed ``seed + i`` gives alone.
    """

    max_tokens: int = setting(200, "Most tokens to write.", minimum=1, maximum=100_000, unit="tokens")
    temperature: float = setting(
        0.8, "Lower is safer, higher is bolder; 0 always takes the likeliest token.", minimum=0, maximum=100
    )
    top_k: int = setting(0, "Choose among this many of the likeliest tokens only; 0 is off.", minimum=0)
    top_p: float = setting(
        1.0, "Choose among the likeliest tokens that together have this probability; 1 is off.", above=0, maximum=1
    )
    min_p: float = setting(
        0.0,
        "Drop tokens that are less likely than this share of the likeliest one; 0 is off.",
        minimum=0,
        maximum=1,
    )
    repetition_penalty: float = setting(
        1.0, "How much less likely a token becomes that is in the text already; 1 is off.", minimum=1, maximum=10
    )
    stop: str | None = setting(
        None, "End as soon as the model has written this text, or one of several between |; \\n is a new line."
    )
    seed: int | None = setting(
        None, "The same seed writes the same text again; empty draws a new one.", minimum=0, maximum=2**31 - 1
    )
    num_samples: int = setting(1, "How many texts to write.", minimum=1, maximum=64)

    def __post_init__(self) -> None:
        check(self)

    @property
    def greedy(self) -> bool:
        return self.temperature == 0

    @property
    def filtered(self) -> bool:
        """Whether some tokens are made likelier or less likely, or cut off, before one is drawn."""
        return self.top_k > 0 or self.top_p < 1 or self.min_p > 0 or self.repetition_penalty > 1

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts to stop at."""
        written = (self.stop or "").replace("\\n", "\n").replace("\\t", "\t")
        return tuple(text for text in written.split("|") if text)
