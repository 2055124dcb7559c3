"""``bench teach``: the Facts-100 protocol over several methods, orders and numbers of facts.

Everything is scored by free greedy decoding, the end included. What a memory does to other text is reported twice: with
the gate deciding, and with the memory forced on.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from microformer.bench.facts100 import Protocol, facts100
from microformer.bench.teaching_rows import Lookup, Method, finished, make_rows, shuffled
from microformer.checkpoint import Loaded
from microformer.teaching.ground import ground_of
from microformer.teaching.proof import PROBE_TOKENS, held_out_losses
from microformer.teaching.session import Fact
from microformer.teaching.verify import greedy

COUNTS = (1, 10, 50, 100)


def bench_teach(
    loaded: Loaded,
    held_out: torch.Tensor,
    *,
    orders: int = 3,
    counts: Sequence[int] = COUNTS,
    rows: Sequence[str] | None = None,
    facts: int = 100,
    seed: int = 1,
    report: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """One entry for each method, order and number of facts (of ``counts``, up to ``facts``).

    ``held_out`` (windows, length + 1) are tokens of text that nothing was trained on.
    All shares are between 0 and 1, losses relative to the base, times in seconds for a fact.
    """
    protocol = facts100(seed)
    finished(ground_of(loaded).prepare())
    base = {
        prompt: text
        for prompts in (protocol.unrelated, protocol.near_misses)
        for prompt, text in zip(prompts, _plain(loaded, prompts), strict=True)
    }
    made = make_rows(loaded)
    figures = []
    for name in rows or made:
        for order in range(orders):
            told = shuffled(protocol.facts, order)[:facts]
            method, seconds = made[name](), []
            for number, fact in enumerate(told, start=1):
                began = time.perf_counter()
                method.learn(fact)
                seconds.append(time.perf_counter() - began)
                if number in counts:
                    found = measure(loaded, method, protocol, told[:number], base, held_out)
                    row = {"method": name, "order": order, "facts": number} | found | times(seconds)
                    figures.append(row)
                    report(f"{name}, order {order}, {number} facts: {found}")
    return {"protocol": "Facts-100", "seed": seed, "rows": figures}


def measure(
    loaded: Loaded,
    method: Method,
    protocol: Protocol,
    facts: Sequence[Fact],
    base: dict[str, list[int]],
    held_out: torch.Tensor,
) -> dict[str, float]:
    """All figures of a method that was told ``facts``."""
    recalled = says_exactly(loaded, method, [fact.prompt for fact in facts], facts)
    found = {"recall": share(recalled), "first_ten": share(recalled[:10])}
    places = [protocol.facts.index(fact) for fact in facts]
    for kind, texts in protocol.paraphrases.items():
        found[kind] = share(says_exactly(loaded, method, [texts[place] for place in places], facts))
    taught = {fact.key for fact in facts}
    for kind, prompts in (("unrelated", protocol.unrelated), ("near_misses", protocol.near_misses)):
        asked = [prompt for prompt in prompts if Fact(prompt, "").key not in taught]
        found[kind] = share(unchanged(loaded, method, asked, base))
        if kind == "unrelated":
            found["unrelated_forced"] = share(unchanged(loaded, method, asked[:60], base, forced=True))
    before = float(held_out_losses(loaded, held_out, None).mean())
    found["loss_forced"] = float(held_out_losses(loaded, held_out, method.memory).mean()) / before - 1
    return found


def says_exactly(loaded: Loaded, method: Method, prompts: Sequence[str], facts: Sequence[Fact]) -> list[bool]:
    """Whether each prompt is answered with its fact's answer, and then the end."""
    if isinstance(method, Lookup):
        return [method.says(prompt) == fact.completion for prompt, fact in zip(prompts, facts, strict=True)]
    given = [method.reads(prompt) for prompt in prompts]
    wanted = [loaded.tokenizer.encode(fact.completion) for fact in facts]
    written = greedy(loaded, [text for text, _ in given], [one for _, one in given], [len(ids) + 1 for ids in wanted])
    return [ids == right and ended for (ids, ended), right in zip(written, wanted, strict=True)]


def unchanged(
    loaded: Loaded, method: Method, prompts: Sequence[str], base: dict[str, list[int]], *, forced: bool = False
) -> list[bool]:
    """Whether the first 64 greedy tokens after each prompt are those of the base model.

    A closed gate needs no decoding: the model is given what the base model is given.
    """
    same = []
    open_prompts = []
    for prompt in prompts:
        text, memory = (prompt, method.memory) if forced else method.reads(prompt)
        changed = memory is not None or (isinstance(method, Lookup) and method.says(prompt) is not None)
        same.append(not changed)
        if memory is not None:
            open_prompts.append((len(same) - 1, text, memory))
    written = greedy(
        loaded,
        [text for _, text, _ in open_prompts],
        [memory for _, _, memory in open_prompts],
        [PROBE_TOKENS] * len(open_prompts),
    )
    for (place, _, _), (ids, _) in zip(open_prompts, written, strict=True):
        same[place] = ids == base[prompts[place]]
    return same


def share(truths: Sequence[bool]) -> float:
    """How many of them are true, from 0 to 1."""
    return sum(truths) / len(truths) if truths else 1.0


def times(seconds: Sequence[float]) -> dict[str, float]:
    """Median and 95th percentile of the last facts' times (at most 50 of them)."""
    last = sorted(seconds[-50:])
    return {
        "seconds_p50": round(statistics.median(last), 3),
        "seconds_p95": round(last[min(len(last) - 1, int(0.95 * len(last)))], 3),
    }


def _plain(loaded: Loaded, prompts: Sequence[str]) -> list[list[int]]:
    return [ids for ids, _ in greedy(loaded, prompts, [None] * len(prompts), [PROBE_TOKENS] * len(prompts))]
