"""What a model that judges or answers whole texts has made of one, as HTML. Pure functions; everything is escaped."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

LABELS_MOST = 12


def prediction_html(found: Mapping[str, Any]) -> str:
    """Probabilities as bars, a number, or the candidates of an answer; ``found`` is from ``generation.predict``."""
    if "probabilities" in found:
        return _panel(found["label"], _bars(list(found["probabilities"].items())[:LABELS_MOST]))
    if "value" in found:
        return _panel(f"{found['value']:.4g}", "")
    candidates = [(one["text"], one["probability"]) for one in found["candidates"]]
    return _panel(found["completion"], _bars(candidates))


def _panel(answer: str, more: str) -> str:
    return f'<section class="predicted" aria-live="polite"><p class="answer">{html.escape(answer)}</p>{more}</section>'


def _bars(shares: Sequence[tuple[str, float]]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th><td class="bar"><i style="width:{100 * share:.1f}%"></i></td>'
        f"<td>{100 * share:.1f}\N{NO-BREAK SPACE}%</td></tr>"
        for name, share in shares
    )
    return f"<table>{rows}</table>"
