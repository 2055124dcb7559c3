"""Sleep: move what a session was taught into the model's long-term memory, if that does no harm.

A copy of the long-term adapters takes the same lesson that a session takes, with the same stop test: they are the same
kind of adapters. Then the new model is compared with the old one without any session. Only when it says every fact,
goes on saying the same elsewhere and predicts held-out text as well does it become a new checkpoint of the run; the
old one stays, so it can be undone.
"""

import copy
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from microformer.adapters.session import SessionMemory
from microformer.checkpoint import Loaded
from microformer.errors import UserError
from microformer.model.adapter import Bottleneck
from microformer.model.block import Block
from microformer.model.transformer import Transformer
from microformer.teaching.examples import examples_of, opened_tokens
from microformer.teaching.ground import Ground, ground_of
from microformer.teaching.lesson import Outcome, attempt
from microformer.teaching.proof import held_out_losses
from microformer.teaching.session import Session
from microformer.teaching.settings import TeachSettings
from microformer.teaching.teach import Progress, check_fits
from microformer.teaching.verify import recites

LOCALITY, LOSS_RISE = 0.99, 0.01
"""What has to hold: the likeliest next token stays the same at this share of places of held-out text, whose loss
rises by no more than this share."""

SLOWLY = TeachSettings(later_rate=0.02, max_steps=1500, settling=300, group=64, rehearsal=32)


@dataclass(frozen=True)
class Check:
    """How the new model compares with the old one, both without a session."""

    recited: int
    facts: int
    locality: float
    loss_before: float
    loss_after: float

    @property
    def passed(self) -> bool:
        """Whether the new model may replace the old one."""
        return not self.complaints

    @property
    def complaints(self) -> list[str]:
        """What speaks against the new model, in words."""
        rise = self.loss_after / self.loss_before - 1
        return [
            text
            for fails, text in (
                (self.recited < self.facts, f"it says {self.recited} of {self.facts} facts exactly"),
                (self.locality < LOCALITY, f"its next token is the same at {self.locality:.1%} of places"),
                (rise > LOSS_RISE, f"its loss on held-out text rises by {rise:.1%}"),
            )
            if fails
        ]

    def described(self) -> dict[str, float]:
        """The numbers by name, for a checkpoint's state."""
        return asdict(self)


@dataclass(frozen=True)
class Consolidated:
    """A new model beside the old one, and how it did. ``loaded`` is the new one."""

    loaded: Loaded
    check: Check


def consolidate(
    loaded: Loaded, session: Session, held_out: Tensor, settings: TeachSettings = SLOWLY
) -> Generator[Progress, None, Consolidated]:
    """Train a copy of the long-term adapters on all facts of a session, then compare old and new.

    ``held_out`` (windows, length + 1): tokens of text that nothing was trained on. Nothing is written; see
    ``keep_consolidated``. Raises ``UserError`` when there is nothing to move or nowhere to move it to.
    """
    check_fits(loaded, session)
    if loaded.model.config.adapter_dim == 0:
        raise UserError(
            "This model has no long-term adapters (adapter_dim is 0), so there is nowhere to move facts to."
        )
    if not session.facts:
        raise UserError("The session holds no facts yet; teach some before you consolidate.")
    taught = replace(session, passages=(), known=())
    examples = [example for item in examples_of(loaded, taught) for example in item]
    ground = Ground(bare := without_long_term(loaded.model), loaded.tokenizer.end_id)
    for _ in (reading := ground_of(loaded)).prepare():
        yield Progress("reading", 0, 0, 1, 0, len(examples), session)
    ground.anchors = reading.anchors  # what the model said with its long-term memory as it was
    start = replace(long_term_memory(loaded.model), opened=opened_tokens(loaded, examples))
    held = 0
    sleeping = attempt(ground, examples, range(len(examples)), start, settings)
    while True:
        try:
            step = next(sleeping)
        except StopIteration as end:
            outcome: Outcome = end.value
            break
        held = step.held if step.number else held
        yield Progress("consolidating", step.number, 0, 1, held, len(examples), session)
    del bare
    model = with_long_term(loaded.model, outcome.memory)
    new = replace(loaded, model=model)
    said = recites(new, replace(Session.blank(new), facts=session.facts, recited=session.recited))
    return Consolidated(new, compare(loaded, new, sum(said), len(said), held_out))


def compare(old: Loaded, new: Loaded, recited: int, facts: int, held_out: Tensor) -> Check:
    """Both models on held-out text, without a session."""
    same, places = 0, 0
    for windows in held_out.split(16):
        with torch.inference_mode():
            before, after = (one.model(windows[:, :-1]).argmax(-1) for one in (old, new))
        same, places = same + int((before == after).sum()), places + before.numel()
    losses = [float(held_out_losses(one, held_out, None).mean()) for one in (old, new)]
    return Check(recited, facts, same / places, *losses)


def long_term_memory(model: Transformer) -> SessionMemory:
    """The long-term adapters in the form of a session's: the same arithmetic in the same place."""
    adapters = [_adapter(block) for block in model.blocks]
    down = torch.stack([adapter.down.detach() for adapter in adapters])
    up = torch.stack([adapter.up.detach() for adapter in adapters])
    return SessionMemory(tuple(range(len(adapters))), down.clone(), up.clone())


def without_long_term(model: Transformer) -> Transformer:
    """A copy of the model whose blocks have no long-term adapters."""
    bare = copy.deepcopy(model)
    for block in bare.blocks:
        assert isinstance(block, Block)
        block.long_term = None
    return bare


def with_long_term(model: Transformer, memory: SessionMemory) -> Transformer:
    """A copy of the model with other long-term adapters, and with the tokens open that they need."""
    changed = copy.deepcopy(model)
    with torch.no_grad():
        for index, block in enumerate(changed.blocks):
            adapter = _adapter(block)
            adapter.down.copy_(memory.down[index])
            adapter.up.copy_(memory.up[index])
        changed.logit_bias.copy_(memory.open_logits(changed.logit_bias))
    return changed.eval()


def _adapter(block: torch.nn.Module) -> Bottleneck:
    assert isinstance(block, Block) and block.long_term is not None
    return block.long_term
