"""The filters do to literal logits what the papers say."""

import math

import pytest
import torch

from microformer.errors import UserError
from microformer.generation import filters
from microformer.generation.sampling import Sampling, choose, choose_each

LOGITS = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
OFF = float("-inf")


def kept(logits: torch.Tensor) -> list[int]:
    return (logits[0] != OFF).nonzero()[:, 0].tolist()


def test_top_k_keeps_exactly_k_also_among_equals() -> None:
    assert kept(filters.top_k(LOGITS, 2)) == [0, 1]
    assert len(kept(filters.top_k(torch.zeros(1, 4), 3))) == 3


@pytest.mark.parametrize("k", [0, 4, 10**9])
def test_top_k_that_keeps_everything_changes_nothing(k: int) -> None:
    assert torch.equal(filters.top_k(LOGITS, k), LOGITS)


@pytest.mark.parametrize(("p", "expected"), [(0.49, [0]), (0.6, [0, 1]), (0.81, [0, 1, 2]), (1.0, [0, 1, 2, 3])])
def test_top_p_keeps_the_smallest_set_that_holds_p(p: float, expected: list[int]) -> None:
    assert kept(filters.top_p(LOGITS, p)) == expected


def test_top_p_always_keeps_the_likeliest() -> None:
    assert kept(filters.top_p(torch.tensor([[0.0, 9.0, 1.0]]), 1e-9)) == [1]


def test_top_p_puts_logits_back_in_their_places() -> None:
    shuffled = LOGITS[:, [2, 0, 3, 1]]
    assert torch.equal(filters.top_p(shuffled, 0.6), torch.where(torch.tensor([[0, 1, 0, 1]]) == 1, shuffled, OFF))


@pytest.mark.parametrize(("p", "expected"), [(0.0, [0, 1, 2, 3]), (0.2, [0, 1, 2]), (0.5, [0, 1]), (1.0, [0])])
def test_min_p_keeps_what_is_nearly_as_likely_as_the_likeliest(p: float, expected: list[int]) -> None:
    assert kept(filters.min_p(LOGITS, p)) == expected


def test_repetition_penalty_makes_only_what_was_said_less_likely() -> None:
    logits = torch.tensor([[2.0, -2.0, 2.0, -2.0]])
    penalised = filters.repetition_penalty(logits, [[0, 1, 1]], 2.0)
    assert penalised.tolist() == [[1.0, -4.0, 2.0, -2.0]]
    assert logits.tolist() == [[2.0, -2.0, 2.0, -2.0]]


def test_greedy_minds_the_repetition_penalty() -> None:
    logits = torch.tensor([[2.0, 1.9, 0.0]])
    (choice,) = choose(logits, Sampling(temperature=0, repetition_penalty=2), [0.5], [[0]])
    assert choice.id == 1


def test_temperature_divides_and_survives_the_smallest_numbers() -> None:
    torch.testing.assert_close(filters.temperature(LOGITS, 0.5).softmax(-1), (LOGITS * 2).softmax(-1))
    for tiny in (1e-8, 1e-45, 5e-324):
        assert filters.temperature(LOGITS, tiny).softmax(-1).tolist() == [[1.0, 0.0, 0.0, 0.0]]


def test_draw_follows_the_cumulative_distribution() -> None:
    probabilities = LOGITS.softmax(-1).expand(5, -1)
    assert filters.draw(probabilities, [0.0, 0.49, 0.51, 0.81, 0.99]).tolist() == [0, 0, 1, 2, 3]


@pytest.mark.parametrize("number", [0.0, 0.5, 1 - 2**-53])
def test_draw_never_takes_a_token_of_probability_zero(number: float) -> None:
    assert filters.draw(torch.tensor([[0.0, 0.7, 0.0, 0.3, 0.0]]), [number]).item() in (1, 3)


def test_frequencies_of_draws_are_the_probabilities() -> None:
    numbers = torch.rand(4000, generator=torch.Generator().manual_seed(0)).tolist()
    drawn = filters.draw(LOGITS.softmax(-1).expand(4000, -1), numbers)
    shares = torch.bincount(drawn, minlength=4) / 4000
    torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.02, rtol=0)


def test_greedy_takes_the_likeliest_and_reports_the_models_own_probability() -> None:
    (choice,) = choose(LOGITS, Sampling(temperature=0, top_k=3, top_p=0.1), [0.99], [[]])
    assert choice.id == 0
    assert choice.probability == pytest.approx(0.5)
    assert [token for token, _ in choice.alternatives] == [0, 1, 2, 3]


def test_probabilities_are_those_before_anything_was_cut_off() -> None:
    (choice,) = choose(LOGITS, Sampling(temperature=1, top_k=1), [0.99], [[]])
    assert choice.id == 0
    assert choice.probability == pytest.approx(0.5)


def test_rows_with_their_own_settings_choose_as_they_would_alone() -> None:
    logits = torch.randn(6, 20, generator=torch.Generator().manual_seed(3))
    settings = [Sampling(temperature=0), Sampling(top_k=3), Sampling(top_p=0.4, repetition_penalty=3)] * 2
    numbers = [0.1, 0.5, 0.9, 0.3, 0.7, 0.2]
    texts = [[i, 2 * i] for i in range(6)]
    together = choose_each(logits, settings, numbers, texts)
    alone = [choose(logits[i : i + 1], settings[i], numbers[i : i + 1], texts[i : i + 1])[0] for i in range(6)]
    assert [choice.id for choice in together] == [choice.id for choice in alone]


def test_a_diverged_model_is_a_sentence() -> None:
    for sampling in (Sampling(temperature=0), Sampling(), Sampling(top_k=2, top_p=0.5)):
        with pytest.raises(UserError, match="diverged"):
            choose(torch.full((1, 4), math.nan), sampling, [0.5], [[]])


@pytest.mark.parametrize(
    "wrong",
    [
        {"top_p": 0},
        {"top_p": -0.1},
        {"top_p": 1.5},
        {"top_k": -1},
        {"temperature": -1},
        {"temperature": math.nan},
        {"top_p": math.nan},
        {"max_tokens": 0},
        {"num_samples": 0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong: dict[str, float]) -> None:
    (name,) = wrong
    with pytest.raises(UserError, match=name):
        Sampling(**wrong)  # type: ignore[arg-type]
