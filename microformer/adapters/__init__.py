"""Adapters around the model's weights: what a session holds, and what is frozen while it learns."""
