"""Work in the background of the page: a bar, a sentence, and silence once it has ended."""

import gradio as gr

from microformer.ui.page import Action, Page, script

LOOK_AGAIN = "() => window.dispatchEvent(new Event('microformer:look'))"
"""In JavaScript: let every bar ask once more, after what it told of was put away."""
TEMPLATE = """
<div class="preparing" data-state="none" hidden>
  <div class="run-bar" data-part="bar" role="progressbar" aria-label="{label}" aria-valuemin="0" aria-valuemax="100"
    aria-valuenow="0"><div></div></div>
  <p data-part="says" aria-live="polite"></p>
</div>
"""


def progress_bar(page: Page, progress: Action, *, elem_id: str, label: str) -> gr.HTML:
    """The progress of a visitor's work; a new value (when it began, in seconds) makes it look again.

    ``progress(workspace, visitor, {})``, which must have that name, answers with ``state`` (``none``, ``working`` and
    how it ended), ``fraction`` (0 to 1), ``says``, ``source`` and ``key`` (when it began). The event ``settled`` fires
    when work ends that was seen to begin.
    """
    return gr.HTML(
        None,
        html_template=TEMPLATE.replace("{label}", label),
        js_on_load=script("preparing.js"),
        server_functions=[page.server(progress)],
        elem_id=elem_id,
        apply_default_css=False,
    )
