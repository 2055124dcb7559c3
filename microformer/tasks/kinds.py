"""Which models and which rows each task is for. Loads nothing slow: settings and the page ask here."""

KINDS = {
    "language_modelling": (("decoder",), "text"),
    "masked_language_modelling": (("encoder",), "text"),
    "classification": (("decoder", "encoder"), "labelled"),
    "regression": (("decoder", "encoder"), "valued"),
    "sequence_to_sequence": (("encoder_decoder",), "paired"),
}
"""The kinds of model that can learn a task, and the kind of rows it needs; any rows can be read as text."""


def task_for(rows: str) -> str:
    """The task that a dataset of this kind is for; of plain text, language modelling."""
    return next(task for task, (_, needed) in KINDS.items() if needed == rows)
