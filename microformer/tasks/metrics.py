"""How far off a model is, by torchmetrics, which is loaded only when something is measured."""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor


def classification(logits: Tensor, targets: Tensor, classes: int) -> dict[str, Any]:
    """Share right, F1 averaged over the classes, and how often each class (row) was taken for which (column).

    *Shape:* logits (rows, classes), targets (rows,).
    """
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_confusion_matrix,
        multiclass_f1_score,
    )

    predicted = logits.argmax(-1)
    return {
        "accuracy": float(multiclass_accuracy(predicted, targets, classes, average="micro")),
        "macro_f1": float(multiclass_f1_score(predicted, targets, classes, average="macro")),
        "confusion": multiclass_confusion_matrix(predicted, targets, classes).tolist(),
    }


def regression(predicted: Tensor, targets: Tensor) -> dict[str, Any]:
    """Mean absolute error, root mean square error, and the share of the variance that is explained (R²).

    *Shape:* (rows,) both. R² is not a number where all targets are the same.
    """
    from torchmetrics.functional.regression import mean_absolute_error, mean_squared_error, r2_score

    varies = len(targets) > 1 and bool((targets != targets[0]).any())
    return {
        "mae": float(mean_absolute_error(predicted, targets)),
        "rmse": float(mean_squared_error(predicted, targets, squared=False)),
        "r2": float(r2_score(predicted, targets)) if varies else math.nan,
    }


def character_error_rate(written: Sequence[str], wanted: Sequence[str]) -> float:
    """Characters to insert, delete or replace, over those of the right answers."""
    from torchmetrics.functional.text import char_error_rate

    return float(char_error_rate(list(written), list(wanted)))
