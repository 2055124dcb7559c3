"""Pictures as plain data: pure functions from numbers to figures in Plotly's JSON form.

A figure is a dictionary with ``data`` and ``layout``; the page draws it with the same local plotly.js as the live
chart. Backgrounds are transparent and colours of text and grid are left to the page, which knows whether it is dark.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Figure = dict[str, Any]

# Told apart in light and dark mode, and by people who do not see red and green as different.
PALETTE = ("#3b82f6", "#f97316", "#10b981", "#a855f7", "#e11d48", "#0891b2", "#ca8a04", "#64748b")
# Soft backgrounds for neighbouring tokens; half transparent, so that text stays readable on light and dark.
TOKEN_COLOURS = ("#3b82f640", "#f9731640", "#10b98140", "#a855f740", "#e11d4840", "#ca8a0440")

MOST_LABELS = 32
MARGIN = {"l": 10, "r": 36, "t": 10, "b": 48}


def bars(labels: Sequence[str], values: Sequence[float], *, x_title: str, colour: str = PALETTE[0]) -> Figure:
    """Horizontal bars, the first on top; labels are escaped, since they come from people's texts."""
    shown = [escape_label(one) for one in labels]
    places = list(range(len(shown)))
    return {
        "data": [
            {
                "type": "bar",
                "orientation": "h",
                "x": list(values),
                "y": places,
                "text": [f"{value:,.1f}" for value in values],
                "textposition": "outside",
                "cliponaxis": False,
                "marker": {"color": colour},
                "hovertemplate": "%{customdata}: %{x:,}<extra></extra>",
                "customdata": shown,
            }
        ],
        "layout": {
            "height": 60 + 20 * len(shown),
            "margin": MARGIN,
            "xaxis": {"title": {"text": x_title}, "rangemode": "tozero"},
            # Places instead of names, because two tokens may look the same (a space and a line break, say).
            "yaxis": {"tickvals": places, "ticktext": shown, "autorange": "reversed", "automargin": True},
            "bargap": 0.25,
            "showlegend": False,
        },
    }


def frequent_tokens(tokens: Sequence[tuple[str, int]], total: int, *, most: int = 14) -> Figure:
    """The tokens that occur most often, as bars in per cent of all ``total`` tokens."""
    top = tokens[:most]
    share = [round(100 * count / max(total, 1), 3) for _, count in top]
    return bars([label for label, _ in top], share, x_title="per cent of all tokens")


def frequent_tokens_in_words(tokens: Sequence[tuple[str, int]], total: int) -> str:
    """What the chart of ``frequent_tokens`` shows, as a sentence."""
    if not tokens:
        return "No tokens were counted."
    named = ", ".join(f"“{label}” ({100 * count / max(total, 1):.1f} %)" for label, count in tokens[:3])
    return f"The most frequent tokens are {named}."


def heat_map(labels: Sequence[str], shares: Sequence[Sequence[float]], *, colour: str = PALETTE[0]) -> Figure:
    """What each row's token takes from each column's; the pair is named where one points."""
    # Numbered, because a token may come more than once and would then stand for one row.
    names = [f"{number} “{escape_label(one)}”" for number, one in enumerate(labels, 1)]
    named = range(0, len(names), -(-len(names) // MOST_LABELS) or 1)  # more would stand on top of each other
    ticks = {
        "tickvals": list(named),
        "ticktext": [escape_label(labels[number]) for number in named],
        "type": "category",
        "showgrid": False,
    }
    long = max(map(len, labels), default=0) > 1
    return {
        "data": [
            {
                "type": "heatmap",
                "x": names,
                "y": names,
                "z": [list(row) for row in shares],
                "zmin": 0,
                "zmax": 1,
                "colorscale": [[0, f"{colour}00"], [0.15, f"{colour}66"], [1, colour]],
                "showscale": False,
                "hovertemplate": "%{y} takes %{z:.1%} from %{x}<extra></extra>",
            }
        ],
        "layout": {
            "height": 520,
            "margin": {"l": 30, "r": 10, "t": 30, "b": 10},
            "xaxis": {**ticks, "side": "top", "automargin": True, "tickangle": -90 if long else 0},
            "yaxis": {**ticks, "autorange": "reversed", "automargin": True},
        },
    }


def lines(x: Sequence[float], curves: Mapping[str, Sequence[float]], *, x_title: str, y_title: str) -> Figure:
    """A curve for each name, from ``x`` to values above zero."""
    return {
        "data": [
            {
                "type": "scatter",
                "mode": "lines",
                "name": name,
                "x": list(x),
                "y": list(values),
                "line": {"color": PALETTE[number % len(PALETTE)], "width": 1.6},
            }
            for number, (name, values) in enumerate(curves.items())
        ],
        "layout": {
            "height": 320,
            "margin": MARGIN | {"l": 50},
            "xaxis": {"title": {"text": x_title}, "rangemode": "tozero"},
            "yaxis": {"title": {"text": y_title}, "rangemode": "tozero"},
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "showlegend": True,
        },
    }


def escape_label(text: str) -> str:
    """Text that Plotly shows as it is: it reads a little HTML in labels, and formulas between dollars."""
    for plain, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("$", "&#36;")):
        text = text.replace(plain, safe)
    return text


def parameter_shares(parts: Mapping[str, int]) -> list[tuple[str, int, float]]:
    """The parts of a model that have parameters, largest first: name, parameters, share of all (0 to 1)."""
    total = max(sum(parts.values()), 1)
    ordered = sorted(parts.items(), key=lambda item: -item[1])
    return [(name, count, count / total) for name, count in ordered if count]
