"""``python -m microformer.data.tales 600000 2 > val.jsonl``: that many bytes of stories from a seed, as JSON lines."""

import json
import sys

from microformer.data.tales.teller import corpus


def main(size_bytes: int, seed: int) -> None:
    """Write one ``{"text": …}`` line for each story to standard output."""
    for document in corpus(size_bytes, seed):
        sys.stdout.write(json.dumps({"text": document}) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
