"""Generation as plainly as it can be written: the reference that the engine must agree with.

It knows no cache, no batch and no text: every token reads the whole window again.
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
    uniform = random.Random(sampling.seed).random
    for _ in range(sampling.max_tokens):
        start = window_start(len(ids), start, model.config.max_seq_len)
        window = torch.tensor([ids[start:]], device=model.logit_bias.device)
        with torch.inference_mode():
            logits = model(window, session=session)[:, -1]  # (1, V)
        (choice,) = choose(logits, sampling, [uniform()], [ids])
        yield choice
        if choice.id == end_id:
            return
        ids.append(choice.id)
