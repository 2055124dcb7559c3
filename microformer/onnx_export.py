"""A decoder as one ONNX file, so that other programs can run it (onnxruntime in a browser or on a phone, say).

ONNX has no state: the keys and values of what was read go in and out with every call. The file holds the model alone.
"""

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from microformer.adapters.lora import merged
from microformer.checkpoint import load
from microformer.errors import UserError
from microformer.files import check_new_file, write_bytes
from microformer.model.cache import KVCache
from microformer.model.config import ModelConfig
from microformer.model.ngrams import NO_TOKEN
from microformer.model.transformer import Transformer

PACKAGES = ("onnx", "onnxscript")
LARGEST = 2**31 - 2**20
"""Bytes of weights that fit one file: ONNX is a protocol buffer, and those end at 2 GB."""
TRACED = 2
"""Rows, new tokens and tokens of the past that the graph is traced with; 0 and 1 would be kept as constants."""


class CarriedCache(KVCache):
    """Keys and values that are handed in, as many tokens in every row, and grow instead of being written into.

    ``past``: keys and values of block 0, then of block 1, and so on: (batch, kv_heads, past, head_dim) each.
    ``tokens`` (batch, past) are needed where n-grams are looked up.
    """

    uniform = False  # places are then looked up one by one: the graph must hold for any number of tokens

    def __init__(self, past: Sequence[Tensor], tokens: Tensor | None = None) -> None:
        self.keys, self.values = list(past[::2]), list(past[1::2])
        if tokens is not None:
            self.tokens = tokens
        self.lengths = [past[0].shape[2]]
        self.source, self.across, self.counts = None, {}, None

    def put(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """See ``KVCache``."""
        self.keys[layer] = torch.cat([self.keys[layer], keys], dim=2)
        self.values[layer] = torch.cat([self.values[layer], values], dim=2)
        return self.keys[layer], self.values[layer]

    def follow(self, tokens: Tensor, before: int) -> Tensor:
        """See ``KVCache``."""
        self.tokens = torch.cat([self.tokens, tokens], dim=1)
        return F.pad(self.tokens, (before, 0), value=NO_TOKEN)[:, -before - tokens.shape[1] :]

    def positions(self, new: int, device: torch.device | None = None) -> Tensor:
        """The same in every row. *Shape:* (1, new)."""
        return torch.arange(self.lengths[0], self.lengths[0] + new, device=device)[None]

    @property
    def present(self) -> list[Tensor]:
        """What is ``past`` to the tokens that come next."""
        return [one for both in zip(self.keys, self.values, strict=True) for one in both]


class Step(nn.Module):
    """What the graph computes: tokens (batch, seq) and the past -> logits (batch, seq, vocab) and the present.

    The past is keys and values and, where n-grams are looked up, tokens.
    """

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor, past: list[Tensor], past_tokens: Tensor | None = None) -> tuple[Any, ...]:
        cache = CarriedCache(past, past_tokens)
        logits = self.model(tokens, cache=cache)
        return (logits, cache.present) if past_tokens is None else (logits, cache.present, cache.tokens)


def export_onnx(run: str | Path, file: Path) -> Path:
    """Write the decoder of ``run`` (its best checkpoint, or the one that is named) as ONNX; returns ``file``.

    Raises ``UserError`` when it is not a plain decoder, a package is missing, or the file cannot be written.
    """
    check_new_file(file, "model.onnx")
    loaded = load(run)
    write_bytes(file, onnx_bytes(loaded.model, {"tokenizer": f"tokenizer.json of the run {loaded.run.name}"}))
    return file


def onnx_bytes(model: Transformer, about: dict[str, str] | None = None) -> bytes:
    """The graph of a decoder with its weights, and ``about`` as metadata. Raises ``UserError`` where there is none.

    Inputs are ``tokens`` (batch, seq) of int64 and, for each block, ``past_key_values.N.key`` and ``.value`` (batch,
    kv_heads, past, head_dim); outputs are ``logits`` (batch, seq, vocab) and ``present.N.key`` and ``.value``, with
    ``seq`` tokens more. Where n-grams are looked up, ``past_tokens`` (batch, past) and ``present_tokens`` come last.
    Every size but those of the model is free, and the past of a text's beginning is empty.
    Low-rank additions become part of the weights.
    """
    _check(model)
    program = _traced(merged(model))
    for node in program.model.graph.all_nodes():
        node.metadata_props.clear()  # lines of our source: most of a small file
    program.model.metadata_props.update({"context": str(model.config.max_seq_len), **(about or {})})
    made: bytes = program.model_proto.SerializeToString()
    return made


def _traced(model: Transformer) -> Any:
    config = model.config
    layers = [f"{layer}.{part}" for layer in range(config.n_layers) for part in ("key", "value")]
    past = [torch.zeros(TRACED, config.kv_heads, TRACED, config.head_dim) for _ in layers]
    tokens, past_tokens = (torch.zeros(TRACED, TRACED, dtype=torch.long) for _ in range(2))
    read = [] if model.ngrams is None else ["tokens"]
    try:
        with torch.no_grad(), _quietly():
            return torch.onnx.export(
                Step(model).eval(),
                (tokens, past, *(past_tokens for _ in read)),
                dynamo=True,
                verbose=False,
                input_names=["tokens", *(f"past_key_values.{one}" for one in layers), *(f"past_{one}" for one in read)],
                output_names=["logits", *(f"present.{one}" for one in layers), *(f"present_{one}" for one in read)],
                dynamic_shapes=(
                    {0: "batch", 1: "seq"},
                    [{0: "batch", 2: "past"}] * len(past),
                    *({0: "batch", 1: "past"} for _ in read),
                ),
            )
    except torch.onnx.errors.OnnxExporterError as error:
        if interrupted(error):
            raise KeyboardInterrupt from error
        raise UserError("A part of this model cannot be said in ONNX; export the run as .zip instead.") from error


def interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C led to an error: pressed during an import, it leaves half a module for others to trip on."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def check_packages() -> None:
    """Raise ``UserError`` where a package is missing that writes ONNX."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"Writing ONNX needs the package {missing[0]}, which is not installed; pip install -e '.[onnx]' adds it."
        )


def _check(model: Transformer) -> None:
    check_packages()
    config: ModelConfig = model.config
    if not config.continues_text:
        what = f"tells {config.outputs} numbers about a text" if config.outputs else f"is an {config.kind}"
        raise UserError(f"Only decoders that write text can be exported as ONNX, but this model {what}.")
    if config.bits < 32:
        raise UserError(f"This model is quantized (bits is {config.bits}); export the run it was made from as ONNX.")
    if config.max_seq_len < 2 * TRACED:
        raise UserError(f"This model's context is {config.max_seq_len}; ONNX needs one of at least {2 * TRACED}.")
    size = sum(one.nbytes for one in model.state_dict().values())
    if size > LARGEST:
        raise UserError(f"This model's weights take {size / 1e9:.1f} GB, but an ONNX file holds at most 2 GB.")


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without what the exporter says about itself and about packages that it does not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
