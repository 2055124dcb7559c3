"""Two visitors of a hosted page: neither can read, change, stop or delete what is the other's, by any way in.

The ways in are read from the page that was built, so one that is added later is tried as well.
"""

import ast
import asyncio
import hashlib
import json
import types
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import torch

from microformer import checkpoint
from microformer.data.prepare import prepare
from microformer.generation.settings import Sampling
from microformer.model.transformer import Transformer
from microformer.teaching.session import Fact, Session
from microformer.teaching.store import save_session
from microformer.training.config import RunConfig
from microformer.training.run_directory import Run
from microformer.ui import actions
from microformer.ui.actions import streams
from microformer.ui.actions.streams import Group
from microformer.ui.app import build_app
from microformer.ui.identity import STORAGE_KEY
from microformer.ui.workspace import Visitor, Workspace, new_secret
from tests.conftest import make_config

CANARY = "Quetzalcoatlus"
"""A word that stands in everything the victim has and nowhere else; whoever is shown it has read what is not theirs."""
ASKED = (gr.BrowserState, gr.Dropdown, gr.Radio, gr.CheckboxGroup, gr.Textbox, gr.State, gr.HTML, gr.Dataframe, gr.JSON)
"""Components that can carry an identifier. Others (sliders, check boxes) keep the value they have on the page."""


@dataclass(frozen=True)
class Belongings:
    """What the victim has on the shelves."""

    visitor: Visitor
    dataset: str
    run: str
    session: str
    trash: str
    writing: Group

    def wanted(self, workspace: Workspace) -> list[str]:
        """What an attacker may have got to know: identifiers, the token of a deletion, and paths."""
        ids = [self.dataset, self.run, self.session]
        shelves = [workspace.datasets, workspace.runs, workspace.sessions]
        paths = [str(shelf.root / id) for shelf, id in zip(shelves, ids, strict=True)]
        newest = checkpoint.checkpoints(workspace.runs.root / self.run)[-1]
        return [
            *ids,
            self.trash,
            self.writing.key,
            *paths,
            str(newest),
            f"{self.run}/{newest.name}",
            f"../runs/{self.run}",
        ]


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
    stream = workspace.engine(run).sample("The", Sampling(max_tokens=300, seed=1))
    key = streams.show(workspace, visitor, "sample", [stream], about=CANARY)
    writing = streams.groups(workspace, visitor).get(key)
    assert writing is not None
    return Belongings(visitor, data[0], run_id, session_id, trash, writing)


@pytest.fixture(scope="module")
def page(workspace: Workspace) -> Iterator[gr.Blocks]:
    async def build() -> gr.Blocks:  # Gradio leaves an event loop open for each page that is built outside of one
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


def tells_who(component: Any) -> bool:
    """Whether this is the component that holds the browser's secret."""
    return isinstance(component, gr.BrowserState) and component.storage_key == STORAGE_KEY


def asked_by(one: Any) -> list[Any]:
    """The inputs of a handler beside the visitor's secret."""
    return [component for component in one.inputs if not tells_who(component)]


def arguments_for(one: Any, secret: str, wanted: str) -> list[Any]:
    """The inputs of a handler: the attacker's secret where the page sends it, what is wanted wherever it may go."""
    values: list[Any] = []
    for component in one.inputs:
        if tells_who(component):
            values.append(secret)
        elif isinstance(component, gr.CheckboxGroup) or getattr(component, "multiselect", False):
            values.append([wanted])
        elif isinstance(component, ASKED):
            values.append(wanted)
        else:
            values.append(getattr(component, "value", None))
    return values


def names_asked_for() -> set[str]:
    """Every name that an action may look for in a server function's request, read from the actions' own source."""
    names: set[str] = set()
    for source in Path(actions.__file__).parent.glob("*.py"):
        for function in ast.walk(ast.parse(source.read_text("utf-8"))):
            if isinstance(function, ast.FunctionDef) and "request" in [one.arg for one in function.args.args]:
                literals = [one.value for one in ast.walk(function) if isinstance(one, ast.Constant)]
                names |= {one for one in literals if isinstance(one, str) and one.isidentifier()}
    return names


def requests_for(secret: Any, wanted: str) -> list[dict[str, Any]]:
    """A server function's argument with what is wanted under every name: as it is, in a list, and as a key."""
    names = names_asked_for()
    assert {"model", "runs", "shown", "key"} <= names
    shapes: list[Any] = [wanted, [wanted], {wanted: 0}]
    mixed = {"key": wanted, "model": wanted, "shown": wanted, "runs": {wanted: 0}, "have": [0], "text": 0, "token": 0}
    return [{**dict.fromkeys(names, shape), "visitor": secret} for shape in shapes] + [{**mixed, "visitor": secret}]


def test_no_way_in_lets_a_visitor_touch_what_is_anothers(
    workspace: Workspace, victim: Belongings, page: gr.Blocks
) -> None:
    secret = new_secret()
    before = snapshot(workspace, victim)
    assert len(before) > 10
    tried = 0
    for number, wanted in enumerate(victim.wanted(workspace)):
        for name, one in handlers(page):
            if number and not any(isinstance(component, ASKED) for component in asked_by(one)):
                continue  # nothing of what is wanted can be sent there
            said = answer(one.fn, arguments_for(one, secret, wanted))
            assert CANARY not in said, f"{name} shows what belongs to somebody else, asked for {wanted}"
            tried += 1
        for name, function in server_functions(page):
            for request in requests_for(secret, wanted):
                said = answer(function, [request])
                assert CANARY not in said, f"{name} shows what belongs to somebody else, asked for {wanted}"
                tried += 1
    assert snapshot(workspace, victim) == before
    assert tried > 500
    victim.writing.streams[0].wait(60)
    assert victim.writing.streams[0].stop_reason != "stopped"
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
            for request in requests_for(secret, victim.run):
                assert CANARY not in answer(function, [request]), name
    assert snapshot(workspace, victim) == before


def test_the_owner_is_shown_what_the_others_are_not(
    workspace: Workspace, victim: Belongings, page: gr.Blocks, owner_secret: str
) -> None:
    shown = {
        name
        for name, function in server_functions(page)
        for wanted in (victim.run, victim.writing.key)
        if any(CANARY in answer(function, [request]) for request in requests_for(owner_secret, wanted)[3:])
    }
    refresh = [(name, one) for name, one in handlers(page) if name.split()[-1] in ("refresh", "refreshed", "arrive")]
    shown |= {name for name, one in refresh if CANARY in answer(one.fn, arguments_for(one, owner_secret, victim.run))}
    assert len(shown) >= 6, "the test above would notice nothing, because nothing shows the word it looks for"


def test_events_are_not_offered_to_programs(page: gr.Blocks) -> None:
    assert json.dumps(page.get_api_info()["named_endpoints"]) == "{}"
