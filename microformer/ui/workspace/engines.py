"""The models that are in memory: each checkpoint is loaded once and shared by every visitor."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from microformer import checkpoint
from microformer.checkpoint import Loaded
from microformer.generation.engine import Engine

Stamp = tuple[Path, int]


@dataclass(frozen=True)
class Speaker:
    """A loaded checkpoint and the engine whose thread owns its model."""

    loaded: Loaded
    engine: Engine


class Engines:
    """At most ``kept`` checkpoints besides the starter and those at work; the one unused for longest is closed first.

    ``streams`` is how many texts one visitor may have written at once by one engine.
    """

    def __init__(self, kept: int = 3, streams: int = 1024, load: Callable[[Path], Loaded] = checkpoint.load) -> None:
        self._kept, self._streams, self._load = kept, streams, load
        self._speakers: OrderedDict[Stamp, Speaker] = OrderedDict()
        self._resolved: dict[Stamp, Path] = {}
        self._lock = threading.RLock()

    def speaker(self, run: Path | str) -> Speaker:
        """The speaker of a run's best checkpoint, of one checkpoint directory, or of ``starter``.

        Raises ``UserError`` when there is none or it cannot be read.
        """
        with self._lock:
            directory = self._resolve(run)
            key = _stamp(directory / "manifest.json")  # a checkpoint of the same name may have been written anew
            if key not in self._speakers:
                loaded = self._load(directory)
                engine = Engine(loaded.model, loaded.tokenizer, max_streams=self._streams)
                self._speakers[key] = Speaker(loaded, engine)
            self._speakers.move_to_end(key)
            self._close_oldest()
            return self._speakers[key]

    def opened(self) -> list[Path]:
        """The checkpoints in memory, the one used last at the end."""
        with self._lock:
            return [speaker.loaded.checkpoint for speaker in self._speakers.values()]

    def close(self) -> None:
        """End every engine's thread."""
        with self._lock:
            for speaker in self._speakers.values():
                speaker.engine.close()
            self._speakers.clear()

    def _resolve(self, run: Path | str) -> Path:
        """``checkpoint.resolve``, which hashes every file, only when a checkpoint came or went since."""
        path = checkpoint.STARTER if str(run) == "starter" else Path(run)
        checkpoints = path / "checkpoints"
        stamp = _stamp(checkpoints if checkpoints.is_dir() else path)
        if not (known := self._resolved.get(stamp)) or not known.is_dir():
            if len(self._resolved) > 1000:
                self._resolved.clear()
            known = self._resolved[stamp] = checkpoint.resolve(run)
        return known

    def _close_oldest(self) -> None:
        idle = [
            key
            for key, speaker in self._speakers.items()
            if speaker.loaded.run != checkpoint.STARTER and not speaker.engine.busy
        ]
        others = sum(speaker.loaded.run != checkpoint.STARTER for speaker in self._speakers.values())
        newest = next(reversed(self._speakers))
        for key in [key for key in idle if key != newest][: max(0, others - self._kept)]:
            self._speakers.pop(key).engine.close()


def _stamp(path: Path) -> Stamp:
    """A path and when it last changed; a directory changes when something comes into it or goes."""
    try:
        return path, path.stat().st_mtime_ns
    except FileNotFoundError:
        return path, 0
