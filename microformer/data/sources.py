"""Where text comes from: the program's own Tiny Tales, a person's files, or public corpora on the Hugging Face Hub.

Nothing else in ``data`` reaches the network, and this does only for ``hub:NAME``.
"""

import functools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from microformer.data.corpora import CORPORA, Corpus
from microformer.data.reading import Piece, read_files
from microformer.data.tables import Row, kind_of_files, read_rows
from microformer.errors import UserError

if TYPE_CHECKING:
    from microformer.data.tales.sets import TalesSet

MAX_BYTES = 10**12
VAL_EVERY = 10
"""Of rows with answers, one in this many is kept for validation."""


class Unreachable(UserError):
    """A public corpus could not be fetched; Tiny Tales can be made without a network."""


Source = str | Path | Sequence[str | Path]


def read_source(
    source: Source,
    *,
    seed: int,
    size: int,
    limit: int | None,
    progress: Callable[[float], None] = lambda fraction: None,
) -> Iterator[Piece]:
    """The documents of a source, in pieces, with ``\\n`` line ends and without NUL.

    ``source`` is ``tales`` (``size`` bytes of stories from ``seed``), ``hub:NAME``, or one or more paths. At most
    about ``limit`` bytes are read from files and the Hub. ``progress`` is called with the fraction done. Raises
    ``UserError``.
    """
    paths = _paths(source)
    if len(paths) == 1 and paths[0] == "tales":
        return _tales(size, seed, progress)
    if len(paths) == 1 and str(paths[0]).startswith("hub:"):
        return _hub(str(paths[0]).removeprefix("hub:"), limit, progress)
    return read_files([Path(path) for path in paths], limit, progress)


def is_made(source: Source) -> bool:
    """Whether a source is Tiny Tales, which the program makes."""
    paths = _paths(source)
    return len(paths) == 1 and isinstance(paths[0], str) and paths[0].partition(":")[0] == "tales"


def kind_of_source(source: Source) -> str:
    """What a source holds: ``text``, or ``labelled``, ``valued`` or ``paired`` rows. Raises ``UserError``."""
    paths = _paths(source)
    if len(paths) == 1 and str(paths[0]).startswith("tales:"):
        return _tales_set(str(paths[0])).kind
    if len(paths) == 1 and (paths[0] == "tales" or str(paths[0]).startswith("hub:")):
        return "text"
    return kind_of_files([Path(path) for path in paths])


def rows_of_source(
    source: Source, split: str, *, val: Source | None, seed: int, size: int, limit: int | None
) -> Iterator[Row]:
    """The rows of ``train`` or ``val``: every tenth row of some files is for validation, or those of ``val``.

    (Files are often sorted, so the last tenth may lack a label.) The validation rows of Tiny Tales come from a seed of
    their own. Raises ``UserError``.
    """
    paths = _paths(source)
    if str(paths[0]).startswith("tales:"):
        if val is not None:
            raise UserError(f"{paths[0]} makes its own rows to validate on; leave {source_name(val)} out.")
        tales = _tales_set(str(paths[0]))
        return tales.rows(int(size * (0.9 if split == "train" else 0.1)), f"{split} {seed}")
    kind = kind_of_source(source)
    if val is not None:
        if kind_of_source(val) != kind:
            raise UserError(f"{source_name(val)} holds {kind_of_source(val)} rows, but {source_name(source)} {kind}.")
        chosen = _paths(source if split == "train" else val)
        return read_rows([Path(path) for path in chosen], kind, limit)
    rows = enumerate(read_rows([Path(path) for path in paths], kind, limit), start=1)
    return (row for number, row in rows if (number % VAL_EVERY == 0) == (split == "val"))


def _paths(source: Source) -> list[str | Path]:
    paths = [source] if isinstance(source, str | Path) else list(source)
    if not paths:
        raise UserError("There is no source; give tales, hub:NAME or text files.")
    return paths


def _tales_set(name: str) -> "TalesSet":
    from microformer.data.tales.sets import SETS

    name = name.removeprefix("tales:")
    if name not in SETS:
        raise UserError(f"There is no set tales:{name}; known are {', '.join(f'tales:{known}' for known in SETS)}.")
    return SETS[name]


def source_name(source: Source) -> str:
    """How a source is shown to people: file names without their folders."""
    paths = [source] if isinstance(source, str | Path) else list(source)
    names = [path if isinstance(path, str) and path.startswith("hub:") else Path(path).name for path in paths]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def parse_size(text: str | int) -> int:
    """Bytes from ``5MB``, ``800 kB``, ``1.5GB`` or a plain number; ``UserError`` for anything else."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmg]?)b?\s*", str(text), re.IGNORECASE)
    size = float(match[1]) * {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[match[2].lower()] if match else 0
    if not 1 <= size <= MAX_BYTES:
        raise UserError(f"The size {text!r} is not understood; write it like 500KB, 5MB or 1GB.")
    return int(size)


def _tales(size: int, seed: int, progress: Callable[[float], None]) -> Iterator[Piece]:
    from microformer.data.tales import corpus  # reads its lexicon, which nothing else needs

    done = 0
    for story in corpus(size, seed):
        yield Piece(story, True)
        done += len(story)
        progress(min(1.0, done / size))


def _hub(name: str, limit: int | None, progress: Callable[[float], None]) -> Iterator[Piece]:
    """The documents of a public corpus, read over the network as far as they are needed."""
    if name not in CORPORA:
        raise UserError(f"There is no corpus hub:{name}; known are {', '.join('hub:' + known for known in CORPORA)}.")
    corpus = CORPORA[name]
    total = min(limit or corpus.bytes, corpus.bytes)
    done = 0
    try:
        for piece in _stream_text(corpus) if corpus.files[0].endswith(".txt") else _stream_rows(corpus):
            text = piece.text.replace("\r\n", "\n").replace("\0", "")
            yield Piece(text, piece.ends)
            done += len(text.encode("utf-8", "replace"))
            progress(min(1.0, done / total))
            if limit and done >= limit:
                return
    except Exception as error:
        if isinstance(error, UserError | MemoryError):
            raise
        # Each library below has its own exceptions for "no network", "no such repository", "proxy", "time-out".
        raise Unreachable(
            f"hub:{name} could not be read from the Hugging Face Hub ({type(error).__name__}); check the network "
            "connection, or make Tiny Tales on the spot."
        ) from error


def _stream_text(corpus: Corpus) -> Iterator[Piece]:
    """The documents of plain text files, which ``corpus.separator`` divides."""
    from huggingface_hub import HfFileSystem

    system = HfFileSystem(token=False)
    for file_name in corpus.files:
        path = f"datasets/{corpus.repository}@{corpus.revision}/{file_name}"
        with system.open(path, "r", encoding="utf-8", block_size=2**20) as file:
            yield from documents_of_blocks(iter(functools.partial(file.read, 2**20), ""), corpus.separator)


def documents_of_blocks(blocks: Iterable[str], separator: str) -> Iterator[Piece]:
    """Text that arrives in blocks as documents: what stands between separators, without the line ends around it."""
    rest = ""
    for block in blocks:
        *whole, rest = (rest + block).split(separator)
        yield from (Piece(text.strip("\n"), True) for text in whole)
    yield Piece(rest.strip("\n"), True)


def _stream_rows(corpus: Corpus) -> Iterator[Piece]:
    """The documents of Parquet files: one in each row, or from a row that ``begins`` one to the next."""
    import datasets

    urls = [f"hf://datasets/{corpus.repository}@{corpus.revision}/{name}" for name in corpus.files]
    rows = datasets.load_dataset("parquet", data_files=urls, split="train", streaming=True, token=False)
    return documents_of_rows((row["text"] for row in rows), corpus.begins)


def documents_of_rows(rows: Iterable[str], begins: str) -> Iterator[Piece]:
    """Rows of text as documents: see ``Corpus.begins``."""
    for text in rows:
        if not begins:
            yield Piece(text, True)
            continue
        if re.match(begins, text):
            yield Piece("", True)
        yield Piece(text, False)
