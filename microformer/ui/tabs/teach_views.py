"""What the Teach tab shows that is no Gradio widget: the table of what was taught, and proofs as HTML.

The HTML functions are pure; everything that came from a person or a model is escaped.
"""

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import gradio as gr

from microformer.ui.actions import chat, lists
from microformer.ui.actions.proofs import Fingerprints
from microformer.ui.actions.recital import Told
from microformer.ui.page import Page, script
from microformer.ui.terms import question_mark

if TYPE_CHECKING:
    from microformer.teaching.proof import Change, TokenChance

MOST_IN_CELL = 120
TAUGHT = """
<section class="taught" aria-label="What you taught this model">
  <header>
    <p data-part="says" aria-live="polite"></p>
    <span data-part="search" hidden>
      <input data-part="query" type="search" placeholder="Search" aria-label="Search the facts">
    </span>
  </header>
  <p class="wrong" data-part="error" role="alert" hidden></p>
  <p class="empty" data-part="empty">Nothing yet. Teach it something above, and it stands here.</p>
  <ul data-part="facts" tabindex="0" aria-label="Facts, the newest first"></ul>
  <p class="more" data-part="more"></p>
  <h4 data-part="passages-title" hidden>Passages</h4>
  <ul data-part="passages"></ul>
  <h4 data-part="beside-title" hidden>Other memories beside yours</h4>
  <ul data-part="beside"></ul>
</section>
"""
CHAT = """
<section class="chat" data-busy="false" aria-label="Conversation">
  <p class="empty" data-part="empty">Say something. Where the reply is wrong, press <b>Correct</b> and write a better
  one: it is taught. The model answers each message by itself, without looking back at the others.</p>
  <div data-part="turns" role="log" tabindex="0" aria-label="What was said"></div>
  <p class="wrong" data-part="error" role="alert" hidden></p>
  <form data-part="form">
    <input data-part="message" aria-label="Your message" placeholder="Your message" autocomplete="off">
    <button type="submit" class="taught-button main">Say</button>
  </form>
  <button type="button" class="taught-button" data-part="anew" hidden>Start anew</button>
</section>
"""


def conversation(page: Page) -> gr.HTML:
    """The conversation. Its value is ``{"model": …, "version": …}``; ``began`` fires when a correction is taught."""
    functions = [chat.talk, chat.follow, chat.correct, chat.start_anew]
    return gr.HTML(
        None,
        html_template=CHAT,
        js_on_load=script("parts.js", "chat.js"),
        server_functions=[page.server(function) for function in functions],
        elem_id="teach-chat",
        apply_default_css=False,
    )


def taught_table(page: Page) -> gr.HTML:
    """The table of what was taught. Its value is ``{"model": …, "version": …}``; events ``began`` and ``changed``."""
    functions = [lists.taught, lists.change, lists.remove, lists.remove_passage, lists.put_aside]
    return gr.HTML(
        None,
        html_template=TAUGHT,
        js_on_load=script("parts.js", "taught.js"),
        server_functions=[page.server(function) for function in functions],
        elem_id="teach-taught",
        apply_default_css=False,
    )


def chances_html(chances: "Sequence[TokenChance]", seconds: float) -> str:
    """How likely the model was to say each token of an answer, before the lesson and after it."""
    columns = "".join(
        f'<li title="{_percent(one.before)} before, {_percent(one.after)} after">'
        f'<span class="bars"><i style="--share:{100 * one.before:.1f}%"></i>'
        f'<i style="--share:{100 * one.after:.1f}%"></i></span>'
        f"<code>{html.escape(_visible(one.text)) or '…'}</code>"
        f"<span>{_percent(one.before)}</span><b>{_percent(one.after)}</b></li>"
        for one in chances
    )
    return (
        f'<section class="proof"><h4>How likely each token of the answer was, and is{question_mark("token")}</h4>'
        f'<ol class="chances" tabindex="0">{columns}</ol>'
        f"<p>Grey without what you taught it, amber with it; ∎ is the end of the answer. "
        f"The lesson took {seconds:.2f} s.</p></section>"
    )


def told_html(told: Sequence[Told], seconds: float) -> str:
    """What the model said in place of each answer of a list before the lesson and says after it."""
    if not told:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{_cut(one.prompt)}</th><td>{_cut(one.before)}</td><td>{_cut(one.after)}</td>'
        f'<td class="{"same" if one.said else "differs"}">{"yes" if one.said else "no"}</td></tr>'
        for one in told
    )
    return (
        '<section class="proof"><table><thead><tr><th>Fact</th><th>before</th><th>after</th><th>said exactly</th></tr>'
        f"</thead><tbody>{rows}</tbody></table><p>The first {len(told)} that are new on the list, said freely as far "
        f"as the taught answer goes; below stand all. The lesson took {seconds:.2f} s.</p></section>"
    )


def _cut(text: str) -> str:
    return html.escape(text if len(text) <= MOST_IN_CELL else text[:MOST_IN_CELL] + "…")


def fingerprints_html(prints: Fingerprints) -> str:
    """The hashes of the base model, which no lesson may change."""
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td><code title="{now}">{now[:16]}…</code></td>'
        f'<td class="{"same" if before == now else "differs"}">{"unchanged" if before == now else "changed!"}</td></tr>'
        for name, (before, now) in (
            (f"Core{question_mark('base hash')}", prints.core),
            (f"Long-term adapters{question_mark('long-term adapter')}", prints.long_term),
        )
    )
    return f'<section class="proof" data-same="{str(prints.same).lower()}"><table>{rows}</table></section>'


def change_html(change: "Change", facts: int, text: str) -> str:
    """What else a session changed: answers to unrelated prompts, and the loss on other text, gated and forced on."""
    count = len(change.probes)
    rows = [
        ("the model itself", "", f"{change.loss_base:.3f}", ""),
        (
            "where it fits",
            f"{change.gated} of {count}",
            f"{change.loss_gated:.3f}",
            _difference(change.loss_gated, change.loss_base),
        ),
        (
            "always on",
            f"{change.forced} of {count}",
            f"{change.loss_forced:.3f}",
            _difference(change.loss_forced, change.loss_base),
        ),
    ]
    body = "".join(
        f'<tr><th scope="row">{name}</th><td>{same}</td><td>{loss} <span class="quiet">{more}</span></td></tr>'
        for name, same, loss, more in rows
    )
    return (
        '<section class="proof"><table><thead><tr><th>The memory is used</th>'
        f"<th>same 64 tokens{question_mark('gate')}</th><th>loss{question_mark('loss')}</th></tr></thead>"
        f"<tbody>{body}</tbody></table>"
        f"<p>{count} beginnings that have nothing to do with the {facts} taught facts, continued greedily; the loss is "
        f"on {html.escape(text)}. “Always on” is what the memory would do without its gate.</p></section>"
    )


def _difference(loss: float, base: float) -> str:
    change = 100 * (loss / base - 1) if base else 0.0
    return "the same" if loss == base else f"{change:+.2f} %"


def _percent(share: float) -> str:
    return (
        f"{100 * share:.0f}\N{NO-BREAK SPACE}%"
        if share >= 0.0095 or share < 0.0005
        else f"{100 * share:.1f}\N{NO-BREAK SPACE}%"
    )


def _visible(text: str) -> str:
    return text.replace("\n", "⏎").replace("\t", "⇥").replace(" ", "␣")
