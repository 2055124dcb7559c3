"""The list of models on the tabs that use one."""

from typing import Any

import gradio as gr

from microformer.ui.actions import models
from microformer.ui.workspace import Visitor, Workspace

NO_MODEL = "There is no model yet; train one on the Train tab."


def build(elem_id: str, **options: Any) -> gr.Dropdown:
    """An empty list; ``chosen`` fills it."""
    return gr.Dropdown([], label="Model", elem_id=elem_id, filterable=False, **options)


def chosen(
    workspace: Workspace, visitor: Visitor, *wanted: Any, speaking: bool = False
) -> tuple[str | None, gr.Dropdown]:
    """The first of ``wanted`` that the visitor may use, or any (``None`` where there is none), and the list with it.

    ``speaking`` leaves out models that do not go on with a text.
    """
    names = models.models(workspace, visitor, speaking=speaking)
    model = models.chosen_of([id for _, id in names], *wanted)
    return model, gr.Dropdown(names, value=model, info=NO_MODEL if model is None else None)
