"""The card of a dataset as HTML. Pure functions; everything that came from a text or a person is escaped."""

import html
import math

from microformer.ui.actions.data import ENOUGH, PLENTY, Card, Suits, suits_in_words
from microformer.ui.plots import TOKEN_COLOURS
from microformer.ui.terms import question_mark

# The meter is logarithmic: from one hundredth of a token for each parameter up to plenty.
METER_FROM = 0.01


def card_html(card: Card) -> str:
    """The whole card: counts, split, preview, and whether it is enough text."""
    info = card.info
    shared = " · shared with everybody" if card.item.shared else ""
    lines = [
        '<section class="dataset-card" aria-label="The chosen dataset">',
        f"<h3>{html.escape(card.item.name)}</h3>",
        f'<p class="quiet">{html.escape(info.source)} · {_kind(info.tokenizer)}{shared}</p>',
        _sentence("warning", info.warning or suits_in_words(card.suits)),
        _sentence("quiet", info.note),
        _facts(card),
        _split(info.train_tokens, info.val_tokens),
        f"<h4>The text as the model reads it{question_mark('token')}</h4>",
        tokens_html(card.pieces),
        f"<h4>Is this enough text?{question_mark('parameters')}</h4>",
        enough_html(card.suits),
        "</section>",
    ]
    return "\n".join(line for line in lines if line)


def tokens_html(pieces: list[str]) -> str:
    """Text whose tokens are told apart by their background; a token that shows nothing of its own is left out."""
    shown = []
    for number, piece in enumerate(piece for piece in pieces if piece):
        colour = TOKEN_COLOURS[number % len(TOKEN_COLOURS)]
        shown.append(f'<span style="background:{colour}">{html.escape(piece)}</span>')
    return f'<div class="tokens" tabindex="0" aria-label="Beginning of the text">{"".join(shown)}</div>'


def enough_html(suits: list[Suits]) -> str:
    """One line for each preset: its size, a meter with the recommended amount marked, and the verdict in words."""
    rows = []
    for one in suits:
        share = 100 * meter_share(one.ratio)
        ratio = f"{one.ratio:,.1f}" if one.ratio >= 0.1 else f"{one.ratio:.2g}"
        rows.append(
            f'<tr data-verdict="{one.verdict}"><th scope="row">{html.escape(one.name)}</th>'
            f"<td>{short_number(one.parameters)} parameters</td>"
            f'<td class="meter"><span class="filled" style="width:{share:.1f}%"></span>'
            f'<span class="mark" style="left:{100 * meter_share(ENOUGH):.1f}%"></span></td>'
            f'<td title="{ratio} tokens of text for each parameter">{one.verdict}</td></tr>'
        )
    return (
        f'<table class="enough">{"".join(rows)}</table>'
        f'<p class="quiet">The mark is at {ENOUGH:g} tokens of text for each parameter, which is enough when the text '
        f"is read four times; {PLENTY:g} is plenty. Parameters in a table of n-grams do not count here.</p>"
    )


def meter_share(ratio: float) -> float:
    """How far the meter is filled (0 to 1) at this many tokens for each parameter."""
    if ratio <= METER_FROM:
        return 0.0
    return min(1.0, math.log(ratio / METER_FROM) / math.log(PLENTY / METER_FROM))


def short_number(value: float) -> str:
    """``1234567`` -> ``1.2 million``."""
    for size, word in ((1e9, " billion"), (1e6, " million"), (1e3, ",000")):
        if value >= size:
            return f"{value / size:.0f}{word}" if word == ",000" or value >= 10 * size else f"{value / size:.1f}{word}"
    return f"{value:.0f}"


def _kind(tokenizer: str) -> str:
    return {
        "char": "characters",
        "byte": "bytes",
        "bpe": "BPE, parts of words",
        "wordpiece": "WordPiece, parts of words",
    }.get(tokenizer, html.escape(tokenizer))


def _sentence(kind: str, text: str) -> str:
    role = ' role="note"' if kind == "warning" else ""
    return f'<p class="{kind}"{role}>{html.escape(text)}</p>' if text else ""


def _facts(card: Card) -> str:
    info = card.info
    facts = [
        ("characters", f"{info.characters:,}", ""),
        ("tokens", f"{info.tokens:,}", question_mark("token")),
        ("vocabulary", f"{info.vocab_size:,}", question_mark("vocabulary")),
        ("characters per token", f"{info.characters_per_token:.2f}", ""),
        ("documents", f"{info.documents:,}", ""),
    ]
    guess = info.baselines.get("bigram")
    if info.kind == "labelled" and info.guess is not None:
        facts.append(("right by guessing", f"{info.guess:.0%}", ""))
    elif info.kind == "valued" and info.guess is not None:
        facts.append(("off by, when guessing", f"{info.guess:.3g}", ""))
    elif info.kind == "text" and guess is not None:
        facts.append(("bits/byte to beat", f"{guess.bits_per_byte:.2f}", question_mark("bits per byte")))
    return (
        '<dl class="numbers">'
        + "".join(f"<div><dt>{name}{mark}</dt><dd>{value}</dd></div>" for name, value, mark in facts)
        + "</dl>"
    )


def _split(train: int, val: int) -> str:
    share = 100 * train / max(train + val, 1)
    return (
        f'<div class="split" role="img" aria-label="{share:.0f} % of the tokens are for training, the rest for '
        f'validation"><span style="width:{share:.2f}%"></span></div>'
        f'<p class="quiet">{train:,} tokens to train on, {val:,} kept aside for validation'
        f"{question_mark('validation')}</p>"
    )
