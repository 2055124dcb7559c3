"""The two places where the page draws curves: a run as it happens, and pictures that do not move.

Both are ``gr.HTML`` with a constant template, so Gradio never rebuilds their nodes, and both draw with the plotly.js
that comes with the plotly package, served from this machine. (``gr.Plot`` would bring a second ``window.Plotly`` and
redraw from nothing at every update.) The scripts stand in ``assets/``.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from microformer.ui.page import script
from microformer.ui.terms import question_mark

Follow = Callable[[Any], dict[str, Any]]

RUN_VIEW = f"""
<section class="run-view" data-state="none" aria-label="The run that is shown">
  <p class="empty run-none">The curve of what your model learns is drawn here while it trains.</p>
  <header>
    <h3 data-word="name"></h3><span class="run-state" data-word="state"></span>
    <p data-word="message"></p>
  </header>
  <div class="run-bar" data-part="bar" role="progressbar" aria-label="Progress of the run" aria-valuemin="0"
    aria-valuemax="100" aria-valuenow="0"><div></div></div>
  <dl class="run-numbers">
    <div><dt>step{question_mark("step")}</dt><dd data-word="step"></dd></div>
    <div><dt>time left</dt><dd data-word="left"></dd></div>
    <div><dt>tokens a second{question_mark("token")}</dt><dd data-word="speed"></dd></div>
    <div><dt>training loss{question_mark("loss")}</dt><dd data-word="loss"></dd></div>
    <div><dt>validation loss{question_mark("validation")}</dt><dd data-word="val_loss"></dd></div>
    <div class="run-score"><dt><span data-word="score_name"></span>{question_mark("bits per byte")}</dt>
      <dd data-word="score"></dd></div>
  </dl>
  <p class="run-meaning" data-word="meaning"></p>
  <ul class="run-advice" data-part="advice" aria-label="What the coach says"></ul>
  <figure>
    <div class="run-chart" data-part="loss" role="img"
      aria-label="Training and validation loss by step, and the loss of guessing from the token before; described in
      words below"></div>
    <figcaption data-part="say" aria-live="polite"></figcaption>
  </figure>
  <div class="run-small-charts">
    <figure><figcaption data-word="score_name"></figcaption><div data-part="score" role="img"
      aria-label="What the run is judged by on the validation text, by step"></div></figure>
    <figure><figcaption>learning rate{question_mark("learning rate")}</figcaption><div data-part="lr" role="img"
      aria-label="Learning rate by step"></div></figure>
    <figure><figcaption>gradient norm{question_mark("gradient norm")}</figcaption><div data-part="grad_norm" role="img"
      aria-label="Norm of the gradient by step"></div></figure>
  </div>
  <h4>What it writes</h4>
  <p class="run-hint" data-part="samples_none">The same beginning is continued at every evaluation; nothing yet.</p>
  <ol class="run-samples" data-part="samples" tabindex="0" aria-label="Samples, the newest first"></ol>
</section>
"""

FIGURE = """
<figure class="picture" hidden>
  <div data-part="figure" role="img" style="width:100%"></div><figcaption data-part="words"></figcaption>
</figure>
"""


def run_view(follow: Follow, *, elem_id: str) -> gr.HTML:
    """The live view of a run; ``follow`` answers the browser's requests and is named so in the script.

    Its value is ``{"shown": id or None, "runs": [ids]}``. The event ``moved`` fires when a run of
    the visitor's came, went or changed its state.
    """
    return gr.HTML(
        None,
        html_template=RUN_VIEW,
        js_on_load=script("run_curves.js", "run_view.js"),
        server_functions=[follow],
        head=plotly_script(),
        elem_id=elem_id,
        apply_default_css=False,
    )


def figure(value: dict[str, Any] | None = None, *, elem_id: str) -> gr.HTML:
    """A picture that is given as ``{"figure": …, "words": …}``, or nothing; without data, the words stand alone."""
    return gr.HTML(
        value,
        html_template=FIGURE,
        js_on_load=script("figure.js"),
        head=plotly_script(),
        elem_id=elem_id,
        apply_default_css=False,
    )


def plotly_script() -> str:
    """The element that loads plotly.js from this machine."""
    path = plotly_path()
    gr.set_static_paths([path])
    return f'<script src="gradio_api/file={path}"></script>'


@cache
def plotly_path() -> Path:
    """Where the plotly package keeps its script; found without importing the package, which takes half a second."""
    import importlib.util

    spec = importlib.util.find_spec("plotly")
    assert spec is not None and spec.origin is not None, "plotly is among the requirements"
    return Path(spec.origin).parent / "package_data" / "plotly.min.js"
