"""What teaching needs of the frozen base model, computed once: activations below the session's adapters.

The core never changes, so what a fact's tokens become below the lowest session adapter never changes either. It is kept
for each example, and a step of a lesson starts there.
"""

import weakref
from collections import OrderedDict
from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from microformer.adapters.session import SessionMemory
from microformer.checkpoint import Loaded
from microformer.errors import UserError
from microformer.model.block import Block
from microformer.model.transformer import Transformer
from microformer.teaching.anchors import Anchors, sample_anchors
from microformer.teaching.examples import Example
from microformer.teaching.session import session_blocks

MAX_KEPT_NUMBERS = 2**26
"""How many activations are kept for a model: 256 MB in fp32; the examples used longest ago go first."""


@dataclass(frozen=True)
class ExampleBatch:
    """Examples padded to one length, ready for the trained part of the model.

    ``lower`` (batch, seq, d_model): activations behind block ``first``, without a session. ``rows`` and ``columns``
    (places,): where something is to be said; ``targets`` (places,): what; ``owners`` (places,): by which example.
    """

    lower: Tensor
    rows: Tensor
    columns: Tensor
    targets: Tensor
    owners: Tensor
    first: int


class FrozenBase:
    """The frozen base of one loaded model. Used by one thread at a time, that of the engine."""

    def __init__(self, model: Transformer, end_id: int) -> None:
        self._model = weakref.ref(model)  # the registry below must not keep the model in memory
        self.end_id = end_id
        self.anchors: Anchors | None = None
        self._sampling: Generator[None, None, Anchors] | None = None
        self._kept: OrderedDict[tuple[int, tuple[int, ...]], Tensor] = OrderedDict()
        self._numbers = 0
        self._anchor_lower: dict[int, Tensor] = {}

    @property
    def model(self) -> Transformer:
        model = self._model()
        assert model is not None, "a frozen base lives as long as its model"
        return model

    def prepare(self) -> Generator[None, None, Anchors]:
        """Sample the anchors if that has not been done; yields while it takes. Two who prepare share the work."""
        first = self.model.config.n_layers - session_blocks(self.model.config)
        while self.anchors is None:
            self._sampling = self._sampling or sample_anchors(self.model, self.end_id, first=first)
            try:
                next(self._sampling)
            except StopIteration as end:
                self.anchors, self._sampling = end.value, None
                self._anchor_lower[first] = end.value.lower
            except BaseException:
                self._sampling = None
                raise
            else:
                yield
        return self.anchors

    def batch_of(self, examples: Sequence[Example], first: int) -> ExampleBatch:
        """The examples with their activations behind block ``first``, read now or kept from before."""
        missing = [one for one in dict.fromkeys(examples) if (first, one.tokens) not in self._kept]
        for start in range(0, len(missing), 64):
            self._read(missing[start : start + 64], first)
        kept = [self._kept[first, example.tokens] for example in examples]
        for example in examples:
            self._kept.move_to_end((first, example.tokens))
        self._forget_oldest()
        lengths = torch.tensor([len(example.targets) for example in examples])
        owners = torch.repeat_interleave(torch.arange(len(examples)), lengths)
        targets = torch.tensor([token for example in examples for token in example.targets])
        if self.no_token_looks_back(first):
            lower = torch.cat([row[example.first :] for row, example in zip(kept, examples, strict=True)])
            columns = torch.arange(len(owners))
            return ExampleBatch(lower[None], torch.zeros_like(owners), columns, targets, owners, first)
        lower = torch.nn.utils.rnn.pad_sequence(kept, batch_first=True)
        columns = torch.cat([torch.arange(example.first, len(example.tokens)) for example in examples])
        return ExampleBatch(lower, owners, columns, targets, owners, first)

    def no_token_looks_back(self, first: int) -> bool:
        """Whether no block attends to others above block ``first``: then each place stands for itself."""
        return first == self.model.config.n_layers - 1

    def scale(self, first: int) -> float:
        """Root mean square of the activations that the lowest adapter reads; steps are measured by it."""
        return float(self.lower_of_anchors(first).square().mean().sqrt())

    def anchor_places(self, count: int, first: int, generator: torch.Generator) -> tuple[ExampleBatch, Tensor]:
        """About ``count`` places of the anchors, and what the head of the base model read at each (places, d_model).

        The targets of the batch are the tokens that follow there.
        """
        assert self.anchors is not None, "prepare() comes first"
        tokens, lower = self.anchors.tokens, self.lower_of_anchors(first)
        count, length = min(count, tokens[:, 1:].numel()), tokens.shape[1] - 1
        wide = len(tokens)
        if not self.no_token_looks_back(first):
            wide = min(wide, -(-count // length))  # whole texts: each is read to its end anyway
        chosen = torch.randperm(len(tokens), generator=generator)[:wide]
        places = torch.randperm(wide * length, generator=generator)[:count].sort().values
        rows, columns = places // length, places % length
        at = chosen[rows], columns
        targets, read = tokens[at[0], columns + 1], self.anchors.head_input[at]
        if self.no_token_looks_back(first):
            single = torch.arange(count)
            return ExampleBatch(lower[at][None], torch.zeros_like(single), single, targets, rows, first), read
        return ExampleBatch(lower[chosen], rows, columns, targets, rows, first), read

    def lower_of_anchors(self, first: int) -> Tensor:
        """*Shape:* (rows, length, d_model)."""
        assert self.anchors is not None, "prepare() comes first"
        if first not in self._anchor_lower:
            with torch.inference_mode():  # a few rows at a time stay in the processor's cache
                lower = [lower_activations(self.model, rows, first) for rows in self.anchors.tokens.split(16)]
            self._anchor_lower[first] = torch.cat(lower).clone()
        return self._anchor_lower[first]

    def _read(self, examples: Sequence[Example], first: int) -> None:
        longest = max(len(example.tokens) for example in examples)
        padded = torch.tensor(
            [example.tokens + (self.end_id,) * (longest - len(example.tokens)) for example in examples]
        )
        with torch.inference_mode():
            lower = lower_activations(self.model, padded, first)
        for row, example in enumerate(examples):
            kept = lower[row, : len(example.tokens)].clone()
            self._kept[first, example.tokens] = kept
            self._numbers += kept.numel()

    def _forget_oldest(self) -> None:
        while self._numbers > MAX_KEPT_NUMBERS and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._numbers -= gone.numel()


def lower_activations(model: Transformer, tokens: Tensor, first: int) -> Tensor:
    """What block ``first`` puts out without a session. *Shape:* (batch, seq) -> (batch, seq, d_model)."""
    tokens = tokens.to(model.logit_bias.device)
    return model.run_blocks(model.embed(tokens), model.places(tokens.shape[1]), last=first + 1)


def head_input(model: Transformer, memory: SessionMemory, batch: ExampleBatch) -> Tensor:
    """The rest of the model, from the lowest session adapter up, at the places that count only.

    *Shape:* -> (places, d_model), what ``model.logits`` reads. The last block still attends to every token, but its
    feed-forward part and the head are spared where nothing is asked.
    """
    hidden, last = batch.lower, model.config.n_layers - 1
    adapter = memory.layer(batch.first)
    if batch.first == last:
        hidden = hidden[batch.rows, batch.columns]
    hidden = hidden if adapter is None else adapter(hidden)
    if batch.first < last:
        places = model.places(hidden.shape[1], rows=len(hidden))
    for index in range(batch.first + 1, model.config.n_layers):
        block = model.blocks[index]
        assert isinstance(block, Block)
        hidden = block.attend(hidden, places)  # (B, T, C)
        if index == last:
            hidden = hidden[batch.rows, batch.columns]  # (places, C)
        hidden = block.remember(block.feed(hidden), memory.layer(index))
    return model.norm(hidden)


@dataclass(frozen=True)
class Predictions:
    """What is predicted at every place of some examples: ``hidden`` (places, d_model), what the head read; ``logits``
    (places, vocab), without a gradient; and ``rows`` and ``targets`` (places,), the example that each place belongs to
    and the token that is right there."""

    hidden: Tensor
    logits: Tensor
    rows: Tensor
    targets: Tensor


def predictions(base: FrozenBase, memory: SessionMemory, examples: Sequence[Example]) -> Predictions:
    """What the model with a memory predicts in examples, given the right tokens before each place (teacher forcing).

    Those of like length go together, so that little is padded.
    """
    first = min(memory.layers)
    groups = [list(range(len(examples)))] if base.no_token_looks_back(first) else of_like_length(examples)
    batches = [base.batch_of([examples[index] for index in group], first) for group in groups]
    hidden = torch.cat([head_input(base.model, memory, batch) for batch in batches])
    rows = torch.cat([torch.tensor(group)[batch.owners] for group, batch in zip(groups, batches, strict=True)])
    targets = torch.cat([batch.targets for batch in batches])
    with torch.no_grad():
        return Predictions(hidden, base.model.logits(hidden, memory), rows, targets)


def of_like_length(examples: Sequence[Example]) -> list[list[int]]:
    """The indices of examples, in groups in which the longest is about half as long again as the shortest at most."""
    groups: list[list[int]] = []
    for index in sorted(range(len(examples)), key=lambda index: len(examples[index].tokens)):
        if groups and len(examples[index].tokens) <= 1.5 * len(examples[groups[-1][0]].tokens) + 8:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


_BASES: "weakref.WeakKeyDictionary[Transformer, FrozenBase]" = weakref.WeakKeyDictionary()


def frozen_base_of(loaded: Loaded) -> FrozenBase:
    """The base of a model: one for as long as the model is in memory. ``UserError`` for one on a GPU."""
    device = loaded.model.logit_bias.device
    if device.type != "cpu":
        raise UserError(f"This model is on the device {device}, but lessons are for a CPU; load it there to teach it.")
    base = _BASES.get(loaded.model)
    if base is None:
        base = _BASES[loaded.model] = FrozenBase(loaded.model, loaded.tokenizer.end_id)
    return base
