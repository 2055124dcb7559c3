"""What must hold for every model, whatever it is built from: every pair of options in the ordinary run of the tests,
and every combination of the first six with ``pytest -m every tests/model/test_combinations.py``."""

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from microformer import checkpoint
from microformer.adapters.session import SessionMemory
from microformer.model.config import ACTIVATIONS, KINDS, POSITIONS
from microformer.model.transformer import Transformer
from microformer.tensor_files import save_tensors
from tests.conftest import make_config

Options = dict[str, Any]
NAMED: dict[str, list[Any]] = {
    "kind": list(KINDS),
    "position": list(POSITIONS),
    "norm": ["rmsnorm", "layernorm"],
    "norm_position": ["pre", "post"],
    "activation": list(ACTIVATIONS),
    "n_kv_heads": [None, 2, 1],
}
MORE: dict[str, list[Any]] = {
    "window": [None, 5],
    "bias": [False, True],
    "qk_norm": [False, True],
    "embedding_norm": [False, True],
    "tie_weights": [True, False],
    "adapter_dim": [4, 0],
    "rotary_pct": [1.0, 0.5],
    "outputs": [0, 2],
    "ngram_rows": [0, 30],
}


def pairwise(options: dict[str, list[Any]]) -> list[Options]:
    """Combinations among which any two values of two options meet; greedy, and the same every time."""
    values = {name: list(enumerate(some)) for name, some in options.items()}
    missing = {
        frozenset(((one, i), (other, k)))
        for one, other in itertools.combinations(options, 2)
        for i, _ in values[one]
        for k, _ in values[other]
    }
    found = []
    while missing:
        row = dict(min(sorted(pair) for pair in missing))
        for name in options:
            if name not in row:
                gains = [sum(frozenset(((name, i), had)) in missing for had in row.items()) for i, _ in values[name]]
                row[name] = gains.index(max(gains))
        missing -= {frozenset(pair) for pair in itertools.combinations(row.items(), 2)}
        found.append({name: options[name][row[name]] for name in options})
    return found


def every_combination() -> list[Options]:
    """All of the named options; each of the others takes turns at a pace of its own."""
    named = [dict(zip(NAMED, values, strict=True)) for values in itertools.product(*NAMED.values())]
    paces = dict(zip(MORE, (2, 3, 5, 7, 11, 13, 17, 19, 23), strict=True))
    return [row | {name: MORE[name][i // pace % 2] for name, pace in paces.items()} for i, row in enumerate(named)]


def possible(options: Options) -> Options:
    """``options`` with what the configuration would refuse left out."""
    extra = {"sinks": 1} if options["window"] else {}
    return options | extra | ({"outputs": 0} if options["kind"] == "encoder_decoder" else {})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "options" in metafunc.fixturenames:
        every = "every" in metafunc.config.getoption("markexpr")
        chosen = every_combination() if every else pairwise(NAMED | MORE)
        marks = [pytest.mark.every] if every else []
        named = [(possible(one), "-".join(str(value) for value in one.values())) for one in chosen]
        metafunc.parametrize("options", [pytest.param(one, id=name, marks=marks) for one, name in named])


TOKENS = torch.randint(0, 64, (3, 20), generator=torch.Generator().manual_seed(1))
SOURCE = TOKENS.flip(1)
LENGTHS = torch.tensor([20, 13, 1])


@pytest.fixture
def model(options: Options) -> Transformer:
    torch.manual_seed(0)
    made = Transformer(make_config(**options)).eval()
    with torch.no_grad():  # nothing is to be close to zero, as what begins as the identity is
        for weight in made.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    return made


def say(model: Transformer, tokens: Tensor = TOKENS, **given: Any) -> Tensor:
    rows = given.pop("rows", slice(len(tokens)))
    source = {} if model.encoder is None else {"source": SOURCE[rows]}
    return model(tokens, **source | given)


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


def test_what_is_said_is_finite(model: Transformer) -> None:
    said = say(model)
    assert said.shape == ((3, 2) if model.config.outputs else (3, 20, 64))
    assert bool(said.isfinite().all())


@torch.inference_mode()
def test_reading_through_a_cache_says_the_same(model: Transformer) -> None:
    if not model.config.writes:
        return
    cache = model.new_cache(3)
    close(torch.cat([say(model, part, cache=cache) for part in TOKENS.split([7, 1, 3, 9], dim=1)], dim=1), say(model))


@torch.inference_mode()
def test_rows_of_unlike_length_share_a_cache(model: Transformer) -> None:
    if not model.config.writes:
        return
    cache = model.new_cache(3)
    say(model, TOKENS[:, :9], cache=cache, lengths=torch.tensor([9, 4, 1]))
    mixed = say(model, torch.stack([TOKENS[0, 9:12], TOKENS[1, 4:7], TOKENS[2, 1:4]]), cache=cache)
    whole = say(model)
    for row, begun in enumerate((9, 4, 1)):
        close(mixed[row], whole[row, begun : begun + 3])


@torch.inference_mode()
def test_the_future_does_not_leak(model: Transformer) -> None:
    if not model.config.causal or model.config.outputs:
        return
    other = TOKENS.clone()
    other[:, 10:] = (other[:, 10:] + 1) % 64
    close(say(model)[:, :10], say(model, other)[:, :10])


@pytest.mark.parametrize("training", [False, True])
def test_padding_changes_nothing(model: Transformer, training: bool) -> None:
    model.train(training)
    with torch.set_grad_enabled(training):
        lengths = {"source_lengths": LENGTHS} if model.encoder else {"lengths": LENGTHS}
        padded = say(model, **lengths)
        for row, length in enumerate(LENGTHS.tolist()):
            if model.encoder:
                close(padded[row], model(TOKENS[row][None], source=SOURCE[row][None, :length])[0])
            else:
                alone = model(TOKENS[row][None, :length])[0]
                close(padded[row] if model.config.outputs else padded[row, :length], alone)


def test_saving_and_loading_changes_no_bit(model: Transformer, tmp_path: Path) -> None:
    save_tensors(checkpoint.weights_of(model), tmp_path / "weights.safetensors")
    loaded = checkpoint.load_weights(model.config, tmp_path / "weights.safetensors").eval()
    assert torch.equal(say(loaded), say(model))


def test_a_blank_session_changes_no_bit(model: Transformer) -> None:
    blank = SessionMemory.blank(model.config, layers=[0, 1], width=4)
    assert torch.equal(say(model, session=blank), say(model))


def test_gradients_reach_every_weight(model: Transformer) -> None:
    said = say(model.train())
    target = torch.tensor([0, 1, 0]) if model.config.outputs else TOKENS.roll(1).flatten()
    F.cross_entropy(said if model.config.outputs else said.flatten(0, 1), target).backward()
    assert not [name for name, one in model.named_parameters() if one.grad is None or not one.grad.any()]


def test_every_pair_of_values_meets() -> None:
    options = NAMED | MORE
    rows = pairwise(options)
    assert len(rows) < 60
    for one, other in itertools.combinations(options, 2):
        met = {(row[one], row[other]) for row in rows}
        assert met == set(itertools.product(options[one], options[other]))
