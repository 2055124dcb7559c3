"""Which number format a run gets."""

import pytest
import torch

from microformer.errors import UserError
from microformer.training.precision import choose_precision, cpu_speedup
from microformer.training.runtime import find_device

CPU = torch.device("cpu")


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_what_is_asked_for_is_taken(asked: str) -> None:
    assert choose_precision(asked, CPU, tokens=64, width=16)[0] == asked


def test_auto_measures_and_says_why() -> None:
    chosen, why = choose_precision("auto", CPU, tokens=64, width=16)
    assert chosen in ("fp32", "bf16") and "measured" in why
    assert cpu_speedup(64, 16) > 0


def test_fp16_is_refused() -> None:
    with pytest.raises(UserError, match="bf16"):
        choose_precision("fp16", CPU, tokens=64, width=16)


def test_a_gpu_that_is_not_there_is_refused() -> None:
    assert find_device("cpu") == CPU
    if not torch.cuda.is_available():
        assert find_device("auto") == CPU
        with pytest.raises(UserError, match="no GPU"):
            find_device("cuda")
