"""From a source of text to a dataset on disk: tokens, tokenizer and the card that describes them."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from microformer.data.counting import describe_tokens
from microformer.data.info import DatasetInfo
from microformer.data.row_spools import RowSpools
from microformer.data.sources import (
    Source,
    is_made,
    kind_of_source,
    parse_size,
    read_source,
    rows_of_source,
    source_name,
)
from microformer.data.spool import Spool
from microformer.data.tables import Row
from microformer.data.tokenizers import (
    DOCUMENT_END,
    KINDS,
    LEARNED,
    Tokenizer,
    build_tokenizer,
    find_tokenizer,
    load_tokenizer,
)
from microformer.errors import UserError
from microformer.files import directory_written_whole

SIZE, SEED = "5MB", 1
"""Of Tiny Tales, where nothing else is asked for."""
MIN_CHARACTERS = 200
VAL_FRACTION = 0.1
# BPE learns from at most this much text, taken evenly from everywhere: more hardly changes what it learns.
SAMPLE_BYTES = 10_000_000
PREVIEW_CHARACTERS = 2_000

Progress = Callable[[float, str], None]


def prepare(
    source: Source,
    tokenizer: str,
    out: Path | str,
    *,
    vocab_size: int | None = None,
    size: str | int | None = None,
    seed: int | None = None,
    limit: str | int | None = None,
    val: Source | None = None,
    name: str | None = None,
    progress: Progress | None = None,
    clock: Callable[[], float] = time.time,
) -> DatasetInfo:
    """Write the dataset directory ``out``, whole or not at all, and return its card.

    ``source``: ``tales`` or one of its sets of rows such as ``tales:mood`` (``size`` bytes made from ``seed``; 5 MB
    from 1), ``hub:NAME``, or paths of ``.txt``, ``.md``, ``.jsonl`` and ``.csv`` files (the first ``limit`` bytes).
    ``tokenizer``: ``char``, ``byte``, ``bpe``, ``wordpiece``, or the path of a tokenizer file or of a dataset or run
    directory. ``val``: what to validate on instead of the last tenth of a text, or every tenth row.
    ``progress(fraction, text)`` is called on the way, and may raise to cancel. An ``out`` that is a dataset already is
    replaced. ``clock`` gives seconds since 1970. Raises ``UserError`` for everything a user can cause.
    """
    out, report = Path(out), progress or (lambda fraction, text: None)
    _check_out(out)
    given = _given_tokenizer(tokenizer, vocab_size)
    _refuse_what_says_nothing(source, size, seed, limit)
    asked = {
        "seed": SEED if seed is None else seed,
        "size": parse_size(SIZE if size is None else size),
        "limit": None if limit is None else parse_size(limit),
    }
    kind = kind_of_source(source)
    with directory_written_whole(out) as directory:
        rows = _read_rows(source, kind, val, directory, asked, report) if kind != "text" else None
        spools = rows.spools if rows else _read_text(source, val, directory, asked, report)
        made = given or _make_tokenizer(tokenizer, spools, vocab_size, report)
        made.save(directory / "tokenizer.json")
        counted = _write_splits(directory, made, spools[0], spools[1], report)
        if rows is not None:
            counted = _with_answers(counted, rows, directory, made)
        info = DatasetInfo(
            name=name or source_name(source),
            preview=next(spools[0].blocks())[:PREVIEW_CHARACTERS].replace(DOCUMENT_END, "\n\n"),
            note="" if given else _note(made, spools[0]),
            created=clock(),
            **_origin(source, asked),
            **counted,
        )
        info.write(directory)
        for spool in set(spools):
            spool.path.unlink()
    report(1.0, "Done")
    return info


def _check_out(out: Path) -> None:
    """Refuse to replace anything that is not a dataset: it would be gone."""
    is_empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not is_empty and not (out / "dataset.json").is_file():
        raise UserError(f"{out} exists and is not a dataset; choose another place.")


def _refuse_what_says_nothing(
    source: Source, size: str | int | None, seed: int | None, limit: str | int | None
) -> None:
    """Only what is made has a size and a seed, and only of what is read can a limit leave some out."""
    made = is_made(source)
    given = {"limit": limit} if made else {"size": size, "seed": seed}
    for name, value in given.items():
        if value is not None:
            raise UserError(
                f"The {name} is {value}, but {source_name(source)} "
                + ("is made and not read; give a size instead." if made else "is read and not made; leave it out.")
            )


def _origin(source: Source, asked: dict[str, Any]) -> dict[str, Any]:
    """Where the text came from, as the card tells it; only Tiny Tales are made from a seed and to a size."""
    made = ("seed", "size") if is_made(source) else ()
    return {"source": source_name(source), "limit": asked["limit"]} | {name: asked[name] for name in made}


def _read_text(
    source: Source, val: Source | None, directory: Path, asked: dict[str, Any], report: Progress
) -> list[Spool]:
    """The text and the validation text: the same spool twice where one is a part of the other."""
    text = _spool(source, directory / "text", asked, lambda done: report(0.4 * done, "Reading text"))
    if val is None:
        return [text, text]
    return [text, _spool(val, directory / "val_text", asked, lambda done: report(0.4, "Reading validation text"))]


def _spool(source: Source, path: Path, asked: dict[str, Any], progress: Callable[[float], None]) -> Spool:
    spool = Spool(path)
    spool.fill(read_source(source, progress=progress, **asked))
    _refuse_little(spool.characters, source)
    return spool


def _read_rows(
    source: Source, kind: str, val: Source | None, directory: Path, asked: dict[str, Any], report: Progress
) -> RowSpools:
    def rows_of(split: str) -> Iterator[Row]:
        return rows_of_source(source, split, val=val, **asked)

    rows = RowSpools(kind, rows_of, directory, lambda done: report(0.4 * done, "Reading rows"))
    _refuse_little(sum(spool.characters for spool in rows.spools), source)
    return rows


def _refuse_little(characters: int, source: Source) -> None:
    if characters < MIN_CHARACTERS:
        what = f"has only {characters:,} characters" if characters else "is empty"
        raise UserError(
            f"The text ({source_name(source)}) {what}; at least {MIN_CHARACTERS} characters are needed, and about a "
            "million to train a model that writes."
        )


def _with_answers(counted: dict[str, Any], rows: RowSpools, directory: Path, tokenizer: Tokenizer) -> dict[str, Any]:
    """What is known of a dataset, with what its answers add once they are written."""
    for split, spool in rows.targets.items():
        _encode(tokenizer, spool, 0, spool.file_bytes, directory / f"{split}.targets.npy", lambda done: None)
    added = rows.write(directory)
    warning = " ".join(sentence for sentence in (counted["warning"], rows.warning()) if sentence)
    return counted | added | {"warning": warning, "sha256": counted["sha256"] | added["sha256"]}


def _given_tokenizer(tokenizer: str, vocab_size: int | None) -> Tokenizer | None:
    """The tokenizer that exists already, or nothing where one is to be made."""
    if tokenizer in KINDS:
        return None
    if vocab_size is not None:
        raise UserError(f"A vocabulary size ({vocab_size}) cannot be chosen for a tokenizer that exists already.")
    return load_tokenizer(find_tokenizer(tokenizer))


def _make_tokenizer(kind: str, spools: list[Spool], vocab_size: int | None, report: Progress) -> Tokenizer:
    def blocks() -> Iterator[str]:
        done = 0
        for spool in dict.fromkeys(spools):  # the same one twice where the validation text is a part of it
            for block in spool.sample(SAMPLE_BYTES if kind in LEARNED else spool.file_bytes):
                report(0.4 + 0.1 * min(1.0, done / spool.file_bytes), "Making the tokenizer")
                yield block
                done += len(block)

    return build_tokenizer(kind, blocks(), vocab_size)


def _write_splits(
    directory: Path, tokenizer: Tokenizer, text: Spool, val_text: Spool, report: Progress
) -> dict[str, Any]:
    """Write ``train.npy`` and ``val.npy``, and count what is in them.

    The split is made in the text and not in the tokens, so that every tokenizer is measured on the same text.
    """
    train_end, val_start = text.file_bytes, 0
    if val_text is text:
        train_end = val_start = text.cut(1 - VAL_FRACTION)
    _encode(tokenizer, text, 0, train_end, directory / "train.npy", lambda done: report(0.5 + 0.35 * done, "Encoding"))
    _encode(tokenizer, val_text, val_start, val_text.file_bytes, directory / "val.npy", lambda done: None)
    report(0.85, "Counting tokens")
    counted = _describe_text({text, val_text}, val_text, val_start) | describe_tokens(directory, tokenizer)
    return counted | {"characters_per_token": counted["characters"] / counted["tokens"]}


def _encode(
    tokenizer: Tokenizer, text: Spool, start: int, stop: int, path: Path, progress: Callable[[float], None]
) -> None:
    """Write the tokens of a part of the text as ``.npy``, block by block."""
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32)
    tokens = characters = 0
    with path.open("wb") as file:
        _write_header(file, dtype, tokens)
        for block in text.blocks(start, stop):
            ids = tokenizer.encode_documents(block)
            file.write(ids.astype(dtype).data)
            tokens += len(ids)
            characters += len(block)
            progress(min(1.0, characters / (stop - start)))
        file.seek(0)
        _write_header(file, dtype, tokens)  # as long as the first one: the format leaves room for the count to grow


def _write_header(file: IO[bytes], dtype: np.dtype, tokens: int) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": (tokens,)}
    np.lib.format.write_array_header_1_0(file, header)


def _note(tokenizer: Tokenizer, text: Spool) -> str:
    if tokenizer.kind in LEARNED and text.file_bytes > SAMPLE_BYTES:
        return f"The vocabulary was learned from {SAMPLE_BYTES // 10**6} MB, taken evenly from the whole text."
    return ""


def _describe_text(spools: set[Spool], val_text: Spool, val_start: int) -> dict[str, Any]:
    """Sizes of all text and of its validation part, without the marks between documents."""
    val_bytes = val_characters = 0
    for block in val_text.blocks(val_start):
        plain = block.replace(DOCUMENT_END, "")
        val_bytes += len(plain.encode())
        val_characters += len(plain)
    return {
        "documents": sum(spool.documents for spool in spools),
        "characters": sum(spool.characters for spool in spools),
        "bytes": sum(spool.bytes for spool in spools),
        "val_bytes": val_bytes,
        "val_characters": val_characters,
    }
