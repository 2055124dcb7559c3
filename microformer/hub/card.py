"""The model card: what a person who finds the model on the Hub needs to know, with every setting it was made with."""

from pathlib import Path
from typing import Any

import yaml

from microformer import checkpoint
from microformer.data.tokenizers import load_tokenizer
from microformer.files import read_json, read_json_lines
from microformer.hub.bundle import STATE, TOKENIZER, Bundle
from microformer.model.profile import profile
from microformer.training.config import RunConfig
from microformer.training.run_directory import METRICS, Run

CARD, PICTURE = "README.md", "loss.png"
KINDS = {"char": "characters", "byte": "bytes", "bpe": "byte-level BPE", "wordpiece": "byte-level WordPiece"}


def model_card(shared: Bundle, repo: str, *, pictured: bool) -> str:
    """The card in Markdown, for the repository ``repo``; ``pictured`` says that ``loss.png`` lies beside it."""
    config = RunConfig.from_dict(checkpoint.read_config(shared.run))
    front = {
        "library_name": "microformer",
        "pipeline_tag": "text-generation",
        "tags": ["microformer", "safetensors", "small-language-model"],
    }
    parts = [
        f"---\n{yaml.safe_dump(front, sort_keys=False)}---",
        f"# {repo.split('/')[-1]}",
        "A small language model, trained from scratch with Microformer. It writes text in the manner of what it was "
        "trained on; it knows little else, and what it says is not to be relied on.",
        _table(shared, config),
        f"![Training and validation loss over the steps]({PICTURE})" if pictured else "",
        _sample(shared.run),
        "## Use it",
        f'```\npython -m microformer pull {repo} my-run\npython -m microformer sample my-run --prompt "Once"\n```',
        "In the playground: *Share*, then *Get a model*, with this repository's name.",
        "## How it was made",
        "Every setting, as in `config.yaml`:",
        _fenced(yaml.safe_dump(config.to_dict(), sort_keys=False, allow_unicode=True, width=100), "yaml"),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def metrics_of(shared: Bundle) -> list[dict[str, Any]]:
    """The metrics up to the shared checkpoint."""
    if METRICS not in shared.files:
        return []
    rows = read_json_lines(shared.files[METRICS])[0]
    return [row for row in rows if isinstance(row, dict) and row.get("step", 0) <= shared.step]


def _table(shared: Bundle, config: RunConfig) -> str:
    tokenizer = load_tokenizer(shared.files[TOKENIZER])
    state = read_json(shared.files[STATE]) if STATE in shared.files else {}
    measured: dict[str, Any] = next(
        (row for row in reversed(metrics_of(shared)) if row.get("bits_per_byte") is not None), {}
    )
    model = config.model
    rows = {
        "parameters": f"{profile(model).total_parameters:,}",
        "shape": f"{model.n_layers} layers, {model.d_model} wide, {model.n_heads} heads",
        "n-grams": f"up to {model.ngram_longest} tokens, in {model.ngram_rows:,} rows" if model.ngram_rows else "",
        "context": f"{model.max_seq_len:,} tokens",
        "tokenizer": f"{KINDS.get(tokenizer.kind, tokenizer.kind)}, {tokenizer.vocab_size:,} tokens",
        "steps": f"{shared.step:,}",
        "validation loss": _number(state.get("val_loss", measured.get("val_loss"))),
        "bits per byte": _number(state.get("bits_per_byte", measured.get("bits_per_byte"))),
    }
    lines = [f"| {name} | {value} |" for name, value in rows.items() if value]
    return "\n".join(["| | |", "|---|---|", *lines])


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, (int, float)) else ""


def _sample(run: Path) -> str:
    """What the model wrote at its last evaluation, if anything."""
    rows = [row for row in Run(run).samples()[0] if isinstance(row, dict) and row.get("text")]
    if not rows:
        return ""
    text = f"{rows[-1].get('prompt', '')}{rows[-1]['text']}"[:600]
    return "It writes like this:\n\n" + _fenced(text, "text")


def _fenced(text: str, language: str) -> str:
    """A block of code whose fence is longer than any run of backticks inside it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
