"""A second device made of this machine's memory, for machines without a GPU.

Its tensors say that they are on ``OTHER`` (PyTorch's ``meta``), hold their numbers on the CPU, and refuse to be
computed with tensors that are not there, as a GPU's do. Attention is as strict about number formats as the kernels of
a GPU are.
"""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

OTHER = torch.device("meta")
MIXING = ("aten::_to_copy", "aten::copy_", "aten::_foreach_copy_", "aten::index")
"""Operations that a GPU does with tensors of both: it moves, or is told places by an index that is elsewhere."""
READING = "aten::_local_scalar_dense"


class There(Tensor):
    """A tensor on the other device; ``held`` is what it is."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> "There":
        made: There = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=OTHER,
        )
        made.held = held
        return made

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Everything(TorchDispatchMode):
    """Sees also what is made of nothing, or of tensors that are here."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


class _Calls(TorchFunctionMode):
    """What is not an operation yet: making a tensor of a list and a list of a tensor, and attention."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.tensor and kwargs.get("device") == OTHER:
            return torch.tensor(*args, **kwargs | {"device": "cpu"}).to(OTHER)
        if func is Tensor.tolist and isinstance(args[0], There):
            return args[0].held.tolist()
        if func is F.scaled_dot_product_attention:
            mask = args[3] if len(args) > 3 else kwargs.get("attn_mask")
            assert mask is None or mask.dtype in (torch.bool, args[0].dtype), "invalid dtype for bias"
        return func(*args, **kwargs)


@contextlib.contextmanager
def other_device() -> Iterator[torch.device]:
    """Inside, the device ``OTHER`` holds numbers."""
    before = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # .data cannot be exchanged
    try:
        with (
            _Calls(),
            _Everything(),
            mock.patch("torch._C._InferenceMode", lambda mode: torch.no_grad()),
        ):  # wrappers know no other
            yield OTHER
    finally:
        torch.__future__.set_overwrite_module_params_on_conversion(before)


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do an operation where its tensors are, or where it is told to."""
    name, tensors = func._schema.name, [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
    there = any(isinstance(one, There) for one in tensors)
    if there and name not in MIXING and any(one.ndim and not isinstance(one, There) for one in tensors):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device")
    if kwargs.get("device") is not None:
        there = torch.device(kwargs["device"]) == OTHER
        kwargs = kwargs | {"device": torch.device("cpu")}
    made = func(*tree_map(_held, args), **tree_map(_held, kwargs))
    same = {id(one.held): one for one in tensors if isinstance(one, There)}  # what works in place returns its argument

    def placed(one: Any) -> Any:
        if not isinstance(one, Tensor) or id(one) in same:
            return same.get(id(one), one)
        return There(one) if there and name != READING else one

    return tree_map(placed, made)


def _held(one: Any) -> Any:
    return one.held if isinstance(one, There) else one
