"""What a model makes of a text, whatever its task: probabilities, a number, or answers, the best first."""

import math
from typing import Any

from microformer.data.tokenizers import Tokenizer
from microformer.errors import UserError
from microformer.generation.answers import read_sources
from microformer.generation.beam import Beam, beam_search
from microformer.model.transformer import Transformer
from microformer.tasks.pairs import SequenceToSequence
from microformer.tasks.task import Task
from microformer.tasks.whole_texts import Classification, Regression, marked

ANSWER_TOKENS = 100


def predict(
    model: Transformer,
    tokenizer: Tokenizer,
    task: Task,
    text: str,
    *,
    beams: int = 1,
    max_tokens: int = ANSWER_TOKENS,
    length_penalty: float = 1.0,
) -> dict[str, Any]:
    """``{"prompt"}`` and what the task tells: ``{"label", "probabilities"}``, ``{"value"}``, or
    ``{"completion", "stop", "candidates"}`` with ``beams`` candidates of ``{"text", "probability"}``.

    Probabilities are from the likeliest down; a candidate's is that of the whole text. Dropout is for the caller to
    turn off. Raises ``UserError`` for an empty text, or a task that says nothing about one.
    """
    if not text.strip():
        raise UserError("The text is empty; give the model something to read.")
    if isinstance(task, Classification | Regression):
        return {"prompt": text, **task.predict(model, tokenizer, text, model.config.max_seq_len)}
    if not isinstance(task, SequenceToSequence):
        raise UserError(f"A model for {task.name.replace('_', ' ')} tells nothing about a whole text.")
    found = answers(model, tokenizer, text, beams=beams, max_tokens=max_tokens, length_penalty=length_penalty)
    texts = [tokenizer.decode(beam.ids) for beam in found]
    probabilities = [math.exp(beam.log_probability) for beam in found]
    return {
        "prompt": text,
        "completion": texts[0],
        "stop": "endoftext" if found[0].ended else "length",
        "candidates": [
            {"text": text, "probability": probability} for text, probability in zip(texts, probabilities, strict=True)
        ],
    }


def answers(
    model: Transformer, tokenizer: Tokenizer, text: str, *, beams: int, max_tokens: int, length_penalty: float
) -> list[Beam]:
    """The likeliest answers that ``beams`` searches at a time find, best first; one beam is greedy."""
    context, end = model.config.max_seq_len, tokenizer.end_id
    source = read_sources(model, marked(tokenizer, text, context).tolist())
    most = min(max_tokens, context - 1)
    return beam_search(
        model, [end], beams=beams, max_tokens=most, end_id=end, length_penalty=length_penalty, source=source
    )


def in_words(found: dict[str, Any]) -> str:
    """A prediction as a person reads it: ``happy (98 %)``, ``3.02``, or the answer."""
    if "label" in found:
        return f"{found['label']} ({found['probabilities'][found['label']]:.0%})"
    return f"{found['value']:.4g}" if "value" in found else str(found["completion"])
