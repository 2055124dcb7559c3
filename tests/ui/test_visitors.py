"""Two visitors of a hosted page: neither can read, change, stop or delete what is the other's, by any way in.

The ways in are read from the page that was built, so one that is added later is tried as well.
"""

import hashlib
import json
import types
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any

import gradio as gr
import pytest
import torch

from microformer import checkpoint
from microformer.data.prepare import prepare
from microformer.model.transformer import Transformer
from microformer.teaching.session import Fact, Session
from microformer.teaching.store import save_session
from microformer.training.config import RunConfig
from microformer.training.run_directory import Run
from microformer.ui.app import build_app
from microformer.ui.workspace import Visitor, Workspace, new_secret
from tests.conftest import make_config

CANARY = "Quetzalcoatlus"
"""A word that stands in everything the victim has and nowhere else; whoever is shown it has read what is not theirs."""
ASKED = (gr.Dropdown, gr.Radio, gr.CheckboxGroup, gr.Textbox, gr.State, gr.HTML, gr.Dataframe, gr.JSON, gr.BrowserState)
"""Components that can carry an identifier. Others (sliders, check boxes) keep the value they have on the page."""


@dataclass(frozen=True)
class Belongings:
    """What the victim has on the shelves."""

    visitor: Visitor
    dataset: str
    run: str
    session: str
    trash: str

    def wanted(self, workspace: Workspace) -> list[str]:
        """What an attacker may have got to know: identifiers, the token of a deletion, and paths."""
        ids = [self.dataset, self.run, self.session]
        shelves = [workspace.datasets, workspace.runs, workspace.sessions]
        paths = [str(shelf.root / id) for shelf, id in zip(shelves, ids, strict=True)]
        newest = checkpoint.checkpoints(workspace.runs.root / self.run)[-1]
        return [*ids, self.trash, *paths, str(newest), f"{self.run}/{newest.name}", f"../runs/{self.run}"]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path_factory.mktemp("home"), hosted=True)
    yield workspace
    workspace.close()


@pytest.fixture(scope="module")
def owner_secret() -> str:
    return new_secret()


@pytest.fixture(scope="module")
def victim(workspace: Workspace, owner_secret: str) -> Belongings:
    """A visitor with a dataset, a run that seems to be training, a session, and a dataset in the trash."""
    visitor = workspace.visitor(owner_secret)
    source = workspace.home / "text.txt"
    source.write_text(f"{CANARY} ate a red ball. The dog went home. " * 100)
    deleted, data = [workspace.datasets.create(visitor, f"{CANARY} data") for _ in range(2)]
    for _, path in (deleted, data):
        prepare([source], "char", path, name=f"{CANARY} data")
    source.unlink()

    run_id, run = workspace.runs.create(visitor, f"{CANARY} run")
    Run(run).set_up(RunConfig(model=make_config()), data[1])
    torch.manual_seed(0)
    model = Transformer(Run(run).config().model)
    checkpoint.save(run / "checkpoints" / "step-1", model=model, optimizer_state=None, state={"step": 1})
    Run(run).append_metrics({"step": 1, "loss": 2.0})
    Run(run).append_sample({"step": 1, "prompt": "The", "text": CANARY})
    Run(run).write_status("running", 1, CANARY)

    session_id, session = workspace.sessions.create(visitor, f"{CANARY} session")
    blank = Session.blank(checkpoint.load(run), name=f"{CANARY} session")
    save_session(blank.with_facts([Fact(f"Who ate the ball? {CANARY}", CANARY)]), session)
    trash = workspace.datasets.delete(deleted[0], visitor)
    return Belongings(visitor, data[0], run_id, session_id, trash)


@pytest.fixture(scope="module")
def page(workspace: Workspace) -> Iterator[gr.Blocks]:
    # Gradio leaves an event loop open for each page that is built outside of one.
    import asyncio

    async def build() -> gr.Blocks:
        return build_app(workspace)

    yield asyncio.run(build())


def snapshot(workspace: Workspace, victim: Belongings) -> dict[str, str]:
    """What the victim's things are on disk, file by file, their records and their trash included."""
    shelves = (workspace.datasets, workspace.runs, workspace.sessions)
    ids = (victim.dataset, victim.run, victim.session)
    files: dict[str, str] = {}
    for shelf, id in zip(shelves, ids, strict=True):
        places = [shelf.root / id, shelf.root / ".items" / f"{id}.json", *(shelf.root / ".trash").glob(victim.trash)]
        for place in places:
            for path in [place, *place.rglob("*")]:
                if path.is_file() and not path.name.endswith(".lock"):
                    files[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return files


def handlers(page: gr.Blocks) -> list[tuple[str, Any]]:
    """Every function that an event of the page calls, with its inputs."""
    return [(f"{number} {one.name}", one) for number, one in page.fns.items() if one.fn is not None]


def server_functions(page: gr.Blocks) -> list[tuple[str, Any]]:
    """Every function that the page's scripts can call."""
    blocks = [(block, name) for block in page.blocks.values() for name in getattr(block, "server_fns", [])]
    return [(f"{type(block).__name__}.{fn.__name__}", fn) for block, fn in blocks]


def answer(function: Any, arguments: list[Any]) -> str:
    """What a call gives back or says, as text; a generator is followed for a while."""
    with warnings.catch_warnings(record=True) as notices:
        warnings.simplefilter("always")
        result: Any = None
        with suppress(TypeError, ValueError, AttributeError, KeyError, IndexError):
            result = function(*arguments)
            if isinstance(result, types.GeneratorType):
                with result:  # type: ignore[attr-defined]
                    result = list(islice(result, 5))
    return repr(result) + " ".join(str(notice.message) for notice in notices)


def arguments_for(one: Any, secret: str, wanted: str) -> list[Any]:
    """The inputs of a handler: the attacker's secret where the page sends it, what is wanted wherever it may go."""
    values: list[Any] = []
    for component in one.inputs:
        if getattr(component, "storage_key", None) == "microformer-visitor":
            values.append(secret)
        elif isinstance(component, gr.CheckboxGroup) or getattr(component, "multiselect", False):
            values.append([wanted])
        elif isinstance(component, ASKED):
            values.append(wanted)
        else:
            values.append(getattr(component, "value", None))
    return values


REQUESTS = ("id", "run", "runs", "dataset", "session", "sessions", "token", "name", "item", "job", "path", "key")


def request_for(secret: str, wanted: str) -> dict[str, Any]:
    """A server function's one argument, with what is wanted under every name that it may be asked by."""
    named: dict[str, Any] = dict.fromkeys(REQUESTS, wanted)
    cursors = {wanted: 0}
    return {
        "visitor": secret,
        **named,
        "runs": [wanted],
        "cursors": cursors,
        "cursor": 0,
        "from": 0,
        "i": 0,
        "all": True,
    }


def test_no_way_in_lets_a_visitor_touch_what_is_anothers(
    workspace: Workspace, victim: Belongings, page: gr.Blocks
) -> None:
    secret = new_secret()
    before = snapshot(workspace, victim)
    assert len(before) > 10
    tried = 0
    for wanted in victim.wanted(workspace):
        for name, one in handlers(page):
            said = answer(one.fn, arguments_for(one, secret, wanted))
            assert CANARY not in said, f"{name} shows what belongs to somebody else, asked for {wanted}"
            tried += 1
        for name, function in server_functions(page):
            said = answer(function, [request_for(secret, wanted)])
            assert CANARY not in said, f"{name} shows what belongs to somebody else, asked for {wanted}"
            tried += 1
    assert snapshot(workspace, victim) == before
    assert tried > 100
    attacker = workspace.visitor(secret)
    for shelf in (workspace.datasets, workspace.runs, workspace.sessions):
        assert not any(CANARY in item.name for item in shelf.list(attacker))


def test_without_a_secret_or_with_a_malformed_one_nothing_is_shown(
    workspace: Workspace, victim: Belongings, page: gr.Blocks
) -> None:
    before = snapshot(workspace, victim)
    for secret in (None, "owner", victim.visitor.key, {"$ne": ""}, ["owner"]):
        for name, one in handlers(page):
            assert CANARY not in answer(one.fn, arguments_for(one, secret, victim.run)), name  # type: ignore[arg-type]
        for name, function in server_functions(page):
            assert CANARY not in answer(function, [request_for(secret, victim.run)]), name  # type: ignore[arg-type]
    assert snapshot(workspace, victim) == before


def test_the_owner_is_shown_what_the_others_are_not(
    workspace: Workspace, victim: Belongings, page: gr.Blocks, owner_secret: str
) -> None:
    shown = [
        name
        for name, function in server_functions(page)
        if CANARY in answer(function, [request_for(owner_secret, victim.run)])
    ]
    shown += [
        name
        for name, one in handlers(page)
        if "forget" not in name and "delete" not in name
        for wanted in (victim.dataset, victim.run)
        if CANARY in answer(one.fn, arguments_for(one, owner_secret, wanted))
    ]
    assert len(shown) >= 2, "the test above would notice nothing, because nothing shows the word it looks for"


def test_events_are_not_offered_to_programs(page: gr.Blocks) -> None:
    assert json.dumps(page.get_api_info()["named_endpoints"]) == "{}"
