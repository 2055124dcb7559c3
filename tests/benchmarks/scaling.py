"""Short runs of presets over some texts, and the rule of ``microformer/training/proposal.py`` that is fitted to them.

    python tests/benchmarks/scaling.py prepare FOLDER tinyshakespeare.txt
    python tests/benchmarks/scaling.py train FOLDER
    python tests/benchmarks/scaling.py collect FOLDER > tests/training/recorded/scaling.json
    python tests/benchmarks/scaling.py fit tests/training/recorded/scaling.json

``train`` takes about 15 minutes on one core, may be interrupted, and goes on where it was.
"""

import json
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import numpy as np

from microformer.training.proposal import known_text, useful_tokens
from microformer.training.run_directory import Run

RUNS = (  # dataset, preset, steps (0: as many as the preset says); the cheap ones first
    *(("shakespeare-char", "shakespeare-fast", steps) for steps in (45, 175, 700)),
    *(("shakespeare-char", "tiny", steps) for steps in (100, 400)),
    *((data, "shakespeare-fast", 175) for data in ("tales-char", "tales-bpe", "python-char", "shakespeare-bpe")),
    ("shakespeare-char", "shakespeare", 100),
    *((data, "shakespeare-fast", 700) for data in ("tales-char", "python-char", "tales-bpe")),
    *((data, "tiny", 400) for data in ("tales-char", "tales-bpe", "python-char")),
    ("shakespeare-char", "shakespeare", 400),
    ("shakespeare-char", "small", 100),
    ("shakespeare-char", "tiny", 1600),
    ("shakespeare-char", "shakespeare-fast", 2800),
    *((data, "shakespeare", 200) for data in ("tales-char", "tales-bpe", "python-char")),
    ("shakespeare-char", "shakespeare", 0),
)


def microformer(*words: object) -> None:
    subprocess.run([sys.executable, "-m", "microformer", *map(str, words)], check=True)


def prepare(folder: Path, shakespeare: Path) -> None:
    """The texts, by characters and in pieces: verse, the program's own tales, and the source of Python's library."""
    python = folder / "python.txt"
    folder.mkdir(parents=True, exist_ok=True)
    sources = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    text = "".join(one.read_text(encoding="utf-8", errors="replace") for one in sources)
    python.write_text("".join(letter for letter in text if letter.isascii())[:4_000_000])
    for name, source in (("shakespeare", shakespeare), ("tales", "tales"), ("python", python)):
        microformer("prepare", "--source", source, "--tokenizer", "char", "--out", folder / f"{name}-char")
        bpe = ("--tokenizer", "bpe", "--vocab-size", 1024)
        microformer("prepare", "--source", source, *bpe, "--out", folder / f"{name}-bpe")


def train(folder: Path) -> None:
    """Whatever of ``RUNS`` is not there yet."""
    for data, preset, steps in RUNS:
        out = folder / f"{data}.{preset}.{steps}"
        if not Run(out).exists() or Run(out).status().state != "finished":
            budget = ("--training.max_steps", steps, "--training.eval_every", steps) if steps else ()
            microformer("train", "--config", preset, "--data", folder / data, "--out", out, "--resume", *budget)


def collect(folder: Path) -> list[dict[str, object]]:
    """What each finished run reached on the whole validation split, and what was known of its text."""
    rows: list[dict[str, object]] = []
    for data, preset, steps in RUNS:
        run, text = Run(folder / f"{data}.{preset}.{steps}"), known_text(folder / data)
        if run.exists() and run.status().state == "finished":
            last = run.last_row()
            useful = useful_tokens(run.config().model, last["tokens"], text.train_tokens)
            known = {
                "looks_up": run.config().model.ngram_rows > 0,
                "hardness": round(text.hardness or 0.0, 4),
                "bits_per_byte": round(last["bits_per_byte"], 4),
            }
            rows.append({"data": data, "preset": preset, "useful_bytes": round(useful * text.bytes_per_token)} | known)
    return rows


def fit(rows: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    """The rule's five numbers (least squares of logarithms), and how far it is off in each row."""
    known, reached = np.array([terms(row) for row in rows]), np.log([row["bits_per_byte"] for row in rows])
    found = np.linalg.lstsq(known, reached, rcond=None)[0]
    return found, known @ found - reached


def terms(row: dict[str, Any]) -> list[float]:
    """What the rule's numbers are multiplied with: two for models without n-grams, two with, one for the text."""
    plain, looks_up, reading = 1 - row["looks_up"], 0 + row["looks_up"], np.log(row["useful_bytes"] / 1e6)
    return [plain, plain * reading, looks_up, looks_up * reading, np.log(row["hardness"])]


def report(rows: list[dict[str, Any]]) -> str:
    """The rule, and its error on each dataset when it is fitted to the others only."""
    found, off = fit(rows)
    elsewhere: list[float] = []
    for left_out in {row["data"] for row in rows}:
        numbers = fit([row for row in rows if row["data"] != left_out])[0]
        for row in (row for row in rows if row["data"] == left_out):
            expected = np.array(terms(row)) @ numbers
            elsewhere.append(np.exp(expected) / row["bits_per_byte"] - 1)
    inside, outside = (np.sqrt(np.mean(np.square(errors))) for errors in (off, elsewhere))
    return (
        f"SCALE {np.exp(found[0]):.3f}, OF_READING {found[1]:.3f}, SCALE_LOOKED_UP {np.exp(found[2]):.3f}, "
        f"OF_READING_LOOKED_UP {found[3]:.3f}, OF_HARDNESS {found[4]:.3f}; "
        f"off by {inside:.3f}, on a dataset that it was not fitted to by {outside:.3f}\n"
    )


if __name__ == "__main__":
    command, where, *more = sys.argv[1:]
    if command == "prepare":
        prepare(Path(where), Path(more[0]))
    elif command == "train":
        train(Path(where))
    elif command == "collect":
        sys.stdout.write("[\n" + ",\n".join(json.dumps(row) for row in collect(Path(where))) + "\n]\n")
    else:
        sys.stdout.write(report(json.loads(Path(where).read_text())))
