"""Whether the model really says what it was taught: by letting it write, not by looking at its teacher-forced scores.

Teacher-forced scores lie (96.8 % became 38.5 % in arXiv:2502.11177), mostly because the model does not stop.
"""

from collections.abc import Sequence

from microformer.adapters.session import SessionMemory
from microformer.checkpoint import Loaded
from microformer.generation.batch import Batch, Row
from microformer.generation.prompt import prompt_ids
from microformer.generation.sampling import Sampling
from microformer.teaching.recall import recall
from microformer.teaching.session import Fact, Session

TOGETHER = 32


def recites(loaded: Loaded, session: Session, facts: Sequence[Fact] | None = None, gate: str = "auto") -> list[bool]:
    """For each fact (all of the session's, unless given) whether greedy decoding writes its answer and then stops."""
    return [right for _, right in recited(loaded, session, session.facts if facts is None else facts, gate)]


def recited(loaded: Loaded, session: Session, facts: Sequence[Fact], gate: str = "auto") -> list[tuple[str, bool]]:
    """For each fact what greedy decoding writes in place of its answer, and whether it is the answer and then stops.

    It writes no further than the answer and its end take; what would go on is cut off with "…".
    """
    asked = [recall([session], fact.prompt, gate) for fact in facts]
    wanted = [loaded.tokenizer.encode(fact.completion) for fact in facts]
    prompts = [one.reads for one in asked]
    written = greedy(loaded, prompts, [one.memory for one in asked], [len(ids) + 1 for ids in wanted])
    return [
        (loaded.tokenizer.decode(ids).strip() + ("" if ended else "…"), ids == right and ended)
        for (ids, ended), right in zip(written, wanted, strict=True)
    ]


def greedy(
    loaded: Loaded, prompts: Sequence[str], memories: Sequence[SessionMemory | None], lengths: Sequence[int]
) -> list[tuple[list[int], bool]]:
    """At most ``lengths[i]`` likeliest tokens after each prompt, and whether the model then ended its text."""
    written = []
    for start in range(0, len(prompts), TOGETHER):
        rows = [
            Row(
                prompt_ids(loaded.tokenizer, prompts[index]),
                Sampling(max_tokens=lengths[index], temperature=0),
                0,
                memories[index],
            )
            for index in range(start, min(start + TOGETHER, len(prompts)))
        ]
        batch = Batch(loaded.model, loaded.tokenizer.end_id)
        batch.join(rows)
        while batch.rows:
            batch.step()
            batch.leave([row for row in batch.rows if row.stop_reason is not None])
        written += [(row.ids[row.begun :], row.stop_reason == "endoftext") for row in rows]
    return written
