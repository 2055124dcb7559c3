"""The words and sentence patterns of Tiny Tales, read from ``assets/tales.json`` and made quick to fill in.

A pattern is a sentence with slots: ``{A} put {X} {P:at} {why}.`` The slots are

* ``{A}`` and ``{B}``: the names of the two people; ``{A:he}``, ``{A:him}``, ``{A:his}`` (and ``He``, ``His``) are the
  pronoun that fits, ``{A:role}`` is *baker* and ``{A:mood}`` *a merry baker*;
* ``{X}``: a thing, *the red ball*; ``{X:The}``, ``{X:a}`` and ``{X:A}`` are its other forms;
* ``{P:at}``: a place with its preposition, *in the kitchen*; ``{P:to}`` is *to the kitchen*;
* ``{why}``: a reason that fits the story's theme, and ``{animal}``: its animal.
"""

import functools
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, NamedTuple

LEXICON = Path(__file__).resolve().parents[3] / "assets" / "tales.json"

Slots = dict[str, str]


class Form(NamedTuple):
    """A sentence as a ``%`` template and what fetches its values: the fastest way to fill slots in plain Python."""

    template: str
    values: Callable[[Slots], Any]

    def fill(self, slots: Slots) -> str:
        return self.template % self.values(slots)


class Pattern(NamedTuple):
    """A compiled pattern: ``pronoun`` is its form for when {A} was just named, ``alone`` says nobody else is in it."""

    plain: Form
    pronoun: Form | None
    alone: bool


class Place(NamedTuple):
    """``at`` is *in the kitchen*, ``to`` is *to the kitchen*."""

    at: str
    to: str


@dataclass(frozen=True)
class Thing:
    """``noun`` and ``look`` keep two things of one story apart; ``forms`` are the slots they fill."""

    noun: str
    look: str
    forms: Slots


@dataclass(frozen=True)
class Theme:
    """What a story is about: how its trouble begins and ends, why things are moved, and where to."""

    begin: list[Pattern]
    middle: list[Pattern]
    end: list[Pattern]
    reasons: list[Form]
    places: list[list[Place]]
    scenes: list[tuple[list[Pattern], list[Place]]]
    events: list[Pattern]
    mischief: bool


@dataclass(frozen=True)
class Feeling:
    """What brings a feeling about, and how it shows; its name is in neither."""

    why: list[Pattern]
    signs: list[Pattern]


@dataclass(frozen=True)
class Lexicon:
    """Everything that is chosen from when a story is told."""

    people: list[tuple[Slots, Slots]]
    moods: list[str]
    animals: list[str]
    places: list[Place]
    things: list[Thing]
    open: list[Pattern]
    friend: list[Pattern]
    have: list[Pattern]
    moves: list[Pattern]
    reasoned: list[Pattern]
    same_again: list[Pattern]
    other_again: list[Pattern]
    by_animal: list[Pattern]
    still_there: list[Pattern]
    endings: list[Pattern]
    themes: list[Theme]
    riddles: list[Pattern]
    ask: list[Pattern]
    answer: list[Pattern]
    feelings: dict[str, Feeling]
    over: list[Pattern]
    between: list[Pattern]
    carried: list[Pattern]
    left: list[Pattern]


def with_article(words: str) -> str:
    """*a red ball*, *an old hat*. Spelling decides; the lexicon has no *hour* and no *unicorn*."""
    return ("an " if words[0] in "aeiou" else "a ") + words


def form(text: str) -> Form:
    """Compile a pattern's text."""
    names = re.findall(r"\{([^}]+)\}", text)
    template = re.sub(r"\{[^}]+\}", "%s", text.replace("%", "%%"))
    return Form(template, itemgetter(*names) if names else lambda slots: ())


def pattern(text: str) -> Pattern:
    """Compile a pattern and, where it begins with ``{A}`` doing something, its form with a pronoun."""
    single = text.startswith("{A} ") and not text.startswith("{A} and {B}")
    pronoun = form("{A:He} " + text.removeprefix("{A} ")) if single else None
    return Pattern(form(text), pronoun, single and "{B" not in text and "{animal}" not in text)


def patterns(kinds: Mapping[str, Iterable[str]], without: Iterable[str] = ()) -> list[Pattern]:
    """All phrasings of all kinds but some, as one list to choose from."""
    left_out = set(without)
    return [pattern(text) for kind, texts in kinds.items() if kind not in left_out for text in texts]


@functools.cache
def load(path: Path = LEXICON) -> Lexicon:
    """Read and compile the lexicon, once in a process."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    places = {group: [_place(at) for at in ats] for group, ats in raw["places"].items()}
    return Lexicon(
        people=[
            (_person("A", name, role, he), _person("B", name, role, he))
            for he, people in raw["people"].items()
            for name, role in people.items()
        ],
        moods=[with_article(mood) for mood in raw["moods"]],
        animals=raw["animals"],
        places=[place for group in places.values() for place in group],
        things=[
            _thing(noun, look) for kind in raw["things"].values() for noun in kind["nouns"] for look in kind["looks"]
        ],
        open=patterns(raw["open"]),
        friend=patterns(raw["friend"]),
        have=patterns(raw["have"]),
        moves=patterns(raw["moves"]),
        reasoned=patterns(raw["moves for a reason"]),
        same_again=patterns(raw["moves again by the same person"]),
        other_again=patterns(raw["moves again by the other person"]),
        by_animal=patterns(raw["moves by an animal"]),
        still_there=patterns(raw["looking back"]),
        endings=[pattern(text) for text in raw["endings"]],
        themes=[_theme(theme, raw, places) for theme in raw["themes"].values()],
        riddles=[pattern(text) for text in raw["riddles"]],
        ask=patterns({"ask": raw["questions"]["ask"]}),
        answer=patterns({"answer": raw["questions"]["answer"]}),
        feelings={
            name: Feeling(*([pattern(text) for text in one[part]] for part in ("why", "signs")))
            for name, one in raw["feelings"].items()
        },
        over=[pattern(text) for text in raw["over"]],
        between=[pattern(text) for text in raw["between"]],
        carried=[pattern(text) for text in raw["carrying"]["carried"]],
        left=[pattern(text) for text in raw["carrying"]["left"]],
    )


def _theme(theme: Mapping[str, Any], raw: Mapping[str, Any], places: Mapping[str, list[Place]]) -> Theme:
    """A theme with the scenes and events that suit it: no butterflies in the rain."""
    scenes = []
    for group in theme["to"]:
        own = patterns(raw["scenes in a nook" if group == "nook" else f"scenes {group}"])
        if group != "nook":
            own += patterns(raw["scenes anywhere"])
        scenes.append((own, places[group]))
    return Theme(
        begin=[pattern(text) for text in theme["begin"]],
        middle=[pattern(text) for text in theme["middle"]],
        end=[pattern(text) for text in theme["end"]],
        reasons=[form(text) for text in theme["why"]],
        places=[places[group] for group in theme["to"]],
        scenes=scenes,
        events=patterns(raw["events"], without=theme.get("without", ())),
        mischief=theme.get("mischief", False),
    )


def _person(slot: str, name: str, role: str, he: str) -> Slots:
    him, his = {"she": ("her", "her"), "he": ("him", "his")}[he]
    forms = {"": name, ":role": role, ":he": he, ":him": him, ":his": his, ":He": he.title(), ":His": his.title()}
    return {slot + form: word for form, word in forms.items()}


def _place(at: str) -> Place:
    return Place(at, "to" + at[at.index(" the ") :])


def _thing(noun: str, look: str) -> Thing:
    name = f"{look} {noun}"
    a = with_article(name)
    return Thing(noun, look, {"X": f"the {name}", "X:The": f"The {name}", "X:a": a, "X:A": a[0].upper() + a[1:]})
