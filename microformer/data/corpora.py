"""Public corpora that can be asked for by name, each pinned to one revision of one repository."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Corpus:
    """Where a corpus lies on the Hugging Face Hub, and how it is divided into documents."""

    title: str
    about: str
    repository: str
    revision: str
    files: tuple[str, ...]
    """``.txt``, or Parquet with a column ``text``."""
    bytes: int
    """About how much text it is."""
    license: str
    separator: str = ""
    """What stands between documents in a text file."""
    begins: str = ""
    """For Parquet: the pattern of a row that begins a document; ``(?!)``, which matches nothing, makes all rows one
    document. Without it each row is one."""


CORPORA: dict[str, Corpus] = {
    "tinyshakespeare": Corpus(
        "Tiny Shakespeare",
        "Forty thousand lines of Shakespeare's plays, the usual first text.",
        "karpathy/tiny_shakespeare",
        "fe12e06d82fe3af4291b90426557387520d81385",
        tuple(f"data/{split}-00000-of-00001.parquet" for split in ("train", "validation", "test")),
        1_115_394,
        "public domain",
        begins="(?!)",
    ),
    "text8": Corpus(
        "text8",
        "The first 100 MB of Wikipedia, reduced to the letters a to z and spaces.",
        "afmck/text8",
        "58c74e966ccc66eab2de6b52fad5b14ddb259fa4",
        tuple(f"data/{split}-00000-of-00001.parquet" for split in ("train", "validation", "test")),
        100_000_000,
        "CC BY-SA (Wikipedia)",
        begins="(?!)",
    ),
    "wikitext-2": Corpus(
        "WikiText-2",
        "Six hundred good Wikipedia articles, as written.",
        "Salesforce/wikitext",
        "b08601e04326c79dfdd32d625aee71d232d685c3",
        ("wikitext-2-raw-v1/train-00000-of-00001.parquet",),
        10_900_000,
        "CC BY-SA 3.0 and GFDL",
        begins=r" = [^=]",
    ),
    "tinystories": Corpus(
        "TinyStories",
        "Short stories for small children, written by GPT-4 (Eldan and Li 2023).",
        "roneneldan/TinyStories",
        "f54c09fd23315a6f9c86f9dc80f725de7d8f9c64",
        ("TinyStoriesV2-GPT4-train.txt",),
        2_227_753_162,
        "CDLA-Sharing-1.0",
        separator="<|endoftext|>",
    ),
    "openwebtext": Corpus(
        "OpenWebText sample",
        "The first hundred thousand web pages of the open copy of GPT-2's training text.",
        "Skylion007/openwebtext",
        "79d93d786212f7344586290adb811d4ae6a1762c",
        ("plain_text/train-00000-of-00080.parquet",),
        490_000_000,
        "CC0-1.0 (the pages keep their own)",
    ),
}
