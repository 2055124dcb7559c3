"""What a run will be, as HTML: its size and parts, memory, time, and whether the text is enough. Pure functions."""

import html

from microformer.ui.actions.plans import Plan
from microformer.ui.actions.words import duration
from microformer.ui.dataset_card import short_number
from microformer.ui.plots import PALETTE, parameter_shares
from microformer.ui.terms import question_mark

# A text that is read more often than this is learned by heart rather than learned from (arXiv:2305.16264).
PASSES_MOST = 16


def plan_html(plan: Plan) -> str:
    """The plan as a card: numbers, a picture of the model's parts, and a warning where one is due."""
    numbers = [
        ("parameters", short_number(plan.parameters), question_mark("parameters")),
        ("memory", memory(plan.memory), ""),
        ("time, about", duration(plan.seconds) if plan.measured else "…", ""),
    ]
    about = plan.config.training.max_minutes is not None
    if plan.passes is not None:
        often = f"{plan.passes:.2g}" if plan.passes < 10 else f"{plan.passes:.0f}"
        numbers.append((f"times through the text{', about' if about else ''}", often, ""))
    shown = "".join(f"<div><dt>{name}{mark}</dt><dd>{value}</dd></div>" for name, value, mark in numbers)
    warning = ""
    if plan.passes is not None and plan.passes > PASSES_MOST:
        warning = (
            f'<p class="warning" role="note">The text is read {"about " if about else ""}{plan.passes:.0f} times; the '
            "model will know it by heart. Take a shorter run or more text.</p>"
        )
    return f'<div class="plan"><dl class="numbers">{shown}</dl>{parts_html(plan)}{warning}</div>'


def parts_html(plan: Plan) -> str:
    """A bar of the model's parts, each as wide as its share of the parameters, and their names below."""
    shares = parameter_shares(plan.parts)
    bar, names = [], []
    for number, (name, count, share) in enumerate(shares):
        colour = PALETTE[number % len(PALETTE)]
        bar.append(f'<span style="width:{100 * share:.2f}%;background:{colour}" title="{html.escape(name)}"></span>')
        names.append(f'<li><i style="background:{colour}"></i>{html.escape(name)} <b>{short_number(count)}</b></li>')
    words = ", ".join(f"{name} {100 * share:.0f} %" for name, _, share in shares)
    return (
        f'<div class="parts" role="img" aria-label="Parameters by part: {html.escape(words)}">{"".join(bar)}</div>'
        f'<ul class="parts-names">{"".join(names)}</ul>'
    )


def problem_html(sentence: str) -> str:
    """Why the chosen settings cannot be trained."""
    return f'<p class="warning" role="alert">{html.escape(sentence)}</p>'


def proposal_html(sentence: str) -> str:
    """What is proposed, and what to expect of it."""
    return f'<p class="run-meaning" role="status">{html.escape(sentence)}</p>'


def memory(size: float) -> str:
    """Bytes as people say them."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
