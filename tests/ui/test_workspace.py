"""Who owns what: shelves with identifiers that are looked up, visitors by the hash of a secret, a trash with undo."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from microformer.errors import UserError
from microformer.ui.workspace import OWNER, Limits, Registry, Visitor, Workspace, is_secret, new_secret


class Clock:
    """A time that passes when told to."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def hosted(tmp_path: Path, clock: Clock) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path, hosted=True, clock=clock)
    yield workspace
    workspace.close()


@pytest.fixture
def alone(tmp_path: Path, clock: Clock) -> Iterator[Workspace]:
    workspace = Workspace(tmp_path, clock=clock)
    yield workspace
    workspace.close()


def put(workspace: Workspace, visitor: Visitor, name: str = "mine") -> str:
    id, path = workspace.datasets.create(visitor, name)
    path.mkdir()
    (path / "dataset.json").write_text("{}")
    return id


def two_visitors(workspace: Workspace) -> tuple[Visitor, Visitor]:
    return workspace.visitor(new_secret()), workspace.visitor(new_secret())


def test_a_visitor_is_the_hash_of_the_secret_and_the_same_each_time(hosted: Workspace) -> None:
    secret = new_secret()
    visitor = hosted.visitor(secret)
    assert visitor == hosted.visitor(secret)
    assert re.fullmatch("[0-9a-f]{12}", visitor.key)
    assert secret not in repr(visitor)


def test_alone_datasets_are_the_owners_and_sessions_the_browsers(alone: Workspace) -> None:
    one, other = two_visitors(alone)
    assert one.key == other.key == OWNER
    assert one.browser != other.browser
    id, path = alone.sessions.create(one, "taught")
    path.mkdir()
    assert [item.id for item in alone.sessions.list(one)] == [id]
    assert alone.sessions.list(other) == []
    with pytest.raises(UserError):
        alone.sessions.get(id, other)


@pytest.mark.parametrize("secret", [None, "", "short", 7, ["x"], "é" * 43, "a" * 44, "owner"])
def test_a_hosted_page_serves_nobody_without_a_secret(hosted: Workspace, secret: object) -> None:
    assert not is_secret(secret)
    with pytest.raises(UserError, match="reload"):
        hosted.visitor(secret)


def test_what_one_made_the_other_neither_sees_nor_changes(hosted: Workspace) -> None:
    mine, other = two_visitors(hosted)
    id = put(hosted, mine)
    assert hosted.datasets.list(other) == []
    for attempt in (
        lambda: hosted.datasets.get(id, other),
        lambda: hosted.datasets.get(id, other, write=True),
        lambda: hosted.datasets.rename(id, "taken", other),
        lambda: hosted.datasets.share(id, True, other),
        lambda: hosted.datasets.delete(id, other),
    ):
        with pytest.raises(UserError):
            attempt()
    token = hosted.datasets.delete(id, mine)
    with pytest.raises(UserError):
        hosted.datasets.undo(token, other)
    assert hosted.datasets.undo(token, mine).name == "mine"


def test_what_is_shared_can_be_read_by_all_but_changed_by_its_owner_only(hosted: Workspace) -> None:
    mine, other = two_visitors(hosted)
    id = put(hosted, mine)
    hosted.datasets.share(id, True, mine)
    seen = hosted.datasets.item(id, other)
    assert seen.shared and not seen.mine
    for attempt in (
        lambda: hosted.datasets.rename(id, "taken", other),
        lambda: hosted.datasets.delete(id, other),
        lambda: hosted.datasets.share(id, False, other),
    ):
        with pytest.raises(UserError, match="somebody else"):
            attempt()
    hosted.datasets.share(id, False, mine)
    assert hosted.datasets.list(other) == []


@pytest.mark.parametrize("id", ["..", "../x", "/etc", ".items", ".trash", "", None, 3, "a" * 5000, "x\0y", ["a"]])
def test_identifiers_are_looked_up_and_never_become_paths(alone: Workspace, id: object) -> None:
    visitor = alone.visitor(new_secret())
    with pytest.raises(UserError):
        alone.datasets.get(id, visitor)
    with pytest.raises(UserError):
        alone.datasets.undo(id, visitor)


def test_a_deleted_item_comes_back_with_its_name_and_files(alone: Workspace) -> None:
    visitor = alone.visitor(None)
    id = put(alone, visitor, "Sea stories")
    token = alone.datasets.delete(id, visitor)
    assert alone.datasets.list(visitor) == []
    item = alone.datasets.undo(token, visitor)
    assert (item.id, item.name) == (id, "Sea stories")
    assert (item.path / "dataset.json").exists()
    with pytest.raises(UserError):
        alone.datasets.undo(token, visitor)


def test_names_are_one_line_and_told_apart(alone: Workspace) -> None:
    visitor = alone.visitor(None)
    names = [alone.datasets.item(put(alone, visitor, name), visitor).name for name in ("a\n b", "a b", "", "x" * 300)]
    assert names == ["a b", "a b 2", "My dataset", "x" * 80]
    id = put(alone, visitor, "old")
    assert alone.datasets.rename(id, "../new", visitor).path.name == id
    with pytest.raises(UserError, match="name"):
        alone.datasets.rename(id, " \n", visitor)


def test_what_the_command_line_made_belongs_to_the_owner(tmp_path: Path) -> None:
    (tmp_path / "runs" / "first").mkdir(parents=True)
    alone = Workspace(tmp_path)
    assert [item.name for item in alone.runs.list(alone.visitor(None))] == ["first"]
    hosted = Workspace(tmp_path, hosted=True)
    assert hosted.runs.list(hosted.visitor(new_secret())) == []


def test_a_visitor_cannot_have_more_than_the_limit(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, hosted=True, limits=Limits(datasets=2))
    visitor, other = two_visitors(workspace)
    for _ in range(2):
        id = put(workspace, visitor)
    with pytest.raises(UserError, match="delete one"):
        workspace.datasets.create(visitor, "third")
    put(workspace, other)
    workspace.datasets.delete(id, visitor)
    put(workspace, visitor)


def test_old_trash_and_abandoned_things_of_visitors_are_removed(hosted: Workspace, clock: Clock) -> None:
    clock.now = 10_000_000_000.0  # long after the files' own times
    mine, other = two_visitors(hosted)
    token = hosted.datasets.delete(put(hosted, mine), mine)
    kept = put(hosted, other)
    hosted.clean()
    assert hosted.datasets.undo(token, mine)
    hosted.datasets.delete(hosted.datasets.list(mine)[0].id, mine)
    clock.now += 25 * 3600
    hosted.clean()
    assert not list((hosted.home / "datasets" / ".trash").iterdir())
    assert hosted.datasets.get(kept, other)
    clock.now += 31 * 86400
    hosted.clean()
    assert hosted.datasets.list(other) == []


def test_forgetting_removes_what_the_visitor_made_and_nothing_else(hosted: Workspace) -> None:
    mine, other = two_visitors(hosted)
    put(hosted, mine)
    hosted.datasets.delete(put(hosted, mine), mine)
    kept = put(hosted, other)
    assert hosted.forget(mine) == 1
    assert hosted.datasets.list(mine) == []
    assert not list((hosted.home / "datasets" / ".trash").iterdir())
    assert [item.id for item in hosted.datasets.list(other)] == [kept]


def test_forgetting_alone_keeps_datasets(alone: Workspace) -> None:
    visitor = alone.visitor(new_secret())
    id = put(alone, visitor)
    _, session = alone.sessions.create(visitor, "taught")
    session.mkdir()
    alone.forget(visitor)
    assert alone.datasets.get(id, visitor)
    assert alone.sessions.list(visitor) == []


def test_the_registry_keeps_visitors_apart_and_drops_the_longest_unseen(hosted: Workspace) -> None:
    registry = Registry(visitors=2)
    first, second = two_visitors(hosted)
    registry.put(first, "job", "one")
    registry.put(second, "job", "two")
    assert registry.get(first, "job") == "one"
    assert registry.keep(second, "job", lambda: "other") == "two"
    registry.put(hosted.visitor(new_secret()), "job", "three")
    assert registry.get(first, "job") is None
    assert registry.get(second, "job") == "two"


def test_the_key_of_the_page_survives_a_restart(tmp_path: Path) -> None:
    assert Workspace(tmp_path).app_secret() == Workspace(tmp_path).app_secret()
