"""Push and pull through the real client and a Hub on this machine."""

from pathlib import Path

import pytest

from microformer import checkpoint
from microformer.errors import UserError
from microformer.hub.client import pull, push
from tests.hub.hub_server import HubServer, Repo

# The client of the Hub hands files to its HTTP library in a way that library would rather see differently.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


def test_what_is_pushed_can_be_pulled_by_anybody(run: Path, hub: HubServer, tmp_path: Path) -> None:
    told: list[float] = []
    address = push(run, "first", "hf_ada", endpoint=hub.url, progress=lambda fraction, text: told.append(fraction))
    assert address == f"{hub.url}/ada/first"
    assert told == sorted(told) and told[-1] == 1.0
    again = pull("ada/first", tmp_path / "again", endpoint=hub.url)
    before, after = checkpoint.load(run), checkpoint.load(again)
    assert checkpoint.base_hash(after.model) == checkpoint.base_hash(before.model)
    assert after.tokenizer.hash == before.tokenizer.hash


def test_the_repository_has_a_card_with_the_curve_and_every_setting(run: Path, hub: HubServer) -> None:
    push(run, "ada/first", "hf_ada", endpoint=hub.url)
    files = hub.repos["ada/first"].files
    card = files["README.md"].decode()
    assert "library_name: microformer" in card
    assert "(loss.png)" in card and files["loss.png"].startswith(b"\x89PNG")
    assert "d_model: 16" in card and "max_steps: 20" in card and "2.5000" in card
    assert not any("train.npy" in name or "val.npy" in name for name in files)


def test_a_private_repository_is_its_owners(run: Path, hub: HubServer, tmp_path: Path) -> None:
    push(run, "secret", "hf_ada", private=True, endpoint=hub.url)
    with pytest.raises(UserError, match="private"):
        pull("ada/secret", tmp_path / "again", endpoint=hub.url)
    with pytest.raises(UserError, match="private"):
        pull("ada/secret", tmp_path / "again", "hf_bob", endpoint=hub.url)
    assert (pull("ada/secret", tmp_path / "again", "hf_ada", endpoint=hub.url) / "config.yaml").is_file()


def test_pushing_again_adds_a_commit(run: Path, hub: HubServer) -> None:
    push(run, "first", "hf_ada", endpoint=hub.url)
    push(run, "first", "hf_ada", endpoint=hub.url)
    assert len(hub.repos["ada/first"].commits) == 2


def test_a_name_that_holds_something_else_is_left_alone(run: Path, hub: HubServer) -> None:
    hub.repos["ada/book"] = Repo("ada/book", files={"chapter.txt": b"mine"})
    with pytest.raises(UserError, match="taken by something else"):
        push(run, "book", "hf_ada", endpoint=hub.url)
    assert hub.repos["ada/book"].files == {"chapter.txt": b"mine"}


@pytest.mark.parametrize(
    ("repo", "token", "sentence"),
    [
        ("first", "hf_nobody", "does not know this token"),
        ("first", "", "token with the right to write"),
        ("bob/first", "hf_ada", "may not push to bob/first"),
        ("../first", "hf_ada", "not the name of a repository"),
        ("a/b/c", "hf_ada", "not the name of a repository"),
    ],
)
def test_a_push_that_cannot_be_is_told_in_a_sentence(
    run: Path, hub: HubServer, repo: str, token: str, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        push(run, repo, token, endpoint=hub.url)
    assert not hub.repos


def test_a_pull_that_cannot_be_is_told_in_a_sentence(hub: HubServer, tmp_path: Path) -> None:
    hub.repos["ada/book"] = Repo("ada/book", files={"chapter.txt": b"mine"})
    hub.repos["ada/gated"] = Repo("ada/gated", gated=True)
    for repo, sentence in {
        "ada/nothing": "no repository ada/nothing",
        "ada/book": "not a Microformer checkpoint: it has no config.yaml",
        "ada/gated": "lets in",
    }.items():
        with pytest.raises(UserError, match=sentence):
            pull(repo, tmp_path / "again", "hf_bob", endpoint=hub.url)
    assert not (tmp_path / "again").exists()


def test_a_checkpoint_that_was_tampered_with_is_not_kept(run: Path, hub: HubServer, tmp_path: Path) -> None:
    push(run, "first", "hf_ada", endpoint=hub.url)
    files = hub.repos["ada/first"].files
    files["model.safetensors"] = files["model.safetensors"][:-8]
    with pytest.raises(UserError, match="ada/first cannot be used"):
        pull("ada/first", tmp_path / "again", endpoint=hub.url)
    assert not (tmp_path / "again").exists()


def test_a_pull_may_be_limited_in_size(run: Path, hub: HubServer, tmp_path: Path) -> None:
    push(run, "first", "hf_ada", endpoint=hub.url)
    with pytest.raises(UserError, match="at most 0 MB are allowed"):
        pull("ada/first", tmp_path / "again", endpoint=hub.url, max_bytes=1000)


def test_the_machines_own_token_is_never_used(
    run: Path, hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_bob")
    push(run, "first", "hf_ada", endpoint=hub.url)
    assert {token for _, _, token in hub.requests} <= {"hf_ada", None}
    hub.requests.clear()
    pull("ada/first", tmp_path / "again", endpoint=hub.url)
    assert {token for _, _, token in hub.requests} == {None}


def test_without_a_network_the_sentence_names_the_other_way(run: Path, hub: HubServer, tmp_path: Path) -> None:
    with HubServer() as gone:
        nowhere = gone.url
    with pytest.raises(UserError, match=r"cannot be reached.*export"):
        push(run, "first", "hf_ada", endpoint=nowhere)
    with pytest.raises(UserError, match=r"cannot be reached; check the network and try again\.$"):
        pull("ada/first", tmp_path / "again", endpoint=nowhere)


def test_a_hub_that_is_forbidden_is_no_network_either(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be reached"):  # the suite runs with HF_HUB_OFFLINE
        pull("ada/first", tmp_path / "again")


def test_trouble_at_the_hub_is_told(run: Path, hub: HubServer) -> None:
    hub.failing = 501
    with pytest.raises(UserError, match="has trouble"):
        push(run, "first", "hf_ada", endpoint=hub.url)
