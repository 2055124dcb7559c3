"""What goes on inside a model while it reads a text: who attends to whom, and what each layer would say next."""

from dataclasses import dataclass

import torch
from torch import Tensor

from microformer.checkpoint import Loaded
from microformer.errors import UserError
from microformer.model.transformer import Transformer

MOST_TOKENS = 64
"""How many of a text's last tokens are looked at, unless more are asked for."""


@dataclass(frozen=True)
class Candidate:
    """A token that a layer would say next: its label, and its probability."""

    label: str
    probability: float


@dataclass(frozen=True)
class Reading:
    """How a model has read a text.

    ``tokens`` are the labels of what it read. ``attention`` holds for each layer a tensor (heads, seq, seq) of what
    each token (row) takes from each (column); rows sum to 1. ``lens`` holds for the embedding and then for each layer
    what it would predict after the last token, likeliest first; it is empty where a model predicts no tokens.
    ``skipped`` tokens of a long text's beginning were not read.
    """

    tokens: list[str]
    attention: list[Tensor]
    lens: list[list[Candidate]]
    skipped: int


@torch.no_grad()
def read(loaded: Loaded, text: str, *, most_tokens: int = MOST_TOKENS, candidates: int = 5) -> Reading:
    """Let a model, in evaluation mode as ``checkpoint.load`` leaves it, read ``text``, and look inside.

    Raises ``UserError`` for an empty text, and for a model that reads one text and writes another.
    """
    model, tokenizer = loaded.model, loaded.tokenizer
    if model.config.kind == "encoder_decoder":
        raise UserError("This model reads one text and writes another; choose one that continues or judges a text.")
    whole = tokenizer.encode(text)
    ids = whole[-min(most_tokens, model.config.max_seq_len) :]
    if not ids:
        raise UserError("The text is empty; give the model something to read.")
    tokens = torch.tensor([ids])
    attention = [weights[0] for weights in model.attention_maps(tokens)]
    says = model.config.outputs == 0
    found = lens(model, model.hidden_by_layer(tokens), candidates) if says else []
    shown = [[Candidate(tokenizer.token_label(id), share) for id, share in layer] for layer in found]
    return Reading([tokenizer.token_label(id) for id in ids], attention, shown, len(whole) - len(ids))


@torch.no_grad()
def lens(model: Transformer, hidden: list[Tensor], count: int) -> list[list[tuple[int, float]]]:
    """The tokens that each layer would say after the last one, if it were the last layer, with their probabilities.

    *Shape:* each of ``hidden`` is (batch, seq, d_model); the first row counts. This is the logit lens of nostalgebraist
    (2020): the model's last norm and head, read off too early.
    """
    found = []
    for layer in hidden:
        probabilities = model.logits(model.norm(layer[:1, -1])).float().softmax(-1)[0]
        best = probabilities.topk(min(count, len(probabilities)))
        found.append(list(zip(best.indices.tolist(), best.values.tolist(), strict=True)))
    return found
