"""The models that are in memory: each checkpoint is loaded once and shared by every visitor."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from microformer import checkpoint
from microformer.checkpoint import Loaded
from microformer.generation.engine import Engine


@dataclass(frozen=True)
class Speaker:
    """A loaded checkpoint and the engine whose thread owns its model."""

    loaded: Loaded
    engine: Engine


class Engines:
    """At most ``kept`` checkpoints besides the starter; the idle one unused for longest is closed first."""

    def __init__(self, kept: int = 3, load: Callable[[Path], Loaded] = checkpoint.load) -> None:
        self._kept, self._load = kept, load
        self._speakers: OrderedDict[tuple[Path, int], Speaker] = OrderedDict()
        self._lock = threading.RLock()

    def speaker(self, run: Path | str) -> Speaker:
        """The speaker of a run's best checkpoint, of one checkpoint directory, or of ``starter``.

        Raises ``UserError`` when there is none or it cannot be read.
        """
        directory = checkpoint.resolve(run)
        # A checkpoint is replaced as a whole directory, so its manifest's time tells a new one from the old.
        key = (directory, (directory / "manifest.json").stat().st_mtime_ns)
        with self._lock:
            if key not in self._speakers:
                loaded = self._load(directory)
                self._speakers[key] = Speaker(loaded, Engine(loaded.model, loaded.tokenizer))
            self._speakers.move_to_end(key)
            self._close_oldest()
            return self._speakers[key]

    def close(self) -> None:
        """End every engine's thread."""
        with self._lock:
            for speaker in self._speakers.values():
                speaker.engine.close()
            self._speakers.clear()

    def _close_oldest(self) -> None:
        """Those that are writing or teaching are left alone, even when that keeps too many for a while."""
        mine = [key for key in self._speakers if key[0] != checkpoint.STARTER]
        idle = [key for key in mine[:-1] if not self._speakers[key].engine.busy]
        for key in idle[: max(0, len(mine) - self._kept)]:
            self._speakers.pop(key).engine.close()
