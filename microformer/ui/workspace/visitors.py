"""Who is asking. A browser keeps a random secret; the server knows only its hash.

The secret is a label that cannot be guessed, not a password: whoever holds it sees what was made with it.
"""

import hashlib
import re
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from microformer.errors import UserError

OWNER = "owner"
T = TypeVar("T")
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True)
class Visitor:
    """``key`` owns datasets and runs (``owner`` for everybody alone on a machine), ``browser`` owns sessions."""

    key: str
    browser: str
    hosted: bool = False

    @property
    def alone(self) -> bool:
        """Whether the machine belongs to one person, who may see and do everything."""
        return not self.hosted


def new_secret() -> str:
    """A fresh secret for a browser to keep: 256 random bits."""
    return secrets.token_urlsafe(32)


def is_secret(value: Any) -> bool:
    """Whether ``value``, which came from a browser, has the form of a secret of ours."""
    return isinstance(value, str) and _SECRET.fullmatch(value) is not None


def recognise(secret: Any, *, hosted: bool) -> Visitor:
    """The visitor who holds ``secret``, or ``UserError`` when a hosted page is asked by nobody in particular."""
    if is_secret(secret):
        browser = hashlib.sha256(secret.encode()).hexdigest()[:12]
        return Visitor(browser if hosted else OWNER, browser, hosted)
    if hosted:
        raise UserError("Your browser has not introduced itself yet; reload the page and try again.")
    return Visitor(OWNER, OWNER, hosted)


class Registry:
    """What is kept in memory for each visitor: the job in progress, the conversation, the last samples.

    Holds the visitors seen most recently and drops the others, so that strangers cannot fill the memory.
    """

    def __init__(self, visitors: int = 500) -> None:
        self._visitors = visitors
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lock = threading.RLock()

    def keep(self, visitor: Visitor, name: str, make: Callable[[], T]) -> T:
        """The visitor's object of this name, made on first use. Different visitors never share one."""
        with self._lock:
            mine = self._kept.setdefault(visitor.browser, {})
            self._kept.move_to_end(visitor.browser)
            while len(self._kept) > self._visitors:
                self._kept.popitem(last=False)
            if name not in mine:
                mine[name] = make()
            return mine[name]

    def put(self, visitor: Visitor, name: str, value: Any) -> None:
        """Replace the visitor's object of this name."""
        with self._lock:
            self.keep(visitor, name, lambda: value)
            self._kept[visitor.browser][name] = value

    def get(self, visitor: Visitor, name: str, default: Any = None) -> Any:
        """The visitor's object of this name, or ``default``."""
        with self._lock:
            return self._kept.get(visitor.browser, {}).get(name, default)

    def forget(self, visitor: Visitor) -> None:
        """Drop everything kept for the visitor."""
        with self._lock:
            self._kept.pop(visitor.browser, None)
