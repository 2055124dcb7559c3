"""Work that takes a while: one of a kind at a time for each visitor, in a thread of the app.

It does not run in a browser's event, so a reload shows it again, still going.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from microformer.errors import UserError
from microformer.ui.workspace import Visitor, Workspace

log = logging.getLogger(__name__)

Progress = Callable[[float, str], None]
"""Takes the share done (0 to 1) and what is being done; raises ``Stopped`` when the visitor asked to stop."""
NONE = {"state": "none", "fraction": 0.0, "says": "", "source": "", "key": 0.0}
TROUBLE = "Something went wrong on the way; what happened is in the server's log."


class Stopped(Exception):
    """The visitor asked to stop."""


@dataclass
class Work:
    """Something under way, or ended. Its thread writes, anybody reads; ``state`` is set last."""

    name: str
    began: float
    source: str
    """What kind of work it is, for the page."""
    fraction: float = 0.0
    doing: str = "Starting"
    state: str = "working"
    """``working``, then ``done``, ``stopped`` or ``failed``."""
    message: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)


def start(workspace: Workspace, visitor: Visitor, kept_as: str, work: Work, steps: Callable[[Progress], None]) -> None:
    """Begin ``steps`` and return at once; what goes wrong in them becomes the message of ``work``."""
    workspace.registry.put(visitor, kept_as, work)

    def told(fraction: float, text: str) -> None:
        if fraction < 1:  # the last words may name a place on this machine, which is nobody's business
            if work.stop.is_set():
                raise Stopped
            work.doing = text
        work.fraction = fraction

    def run() -> None:
        state = "failed"
        try:
            steps(told)
            work.fraction, state = 1.0, "done"
        except Stopped:
            state = "stopped"
        except UserError as error:
            work.message = str(error)
        except Exception:
            log.exception("%s failed", kept_as)
            work.message = TROUBLE
        finally:
            work.state = state
            work.ended.set()

    threading.Thread(target=run, name=kept_as, daemon=True).start()


def refuse_second(work: Work | None, doing: str) -> None:
    """Raise ``UserError`` while such work is under way; ``doing`` completes "… is still"."""
    if work is not None and work.state == "working":
        raise UserError(f"“{work.name}” is still {doing}; wait for it, or stop it first.")


def stop(work: Work | None) -> None:
    """Ask it to stop before its next part; nothing of it is kept."""
    if work is not None:
        work.stop.set()


def shown(work: Work | None, working: str) -> dict[str, Any]:
    """What the browser shows of it: state, share done (0 to 1) and a sentence, which is ``working`` meanwhile."""
    if work is None:
        return NONE
    state, fraction = work.state, work.fraction  # the state first: what ends the work is written before it
    says = {"working": working, "stopped": "Stopped; nothing was kept."}.get(state, work.message)
    return {"state": state, "fraction": fraction, "says": says, "source": work.source, "key": work.began}
