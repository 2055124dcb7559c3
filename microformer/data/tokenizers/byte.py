"""The byte tokenizer: one token for each of the 256 bytes. Knows every language, learns slowly."""

from typing import Any

import numpy as np

from microformer.data.tokenizers.base import DOCUMENT_END, END_ID, Tokenizer, valid_text

FIRST_BYTE = 1
_IDS = np.arange(FIRST_BYTE, FIRST_BYTE + 256, dtype=np.uint16)
_IDS_OF_DOCUMENTS = _IDS.copy()
_IDS_OF_DOCUMENTS[ord(DOCUMENT_END)] = END_ID


class ByteTokenizer(Tokenizer):
    """Byte ``b`` is token ``b + 1``; 257 tokens in all."""

    kind = "byte"

    def __init__(self) -> None:
        super().__init__([b"", *(bytes([byte]) for byte in range(256))])

    def encode_array(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        return _IDS[_bytes_of(text)]

    def encode_documents(self, text: str) -> np.ndarray:
        """See ``Tokenizer``."""
        return _IDS_OF_DOCUMENTS[_bytes_of(text)]

    def to_dict(self) -> dict[str, Any]:
        """See ``Tokenizer``."""
        return {"format": 1, "kind": self.kind}


def _bytes_of(text: str) -> np.ndarray:
    return np.frombuffer(valid_text(text).encode(), np.uint8)
