"""What the Share tab does, without a browser: models go out and come in, and nothing private goes along."""

import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import constants

from microformer import checkpoint
from microformer.errors import UserError
from microformer.ui.actions import hub as sharing
from microformer.ui.actions import packing
from microformer.ui.workspace import Limits, Visitor, Workspace, new_secret
from tests.hub.conftest import make_run
from tests.hub.hub_server import HubServer

# The client of the Hub hands files to its HTTP library in a way that library would rather see differently.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def run(workspace: Workspace, ada: Visitor) -> str:
    id, path = workspace.runs.create(ada, "My model")
    make_run(path)
    return id


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub on this machine that the real client takes for the real one."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    with HubServer() as server:
        # What HF_ENDPOINT sets where a process starts.
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        yield server


def ended(transfer: sharing.Transfer) -> sharing.Transfer:
    assert transfer.ended.wait(120)
    return transfer


def weights(workspace: Workspace, visitor: Visitor, run: Any) -> str:
    return checkpoint.base_hash(checkpoint.load(workspace.run_path(run, visitor)).model)


def test_a_model_that_was_pushed_can_be_got_again(workspace: Workspace, ada: Visitor, run: str, hub: HubServer) -> None:
    pushed = ended(sharing.push(workspace, ada, run, "first", "hf_ada", False))
    assert (pushed.state, pushed.address) == ("done", f"{hub.url}/ada/first")
    bob = workspace.visitor(new_secret())
    pulled = ended(sharing.pull(workspace, bob, " ada/first ", ""))
    assert pulled.state == "done" and "is here" in pulled.message
    assert weights(workspace, bob, pulled.run) == weights(workspace, ada, run)
    assert workspace.runs.item(pulled.run, bob).name == "first"
    with pytest.raises(UserError):
        workspace.runs.get(pulled.run, ada)


def test_only_the_visitors_own_token_is_used_and_it_is_kept_nowhere(
    workspace: Workspace, ada: Visitor, run: str, hub: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_bob")
    ended(sharing.push(workspace, ada, run, "secret", "hf_ada", True))
    failed = ended(sharing.pull(workspace, ada, "ada/secret", None))
    assert failed.state == "failed" and "private" in failed.message
    assert {token for _, _, token in hub.requests} == {"hf_ada", None}
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written and not any(b"hf_ada" in path.read_bytes() for path in written)


def test_what_goes_wrong_is_a_sentence_and_leaves_nothing_behind(
    workspace: Workspace, ada: Visitor, run: str, hub: HubServer
) -> None:
    refused = ended(sharing.push(workspace, ada, run, "first", "hf_nobody", False))
    assert refused.state == "failed" and "token" in refused.message
    missing = ended(sharing.pull(workspace, ada, "ada/nothing", None))
    assert missing.state == "failed" and "ada/nothing" in missing.message
    assert [item.id for item in workspace.runs.list(ada)] == [run]
    assert str(workspace.home) not in missing.message


@pytest.mark.parametrize(("repository", "token"), [("", "hf_ada"), ("  ", "hf_ada"), (None, "hf_ada"), ("x", " ")])
def test_what_is_missing_is_asked_for_at_once(
    workspace: Workspace, ada: Visitor, run: str, repository: Any, token: str
) -> None:
    with pytest.raises(UserError):
        sharing.push(workspace, ada, run, repository, token, False)
    assert sharing.current(workspace, ada) is None


def test_a_model_travels_as_one_file(workspace: Workspace, ada: Visitor, run: str) -> None:
    packed = ended(sharing.export(workspace, ada, run))
    assert packed.file is not None and packed.file.name == "My-model.zip"
    added = ended(sharing.upload(workspace, ada, str(packed.file)))
    assert added.state == "done", added.message
    assert weights(workspace, ada, added.run) == weights(workspace, ada, run)


def test_a_model_travels_in_fewer_bits(workspace: Workspace, ada: Visitor, run: str) -> None:
    sizes = []
    for form, name in (("whole", "My-model.zip"), ("8", "My-model-8-bits.zip"), ("4", "My-model-4-bits.zip")):
        packed = ended(sharing.export(workspace, ada, run, form))
        assert packed.state == "done" and packed.file is not None, packed.message
        assert [one.name for one in packed.file.parent.iterdir()] == [name]
        sizes.append(packed.file.stat().st_size)
        added = ended(sharing.upload(workspace, ada, str(packed.file)))
        loaded = checkpoint.load(workspace.run_path(added.run, ada))
        assert loaded.model.config.bits == packing.FORMS[form]
    assert sizes == sorted(sizes, reverse=True)
    with pytest.raises(UserError, match="no kind of file 'pickle'"):
        sharing.export(workspace, ada, run, "pickle")


def test_a_model_for_other_programs_comes_with_its_tokenizer(workspace: Workspace, ada: Visitor, run: str) -> None:
    packed = ended(sharing.export(workspace, ada, run, "onnx"))
    assert packed.state == "done" and packed.file is not None, packed.message
    assert packed.file.name == "My-model-onnx.zip"
    with zipfile.ZipFile(packed.file) as archive:
        assert archive.namelist() == ["model.onnx", "tokenizer.json"]
        assert archive.read("tokenizer.json") == (workspace.run_path(run, ada) / "tokenizer.json").read_bytes()


def test_without_the_packages_that_write_onnx_nothing_is_begun(
    workspace: Workspace, ada: Visitor, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"onnxscript, which is not installed; pip install -e '\.\[onnx\]'"):
        sharing.export(workspace, ada, run, "onnx")
    assert sharing.current(workspace, ada) is None


def test_a_file_that_is_no_model_is_refused(workspace: Workspace, ada: Visitor, tmp_path: Path) -> None:
    file = tmp_path / "story.zip"
    file.write_bytes(b"once upon a time")
    refused = ended(sharing.upload(workspace, ada, str(file)))
    assert refused.state == "failed" and "story.zip" in refused.message
    assert workspace.runs.list(ada) == [] and list(workspace.runs.root.glob(".[0-9a-f]*")) == []


def test_another_visitors_run_can_neither_be_pushed_nor_packed(workspace: Workspace, run: str) -> None:
    bob = workspace.visitor(new_secret())
    with pytest.raises(UserError, match="not there"):
        sharing.push(workspace, bob, run, "mine-now", "hf_bob", False)
    with pytest.raises(UserError, match="not there"):
        sharing.export(workspace, bob, run)


def test_a_visitor_with_as_many_runs_as_allowed_gets_no_more(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, hosted=True, limits=Limits(runs=1))
    ada = workspace.visitor(new_secret())
    workspace.runs.create(ada, "The one")[1].mkdir()
    with pytest.raises(UserError, match="most"):
        sharing.pull(workspace, ada, "ada/first", None)


def test_old_downloads_are_removed(tmp_path: Path) -> None:
    now = [1e9]
    workspace = Workspace(tmp_path, clock=lambda: now[0])
    owner = workspace.visitor(None)
    id, path = workspace.runs.create(owner, "My model")
    make_run(path)
    now[0] = path.stat().st_mtime
    old = ended(sharing.export(workspace, owner, id)).file
    now[0] += packing.KEPT + 60
    new = ended(sharing.export(workspace, owner, id)).file
    assert old is not None and new is not None and new.is_file() and not old.exists()


@pytest.mark.parametrize(
    ("name", "file"),
    [("My model", "My-model"), ("../../etc", "etc"), ("Łódź", "d"), ("…", "model"), ("a" * 90, "a" * 60)],
)
def test_a_file_is_named_after_its_model(name: str, file: str) -> None:
    assert packing.file_name(name) == file
