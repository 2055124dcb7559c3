"""What a model is trained to do: how a batch is made and turned into a loss, and what its errors are called.

A task knows models and data, not training; the loop and the evaluation know tasks only through ``Task``.
"""
