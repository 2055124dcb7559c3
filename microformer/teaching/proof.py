"""Evidence for the person who taught: how likely the answer was before and is now, and what else has changed."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from microformer.adapters.session import SessionMemory
from microformer.checkpoint import Loaded
from microformer.teaching.examples import fact_example
from microformer.teaching.frozen_base import frozen_base_of
from microformer.teaching.gate import gate_of
from microformer.teaching.recall import recall
from microformer.teaching.session import Fact, Session
from microformer.teaching.verify import greedy

PROBE_TOKENS = 64


@dataclass(frozen=True)
class TokenChance:
    """A token of a taught answer and how likely the model was to say it there, without and with the session."""

    text: str
    before: float
    after: float


def answer_chances(loaded: Loaded, session: Session, fact: Fact) -> list[TokenChance]:
    """Probability of each token of a fact's answer, the end included, each given those before it."""
    example = fact_example(loaded, fact)
    tokens = torch.tensor([example.tokens], device=loaded.model.logit_bias.device)
    targets = torch.tensor(example.targets)
    texts = [*loaded.tokenizer.pieces(example.targets[:-1]), "∎"]
    chances = []
    for memory in (None, session.memory.scaled(1.0)):
        with torch.inference_mode():
            likely = loaded.model(tokens, session=memory)[0, example.first :].softmax(-1).cpu()  # (answer, V)
        chances.append(likely.gather(1, targets[:, None])[:, 0].tolist())
    return [TokenChance(*row) for row in zip(texts, *chances, strict=True)]


@dataclass(frozen=True)
class Change:
    """What a session changed besides what it was taught.

    ``probes`` are unrelated prompts; ``gated`` and ``forced`` of them got the same 64 greedy tokens as from the base,
    with the gate deciding and with the memory forced on. The losses are nats a token on held-out text.
    """

    probes: tuple[str, ...]
    gated: int
    forced: int
    loss_base: float
    loss_gated: float
    loss_forced: float


def what_else_changed(loaded: Loaded, session: Session, probes: Sequence[str], held_out: torch.Tensor) -> Change:
    """Compare the session with the base on ``probes`` and on ``held_out`` tokens (windows, length + 1)."""
    base = _written(loaded, probes, [None] * len(probes))
    recalled = [recall([session], probe) for probe in probes]
    gated = _written(loaded, [one.reads for one in recalled], [one.memory for one in recalled])
    memory = session.memory.scaled(1.0)
    forced = _written(loaded, probes, [memory] * len(probes))
    gate = gate_of(session)
    closed = [not gate.decide(loaded.tokenizer.decode(window.tolist())).open for window in held_out]
    plain, changed = held_out_losses(loaded, held_out, None), held_out_losses(loaded, held_out, memory)
    through = torch.where(torch.tensor(closed), plain, changed)
    return Change(
        tuple(probes),
        sum(one == other for one, other in zip(gated, base, strict=True)),
        sum(one == other for one, other in zip(forced, base, strict=True)),
        float(plain.mean()),
        float(through.mean()),
        float(changed.mean()),
    )


def held_out_losses(loaded: Loaded, held_out: torch.Tensor, memory: SessionMemory | None) -> torch.Tensor:
    """Mean loss of each window. *Shape:* (windows, length + 1) -> (windows,)."""
    losses = []
    for windows in held_out.to(loaded.model.logit_bias.device).split(16):
        with torch.inference_mode():
            logits = loaded.model(windows[:, :-1], session=memory)
            losses.append(F.cross_entropy(logits.mT, windows[:, 1:], reduction="none").mean(1).cpu())
    return torch.cat(losses)


def own_probes(loaded: Loaded, session: Session, count: int = 20) -> list[str]:
    """Prompts that have nothing to do with what was taught: beginnings of what the model writes by itself."""
    anchors = frozen_base_of(loaded).anchors
    if anchors is None:
        return []
    starts = [loaded.tokenizer.decode(row[1:13].tolist()) for row in anchors.tokens]
    taught = {fact.key for fact in session.facts}
    return [start for start in dict.fromkeys(starts) if start.strip() and start not in taught][:count]


def _written(
    loaded: Loaded, prompts: Sequence[str], memories: Sequence[SessionMemory | None]
) -> list[tuple[list[int], bool]]:
    return greedy(loaded, prompts, memories, [PROBE_TOKENS] * len(prompts))
