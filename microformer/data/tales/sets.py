"""Tiny Tales with an answer each, which the world knows: how somebody feels, how much was carried, where a thing is."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from microformer.data.tables import Row
from microformer.data.tales.lexicon import Place, Slots, Thing, load
from microformer.data.tales.teller import RIDDLES, Telling, riddles, stories

MOST_CARRIED, MOST_LEFT = 6, 3
OTHER_FEELING = 0.6
"""How often the first person felt otherwise before, and how often the other one does."""


@dataclass(frozen=True)
class TalesSet:
    """Rows of one kind, endless from a seed."""

    kind: str
    about: str
    stream: Callable[[str], Iterator[Row]]

    def rows(self, size: int, seed: str, progress: Callable[[float], None]) -> Iterator[Row]:
        """Rows of together about ``size`` bytes; another seed has other people, things and places."""
        told = 0
        for row in self.stream(seed):
            yield row
            told += len(row.text)
            progress(min(1.0, told / size))
            if told >= size:
                return


def mood(seed: str) -> Iterator[Row]:
    """Stories and how their first person feels in the end.

    Feelings show in what people do and are never named. Before, that person may have felt otherwise, and so may the
    other one at any time: words alone do not tell, it must be known whose they are and which come last.
    """
    rand, lexicon = random.Random(f"mood {seed}").random, load()
    names = list(lexicon.feelings)
    while True:
        telling = Telling(lexicon, rand)
        last, before, other = (telling.choose(names) for _ in range(3))
        turns: list[tuple[str, Slots]] = [("", telling.ab)] * (1 + int(rand() * 4))
        final = 1 + int(rand() * len(turns))
        turns.insert(final, (last, telling.ab))
        if rand() < OTHER_FEELING:
            turns.insert(int(rand() * (final + 1)), (before, telling.ab))
        if rand() < OTHER_FEELING:
            turns.insert(int(rand() * (len(turns) + 1)), (other, telling.ba))
        telling.say(lexicon.open, telling.ab)
        telling.say(lexicon.friend, telling.ab)
        for feeling, view in turns:
            _turn(telling, feeling, view)
        yield Row(" ".join(telling.sentences), last)


def _turn(telling: Telling, feeling: str, view: Slots) -> None:
    """The {A} of a view feels something, or nothing in particular happens."""
    if not feeling:
        telling.say(telling.lexicon.between, view)
        return
    if telling.rand() < 0.5:
        telling.say(telling.lexicon.feelings[feeling].why, view)
    telling.say(telling.lexicon.feelings[feeling].signs, view)


def count(seed: str) -> Iterator[Row]:
    """Stories and how many things were carried in them, among some that nobody carried."""
    rand, lexicon = random.Random(f"count {seed}").random, load()
    while True:
        telling = Telling(lexicon, rand)
        carried = int(rand() * (MOST_CARRIED + 1))
        fates = [lexicon.carried] * carried + [lexicon.left] * int(rand() * (MOST_LEFT + 1))
        telling.say(lexicon.open, telling.ab)
        telling.say(lexicon.friend, telling.ab)
        for fate, thing in zip(random.Random(rand()).sample(fates, len(fates)), _things(telling), strict=False):
            place: Place = telling.choose(lexicon.places)
            telling.ab.update(thing.forms)
            telling.mention(place, telling.ab)
            telling.say(fate, telling.ab)
            if rand() < 0.3:
                telling.say(lexicon.between, telling.ab)
        yield Row(" ".join(telling.sentences), float(carried))


def _things(telling: Telling) -> Iterator[Thing]:
    """Things of which no two are called the same."""
    told: set[str] = set()
    while True:
        thing = telling.choose(telling.lexicon.things)
        if thing.noun not in told:
            told.add(thing.noun)
            yield thing


def questions(seed: str) -> Iterator[Row]:
    """Stories and riddles, each with a question about where a thing is, and the answer."""
    rand = random.Random(f"questions {seed}").random
    long, short = stories(f"questions {seed}"), riddles(f"questions {seed}")
    while True:
        story = next(short) if rand() < RIDDLES else next(long)
        for question in {one.thing: one for one in story.questions}.values():
            yield Row(story.asking(question).rstrip("\n"), question.answer)


SETS = {
    "mood": TalesSet("labelled", "Stories, and how somebody feels in the end.", mood),
    "count": TalesSet("valued", "Stories, and how many things were carried.", count),
    "questions": TalesSet("paired", "Stories with a question about a thing, and the answer.", questions),
}
