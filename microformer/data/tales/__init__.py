"""Tiny Tales: a small seeded story world, told in simple English, that knows where everything is.

The words and patterns are in ``assets/tales.json``; the program only chooses among them and keeps track of the world.
"""

from microformer.data.tales.story import Question, Story
from microformer.data.tales.teller import corpus, stories

__all__ = ["Question", "Story", "corpus", "stories"]
