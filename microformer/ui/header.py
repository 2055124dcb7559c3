"""The top of the page: what this is, how far the visitor has come, and the way to be forgotten."""

from dataclasses import dataclass

import gradio as gr

from microformer.ui import identity
from microformer.ui.actions.steps import steps_done
from microformer.ui.page import VISITOR_JS, Page

BRAND = """
<header class="brand">
  <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
    <rect x="3" y="5" width="26" height="6" rx="3"/><rect x="3" y="13" width="26" height="6" rx="3"/>
    <rect x="3" y="21" width="14" height="6" rx="3"/><rect class="second" x="19" y="21" width="10" height="6" rx="3"/>
  </svg>
  <div><h1>Microformer</h1><p>Raise a small language model of your own, and teach it in a second memory.</p></div>
  <button type="button" class="dark-switch" aria-label="Switch between light and dark">◐</button>
</header>
"""
# The steps are the tabs themselves; this only ticks them off. It asks rarely, and never while the page is hidden.
TICK_STEPS = (
    VISITOR_JS
    + """
const tick = done => microformer.tick(done);
let busy = false;
const ask = async () => {
  if (busy || document.hidden || !visitor()) return;
  busy = true;
  try { const done = await server.steps_done({visitor: visitor()}); if (!done.error) tick(done); }
  catch (error) { /* the server is away for a moment; the next question will tell */ }
  finally { busy = false; }
};
element.querySelector('.dark-switch').addEventListener('click', () => microformer.switchDark());
window.addEventListener('microformer:visitor', ask);
const clock = setInterval(() => element.isConnected ? ask() : clearInterval(clock), 4000);
ask();
"""
)


@dataclass(frozen=True)
class Parts:
    """What other modules may need of the header."""

    forget: gr.Button


def build(page: Page) -> Parts:
    """The brand and the steps' ticks."""
    gr.HTML(
        html_template=BRAND,
        js_on_load=TICK_STEPS,
        server_functions=[page.server(steps_done)],
        elem_id="brand",
        apply_default_css=False,
    )
    return Parts(forget=gr.Button("Forget this browser", size="sm", elem_id="forget-me", render=False))


def wire(page: Page, top: Parts) -> None:
    """The foot of the page with "Forget this browser", which asks first."""
    hosted = page.workspace.hosted
    with gr.Row(elem_id="foot"):
        gr.Markdown(
            "What you make here is yours: it is stored on this server for this browser only, unless you share it."
            if hosted
            else "Everything stays on this machine. What you teach belongs to this browser."
        )
        top.forget.render()
    identity.forget_on(page.workspace, top.forget, page.visitor)
