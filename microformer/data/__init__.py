"""From text to tokens on disk: sources, tokenizers, prepared datasets, and the stories that are made here."""
