"""A decoder in onnxruntime says what it says here, with the keys and values carried from call to call."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor

from microformer.adapters.build import build_model
from microformer.errors import UserError
from microformer.model.config import POSITIONS
from microformer.onnx_export import onnx_bytes
from tests.conftest import make_config

VARIED: dict[str, dict[str, Any]] = {
    "learned": {
        "n_layers": 1,
        "norm": "layernorm",
        "bias": True,
        "activation": "gelu",
        "tie_weights": False,
        "norm_position": "post",
    },
    "sinusoidal": {"n_layers": 1, "embedding_norm": True, "activation": "relu_squared", "adapter_dim": 0},
    "rotary": {"n_kv_heads": 2, "rotary_pct": 0.5, "qk_norm": True, "lora_rank": 2},
    "alibi": {"n_layers": 1, "n_kv_heads": 1, "window": 6, "sinks": 1},
    "none": {"n_layers": 1, "activation": "geglu", "ngram_rows": 50},
}


def nothing_read(shape: list[int | str], batch: int) -> list[int]:
    return [{"batch": batch, "past": 0}.get(str(size), size) for size in shape]


class Runtime:
    """A graph in onnxruntime with the past that it was last told: (batch, seq) -> (batch, seq, vocab)."""

    def __init__(self, graph: bytes, batch: int) -> None:
        self.session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
        past = [one for one in self.session.get_inputs() if one.name != "tokens"]
        kinds = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
        self.past = {one.name: np.zeros(nothing_read(one.shape, batch), kinds[one.type]) for one in past}

    def __call__(self, tokens: Tensor) -> Tensor:
        logits, *present = self.session.run(None, {"tokens": tokens.numpy(), **self.past})
        self.past = dict(zip(self.past, present, strict=True))
        return torch.from_numpy(logits)


@pytest.mark.parametrize("position", POSITIONS)
@torch.no_grad()
def test_greedy_tokens_with_the_cache_are_those_of_the_model(position: str) -> None:
    torch.manual_seed(0)
    model = build_model(make_config(position=position, max_seq_len=40, **VARIED[position])).eval()
    for weight in model.parameters():
        weight.add_(0.2 * torch.randn_like(weight))  # fresh adapters and additions are zero
    graph = onnx_bytes(model, {"tokenizer": "where it is"})
    assert b"attention.py" not in graph  # the exporter notes for each node where in our source it comes from
    for batch in (1, 2):
        theirs, cache = Runtime(graph, batch), model.new_cache(batch)
        assert theirs.session.get_modelmeta().custom_metadata_map == {"context": "40", "tokenizer": "where it is"}
        tokens = torch.randint(64, (batch, 5))
        for read in (tokens, tokens[:, :3], *[None] * 30):  # a prompt, more of it, then token by token
            tokens = tokens if read is None else read
            ours, logits = model(tokens, cache=cache), theirs(tokens)
            torch.testing.assert_close(logits, ours, atol=1e-4, rtol=0)
            tokens = ours[:, -1:].argmax(-1)
            assert torch.equal(tokens, logits[:, -1:].argmax(-1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"kind": "encoder"}, "is an encoder"),
        ({"kind": "encoder_decoder"}, "is an encoder_decoder"),
        ({"outputs": 3}, "tells 3 numbers"),
        ({"bits": 8}, "is quantized"),
        ({"max_seq_len": 3}, "context is 3"),
    ],
)
def test_what_onnx_cannot_hold_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        onnx_bytes(build_model(make_config(**changes)))


def test_ctrl_c_is_told_from_what_cannot_be_said() -> None:
    def half_imported(*arguments: object) -> None:  # as the exporter is, when Ctrl-C meets one of its own imports
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            raise AttributeError("a module lacks the rest of itself")  # noqa: B904

    model = build_model(make_config(n_layers=1))
    model.register_forward_pre_hook(half_imported)
    with pytest.raises(KeyboardInterrupt):
        onnx_bytes(model)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("microformer.onnx_export.PACKAGES", ("onnx", "not_there"))
    with pytest.raises(UserError, match=r"package not_there, .* pip install -e '\.\[onnx\]'"):
        onnx_bytes(build_model(make_config()))
