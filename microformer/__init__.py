"""Microformer: raise small language models with two memories. The package is the playground without the page."""

__version__ = "0.1.0"
