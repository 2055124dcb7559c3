"""What a told story is: its text, and questions about it whose answers the world knows."""

from typing import NamedTuple


class Question(NamedTuple):
    """One question about where a thing is at the end of a story.

    ``place`` is the right answer's place with its preposition (``in the kitchen``), ``moves`` how often the thing was
    moved in the story, ``last_mentioned`` the place the story names last: what somebody says who only read the end.
    """

    text: str
    answer: str
    thing: str
    place: str
    moves: int
    last_mentioned: str


class Story(NamedTuple):
    """A story and its questions, one for each thing that the story keeps track of."""

    text: str
    questions: tuple[Question, ...]

    def told(self, with_questions: bool = True) -> str:
        """The story as a document: the text alone, or followed by its questions, each answered on the next line."""
        if not with_questions:
            return self.text
        return self.text + "\n\n" + "\n".join([f"{one.text}\n{one.answer}" for one in self.questions])

    def asking(self, question: Question) -> str:
        """The story up to where the answer to one question begins: what a model is given to answer."""
        return f"{self.text}\n\n{question.text}\n"
