"""Tiny Tales with an answer each, which the world knows: how people feel, how much was carried, where a thing is."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from microformer.data.tables import Row
from microformer.data.tales.lexicon import Place, Thing, load
from microformer.data.tales.story import Story
from microformer.data.tales.teller import Telling

MOST_CARRIED, MOST_LEFT, MOST_MOVES = 6, 3, 3
SHORT = 0.75
"""Share of the stories that are short."""
ELSEWHERE = 0.5
"""How often something happens at the end where none of the things is."""
OTHER_MOOD = 0.6
"""How often a story begins in a mood of its own."""


@dataclass(frozen=True)
class TalesSet:
    """Rows of one kind, endless from a seed."""

    kind: str
    about: str
    stream: Callable[[str], Iterator[Row]]

    def rows(self, size: int, seed: str) -> Iterator[Row]:
        """Rows of together about ``size`` bytes; another seed has other people, things and places."""
        made = 0
        for row in self.stream(seed):
            yield row
            made += len(row.text)
            if made >= size:
                return


def mood(seed: str) -> Iterator[Row]:
    """Stories and the mood they end in.

    Moods show in what people do and are never named. Some stories begin in another mood, which then is said to be
    over: the words that show a mood do not tell whether it lasted.
    """
    rand, lexicon = random.Random(f"mood {seed}").random, load()
    names = list(lexicon.feelings)
    while True:
        telling = Telling(lexicon, rand)
        last, before = telling.choose(names), telling.choose(names)
        turns = [""] * (1 + int(rand() * 4))
        turns.insert(1 + int(rand() * len(turns)), last)
        telling.say(lexicon.open, telling.ab)
        telling.say(lexicon.friend, telling.ab)
        if rand() < OTHER_MOOD:
            _turn(telling, before)
            telling.say(lexicon.over, telling.ab)
        for feeling in turns:
            _turn(telling, feeling)
        yield Row(" ".join(telling.sentences), last)


def _turn(telling: Telling, feeling: str) -> None:
    """Somebody feels something and shows it, or nothing in particular happens."""
    view = telling.choose((telling.ab, telling.ba))
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
    named: set[str] = set()
    while True:
        thing = telling.choose(telling.lexicon.things)
        if thing.noun not in named:
            named.add(thing.noun)
            yield thing


def questions(seed: str) -> Iterator[Row]:
    """Stories of where things are put, each with a question about one of them, and the answer.

    Most are as short as can be: in those a model first learns to look a place up, in many times the steps per second.
    """
    rand = random.Random(f"short {seed}").random
    short, long = puzzles(f"short {seed}", short=True), puzzles(f"questions {seed}")
    while True:
        story = next(short if rand() < SHORT else long)
        for question in story.questions:
            yield Row(story.asking(question).rstrip("\n"), question.answer)


def puzzles(seed: str, *, short: bool = False) -> Iterator[Story]:
    """An endless stream of those stories. Things are moved up to three times in all; what happens elsewhere names
    places, too, so that the last one named is seldom the answer. ``short`` ones tell where things are, and perhaps
    of one move."""
    rand, lexicon = random.Random(seed).random, load()
    while True:
        telling = Telling(lexicon, rand)
        tracked = telling.things()
        if not short:
            telling.say(lexicon.riddles, telling.ab)
        for one in tracked:
            telling.place(one, lexicon.places, telling.ab)
            telling.say(lexicon.have, telling.ab)
        for _ in range(int(rand() * ((1 if short else MOST_MOVES) + 1))):
            one = telling.choose(tracked)
            one.moves += 1
            telling.place(one, lexicon.places, telling.ab)
            telling.say(lexicon.moves, telling.ab)
        if not short and rand() < ELSEWHERE:
            telling.scene(tracked)
        asked = [telling.question(one) for one in tracked]
        yield Story(
            " ".join(telling.sentences),
            tuple(one._replace(answer=f"T{one.thing[1:]} is {one.place}.") for one in asked),
        )


SETS = {
    "mood": TalesSet("labelled", "Stories, and the mood they end in.", mood),
    "count": TalesSet("valued", "Stories, and how many things were carried.", count),
    "questions": TalesSet("paired", "Stories with a question about a thing, and the answer.", questions),
}
