"""The Inspect tab: what goes on inside a model while it reads, what it is made of, and how its layers learnt."""

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from microformer.model.profile import Profile
from microformer.ui import live_chart, plots
from microformer.ui.actions import inspect
from microformer.ui.actions.words import counted
from microformer.ui.dataset_card import short_number
from microformer.ui.page import QUIET, Page
from microformer.ui.tabs import model_list
from microformer.ui.workspace import Visitor, Workspace

if TYPE_CHECKING:
    from microformer.inspection import Candidate, Reading

FIRST_TEXT = "One quiet morning, Nora had a big kettle. The big kettle was in the"
NO_LENS = "This model judges whole texts, so it has no next token in mind."
NO_GRADIENTS = "How strongly each layer learnt was not recorded for this model; it is for runs trained here."
NOT_YET = "Press Look inside: each row shows from which tokens the model takes when it reads one."
NO_LENS_YET = '<p class="quiet">The three likeliest next tokens, after the embedding and after each layer.</p>'
NO_PICTURE = {"figure": {"data": [], "layout": {}}, "words": NOT_YET}


@dataclass(frozen=True)
class Parts:
    """What the tab's wiring needs of it."""

    model: gr.Dropdown
    text: gr.Textbox
    look: gr.Button
    layer: gr.Slider
    head: gr.Slider
    attention: gr.HTML
    lens: gr.HTML
    costs: gr.HTML
    gradients: gr.HTML


def build(page: Page) -> Parts:
    """Lay out the tab: the text on the left, attention on the right, the model itself below."""
    with gr.Row(equal_height=False, elem_classes="sides"):
        with gr.Column(scale=4, min_width=320, elem_classes="card"):
            gr.Markdown("### Look inside")
            model = model_list.build("inspect-model")
            text = gr.Textbox(FIRST_TEXT, label="A text to read", lines=3, max_lines=8, elem_id="inspect-text")
            look = gr.Button("Look inside", variant="primary", elem_id="inspect-look", interactive=False)
            gr.Markdown("#### What each layer would say next")
            lens = gr.HTML(NO_LENS_YET, elem_id="inspect-lens", apply_default_css=False)
        with gr.Column(scale=6, min_width=320, elem_classes="card"):
            gr.Markdown("### Which token attends to which")
            with gr.Row():
                layer = gr.Slider(1, 2, value=1, step=1, label="Layer", elem_id="inspect-layer", min_width=220)
                head = gr.Slider(1, 2, value=1, step=1, label="Head", elem_id="inspect-head", min_width=220)
            attention = live_chart.figure(NO_PICTURE, elem_id="inspect-attention")
    with gr.Row(equal_height=False, elem_classes="sides"):
        with gr.Column(scale=5, min_width=320, elem_classes="card"):
            gr.Markdown("### What it is made of")
            costs = gr.HTML("", elem_id="inspect-costs", apply_default_css=False)
        with gr.Column(scale=5, min_width=320, elem_classes="card"):
            gr.Markdown("### How strongly each layer learnt")
            gradients = live_chart.figure(elem_id="inspect-gradients")
    return Parts(model, text, look, layer, head, attention, lens, costs, gradients)


def wire(page: Page, parts: Parts, all_parts: dict[str, Any]) -> None:
    """Connect the tab's events."""
    read = [parts.layer, parts.head, parts.attention, parts.lens]

    def refresh(workspace: Workspace, visitor: Visitor, last: Any, model: Any) -> Any:
        model, listed = model_list.chosen(workspace, visitor, model, last)
        chosen = [listed, gr.Button(interactive=model is not None)]
        if model is None:
            return [*chosen, "", None]
        steps, norms = inspect.gradients(workspace, visitor, model)
        return [*chosen, costs_html(inspect.costs(workspace, visitor, model)), gradients_value(steps, norms)]

    def look(workspace: Workspace, visitor: Visitor, model: Any, text: Any, layer: Any, head: Any) -> Any:
        reading = inspect.look_inside(workspace, visitor, model, text)
        layers, heads = len(reading.attention), len(reading.attention[0])
        layer, head = _within(layer, layers), _within(head, heads)
        sliders = [_slider(layer, layers), _slider(head, heads)]
        return [*sliders, attention_value(reading, layer, head), lens_html(reading.lens)]

    def show(workspace: Workspace, visitor: Visitor, layer: Any, head: Any) -> Any:
        reading = inspect.looked_at(workspace, visitor)
        if reading is None:
            return gr.skip()
        layers, heads = len(reading.attention), len(reading.attention[0])
        return attention_value(reading, _within(layer, layers), _within(head, heads))

    known = [parts.model, parts.look, parts.costs, parts.gradients]
    page.on(page.panes["inspect"].select, refresh, [page.last_model, parts.model], known)
    page.on(parts.model.input, refresh, [page.last_model, parts.model], known)
    # What another model made of the text is not this one's.
    parts.model.input(lambda: (NO_PICTURE, NO_LENS_YET), None, [parts.attention, parts.lens], **QUIET)
    asked = [parts.model, parts.text, parts.layer, parts.head]
    page.on(parts.look.click, look, asked, read)
    for slider in (parts.layer, parts.head):
        page.on(slider.input, show, [parts.layer, parts.head], [parts.attention], trigger_mode="always_last")


def _slider(value: int, most: int) -> gr.Slider:
    # A slider from 1 to 1 would divide by nothing.
    return gr.Slider(maximum=max(2, most), value=value, interactive=most > 1)


def _within(value: Any, most: int) -> int:
    return min(max(int(value), 1), most) if isinstance(value, int | float) else 1


def attention_value(reading: "Reading", layer: int, head: int) -> dict[str, Any]:
    """The heat map of one head, and what it shows in a sentence."""
    weights = reading.attention[layer - 1][head - 1]
    last = weights[-1]
    most = int(last.argmax())
    words = (
        f"Layer {layer}, head {head}: the last token, “{reading.tokens[-1]}”, takes most from number {most + 1}, "
        f"“{reading.tokens[most]}” ({100 * float(last[most]):.0f}\N{NO-BREAK SPACE}%). "
        "Each row sums to 100\N{NO-BREAK SPACE}%."
    )
    if reading.skipped:
        words += f" Only the end of the text is shown, without the {counted(reading.skipped, 'token')} before it."
    shares = [[round(share, 4) for share in row] for row in weights.tolist()]
    return {"figure": plots.heat_map(reading.tokens, shares), "words": words}


def gradients_value(steps: list[int], norms: list[list[float]]) -> dict[str, Any]:
    """The norm of each layer's gradient by step, or why there is none."""
    if not steps:
        return NO_PICTURE | {"words": NO_GRADIENTS}
    curves = {f"layer {number}": list(one) for number, one in enumerate(zip(*norms, strict=True), 1)}
    words = (
        f"At step {steps[-1]:,} layer {_largest(norms[-1])} learnt most strongly; the shares of all change over time."
    )
    return {"figure": plots.lines(steps, curves, x_title="step", y_title="gradient norm"), "words": words}


def _largest(norms: list[float]) -> int:
    return 1 + max(range(len(norms)), key=norms.__getitem__)


def lens_html(layers: "list[list[Candidate]]") -> str:
    """What would be said after the embedding and after each layer, the likeliest first."""
    if not layers:
        return f'<p class="quiet">{NO_LENS}</p>'
    rows = []
    for number, candidates in enumerate(layers):
        cells = "".join(
            f'<td style="--share:{100 * one.probability:.1f}%"><code>{html.escape(one.label)}</code> '
            f"{100 * one.probability:.0f}\N{NO-BREAK SPACE}%</td>"
            for one in candidates
        )
        rows.append(f'<tr><th scope="row">{f"layer {number}" if number else "embedding"}</th>{cells}</tr>')
    return (
        '<div class="table lens" tabindex="0" role="region" aria-label="Next tokens by layer">'
        f"<table><tbody>{''.join(rows)}</tbody></table></div>"
        '<p class="quiet">As if each layer were the last one; the bottom row is what the model says.</p>'
    )


def costs_html(costs: Profile) -> str:
    """Parameters and FLOPs by part."""
    tables = []
    for title, parts in (("Parameters", costs.parameters), ("FLOPs to read one token", costs.flops_per_token)):
        rows = "".join(
            f'<tr><th scope="row">{name}</th><td>{short_number(count)}</td><td>{100 * share:.0f} %</td></tr>'
            for name, count, share in plots.parameter_shares(parts)
        )
        total = f'<tr><th scope="row">all</th><td>{short_number(sum(parts.values()))}</td><td></td></tr>'
        tables.append(
            f"<table><thead><tr><th>{title}</th><th></th><th></th></tr></thead><tbody>{rows}{total}</tbody></table>"
        )
    return f'<div class="table costs" tabindex="0" role="region" aria-label="Costs by part">{"".join(tables)}</div>'
