"""Which task a model learns: the one asked for, or the one that its kind and the dataset's suggest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from microformer.data.datasets import Dataset
from microformer.data.row_files import NAMES
from microformer.errors import UserError
from microformer.model.config import ModelConfig
from microformer.tasks.batch import Batch
from microformer.tasks.kinds import KINDS, task_for
from microformer.tasks.language import LanguageModelling, MaskedLanguageModelling
from microformer.tasks.pairs import SequenceToSequence
from microformer.tasks.task import Task
from microformer.tasks.whole_texts import Classification, Regression


@dataclass(frozen=True)
class ChosenTask:
    """A task, and what of the training data has to be known to use the model later."""

    task: str
    labels: tuple[str, ...] = ()
    value_mean: float = 0.0
    value_scale: float = 1.0

    @property
    def outputs(self) -> int:
        """Numbers that the model predicts for a whole text."""
        return {"classification": len(self.labels), "regression": 1}.get(self.task, 0)


def choose_task(asked: str, shape: ModelConfig, dataset: Dataset) -> ChosenTask:
    """The task for a model on a dataset. Raises ``UserError`` where the three do not fit together."""
    task = asked if asked != "auto" else _natural(shape, dataset)
    kinds, data = KINDS[task]
    if data not in ("text", dataset.kind):
        raise UserError(f"The task {task} needs {NAMES[data]}, but this dataset holds {NAMES[dataset.kind]}.")
    if shape.kind not in kinds:
        raise UserError(
            f"The task {task} needs a model of the kind {' or '.join(kinds)}, but model.kind is {shape.kind}; "
            f"set model.kind to {kinds[0]}."
        )
    if shape.inputs != "tokens":
        raise UserError("A dataset holds tokens, but model.inputs is vectors; set it to tokens.")
    if task == "classification":
        return ChosenTask(task, labels=tuple(dataset.info.labels))
    if task == "regression":
        values = np.asarray(dataset.train_rows.values)
        return ChosenTask(task, value_mean=float(values.mean()), value_scale=float(values.std()) or 1.0)
    return ChosenTask(task)


def _natural(shape: ModelConfig, dataset: Dataset) -> str:
    """What a dataset with answers is for; else what the model's kind can do with text."""
    if dataset.kind == "text" and shape.kind == "encoder":
        return "masked_language_modelling"
    return task_for(dataset.kind)


def make_task(chosen: ChosenTask, only: Tensor | None = None) -> Task:
    """The task itself. ``only`` are the tokens that may be predicted, if not all."""
    if chosen.task == "classification":
        return Classification(chosen.labels)
    if chosen.task == "regression":
        return Regression(chosen.value_mean, chosen.value_scale)
    if chosen.task == "sequence_to_sequence":
        return SequenceToSequence(only)
    return MaskedLanguageModelling(only) if chosen.task == "masked_language_modelling" else LanguageModelling(only)


def task_of(config: Mapping[str, Any], only: Tensor | None = None) -> Task:
    """The task of a run, from its whole ``config.yaml``; a run from before there were tasks models language.

    ``only`` are the tokens that may be predicted, if not all. Raises ``UserError`` for a task that is unknown, or that
    the model does not fit.
    """
    task = str(config.get("task") or "auto").replace("auto", "language_modelling")
    if task not in KINDS:
        raise UserError(f"config.yaml names the task {task!r}; known are {', '.join(KINDS)}.")
    labels = config.get("labels") or []
    if not isinstance(labels, list) or (task == "classification" and not labels):
        raise UserError(f"config.yaml has the labels {labels!r}, but must have a list of names.")
    try:
        mean, scale = (float(config.get(name) or 0.0) for name in ("value_mean", "value_scale"))
    except (TypeError, ValueError):
        raise UserError("config.yaml has a value_mean or value_scale that is not a number.") from None
    chosen = ChosenTask(task, tuple(str(label) for label in labels), mean, scale or 1.0)
    outputs = config["model"].get("outputs", 0)
    if outputs != chosen.outputs:
        raise UserError(f"The task {task} needs a model with {chosen.outputs} outputs, but config.yaml says {outputs}.")
    return make_task(chosen, only)


def trial(shape: ModelConfig, rows: int) -> tuple[Task, Batch]:
    """A task and a batch of rows as long as the context, for a model of this shape to be tried on."""
    seq = shape.max_seq_len
    tokens = torch.zeros(rows, seq, dtype=torch.int64)
    read = tokens if shape.inputs == "tokens" else torch.zeros(rows, seq, shape.input_dim or 1)
    if shape.kind == "encoder_decoder":
        half = seq // 2  # sources and targets share what a step reads
        return SequenceToSequence(), Batch(tokens[:, :half], tokens[:, :half], source=read[:, half:])
    if shape.outputs:
        lengths = torch.full((rows,), seq)
        return Classification(("",) * shape.outputs), Batch(read, tokens[:, 0], lengths)
    return LanguageModelling(), Batch(tokens, tokens)


def possible_tokens(logit_bias: Tensor) -> Tensor | None:
    """The tokens that a model's bias lets it predict, or ``None`` for all. *Shape:* (vocab,) -> (tokens,)."""
    possible = logit_bias == 0
    return None if bool(possible.all()) else torch.nonzero(possible).flatten()
