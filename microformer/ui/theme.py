"""Colours, type and spacing of the page. Only fonts that every system has, so nothing is fetched from elsewhere."""

import json
from pathlib import Path

import gradio as gr
from gradio.themes.utils import colors, sizes

from microformer.ui.terms import explanations

ASSETS = Path(__file__).resolve().parents[2] / "assets"
STYLES = sorted(ASSETS.glob("*.css"))
SCRIPT = ASSETS / "page.js"

SANS = ("ui-sans-serif", "system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")


# What differs from Gradio's base theme; names that begin with a star are its own colours.
LOOK = {
    "layout_gap": "18px",
    "body_background_fill": "#f7f8fb",
    "body_background_fill_dark": "#0e1220",
    "block_background_fill": "white",
    "block_background_fill_dark": "#171c2d",
    "background_fill_secondary": "#f1f3f8",
    "background_fill_secondary_dark": "#131828",
    "block_border_color": "#e3e7ef",
    "block_border_color_dark": "#262d42",
    "border_color_primary": "#e3e7ef",
    "border_color_primary_dark": "#2a3148",
    "block_border_width": "1px",
    "block_shadow": "0 1px 2px rgb(16 24 40 / 0.04)",
    "block_shadow_dark": "none",
    "block_label_background_fill": "transparent",
    "block_label_background_fill_dark": "transparent",
    "block_label_border_width": "0px",
    "block_label_text_color": "*neutral_600",
    "block_label_text_color_dark": "*neutral_300",
    "block_title_text_color": "*neutral_700",
    "block_title_text_color_dark": "*neutral_200",
    "block_title_text_weight": "600",
    "block_info_text_color": "*neutral_500",
    "block_info_text_color_dark": "*neutral_400",
    "input_background_fill": "#fbfcfe",
    "input_background_fill_dark": "#111627",
    "input_border_width": "1px",
    "input_border_color": "#d6dbe6",
    "input_border_color_dark": "#343c55",
    "input_border_color_focus": "*primary_500",
    "input_border_color_focus_dark": "*primary_400",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_hover": "*primary_700",
    "button_primary_background_fill_dark": "*primary_500",
    "button_primary_background_fill_hover_dark": "*primary_600",
    "button_primary_text_color": "white",
    "button_secondary_background_fill": "white",
    "button_secondary_background_fill_hover": "*neutral_100",
    "button_secondary_background_fill_dark": "#1e2438",
    "button_secondary_background_fill_hover_dark": "#283049",
    "button_secondary_border_color": "#d6dbe6",
    "button_secondary_border_color_dark": "#343c55",
    "button_border_width": "1px",
    "button_large_text_weight": "600",
    "slider_color": "*primary_500",
    "slider_color_dark": "*primary_400",
}


def theme() -> gr.themes.Base:
    """A calm theme, light and dark: much space, one accent colour, soft corners, hardly any borders."""
    base = gr.themes.Base(
        primary_hue=colors.indigo,
        secondary_hue=colors.amber,
        neutral_hue=colors.slate,
        text_size=sizes.text_md,
        spacing_size=sizes.spacing_lg,
        radius_size=sizes.radius_lg,
        font=SANS,
        font_mono=MONO,
    )
    return base.set(**LOOK)


def head() -> str:
    """What goes into the page's ``<head>``: the explanations of terms and the script that shows them."""
    # "</" would end the script element early; JSON may write the slash with a backslash.
    terms = json.dumps(explanations()).replace("</", "<\\/")
    return f"<script>window.microformerTerms = {terms};</script>\n<script>{SCRIPT.read_text('utf-8')}</script>"
