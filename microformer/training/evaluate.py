"""How well a model does on text it was not trained on."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from microformer.data.counting import token_counts
from microformer.data.datasets import Dataset
from microformer.model.memory import Memory
from microformer.model.transformer import Transformer
from microformer.tasks.language import LanguageModelling, MaskedLanguageModelling
from microformer.tasks.task import Evaluation, Task
from microformer.training.lanes import side_by_side, worth_sharing


def evaluate(
    model: Transformer,
    dataset: Dataset,
    *,
    session: Memory | None = None,
    context: int | None = None,
    batch_size: int = 16,
    max_windows: int | None = None,
    task: Task | None = None,
) -> Evaluation:
    """How a model does its task on a dataset's validation split: text in contiguous windows of its context, or rows.

    The whole split, unless ``max_windows`` says how many windows or rows at its beginning. A ``session`` is used for
    every token. Dropout is off while it runs.
    """
    task = task or LanguageModelling()
    called: nn.Module = model if session is None else _WithSession(model, session)
    if isinstance(task, LanguageModelling | MaskedLanguageModelling) and next(model.parameters()).device.type == "cpu":
        called = _InLanes(called)
    with evaluating(model), torch.inference_mode():
        return task.evaluate(
            called,
            dataset,
            context=context or model.config.max_seq_len,
            batch_size=batch_size,
            most=max_windows,
        )


def count_never_seen(model: Transformer, dataset: Dataset, session: Memory | None = None) -> int:
    """How many tokens of a dataset's validation split the model has never seen, so that it cannot say them."""
    bias = model.logit_bias if session is None else session.open_logits(model.logit_bias)
    return int(token_counts(dataset.val, model.config.vocab_size)[bias.cpu().numpy() < 0].sum())


class _WithSession(nn.Module):
    """A model that reads everything through one session."""

    def __init__(self, model: Transformer, session: Memory) -> None:
        super().__init__()
        self.model, self.session = model, session

    def forward(self, tokens: Tensor, **others: Any) -> Tensor:
        logits: Tensor = self.model(tokens, session=self.session, **others)
        return logits


class _InLanes(nn.Module):
    """A model that reads the rows of a batch in lanes, which takes up to a third less time. It says the same."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.weights = sum(weight.numel() for weight in model.parameters())

    def forward(self, tokens: Tensor, **others: Any) -> Tensor:
        worth_it = worth_sharing(self.weights * tokens.numel() / 3)  # reading is a third of a training step
        rows = tokens.tensor_split(min(torch.get_num_threads(), len(tokens)) if worth_it else 1)

        def read(lane: int) -> Tensor:
            with torch.inference_mode():
                logits: Tensor = self.model(rows[lane], **others)
                return logits

        return torch.cat(side_by_side(read, len(rows)))


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout is off inside."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
