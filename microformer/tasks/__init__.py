"""What a model is trained to do: how a batch is made and turned into a loss, and by what metrics it is judged.

A task knows models and data, not training; the loop and the evaluation know tasks only through ``Task``.
"""
