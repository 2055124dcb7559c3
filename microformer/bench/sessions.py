"""Many sessions on one model: does a batch that mixes them give each the same as alone, and what do they cost?"""

import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from microformer.adapters.session import MixedMemory
from microformer.bench.facts100 import facts100
from microformer.checkpoint import Loaded
from microformer.generation.prompt import prompt_ids
from microformer.model.transformer import NEVER_SEEN
from microformer.teaching.generators import finished
from microformer.teaching.session import Session
from microformer.teaching.store import export_session, open_session
from microformer.teaching.teach import teach
from microformer.teaching.verify import greedy


def bench_sessions(loaded: Loaded, *, sessions: int = 30, facts: int = 10) -> dict[str, Any]:
    """Teach each session facts of its own, then ask all of them in batches in which every row has another session.

    ``same_tokens`` is the share of rows that say in such a batch what they say alone, ``logits_apart`` the largest
    difference of their logits; ``kilobytes`` the largest session's file; ``switch_ms`` the median time to put another
    session's memory into a batch, ``open_ms`` to read it from its file.
    """
    facts_of_each = [facts100(seed).facts[:facts] for seed in range(1, sessions + 1)]
    taught = [finished(teach(loaded, Session.blank(loaded), list(each))) for each in facts_of_each]
    memories = [session.memory for session in taught]
    same, apart = [], 0.0
    for number in range(facts):
        prompts = [each[number].prompt for each in facts_of_each]
        lengths = [len(loaded.tokenizer.encode(each[number].completion)) + 1 for each in facts_of_each]
        mixed = greedy(loaded, prompts, memories, lengths)
        alone = [
            greedy(loaded, [one], [memory], [most])[0]
            for one, memory, most in zip(prompts, memories, lengths, strict=True)
        ]
        same += [one == other for one, other in zip(mixed, alone, strict=True)]
        apart = max(apart, _logits_apart(loaded, prompts, taught))
    with tempfile.TemporaryDirectory() as directory:
        files = [Path(directory) / f"{number}.safetensors" for number in range(sessions)]
        for session, file in zip(taught, files, strict=True):
            export_session(session, file)
        return {
            "sessions": sessions,
            "facts_each": facts,
            "recited": sum(sum(session.recited) for session in taught),
            "same_tokens": sum(same) / len(same),
            "logits_apart": apart,
            "kilobytes": round(max(file.stat().st_size for file in files) / 1000, 1),
            "switch_ms": round(
                statistics.median(_milliseconds(lambda one=one: MixedMemory([one])) for one in memories), 3
            ),
            "open_ms": round(
                statistics.median(_milliseconds(lambda one=one: open_session(one, loaded)) for one in files), 3
            ),
        }


def _logits_apart(loaded: Loaded, prompts: list[str], taught: list[Session]) -> float:
    """How far the logits after prompts of one length differ between a mixed batch and each row alone, at most.

    Those of tokens that cannot be said are left out: near ``NEVER_SEEN`` float32 has steps of a thousandth.
    """
    ids = [prompt_ids(loaded.tokenizer, prompt) for prompt in prompts]
    shortest = min(len(row) for row in ids)
    tokens = torch.tensor([row[:shortest] for row in ids])
    with torch.inference_mode():
        mixed = loaded.model(tokens, session=MixedMemory([session.memory for session in taught]))
        alone = [
            loaded.model(row[None], session=session.memory)[0] for row, session in zip(tokens, taught, strict=True)
        ]
    return float((mixed - torch.stack(alone))[mixed > NEVER_SEEN / 2].abs().max())


def _milliseconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)
