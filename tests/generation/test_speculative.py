"""A draft changes how fast a text is written, never which text it is."""

from collections import Counter

import pytest
import torch

from microformer.errors import UserError
from microformer.generation.generate import generate
from microformer.generation.sampling import Sampling, allowed
from microformer.generation.speculative import speculate
from microformer.model.transformer import Transformer
from tests.conftest import make_config

END = 0


def toy(vocabulary: int, *, context: int = 16, seed: int = 0, sharpness: float = 40) -> Transformer:
    torch.manual_seed(seed)
    model = Transformer(make_config(vocab_size=vocabulary, max_seq_len=context, tie_weights=False)).eval()
    with torch.no_grad():
        model.unembedding.weight.mul_(sharpness)
    return model


@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_greedy_text_is_the_targets_own_token_for_token_on_fifty_prompts(penalty: float) -> None:
    """Texts that outgrow both contexts included."""
    target, draft = toy(30), toy(30, context=12, seed=1)
    sampling = Sampling(max_tokens=24, temperature=0, repetition_penalty=penalty)
    for number in range(50):
        prompt = [END, *(1 + (number * k) % 29 for k in range(1, 2 + number % 20))]
        alone = [choice.id for choice in generate(target, prompt, sampling, end_id=END)]
        assert list(speculate(target, draft, prompt, sampling, end_id=END)) == alone


@pytest.mark.parametrize("filters", [{}, {"temperature": 0.5, "top_k": 3}])
def test_sampled_texts_are_distributed_as_the_target_alone_would(filters: dict[str, float]) -> None:
    """Chi-square of the first two tokens against their exact probabilities, at the 99.9th percentile; fixed seeds."""
    target, draft, draws, prompt = toy(5, sharpness=20), toy(5, seed=1, sharpness=20), 800, [1, 2]
    sampling = {"max_tokens": 2, "temperature": 1.0} | filters
    exact = exact_chances(target, prompt, Sampling(**sampling))
    counts = Counter(
        tuple(speculate(target, draft, prompt, Sampling(seed=seed, **sampling), end_id=END)) for seed in range(draws)
    )
    assert set(counts) <= set(exact)
    frequent = {text: chance for text, chance in exact.items() if chance * draws >= 5}
    statistic = sum((counts[text] - draws * chance) ** 2 / (draws * chance) for text, chance in frequent.items())
    freedom = len(frequent) - 1
    assert freedom >= 4
    assert statistic < freedom + 3.1 * (2 * freedom) ** 0.5 + 4


def exact_chances(model: Transformer, prompt: list[int], sampling: Sampling) -> dict[tuple[int, ...], float]:
    """The probability of every text of two tokens, or of one when that ends it."""

    def after(ids: list[int]) -> list[float]:
        with torch.inference_mode():
            return allowed(model(torch.tensor([ids]))[:, -1], sampling, [ids])[0].tolist()

    found: dict[tuple[int, ...], float] = {}
    for first, chance in enumerate(after(prompt)):
        if first == END:
            found[(first,)] = chance
        else:
            found |= {(first, second): chance * other for second, other in enumerate(after([*prompt, first]))}
    return {text: chance for text, chance in found.items() if chance > 0}


def test_a_draft_with_another_vocabulary_is_refused() -> None:
    with pytest.raises(UserError, match="same tokenizer"):
        next(speculate(toy(5), toy(6), [1], Sampling(), end_id=END))
