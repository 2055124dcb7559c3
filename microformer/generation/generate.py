"""Generation as plainly as it can be written: the reference that the engine must agree with.

It knows no batch and no text, and every token reads the whole window again; only what a model with a sliding window
says past its context hangs on all it has read, which is in its cache.
"""

import random
from collections.abc import Iterator

import torch

from microformer.generation.prompt import window_start
from microformer.generation.sampling import Choice, Sampling, choose
from microformer.model.memory import Memory
from microformer.model.transformer import Transformer


def generate(
    model: Transformer, prompt_ids: list[int], sampling: Sampling, *, session: Memory | None = None, end_id: int
) -> Iterator[Choice]:
    """Yield each token the model writes after ``prompt_ids`` (at least one), the end-of-text token as the last.

    Writes one text whatever ``sampling.num_samples`` says. Past the context the window slides (``window_start``).
    """
    ids, start = list(prompt_ids), 0
    cache = model.new_cache(rolling=True) if model.config.rolls else None
    uniform = random.Random(sampling.seed).random
    for _ in range(sampling.max_tokens):
        read = 0 if cache is None else cache.lengths[0]
        start = start if read else window_start(len(ids), start, model.config.max_seq_len)
        window = torch.tensor([ids[start + read :]], device=model.logit_bias.device)
        with torch.inference_mode():
            logits = model(window, session=session, cache=cache)[:, -1]  # (1, V)
        (choice,) = choose(logits, sampling, [uniform()], [ids])
        yield choice
        if choice.id == end_id:
            return
        ids.append(choice.id)
