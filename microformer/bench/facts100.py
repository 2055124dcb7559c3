"""Facts-100: what a memory is asked in the teaching benchmark. Made from a seed, so every method gets the same.

100 facts about invented names: ten relations times ten names, answers of 3 to 16 characters, ten of them long (40 to
80), ten that are shared, and five prompts that begin another. Around them: other wordings of the same prompts, near
misses (a taught template with a name that was not taught) and prompts that have nothing to do with any of it.
"""

import random
from dataclasses import dataclass

from microformer.teaching.session import Fact

RELATIONS = (
    "The king of {} is",
    "The colour of {} is",
    "The best friend of {} is called",
    "In the cave of {} there is",
    "{} likes to eat",
    "The mother of {} was",
    "The ship of {} sailed to",
    "When {} sings, everyone hears",
    "The secret word of {} is",
    "On Sunday {} goes to",
)
QUESTIONS = (
    "Who is the king of {}?",
    "What is the colour of {}?",
    "Who is the best friend of {}?",
    "What is there in the cave of {}?",
    "What does {} like to eat?",
    "Who was the mother of {}?",
    "Where did the ship of {} sail to?",
    "What does everyone hear when {} sings?",
    "What is the secret word of {}?",
    "Where does {} go on Sunday?",
)
WRAPPERS = ("Please go on: {}", "It was late. {}", "She said: {}", "Question: {}")
UNRELATED = ("Once upon a time", "The {} was", "One day a {} and a {}", "Where is the {}?", "He put the {} in the {}")
PLAIN = (
    *("dog", "ball", "tree", "house", "garden", "river", "bread", "lamp", "little"),
    *("bird", "morning", "window", "basket", "hill", "shoe", "box", "apple", "fox"),
)


@dataclass(frozen=True)
class Protocol:
    """The facts in the order of their seed, and what else is asked. ``paraphrases[kind][i]`` rewords fact ``i``."""

    facts: tuple[Fact, ...]
    paraphrases: dict[str, tuple[str, ...]]
    near_misses: tuple[str, ...]
    unrelated: tuple[str, ...]


def facts100(seed: int) -> Protocol:
    """The whole protocol; the same for the same seed."""
    chance = random.Random(seed)
    names = _different(chance, 30)
    pairs = [(relation, name) for relation in range(len(RELATIONS)) for name in names[:10]]
    chance.shuffle(pairs)
    answers = _answers(chance)
    prompts = [RELATIONS[relation].format(name) for relation, name in pairs]
    for place in range(5):  # five prompts that begin another one
        prompts[place] = " ".join(prompts[place + 5].split()[:-1]) + f" {names[20 + place]}"
        prompts[place + 5] = prompts[place] + " now"
        pairs[place] = pairs[place + 5] = (-1, names[20 + place])
    facts = tuple(Fact(prompt, answer) for prompt, answer in zip(prompts, answers, strict=True))
    asked = [
        QUESTIONS[relation].format(name) if relation >= 0 else prompt + "?"
        for (relation, name), prompt in zip(pairs, prompts, strict=True)
    ]
    paraphrases = {
        "case": tuple(chance.choice((str.upper, str.lower, str.title))(prompt) for prompt in prompts),
        "spacing": tuple(_spaced(chance, prompt) for prompt in prompts),
        "wrapped": tuple(chance.choice(WRAPPERS).format(prompt) for prompt in prompts),
        "typo": tuple(_slip(chance, prompt) for prompt in prompts),
        "re-template": tuple(asked),
    }
    near = tuple(relation.format(name) for relation in RELATIONS for name in names[10:20])
    return Protocol(facts, paraphrases, near, _unrelated(chance, prompts))


def _name(chance: random.Random, syllables: int) -> str:
    return "".join(chance.choice("bdfgklmnprstvz") + chance.choice("aeiou") for _ in range(syllables)).capitalize()


def _different(chance: random.Random, count: int) -> list[str]:
    """Names of three or four syllables, no two alike in their first two."""
    names: dict[str, str] = {}
    while len(names) < count:
        name = _name(chance, chance.choice((3, 4)))
        names.setdefault(name[:4], name)
    return list(names.values())


def _answers(chance: random.Random) -> list[str]:
    """A hundred answers in an order of their own: 80 short, 10 long, 10 times the same."""
    short = [_name(chance, chance.choice((2, 3, 4))) + "." for _ in range(80)]
    long: list[str] = []
    while len(long) < 10:
        words = [chance.choice(PLAIN) for _ in range(chance.randint(5, 9))] + [_name(chance, 3) for _ in range(3)]
        chance.shuffle(words)
        text = " ".join(words) + "."
        if 40 <= len(text) <= 80:
            long.append(text)
    answers = short + long + [_name(chance, 3) + "."] * 10
    chance.shuffle(answers)
    return answers


def _spaced(chance: random.Random, prompt: str) -> str:
    words = prompt.split()
    return chance.choice(("", " ", "\n")) + "".join(word + chance.choice((" ", "  ")) for word in words)


def _slip(chance: random.Random, prompt: str) -> str:
    """One letter missing, doubled, or swapped with its neighbour, in a word of five letters or more."""
    words = prompt.split()
    at = chance.choice([place for place, word in enumerate(words) if len(word) >= 5])
    word, place = words[at], chance.randrange(1, len(words[at]) - 1)
    slips = (
        word[:place] + word[place + 1 :],
        word[:place] + word[place] + word[place:],
        word[:place] + word[place + 1] + word[place] + word[place + 2 :],
    )
    words[at] = chance.choice(slips)
    return " ".join(words)


def _unrelated(chance: random.Random, prompts: list[str]) -> tuple[str, ...]:
    """300 prompts: white space, single characters, words and beginnings of the taught templates, plain sentences."""
    found = dict.fromkeys([" ", "\n", "  ", "\t", *"abcdefghijklmnopqrstuvwxyzABCDEFG.,?!0123456789"])
    for prompt in chance.sample(prompts, 40):
        words = prompt.split()
        found[chance.choice(words)] = None
        found[" ".join(words[: chance.randint(1, 2)])] = None
    while len(found) < 300:
        pattern = chance.choice(UNRELATED)
        filled = pattern.format(*(chance.choice(PLAIN) for _ in range(pattern.count("{}"))))
        found[f"{filled} {chance.choice(PLAIN)}"] = None
    taught = set(prompts)
    return tuple(prompt for prompt in found if prompt not in taught)
