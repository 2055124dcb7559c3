"""What every tab is given: the workspace, who is asking, and the one way in which a button calls an action.

An action is a plain function ``action(workspace, visitor, *values)`` in ``ui/actions/``. It returns what the outputs
show and raises ``UserError`` for what a user can cause.
"""

import functools
import html
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import gradio as gr
from gradio.components import Component

from microformer.errors import UserError
from microformer.ui.terms import label_class
from microformer.ui.theme import ASSETS
from microformer.ui.workspace import Workspace, is_secret

log = logging.getLogger(__name__)

Action = Callable[..., Any]
UNEXPECTED = "Something went wrong here that should not have; what happened is in the server's log. Nothing was lost."
QUIET: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Options of an event that changes only what is shown, and asks nobody who it is."""
# In JavaScript: the secret of this browser, to be sent to server functions as {"visitor": visitor(), ...}.
VISITOR_JS = "const visitor = () => (window.microformer || {}).visitor || null;\n"


def script(*names: str) -> str:
    """The script of a widget of ours: ``visitor()``, and behind it some files of ``assets/``, in their order."""
    return VISITOR_JS + "".join((ASSETS / name).read_text(encoding="utf-8") for name in names)


def down_to(selector: str) -> str:
    """JavaScript that scrolls down to what an event has changed, where that is out of sight, as on a phone."""
    return (
        f"() => {{ const place = document.querySelector('{selector}');"
        " if (place && place.getBoundingClientRect().top > 0.6 * innerHeight)"
        " place.scrollIntoView({block: 'start', behavior: 'smooth'}); }"
    )


@dataclass
class Page:
    """The page under construction.

    ``visitor`` holds the browser's secret and ``arrived`` is the event after which it is known. ``last_model`` holds
    the model that this browser used last. ``tabs`` are all tabs, ``panes`` each of them by its id.
    """

    workspace: Workspace
    visitor: gr.BrowserState
    arrived: Any
    last_model: gr.BrowserState = field(init=False)
    tabs: gr.Tabs = field(init=False)
    panes: dict[str, gr.Tab] = field(default_factory=dict)

    def shown(self, action: Action, *, early: bool = False) -> Action:
        """``action`` as a Gradio handler whose first input is ``page.visitor``.

        A ``UserError`` becomes a notice with its sentence, anything unexpected a line in the log and a notice that
        says so; in both cases the outputs stay as they are. An event that may come ``early``, before the browser has
        introduced itself, is left alone until it has.
        """

        @functools.wraps(action)
        def handler(secret: Any, *values: Any) -> Any:
            if early and not is_secret(secret):
                return gr.skip()
            try:
                return action(self.workspace, self.workspace.visitor(secret), *values)
            except UserError as error:
                notice(str(error))
            except Exception:
                log.exception("%s failed", action.__name__)
                notice(UNEXPECTED)
            return gr.skip()

        # Gradio counts parameters to warn of a mismatch; the action's own signature would mislead it.
        del handler.__wrapped__
        return handler

    def on(
        self,
        trigger: Callable[..., Any],
        action: Action,
        inputs: Sequence[Component] = (),
        outputs: Sequence[Component] = (),
        *,
        early: bool = False,
        **options: Any,
    ) -> Any:
        """Call ``action(workspace, visitor, *inputs)`` on an event such as ``button.click`` and show what it returns.

        ``early``: see ``shown``. Options go to Gradio. Returns the event, on which ``.then`` works.
        """
        settings = {"show_progress": "hidden", "api_visibility": "private", "concurrency_limit": None} | options
        return trigger(self.shown(action, early=early), [self.visitor, *inputs], list(outputs), **settings)

    def hold(self, button: gr.Button, working: str, action: Action, inputs: Any = (), outputs: Any = ()) -> None:
        """Call the action when a button is pressed, which says ``working`` and cannot be pressed until it is done."""
        name = button.value
        pressed = button.click(lambda: gr.Button(working, interactive=False), None, button, **QUIET)
        done = self.on(pressed.then, action, inputs, outputs, trigger_mode="once")
        done.then(lambda: gr.Button(name, interactive=True), None, button, **QUIET)

    def on_arrival(
        self, action: Action, inputs: Sequence[Component] = (), outputs: Sequence[Component] = (), **options: Any
    ) -> Any:
        """Call the action whenever somebody opens or reloads the page, once it is known who."""
        return self.on(self.arrived.then, action, inputs, outputs, **options)

    def server(self, action: Action) -> Callable[[Any], Any]:
        """``action(workspace, visitor, request)`` as a server function of ``gr.HTML``.

        The browser sends one object with its secret in ``visitor``; the action gets the object without it. What goes
        wrong comes back as ``{"error": sentence}``, because these calls are outside Gradio's events.
        """

        @functools.wraps(action)
        def function(request: Any) -> Any:
            try:
                if not isinstance(request, dict):
                    raise UserError("The page sent something that cannot be understood; reload it.")
                rest = {name: value for name, value in request.items() if name != "visitor"}
                return action(self.workspace, self.workspace.visitor(request.get("visitor")), rest)
            except UserError as error:
                return {"error": str(error)}
            except Exception:
                log.exception("%s failed", action.__name__)
                return {"error": UNEXPECTED}

        del function.__wrapped__
        return function

    def go_to(self, tab: str) -> Any:
        """An update for ``page.tabs`` that turns to another tab, by its id: ``"train"``, for example."""
        return gr.Tabs(selected=tab)

    def term(self, name: str) -> list[str]:
        """``elem_classes`` that put a "?" with the explanation of a term beside a component's label."""
        return [label_class(name)]


def notice(sentence: str, *, title: str = "Please note") -> None:
    """Show a sentence to the visitor whose event is being handled. It may quote anybody: it is escaped here."""
    gr.Warning(html.escape(sentence), title=title, duration=max(8.0, len(sentence) / 12))


def said(sentence: str) -> None:
    """Tell the visitor that something worked."""
    gr.Success(html.escape(sentence), title="Done", duration=6.0)
