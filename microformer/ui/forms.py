"""Widgets made from settings dataclasses, and back.

A setting's name, type, limits, default and help stand in its dataclass field (``microformer.settings``) and nowhere
else; this module turns each into the widget that suits it and turns what a person entered into a checked dataclass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.components import Component

from microformer.errors import UserError
from microformer.settings import Setting, convert, describe

# Names that read well only as they are written in code and in papers; the others become words.
CODE_NAMES = ("d_", "n_")
NGRAM = ("ngram", "n-gram")  # how it is written in code, and how in words


@dataclass(frozen=True)
class Form:
    """The widgets of one settings dataclass, in the order of its fields."""

    settings: tuple[Setting, ...]
    widgets: tuple[Component, ...]

    def show(self, config: Any) -> list[Any]:
        """The value of each widget that shows ``config``, in the order of ``widgets``."""
        return [getattr(config, one.name) for one in self.settings]

    def read(self, entered: Sequence[Any]) -> dict[str, Any]:
        """What a person entered, as values by name.

        Types are converted here; limits are the dataclass's own to check. Raises ``UserError`` with the setting's
        name, the value and what is allowed.
        """
        values = {}
        for known, value in zip(self.settings, entered, strict=True):
            blank = value is None or (isinstance(value, str) and not value.strip())
            if blank and known.type is not str:
                if not known.optional:
                    raise UserError(f"{label(known)} is empty; it must be {known.allowed}.")
                value = None
            values[known.name] = convert(known, value)
        return values


def build_form(cls: type, *, skip: Sequence[str] = (), id_prefix: str = "") -> Form:
    """Build one widget for each setting of ``cls`` in the current Blocks, leaving out the names in ``skip``."""
    settings = tuple(one for one in describe(cls) if one.name not in skip)
    widgets = []
    with gr.Row(elem_classes="settings"):
        for one in settings:
            widgets.append(widget(one, elem_id=f"{id_prefix}{one.name}"))
    return Form(settings, tuple(widgets))


def widget(known: Setting, *, elem_id: str | None = None) -> Component:
    """The widget for one setting: a box to tick, a list to choose from, a slider for a share, a number or a text.

    Number boxes get no limits of their own: Gradio would answer with a message of its own, where the dataclass has
    a sentence that says what is allowed.
    """
    common: dict[str, Any] = {
        "value": known.default,
        "label": label(known),
        "info": explanation(known),
        "elem_id": elem_id,
        "min_width": 210,
    }
    if known.type is bool:
        return gr.Checkbox(**common)
    if known.choices:
        return gr.Dropdown(choices=[(str(choice), choice) for choice in known.choices], filterable=False, **common)
    if known.type is str:
        return gr.Textbox(max_lines=2, **common)
    if known.minimum == 0 and known.maximum is not None and known.maximum <= 1 and not known.optional:
        return gr.Slider(minimum=0, maximum=known.maximum, step=0.01, **common)
    step = 1 if known.type is int else 10.0 ** -len(f"{known.default or 1:f}".rstrip("0").partition(".")[2])
    return gr.Number(step=step, placeholder="not set" if known.optional else None, **common)


def label(known: Setting) -> str:
    """``learning_rate`` -> ``Learning rate``; ``d_model`` stays, since that is what everybody calls it."""
    if known.name.startswith(CODE_NAMES):
        return known.name
    return known.name.replace(*NGRAM).replace("_", " ").capitalize()


def explanation(known: Setting) -> str:
    """The setting's help followed by its limits."""
    return f"{known.help} {limits(known)}".strip()


def limits(known: Setting) -> str:
    """A setting's range in short, such as ``(1 to 128)``; empty where there is none worth telling."""
    unit = f" {known.unit}" if known.unit else ""
    if known.choices or known.type in (bool, str):
        return ""
    if known.above is not None:
        upper = f", at most {known.maximum:,.10g}" if known.maximum is not None else ""
        return f"(above {known.above:,.10g}{upper}{unit})"
    if known.minimum is not None and known.maximum is not None:
        return f"({known.minimum:,.10g} to {known.maximum:,.10g}{unit})"
    return ""
