"""Where is it? Whether a model follows the stories of Tiny Tales, and whether those it writes come to an end.

Every question about held-out stories (the short ones of ``tales:questions`` for an encoder-decoder, which has learned
from those) is answered greedily and counted by how often its thing was moved. Beside it
stands what naming the last place mentioned gets right: a model that only read the end of the story.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from microformer.checkpoint import load
from microformer.data.tales import Question, Story, stories
from microformer.data.tales.sets import puzzles
from microformer.data.tokenizers import Tokenizer
from microformer.generation.answers import answer, read_sources
from microformer.generation.complete import complete
from microformer.generation.sampling import Sampling
from microformer.model.transformer import Transformer
from microformer.tasks.whole_texts import marked

HELD_OUT_SEED = 20_261_121  # far from the seeds that people make corpora with
ANSWER_TOKENS = 32
TOGETHER = 64  # questions that an encoder reads at once
STORY_TOKENS = 400  # more than any story with its questions has
OPENINGS = (
    "Once upon a time, there was",
    "One fine morning,",
    "Long ago, there lived",
    "Knock, knock!",
    "It was Sunday, and",
)


@dataclass(frozen=True)
class Row:
    """One line of the table: questions about things that were moved ``moves`` times."""

    moves: int
    asked: int
    right: int
    guess_right: int


@dataclass(frozen=True)
class Report:
    """The table by number of moves, and how many of ``written`` sampled stories ended by themselves."""

    rows: tuple[Row, ...]
    written: int
    ended: int

    def to_dict(self) -> dict[str, Any]:
        asked = sum(row.asked for row in self.rows)
        return {
            "by_moves": [
                {
                    "moves": row.moves,
                    "asked": row.asked,
                    "right": row.right / row.asked,
                    "last_place_mentioned_right": row.guess_right / row.asked,
                }
                for row in self.rows
            ],
            "asked": asked,
            "right": sum(row.right for row in self.rows) / asked if asked else None,
            "last_place_mentioned_right": sum(row.guess_right for row in self.rows) / asked if asked else None,
            "samples": self.written,
            "samples_that_end": self.ended,
        }

    def __str__(self) -> str:
        lines = ["moves  asked  right  last place mentioned"]
        for row in self.rows:
            right, guess = row.right / row.asked, row.guess_right / row.asked
            lines.append(f"{row.moves:5}  {row.asked:5}  {right:5.0%}  {guess:20.0%}")
        if self.written:
            lines.append(f"{self.ended} of {self.written} stories sampled at temperature 0.7 end by themselves.")
        return "\n".join(lines)


def is_right(completion: str, question: Question) -> bool:
    """Whether the first line of what the model wrote says the right place, in any of the ways stories answer."""
    return place_named(completion) == place_named(question.answer)


def place_named(answer: str) -> str:
    """*in the kitchen* of *The red ball is in the kitchen now.* and of *In the kitchen.*"""
    first_line = answer.strip().partition("\n")[0].rstrip(".").removesuffix(" now")
    _, verb, place = first_line.partition(" is ")
    return place if verb else first_line[:1].lower() + first_line[1:]


def ask(model: Transformer, tokenizer: Tokenizer, chosen: Sequence[Story]) -> tuple[Row, ...]:
    """Answer every question of the stories, each right after its story, and count by moves."""
    asked = [(story, question) for story in chosen for question in story.questions]
    answers = _say(model, tokenizer, [story.asking(question) for story, question in asked])
    counts: dict[int, list[int]] = {}
    for (_, question), answer_given in zip(asked, answers, strict=True):
        count = counts.setdefault(question.moves, [0, 0, 0])
        count[0] += 1
        count[1] += is_right(answer_given, question)
        count[2] += question.last_mentioned == question.place
    return tuple(Row(moves, *count) for moves, count in sorted(counts.items()))


def _say(model: Transformer, tokenizer: Tokenizer, prompts: list[str]) -> list[str]:
    """What the model says to each prompt, always taking the likeliest token."""
    sampling = Sampling(max_tokens=ANSWER_TOKENS, temperature=0)
    if model.config.kind != "encoder_decoder":
        return [found.completion for found in complete(model, tokenizer, prompts, sampling)]
    answers: list[str] = []
    for first in range(0, len(prompts), TOGETHER):
        sources = [
            marked(tokenizer, prompt.rstrip("\n"), model.config.max_seq_len)[0].tolist()
            for prompt in prompts[first : first + TOGETHER]
        ]
        found = answer(model, read_sources(model, sources), sampling, end_id=tokenizer.end_id)
        answers += [tokenizer.decode(one.ids) for one in found]
    return answers


def endings(model: Transformer, tokenizer: Tokenizer, samples: int, seed: int) -> int:
    """How many of ``samples`` stories, sampled at temperature 0.7 after a few openings, end by themselves."""
    if not samples:
        return 0
    each = -(-samples // len(OPENINGS))
    sampling = Sampling(max_tokens=STORY_TOKENS, temperature=0.7, seed=seed, num_samples=each)
    written = complete(model, tokenizer, OPENINGS, sampling)
    return sum(story.stop == "endoftext" for story in written[:samples])


def questions(run: str, *, count: int = 200, samples: int = 50, seed: int = HELD_OUT_SEED) -> Report:
    """Measure a run, a checkpoint or ``starter`` on ``count`` held-out stories. Raises ``UserError``."""
    loaded = load(run)
    if loaded.model.config.kind == "encoder_decoder":
        chosen = list(itertools.islice(puzzles(f"held out {seed}"), 5 * count))
        return Report(rows=ask(loaded.model, loaded.tokenizer, chosen), written=0, ended=0)
    chosen = list(itertools.islice(stories(seed), count))
    return Report(
        rows=ask(loaded.model, loaded.tokenizer, chosen),
        written=samples,
        ended=endings(loaded.model, loaded.tokenizer, samples, seed % 2**31),
    )
