"""``export``: a run as one zip file, or its decoder as ONNX."""

from pathlib import Path
from typing import Any

from microformer.commands import output
from microformer.commands.options import Parser

DESCRIPTION = (
    "Write a run's best checkpoint, with its settings and tokenizer, into one zip file; or, where the file's name ends "
    "in .onnx, the decoder with its key-value cache for onnxruntime. ONNX holds neither the tokenizer (it is the run's "
    "tokenizer.json) nor what sessions were taught; what LoRA learned is part of its weights."
)


def add_arguments(parser: Parser) -> None:
    """What ``export`` accepts."""
    parser.add_argument("run", metavar="RUN", help="A run, a checkpoint, or the word starter.")
    parser.add_argument("file", metavar="FILE", help="The file to write: FILE.zip or FILE.onnx.")


def run(values: dict[str, Any]) -> None:
    """Write the file, and say how large it is."""
    file = Path(values["file"])
    if file.suffix.lower() == ".onnx":
        from microformer.onnx_export import export_onnx as export
    else:
        from microformer.hub.archive import export_run as export

    file = export(values["run"], file)
    output.result(f"{file}: {output.size_in_words(file.stat().st_size)}")
