"""Shared by all tests: tiny configurations and seeds. Nothing here reaches the network."""

import os
import signal

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from typing import Any

import torch
from hypothesis import settings

from microformer.model.config import ModelConfig

torch.set_num_threads(1)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # so a shell starts what is in the background; tests press Ctrl-C
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The same examples every time, so that a change is judged by what it changes (--hypothesis-profile=default explores).
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


def make_config(**changes: Any) -> ModelConfig:
    """Two layers, sixteen wide, with some fields changed: big enough to have every part, small enough to be instant."""
    plain: dict[str, Any] = {
        "vocab_size": 64,
        "d_model": 16,
        "n_layers": 2,
        "n_heads": 4,
        "max_seq_len": 32,
        "adapter_dim": 4,
    }
    return ModelConfig(**plain | changes)
