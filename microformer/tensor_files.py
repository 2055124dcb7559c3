"""Tensors to and from safetensors files. Nothing in a file is trusted: its header is checked first."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from microformer.errors import UserError

MAX_PARAMETERS = 2_000_000_000
MAX_HEADER_BYTES = 2**24
FLOATS = ("F32", "F16", "BF16")
INTEGERS = {torch.int8: ("I8",), torch.uint8: ("U8",)}


def save_tensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write tensors as safetensors; a full disk raises ``OSError``, as for any other file."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(plain, path, metadata=metadata)
    except Exception as error:  # the library reports a full disk as an error type of its own
        if "os error 28" in str(error).lower() or "no space" in str(error).lower():
            raise OSError(28, "No space left on device") from error
        raise


def load_tensors(path: Path, expected: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Tensors of a safetensors file. With ``expected`` (on the device ``meta``), exactly those names, shapes and types.

    Where a float is expected, a file may hold floats of other sizes. The header is read and checked before any memory
    is asked for.
    """
    header = read_header(path)
    if expected is not None:
        names = {name for name in header if name != "__metadata__"}
        if names != set(expected):
            odd = sorted(names ^ set(expected))[0]
            raise UserError(f"{path.name} does not fit its configuration: the weight {odd} is missing or unknown.")
        for name, tensor in expected.items():
            kinds = INTEGERS.get(tensor.dtype, FLOATS)
            if tuple(header[name]["shape"]) != tuple(tensor.shape) or header[name]["dtype"] not in kinds:
                raise UserError(
                    f"{path.name} does not fit its configuration: {name} is {header[name]['shape']} of "
                    f"{header[name]['dtype']}, but must be {list(tensor.shape)} of {' or '.join(kinds)}."
                )
    try:
        tensors = load_file(path)
    except Exception as error:  # whatever the library finds wrong, the file is not usable
        raise UserError(f"{path.name} cannot be read as safetensors: {error}.") from error
    return tensors if expected is None else {name: tensors[name].to(one.dtype) for name, one in expected.items()}


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: names, types and shapes; refuses duplicates and absurd sizes."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > MAX_HEADER_BYTES:
                raise ValueError
            header = json.loads(file.read(length), object_pairs_hook=_without_duplicates)
        count = 0
        for name, entry in header.items():
            if name != "__metadata__":
                size = 1
                for side in entry["shape"]:
                    size *= int(side)
                count += size
                if size < 0 or not isinstance(entry["dtype"], str):
                    raise ValueError
    except FileNotFoundError:
        raise UserError(f"There is no file {path}.") from None
    except (ValueError, struct.error, KeyError, TypeError, AttributeError, RecursionError):
        raise UserError(f"{path.name} is not a safetensors file.") from None
    if count > MAX_PARAMETERS:
        raise UserError(f"{path.name} holds {count:,} numbers, more than the {MAX_PARAMETERS:,} that are allowed.")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)
