"""Texts as they are written, token by token: each coloured by how likely it was, each with what else was possible.

The browser asks for what it lacks about twenty times a second, outside of Gradio's queue, and only adds nodes; a reload
finds its way back into a text that is still being written. Used by the Sample and Teach tabs.
"""

import gradio as gr

from microformer.ui.actions import streams
from microformer.ui.page import Page, script

TEMPLATE = """
<section class="mf-stream" data-state="none" aria-label="{label}">
  <p class="mf-about" data-part="about"></p>
  <div class="mf-texts" data-part="texts"></div>
  <p class="empty" data-part="empty">{empty}</p>
  <footer data-part="footer" hidden>
    <p data-part="says" aria-live="polite"></p>
    <p class="mf-legend" aria-hidden="true">sure <i></i> surprised</p>
  </footer>
  <div class="mf-choices" data-part="choices" aria-live="polite" hidden></div>
</section>
"""


def token_stream(page: Page, *, elem_id: str, label: str, empty: str = "") -> gr.HTML:
    """A view of texts under way; its value is the key that ``actions.streams.show`` returned, or ``None``.

    Each text is a ``.mf-text`` with its tokens as ``.mf-token`` (``data-probability`` from 0 to 1); ``data-state`` of
    the ``.mf-stream`` around them is ``none``, ``writing``, ``done`` or ``gone``. The event ``settled`` fires when all
    texts have ended. ``label`` and ``empty`` (shown while there is no text) are the page's own words, which may hold
    HTML.
    """
    return gr.HTML(
        None,
        html_template=TEMPLATE.replace("{label}", label).replace("{empty}", empty),
        js_on_load=script("token_stream.js"),
        server_functions=[page.server(streams.follow), page.server(streams.alternatives)],
        elem_id=elem_id,
        apply_default_css=False,
    )
