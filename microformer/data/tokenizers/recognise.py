"""The child process that reads a foreign tokenizer file: see ``foreign.py``. Not imported by anything else."""

import json
import sys
from pathlib import Path
from typing import Any

from microformer.data.tokenizers.base import END_OF_TEXT
from microformer.data.tokenizers.bpe import SPLITTERS, BPETokenizer
from microformer.data.tokenizers.foreign import CPU_SECONDS, MAX_BYTES

MEMORY_BYTES = 4 * 2**30


def recognise(plain: Any) -> BPETokenizer:
    """The tokenizer a foreign file describes, rebuilt from parts known here; ``ValueError`` for all others.

    An ``unk_token`` is not looked at: with all 256 bytes among the tokens, nothing is unknown.
    """
    model = _dict(plain.get("model"))
    if model.get("type", "BPE") != "BPE":
        raise ValueError(f"its model is {str(model.get('type'))[:40]}, but only byte-level BPE is understood")
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback"):
        if model.get(name):
            raise ValueError(f"its model uses {name}, which is not understood")
    normalizer = plain.get("normalizer")
    if normalizer is not None and normalizer != {"type": "NFC"}:
        raise ValueError(f"its normalizer {str(_dict(normalizer).get('type'))[:40]} is not understood")
    tokens, merges = _vocabulary(plain, model)
    tokenizer = BPETokenizer(
        tokens,
        merges,
        splitter=_splitter(plain.get("pre_tokenizer")),
        nfc=normalizer is not None,
        whole_words=model.get("ignore_merges") is True,
    )
    sample = "Once upon a time, Zoë's 17 cats\n\n  said: “Łódź!” <|endoftext|>"
    if tokenizer.decode(tokenizer.encode(sample)) != sample or tokenizer.end_id in tokenizer.encode(sample):
        raise ValueError("it does not give back the text it was given")
    return tokenizer


def _vocabulary(plain: dict[str, Any], model: dict[str, Any]) -> tuple[list[str], list[tuple[str, str]]]:
    """The end token first, then the file's tokens in the order of their ids, without its special tokens.

    So every id of GPT-2's is one higher here: token 0 is ``<|endoftext|>`` in all of the program.
    """
    ids = _dict(model.get("vocab"))
    if not all(isinstance(index, int) for index in ids.values()):
        raise ValueError("its vocabulary has an id that is not a whole number")
    added = plain.get("added_tokens") or []
    specials = {END_OF_TEXT, *(str(_dict(token).get("content")) for token in added)}
    tokens = [END_OF_TEXT, *sorted(ids.keys() - specials, key=lambda token: ids[token])]
    merges = []
    for pair in model.get("merges") or []:
        parts = pair.split(" ", 1) if isinstance(pair, str) else pair
        if not isinstance(parts, list) or len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            raise ValueError("its merges are not pairs of tokens")
        merges.append((parts[0], parts[1]))
    return tokens, merges


def _splitter(pre_tokenizer: Any) -> str:
    """The name in ``SPLITTERS`` of a file's ``pre_tokenizer``."""
    described = _dict(pre_tokenizer)
    steps = described.get("pretokenizers") if described.get("type") == "Sequence" else [described]
    if not isinstance(steps, list) or not steps:
        raise ValueError("its pre-tokenizer is not understood")
    steps = [_dict(step) for step in steps]
    last = steps[-1]
    if last.get("type") == "ByteLevel" and not last.get("add_prefix_space"):
        before = [(step.get("type"), step) for step in steps[:-1]]
        regex = last.get("use_regex", True)
        if not before and regex:
            return "gpt2"
        if len(before) == 1 and before[0][0] == "Digits" and before[0][1].get("individual_digits") and regex:
            return "digits"
        if len(before) == 1 and before[0][0] == "Split" and not regex:
            pattern = _dict(before[0][1].get("pattern")).get("Regex")
            known = [name for name, regular in SPLITTERS.items() if regular is not None and regular == pattern]
            if known and before[0][1].get("behavior") == "Isolated" and not before[0][1].get("invert"):
                return known[0]
    raise ValueError("the way it splits text into words is none of those known: GPT-2, SmolLM, Llama 3, Qwen 2")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows has no such limits; the time limit holds there all the same
        return
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))


def main(path: Path) -> int:
    """The child process: the translation on standard output, or one sentence on standard error and status 2."""
    _limit_memory()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it is larger than {MAX_BYTES // 2**20} MB")
        described = recognise(_dict(json.loads(path.read_bytes()))).to_dict()
    except (ValueError, RecursionError, MemoryError) as error:
        sys.stderr.write(str(error) or "it is too large or too deep")
        return 2
    sys.stdout.write(json.dumps(described))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
