"""Texts for a list of prompts, without a thread: for evaluation, benchmarks and checks."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

from microformer.adapters.session import SessionMemory
from microformer.data.tokenizers import Tokenizer
from microformer.generation.batch import Batch, Row
from microformer.generation.prompt import prompt_ids
from microformer.generation.sampling import Sampling
from microformer.generation.stops import ended_by
from microformer.model.transformer import Transformer


@dataclass(frozen=True)
class Completion:
    """What the model wrote after a prompt: the tokens without the end-of-text token, and ``stop``, which is
    ``endoftext``, ``length`` or ``stop`` (see ``Sampling.stop``)."""

    prompt: str
    completion: str
    stop: str
    ids: tuple[int, ...]


def complete(
    model: Transformer,
    tokenizer: Tokenizer,
    prompts: Iterable[str],
    sampling: Sampling,
    *,
    session: SessionMemory | None = None,
    max_rows: int = 32,
) -> list[Completion]:
    """Write ``sampling.num_samples`` texts after each prompt, in order; each is what the engine writes.

    Sample ``i`` of every prompt has the seed ``sampling.seed + i``. Runs on the caller's thread.
    """
    ended = ended_by(tokenizer, sampling.stops)
    wanted = [
        (prompt, Row(prompt_ids(tokenizer, prompt), sampling, _seed(sampling, i), session, ended))
        for prompt in prompts
        for i in range(sampling.num_samples)
    ]
    batch = Batch(model, tokenizer.end_id)
    waiting = iter([row for _, row in wanted])
    while True:
        batch.join(list(islice(waiting, max_rows - len(batch.rows))))
        if not batch.rows:
            break
        batch.step()
        batch.leave([row for row in batch.rows if row.stop_reason is not None])
    done = []
    for prompt, row in wanted:
        ids = row.ids[row.begun :]
        done.append(Completion(prompt, tokenizer.decode(ids), str(row.stop_reason), tuple(ids)))
    return done


def _seed(sampling: Sampling, number: int) -> int | None:
    return None if sampling.seed is None else sampling.seed + number
