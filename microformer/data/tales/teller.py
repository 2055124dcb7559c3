"""Telling a story: choose people, things and a theme, move the things about, and remember where they are."""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from microformer.data.tales.lexicon import Lexicon, Pattern, Place, Slots, Theme, Thing, load
from microformer.data.tales.story import Question, Story

T = TypeVar("T")

RIDDLES = 0.5  # share of a corpus's documents that are riddles
ASKED = 0.7  # share of its stories that are followed by their questions; riddles always are
MOVES = (0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 4)  # of the first thing
FEW_MOVES = (0, 0, 0, 1, 1, 2)  # of the second thing; a third one stays where it is
SENTENCES = 3  # in the middle of a story; the moves come first


def stories(seed: int | str) -> Iterator[Story]:
    """An endless stream of stories; the same seed tells the same ones."""
    rand = random.Random(seed).random
    lexicon = load()
    while True:
        yield Telling(lexicon, rand).story()


def riddles(seed: int | str) -> Iterator[Story]:
    """An endless stream of riddles: stories of nothing but where things are put, always worth asking about."""
    rand = random.Random(f"riddles {seed}").random
    lexicon = load()
    while True:
        yield Telling(lexicon, rand).riddle()


def corpus(size_bytes: int, seed: int) -> Iterator[str]:
    """Documents of together about ``size_bytes`` UTF-8 bytes: stories, most with questions, and riddles among them.

    The riddles are short and need memory only, which a small model learns from them first. Stops with the document
    that reaches the size, so a corpus is never smaller than asked for and hardly bigger.
    """
    rand = random.Random(f"corpus {seed}").random
    long, short = stories(seed), riddles(seed)
    told = 0
    while told < size_bytes:
        story = next(short) if (riddle := rand() < RIDDLES) else next(long)
        document = story.told(with_questions=riddle or rand() < ASKED)
        told += len(document)  # the lexicon is ASCII: a character is a byte
        yield document


class Tracked:
    """A thing of a story, where it is now, how often it was moved, and who moved it last (as the {A} of a view)."""

    __slots__ = ("mover", "moves", "place", "thing")

    def __init__(self, thing: Thing) -> None:
        self.thing = thing
        self.place = Place("", "")
        self.moves = 0
        self.mover: Slots | None = None


class Telling:
    """One story being told. ``ab`` has the first person as {A} and the second as {B}; ``ba`` the other way round."""

    def __init__(self, lexicon: Lexicon, rand: Callable[[], float]) -> None:
        self.lexicon = lexicon
        self.rand = rand
        self.sentences: list[str] = []
        self.spoken_of: Slots | None = None  # the view whose {A} alone was the subject of the last sentence
        self.last_mentioned = ""
        self.visited: set[Place] = set()
        self.said: set[int] = set()
        self.looked_back = False
        self.reasons_given = int(rand() * 3)
        self.theme: Theme = self.choose(lexicon.themes)
        self.ab, self.ba = self.cast()

    def choose(self, options: Sequence[T]) -> T:
        return options[int(self.rand() * len(options))]

    def cast(self) -> tuple[Slots, Slots]:
        """Two people and an animal, as slots to fill patterns with."""
        first = self.choose(self.lexicon.people)
        second = self.choose(self.lexicon.people)
        while second is first:
            second = self.choose(self.lexicon.people)
        animal = {"animal": self.choose(self.lexicon.animals)}
        ab = {**first[0], **second[1], **animal}
        ba = {**second[0], **first[1], **animal}
        moods = self.choose(self.lexicon.moods), self.choose(self.lexicon.moods)
        ab["A:mood"] = ba["B:mood"] = f"{moods[0]} {ab['A:role']}"
        ab["B:mood"] = ba["A:mood"] = f"{moods[1]} {ba['A:role']}"
        return ab, ba

    def say(self, patterns: Sequence[Pattern], slots: Slots) -> None:
        """Add a sentence not said before in this story; who was just spoken of alone may be *he* or *she*."""
        chosen = self.choose(patterns)
        while id(chosen) in self.said:
            chosen = self.choose(patterns)
        self.said.add(id(chosen))
        if chosen.pronoun and self.spoken_of is slots and self.rand() < 0.6:
            self.sentences.append(chosen.pronoun.fill(slots))
        else:
            self.sentences.append(chosen.plain.fill(slots))
        self.spoken_of = slots if chosen.alone else None

    def story(self) -> Story:
        """A beginning, a middle and an end, each a paragraph, and the questions."""
        tracked = self.things()
        paragraphs = [self.paragraph(part, tracked) for part in (self.beginning, self.middle, self.ending)]
        return Story("\n".join(paragraphs), self.questions(tracked))

    def riddle(self) -> Story:
        """Things, where they are, and perhaps a move or two, in one paragraph; everything is asked twice.

        The second answer can be read off the first. That is how a model begins to look places up at all.
        """
        tracked = self.things()
        return Story(self.paragraph(self.puzzle, tracked), self.questions(tracked) + self.questions(tracked))

    def things(self) -> list[Tracked]:
        """One to three things that cannot be mistaken for each other."""
        count = 1 + (self.rand() < 0.75) + (self.rand() < 0.1)
        chosen: list[Thing] = []
        while len(chosen) < count:
            thing = self.choose(self.lexicon.things)
            if all(thing.noun != other.noun and thing.look != other.look for other in chosen):
                chosen.append(thing)
        return [Tracked(thing) for thing in chosen]

    def paragraph(self, part: Callable[[list[Tracked]], None], tracked: list[Tracked]) -> str:
        self.sentences = []
        self.spoken_of = None  # a paragraph begins with a name
        part(tracked)
        return " ".join(self.sentences)

    def beginning(self, tracked: list[Tracked]) -> None:
        self.say(self.lexicon.open, self.ab)
        self.say(self.lexicon.friend, self.ab)
        for one in tracked:
            self.place(one, self.lexicon.places, self.ab)
            self.say(self.lexicon.have, self.ab)
        self.say(self.theme.begin, self.ab)

    def middle(self, tracked: list[Tracked]) -> None:
        """The moves in any order, with small events and scenes between them."""
        moving = [tracked[0]] * self.choose(MOVES)
        if len(tracked) > 1:
            moving += [tracked[1]] * min(self.choose(FEW_MOVES), 4 - len(moving))
        beats: list[Tracked | None] = [*moving, *[None] * (SENTENCES - len(moving))]
        for left in range(len(beats) - 1, 0, -1):  # random.shuffle costs as much as all the rest
            other = int(self.rand() * (left + 1))
            beats[left], beats[other] = beats[other], beats[left]
        for beat in beats:
            if beat is not None:
                self.move(beat)
            elif self.rand() < 0.35:
                self.scene(tracked)
            elif not self.looked_back and self.rand() < 0.6:
                self.look_back(self.choose(tracked))
            else:
                self.say(self.theme.middle if self.rand() < 0.5 else self.theme.events, self.ab)

    def ending(self, tracked: list[Tracked]) -> None:
        if self.rand() < 0.5:
            self.scene(tracked)
        self.say(self.theme.end, self.ab)
        if self.rand() < 0.35:
            self.say(self.lexicon.endings, self.ab)

    def puzzle(self, tracked: list[Tracked]) -> None:
        self.say(self.lexicon.riddles, self.ab)
        for one in tracked:
            self.place(one, self.lexicon.places, self.ab)
            self.say(self.lexicon.have, self.ab)
        for _ in range(int(self.rand() * 3)):
            one = self.choose(tracked)
            one.moves += 1
            self.place(one, self.lexicon.places, self.ab)
            self.say(self.lexicon.moves, self.ab)

    def move(self, one: Tracked) -> None:
        """Somebody moves a thing to a place where nothing of this story has been."""
        chance = self.rand()
        mover: Slots | None = self.ab if chance < 0.7 else self.ba
        if self.theme.mischief and self.rand() < 0.4:
            patterns, mover = self.lexicon.by_animal, None
        elif one.mover and chance < 0.5:
            patterns, mover = self.lexicon.same_again, one.mover
        elif one.mover and chance > 0.5:
            patterns, mover = self.lexicon.other_again, self.ba if one.mover is self.ab else self.ab
        elif chance < 0.35:
            patterns = self.lexicon.reasoned  # always by the first person, whose reasons the theme gives
            self.ab["why"] = self.theme.reasons[self.reasons_given % len(self.theme.reasons)].fill(self.ab)
            self.reasons_given += 1
        else:
            patterns = self.lexicon.moves
        one.mover = mover
        one.moves += 1
        self.place(one, self.choose(self.theme.places), mover or self.ab)
        self.say(patterns, mover or self.ab)

    def look_back(self, one: Tracked) -> None:
        """Once in a story, tell again where a thing is: who reads on has to remember, too."""
        self.looked_back = True
        self.ab.update(one.thing.forms)
        self.mention(one.place, self.ab)
        self.say(self.lexicon.still_there, self.ab)

    def place(self, one: Tracked, places: Sequence[Place], slots: Slots) -> None:
        """Put a thing somewhere new and fill the slots that tell of it."""
        place = self.choose(places)
        while place in self.visited:
            place = self.choose(places)
        self.visited.add(place)
        one.place = place
        slots.update(one.thing.forms)
        self.mention(place, slots)

    def scene(self, tracked: list[Tracked]) -> None:
        """Something that happens where none of the tracked things is."""
        patterns, places = self.choose(self.theme.scenes)
        place = self.choose(places)
        while any(one.place is place for one in tracked):
            place = self.choose(places)
        self.mention(place, self.ab)
        self.say(patterns, self.ab)

    def mention(self, place: Place, slots: Slots) -> None:
        self.last_mentioned = slots["P:at"] = place.at
        slots["P:to"] = place.to

    def questions(self, tracked: list[Tracked]) -> tuple[Question, ...]:
        asked = [self.question(one) for one in tracked]
        return tuple(asked if self.rand() < 0.5 else reversed(asked))

    def question(self, one: Tracked) -> Question:
        slots = {**one.thing.forms, "P:at": one.place.at}
        return Question(
            text=self.choose(self.lexicon.ask).plain.fill(slots),
            answer=self.choose(self.lexicon.answer).plain.fill(slots),
            thing=one.thing.forms["X"],
            place=one.place.at,
            moves=one.moves,
            last_mentioned=self.last_mentioned,
        )
