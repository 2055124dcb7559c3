"""Facts and passages as the tokens that the model learns from."""

from dataclasses import dataclass

from microformer.checkpoint import Loaded
from microformer.errors import UserError
from microformer.generation.prompt import prompt_ids
from microformer.teaching.session import Fact, Session


@dataclass(frozen=True)
class Example:
    """Tokens that the model reads, and what it is to say after the last ``len(targets)`` of them."""

    tokens: tuple[int, ...]
    targets: tuple[int, ...]

    @property
    def first(self) -> int:
        """The place of the first token that something is learnt from."""
        return len(self.tokens) - len(self.targets)


def fact_example(loaded: Loaded, fact: Fact) -> Example:
    """The prompt as generation reads it, then the answer and ``<|endoftext|>`` as targets.

    Prompt and answer become tokens apart from each other, because that is what happens when the model answers.
    Raises ``UserError`` when both together are longer than the context.
    """
    prompt = prompt_ids(loaded.tokenizer, fact.prompt)
    answer = loaded.tokenizer.encode(fact.completion)
    context = loaded.model.config.max_seq_len
    if len(prompt) + len(answer) > context:
        raise UserError(
            f"The fact {fact.prompt[:40]!r} is {len(prompt) + len(answer)} tokens long with its answer, but this "
            f"model's context is {context}; shorten it."
        )
    return Example((*prompt, *answer), (*answer, loaded.tokenizer.end_id))


def passage_examples(loaded: Loaded, text: str) -> list[Example]:
    """A passage in windows of the context, each of which learns what the one before did not: every token once.

    Raises ``UserError`` when the passage has no words.
    """
    if not text.strip():
        raise UserError("The text to learn is empty; give a page with some words on it.")
    tokens = [loaded.tokenizer.end_id, *loaded.tokenizer.encode(text), loaded.tokenizer.end_id]
    context = loaded.model.config.max_seq_len
    stride = max(1, context // 2)
    examples, learnt = [], 0
    while learnt < len(tokens) - 1:
        end = min(len(tokens) - 1, context if learnt == 0 else learnt + stride)
        window = tokens[max(0, end - context) : end]
        examples.append(Example(tuple(window), tuple(tokens[learnt + 1 : end + 1])))
        learnt = end
    return examples


def examples_of(loaded: Loaded, session: Session) -> list[list[Example]]:
    """What each fact and then each passage of a session is learnt from (a fact is one example)."""
    facts = [[fact_example(loaded, fact)] for fact in session.facts]
    return facts + [passage_examples(loaded, text) for text in session.passages]


def opened_tokens(loaded: Loaded, examples: list[Example]) -> tuple[int, ...]:
    """The tokens these examples need that the training text never had, so that their logits are closed."""
    needed = {token for example in examples for token in example.targets}
    closed = (loaded.model.logit_bias < 0).nonzero().flatten().tolist()
    return tuple(sorted(needed.intersection(closed)))
