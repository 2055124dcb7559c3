"""Sleep: move what a session was taught into the model's long-term memory, if that does no harm.

The long-term adapter of one block grows by a unit for each place of each answer (see ``imprint``); the units it had
stay as they are, and so does the core. Then the new model is compared with the old one without any session. Only when
it says every fact, goes on saying the same elsewhere and predicts held-out text as well does it become a new checkpoint
of the run; the old one stays, so it can be undone.
"""

import copy
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.adapters.session import SessionMemory
from microformer.checkpoint import Loaded
from microformer.errors import UserError
from microformer.model.adapter import Bottleneck
from microformer.model.block import Block
from microformer.model.transformer import Transformer
from microformer.teaching.examples import fact_example, opened_tokens
from microformer.teaching.frozen_base import FrozenBase, frozen_base_of
from microformer.teaching.generators import mapped
from microformer.teaching.imprint import imprint
from microformer.teaching.lesson import Step
from microformer.teaching.proof import held_out_losses
from microformer.teaching.session import Session
from microformer.teaching.settings import TeachSettings
from microformer.teaching.teach import Progress, check_fits
from microformer.teaching.verify import recites

LOCALITY, LOSS_RISE = 0.99, 0.01
"""What has to hold: the likeliest next token stays the same at this share of places of held-out text, whose loss
rises by no more than this share."""


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
    loaded: Loaded, session: Session, held_out: Tensor, settings: TeachSettings | None = None
) -> Generator[Progress, None, Consolidated]:
    """Give a copy of the model units that say all facts of a session, then compare old and new.

    ``held_out`` (windows, length + 1): tokens of text that nothing was trained on. Nothing is written; see
    ``keep_consolidated``. Of ``settings`` only ``margin`` matters. Raises ``UserError`` when there is nothing to move
    or nowhere to move it to. It may be dropped at any step.
    """
    check_fits(loaded, session)
    if loaded.model.config.bits < 32:
        raise UserError("This model is quantized; consolidate on the run it was made from, and quantize that.")
    if loaded.model.config.adapter_dim == 0:
        raise UserError(
            "This model has no long-term adapters (adapter_dim is 0), so there is nowhere to move facts to."
        )
    if not session.facts:
        raise UserError("The session holds no facts yet; teach some before you consolidate.")
    examples = [fact_example(loaded, fact) for fact in session.facts]
    for _ in (reading := frozen_base_of(loaded)).prepare():
        yield Progress("reading", 0, 0, 1, 0, len(examples), session)
    layer = max(0, loaded.model.config.n_layers - 2)
    base = FrozenBase(bare := without_long_term(loaded.model, layer), loaded.tokenizer.end_id)
    base.anchors = reading.anchors
    start = replace(long_term_memory(loaded.model, layer), opened=opened_tokens(loaded, examples))
    margin, held = (settings or TeachSettings()).margin, 0

    def progress(step: Step) -> Progress:
        nonlocal held
        held = step.held if step.number else held
        return Progress("consolidating", step.number, 0, 1, held, len(examples), session)

    outcome = yield from mapped(imprint(base, examples, start, margin=margin), progress)
    del bare
    new = replace(loaded, model=with_long_term(loaded.model, outcome.memory))
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


def long_term_memory(model: Transformer, layer: int) -> SessionMemory:
    """The long-term adapter of one block in the form of a session's: the same arithmetic in the same place."""
    adapter = _adapter(model.blocks[layer])
    return SessionMemory((layer,), adapter.down.detach()[None].clone(), adapter.up.detach()[None].clone())


def without_long_term(model: Transformer, layer: int) -> Transformer:
    """A copy of the model whose block ``layer`` has no long-term adapter."""
    bare = copy.deepcopy(model)
    block = bare.blocks[layer]
    assert isinstance(block, Block)
    block.long_term = None
    return bare


def with_long_term(model: Transformer, memory: SessionMemory) -> Transformer:
    """A copy of the model with another long-term adapter in one block, and with the tokens open that it needs.

    All adapters are as wide as that one then: the others are filled up with units that do nothing.
    """
    (layer,), width = memory.layers, memory.down.shape[2]
    changed = copy.deepcopy(model)
    changed.config = replace(model.config, adapter_dim=width)
    with torch.no_grad():
        for index, block in enumerate(changed.blocks):
            adapter = _adapter(block)
            missing = width - adapter.down.shape[1]
            down, up = F.pad(adapter.down, (0, missing)), F.pad(adapter.up, (0, 0, 0, missing))
            if index == layer:
                down, up = memory.down[0], memory.up[0]
            adapter.down, adapter.up = nn.Parameter(down.clone()), nn.Parameter(up.clone())
        changed.logit_bias.copy_(memory.open_logits(changed.logit_bias))
    return changed.eval()


def _adapter(block: torch.nn.Module) -> Bottleneck:
    assert isinstance(block, Block) and block.long_term is not None
    return block.long_term
