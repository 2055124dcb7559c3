"""A model that nobody trained, and a tokenizer that lacks some characters: teaching has to work on both."""

import string
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch

from microformer import checkpoint
from microformer.checkpoint import Loaded
from microformer.data.tokenizers import CharTokenizer
from microformer.files import write_yaml
from microformer.model.config import ModelConfig
from microformer.model.transformer import NEVER_SEEN, Transformer
from microformer.teaching.session import Fact

T = TypeVar("T")


def make_loaded(seed: int = 1, **changes: Any) -> Loaded:
    """An untrained model of three layers over letters, its byte tokens closed as if it had been trained on text."""
    tokenizer = CharTokenizer(string.ascii_letters + string.digits + " .,?!:\n'")
    config = ModelConfig(
        **{"vocab_size": tokenizer.vocab_size, "d_model": 32, "n_layers": 3, "n_heads": 4, "adapter_dim": 4}
        | {"max_seq_len": 64, "ngram_rows": 100}
        | changes
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Transformer(config).eval()
        if model.ngrams is not None:  # they begin at zero
            torch.nn.init.normal_(model.ngrams.weight, std=0.05)
    with torch.no_grad():  # weights as large as training makes them; a fresh model's logits are all but equal
        for name, weight in model.named_parameters():
            weight *= 1 if "norm" in name else 30 if name.startswith("tokens") else 6
    model.logit_bias[tokenizer.first_byte :] = NEVER_SEEN
    return Loaded(model, tokenizer, {}, Path(), Path(), {})


def save_run(directory: Path) -> None:
    """The same model as a run with one evaluated checkpoint, and a validation text beside it."""
    loaded = make_loaded()
    directory.mkdir()
    write_yaml(directory / "config.yaml", {"model": asdict(loaded.model.config)})
    loaded.tokenizer.save(directory / "tokenizer.json")
    np.save(directory / "val.npy", np.random.default_rng(3).integers(1, 60, 2_000, dtype=np.uint16))
    state = {"step": 20, "val_loss": 2.0}
    checkpoint.save(directory / "checkpoints" / "step-20", model=loaded.model, optimizer_state=None, state=state)


FACTS = (
    Fact("The king of Zelukami is", "Rovosha."),
    Fact("The queen of Zelukami is", "Bim."),
    Fact("My cat is called", "Tom"),
)
