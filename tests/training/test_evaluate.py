import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from microformer.adapters.session import SessionMemory
from microformer.data.datasets import Dataset, open_validation
from microformer.generation.threads import threads
from microformer.model.config import ModelConfig
from microformer.model.transformer import NEVER_SEEN, Transformer
from microformer.tasks.kinds import KINDS
from microformer.tasks.language import summarise
from microformer.training.config import TASKS
from microformer.training.evaluate import count_never_seen, evaluate


def small_model(dataset: Dataset, **changes: float) -> Transformer:
    torch.manual_seed(2)
    shape = {"d_model": 16, "n_layers": 2, "n_heads": 2, "max_seq_len": 16, "adapter_dim": 4}
    return Transformer(ModelConfig(vocab_size=dataset.tokenizer.vocab_size, **shape | changes))  # type: ignore[arg-type]


def test_every_token_but_the_first_is_counted_once(dataset: Path) -> None:
    data = Dataset.open(dataset)
    model = small_model(data)
    found = evaluate(model, data)
    nats, tokens = 0.0, 0
    with torch.inference_mode():
        for inputs, targets in data.validation_windows(16, 1):
            nats += float(F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten(), reduction="sum"))
            tokens += targets.numel()
    assert tokens == len(data.val) - 1
    assert found.loss == pytest.approx(nats / tokens, rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.loss))
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / data.info.val_bytes, rel=1e-5)


def test_batch_size_makes_no_difference(dataset: Path) -> None:
    data = Dataset.open(dataset)
    model = small_model(data)
    losses = [evaluate(model, data, batch_size=size).loss for size in (1, 5, 64)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5) == pytest.approx(losses[2], rel=1e-5)


def test_lanes_read_the_same(dataset: Path) -> None:
    data = Dataset.open(dataset)
    model = small_model(data, d_model=128)  # as large as it is, a second lane pays
    session = SessionMemory.blank(model.config, width=4, layers=(1,))
    session.up.normal_()
    found = []
    for lanes in (1, 3):
        with threads(lanes):
            found.append(evaluate(model, data, session=session, batch_size=16).loss)
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_dropout_is_off_while_evaluating_and_the_mode_is_restored(dataset: Path) -> None:
    data = Dataset.open(dataset)
    model = small_model(data, dropout=0.5).train()
    assert evaluate(model, data) == evaluate(model, data)
    assert model.training


def test_a_blank_session_changes_nothing(dataset: Path) -> None:
    data = Dataset.open(dataset)
    model = small_model(data)
    blank = SessionMemory.blank(model.config, width=4, layers=(0, 1))
    assert evaluate(model, data, session=blank) == evaluate(model, data)


def test_a_token_that_was_never_seen_counts_as_a_blind_guess(dataset: Path) -> None:
    data = Dataset.open(dataset)
    model = small_model(data)
    common = int(np.bincount(data.val[1:]).argmax())
    before = evaluate(model, data)
    model.logit_bias[common] = NEVER_SEEN
    after = evaluate(model, data)
    assert count_never_seen(model, data) == int((data.val == common).sum()) > 0
    assert before.loss / 2 < after.loss < 2 * math.log(model.config.vocab_size)
    opened = SessionMemory.blank(model.config, width=4, layers=(0, 1))
    assert count_never_seen(model, data, opened) == count_never_seen(model, data)


def test_a_validation_split_alone_is_enough(dataset: Path) -> None:
    data = Dataset.open(dataset)
    model = small_model(data)
    assert evaluate(model, open_validation(dataset)) == evaluate(model, data)


def test_fewer_windows_read_only_the_beginning(dataset: Path, make_run_config: Callable[..., object]) -> None:
    data = Dataset.open(dataset)
    model = small_model(data)
    some = evaluate(model, data, batch_size=4, max_windows=8)
    assert some != evaluate(model, data) and some.bits_per_byte > 0


def test_a_hopeless_loss_has_an_infinite_perplexity() -> None:
    assert summarise(1e6, 10, 10).perplexity == math.inf


def test_every_task_can_be_asked_for_by_name() -> None:
    assert ("auto", *KINDS) == TASKS
