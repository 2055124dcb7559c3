"""Models without values: names, shapes and types of every weight, in no memory and next to no time."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class _LeaveUnset(TorchFunctionMode):
    """Weights get no first values: they have no memory to keep them in, and the attempt imports PyTorch's compiler."""

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__module__", None) == "torch.nn.init":
            return args[0] if args else (kwargs or {})["tensor"]
        return func(*args, **(kwargs or {}))


@contextlib.contextmanager
def outline() -> Iterator[None]:
    """What is built inside has its weights on the device ``meta``."""
    with torch.device("meta"), _LeaveUnset():
        yield
