"""How well a model does on text it was not trained on."""

import contextlib
from collections.abc import Iterable, Iterator
from itertools import islice

import torch
from torch import Tensor, nn

from microformer.data.counting import token_counts
from microformer.data.datasets import Dataset
from microformer.model.memory import Memory
from microformer.model.transformer import Transformer
from microformer.tasks import Batch, Evaluation, LanguageModelling, Task, summarise


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
    """The model's loss over a dataset's validation split, in contiguous windows of its context.

    The whole split, unless ``max_windows`` says how many windows at its beginning. A ``session`` is used for every
    token. Dropout is off while it runs.
    """
    task = task or LanguageModelling()
    context = context or model.config.max_seq_len
    windows: Iterable[tuple[Tensor, Tensor]] = dataset.validation_windows(context, batch_size)
    if max_windows is not None:
        windows = islice(windows, max(1, max_windows // batch_size))
    device = next(model.parameters()).device
    called = model if session is None else _WithSession(model, session)
    nats, tokens = torch.zeros((), dtype=torch.float64, device=device), 0
    with evaluating(model), torch.inference_mode():
        for inputs, targets in windows:
            summed, count = task.total(called, Batch(inputs, targets).to(device))
            nats += summed
            tokens += count
    return summarise(float(nats), tokens, dataset.val_bytes * tokens / max(len(dataset.val) - 1, 1))


def count_never_seen(model: Transformer, dataset: Dataset, session: Memory | None = None) -> int:
    """How many tokens of a dataset's validation split the model has never seen, so that it cannot say them."""
    bias = model.logit_bias if session is None else session.open_logits(model.logit_bias)
    return int(token_counts(dataset.val, model.config.vocab_size)[bias.cpu().numpy() < 0].sum())


class _WithSession(nn.Module):
    """A model that reads everything through one session."""

    def __init__(self, model: Transformer, session: Memory) -> None:
        super().__init__()
        self.model, self.session = model, session

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.model(tokens, session=self.session)
        return logits


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout is off inside."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
