"""``bench teach``: the Facts-100 protocol over several methods, orders and numbers of facts.

Everything is scored by free greedy decoding, the end included. What a memory does to other text is reported twice: with
the gate deciding, and with the memory forced on.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from microformer.bench.facts100 import Protocol, facts100
from microformer.bench.teaching_rows import FAMILIES, Family, Learner, lookup, shuffled
from microformer.checkpoint import Loaded, load
from microformer.data.prepare import prepare
from microformer.presets import load_preset, with_changes
from microformer.teaching.frozen_base import frozen_base_of
from microformer.teaching.generators import finished
from microformer.teaching.proof import PROBE_TOKENS, held_out_losses
from microformer.teaching.session import Fact
from microformer.teaching.verify import greedy
from microformer.training.loop import train

COUNTS = (1, 10, 50, 100)
ORDERS = 3
PATIENCE = 90.0
"""Seconds of learning after which a method that is only there for comparison is told no more facts."""
LONGEST = 300.0
"""Seconds after which no further order of the facts is begun: one that would not end by then is left out."""
STEPS = 500
"""Training of the character model, with everything else as in presets/tiny.yaml."""


def character_model(text: Path, directory: Path, report: Callable[[str], None]) -> Loaded:
    """A model of the preset tiny's shape that reads the characters of a text file, trained in ``directory``."""
    prepare([text], "char", directory / "data")
    changes = {"training": {"max_steps": STEPS, "eval_every": STEPS, "checkpoint_every": STEPS}}
    config = with_changes(load_preset("tiny"), changes)
    train(config, directory / "data", directory / "run", report=report)
    return load(directory / "run")


def bench_teach(
    loaded: Loaded,
    held_out: torch.Tensor,
    *,
    families: Sequence[Family] = FAMILIES,
    orders: int = ORDERS,
    counts: Sequence[int] = COUNTS,
    facts: int = 100,
    seed: int = 1,
    patience: float = PATIENCE,
    longest: float = LONGEST,
    report: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """One entry for each method, order and number of facts (of ``counts``, up to ``facts``).

    ``held_out`` (windows, length + 1) are tokens of text that nothing was trained on.
    All shares are between 0 and 1, losses relative to the base, times in seconds for a fact (of the last 50 or fewer).
    ``left_out`` tells in words what the limits ``patience`` and ``longest`` (seconds) have cut off.
    """
    protocol = facts100(seed)
    began = time.perf_counter()
    finished(frozen_base_of(loaded).prepare())
    ready = {"protocol": "Facts-100", "seed": seed, "seconds_to_get_ready": round(time.perf_counter() - began, 1)}
    prompts = (*protocol.unrelated, *protocol.near_misses)
    base = dict(zip(prompts, written(loaded, prompts, [None] * len(prompts)), strict=True))
    rows: list[dict[str, Any]] = []
    left_out: list[str] = []
    for family in families:
        since, wanted = time.perf_counter(), orders if family.thorough else 1
        for order in range(wanted):
            if order and (order + 1) / order * (time.perf_counter() - since) > longest:
                left_out.append(f"{family.name}: {order} of {wanted} orders, as another would not end in {longest:g} s")
                break
            told, learner, seconds = shuffled(protocol.facts, order)[:facts], family.make(loaded), list[float]()
            limit = math.inf if family.thorough else patience
            for known in learning(learner, told, counts, limit, seconds):
                for row in measure(loaded, family, learner, protocol, known, base, held_out):
                    rows.append(row | {"order": order, "facts": len(known)} | times(seconds))
                    report(", ".join(f"{name} {value}" for name, value in rows[-1].items()))
            if len(seconds) < len(told):
                left_out.append(f"{family.name}: {len(seconds)} of {len(told)} facts, which took {sum(seconds):.0f} s")
    for text in left_out:
        report(f"cut short: {text}")
    return ready | {"left_out": left_out, "rows": rows}


def learning(
    learner: Learner, facts: Sequence[Fact], counts: Sequence[int], patience: float, seconds: list[float]
) -> Iterator[Sequence[Fact]]:
    """Tell a learner one fact after another, noting the ``seconds`` of each; yields those told so far when there are as
    many as one of ``counts``, and when ``patience`` (seconds of learning) has come to its end."""
    for number, fact in enumerate(facts, start=1):
        began = time.perf_counter()
        learner.learn(fact)
        seconds.append(time.perf_counter() - began)
        tired = sum(seconds) > patience
        if number in counts or tired:
            yield facts[:number]
        if tired:
            return


def measure(
    loaded: Loaded,
    family: Family,
    learner: Learner,
    protocol: Protocol,
    facts: Sequence[Fact],
    base: dict[str, list[int]],
    held_out: torch.Tensor,
) -> list[dict[str, Any]]:
    """All figures of each row that asks a learner which was told ``facts``."""
    taught = {fact.key for fact in facts}
    unrelated, near = (
        [prompt for prompt in prompts if Fact(prompt, "").key not in taught]
        for prompts in (protocol.unrelated, protocol.near_misses)
    )
    before, after = (
        float(held_out_losses(one, held_out, memory).mean())
        for one, memory in ((loaded, None), (learner.loaded, learner.memory))
    )
    forced = {
        "unrelated_forced": share(same(learner, [(prompt, learner.memory) for prompt in unrelated], unrelated, base)),
        "loss_forced": round(after / before - 1, 5),
    }
    rows = []
    for name, asks in family.rows.items():
        reads = asks(learner)
        row: dict[str, Any] = {"method": name} | recalled(learner, reads, protocol, facts)
        for kind, prompts in (("unrelated", unrelated), ("near_misses", near)):
            row[kind] = share(kept(loaded, learner, reads, prompts, base))
        rows.append(row | (forced if asks is not lookup else {"unrelated_forced": 1.0, "loss_forced": 0.0}))
    return rows


def recalled(
    learner: Learner, reads: Callable[[str], Any], protocol: Protocol, facts: Sequence[Fact]
) -> dict[str, float]:
    """Shares of the facts that are said exactly: as they were taught, the first ten of them, and reworded.

    With the gate, that is the system; rows whose memory is always on tell what the network alone makes of a rewording.
    """
    exact = says_exactly(learner, reads, [fact.prompt for fact in facts], facts)
    found = {"recall": share(exact), "first_ten": share(exact[:10])}
    places = [protocol.facts.index(fact) for fact in facts]
    for kind, texts in protocol.paraphrases.items():
        found[kind] = share(says_exactly(learner, reads, [texts[place] for place in places], facts))
    return found


def says_exactly(
    learner: Learner, reads: Callable[[str], Any], prompts: Sequence[str], facts: Sequence[Fact]
) -> list[bool]:
    """Whether each prompt is answered with its fact's answer, and then the end."""
    given = [reads(prompt) for prompt in prompts]
    if not isinstance(given[0], tuple):
        return [text == fact.completion for text, fact in zip(given, facts, strict=True)]
    loaded = learner.loaded
    wanted = [loaded.tokenizer.encode(fact.completion) for fact in facts]
    said = greedy(loaded, [text for text, _ in given], [one for _, one in given], [len(ids) + 1 for ids in wanted])
    return [ids == right and ended for (ids, ended), right in zip(said, wanted, strict=True)]


def kept(
    loaded: Loaded,
    learner: Learner,
    reads: Callable[[str], Any],
    prompts: Sequence[str],
    base: dict[str, list[int]],
) -> list[bool]:
    """Whether the first 64 greedy tokens after each prompt are those of the base model.

    A closed gate needs no decoding: the model is given what the base model is given.
    """
    given = [reads(prompt) for prompt in prompts]
    if not all(isinstance(one, tuple) for one in given):
        return [answer is None for answer in given]
    changed = [place for place, (_, memory) in enumerate(given) if memory is not None or learner.loaded is not loaded]
    found = same(learner, [given[place] for place in changed], [prompts[place] for place in changed], base)
    unchanged = dict(zip(changed, found, strict=True))
    return [unchanged.get(place, True) for place in range(len(prompts))]


def same(
    learner: Learner, given: Sequence[tuple[str, Any]], prompts: Sequence[str], base: dict[str, list[int]]
) -> list[bool]:
    """Whether what is written for what the model is ``given`` is what the base writes for each prompt."""
    said = written(learner.loaded, [text for text, _ in given], [memory for _, memory in given])
    return [ids == base[prompt] for ids, prompt in zip(said, prompts, strict=True)]


def written(loaded: Loaded, prompts: Sequence[str], memories: Sequence[Any]) -> list[list[int]]:
    """At most 64 greedy tokens after each prompt."""
    return [ids for ids, _ in greedy(loaded, prompts, memories, [PROBE_TOKENS] * len(prompts))]


def share(truths: Sequence[bool]) -> float:
    """How many of them are true, from 0 to 1."""
    return round(sum(truths) / len(truths), 4) if truths else 1.0


def times(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile of the last facts' times (at most 50 of them)."""
    last = sorted(seconds[-50:])
    return {
        "seconds_p50": round(statistics.median(last), 3),
        "seconds_p95": round(last[min(len(last) - 1, int(0.95 * len(last)))], 3),
    }
