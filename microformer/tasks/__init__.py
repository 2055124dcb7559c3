"""What a model is trained to do: how a batch is made and turned into a loss, and what its errors are called.

A task knows models and data, not training; the loop and the evaluation know tasks only through ``Task``.
"""

from microformer.tasks.batch import IGNORED, Batch
from microformer.tasks.choose import KINDS, Chosen, choose_task, make_task, possible_tokens, task_of, trial
from microformer.tasks.language import LanguageModelling, MaskedLanguageModelling, summarise
from microformer.tasks.pairs import SequenceToSequence
from microformer.tasks.task import Evaluation, Extent, Task
from microformer.tasks.whole_texts import Classification, Regression

__all__ = [
    "IGNORED",
    "KINDS",
    "Batch",
    "Chosen",
    "Classification",
    "Evaluation",
    "Extent",
    "LanguageModelling",
    "MaskedLanguageModelling",
    "Regression",
    "SequenceToSequence",
    "Task",
    "choose_task",
    "make_task",
    "possible_tokens",
    "summarise",
    "task_of",
    "trial",
]
