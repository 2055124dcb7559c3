"""The real app on a network, asked by others than its page: other websites, other visitors, and its own host's token.

What every way into the page does for a stranger is tried in ``tests/ui/test_visitors.py``; here requests go through
the door and Gradio as they come from outside.
"""

import http.client
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from microformer.ui.workspace import Workspace, new_secret
from tests.e2e.playground import Playground
from tests.hub.conftest import make_run
from tests.hub.hub_server import HubServer

HOST_TOKEN = "hf_ada"  # an account that the small Hub knows: it would be let in
NAME = "Quetzalcoatlus"


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture(scope="module")
def hosted(tmp_path_factory: pytest.TempPathFactory, hub: HubServer) -> Iterator[Playground]:
    """A playground for a class, run by somebody whose own Hub token is in the environment."""
    secrets = {"HF_TOKEN": HOST_TOKEN, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1"}
    home = tmp_path_factory.mktemp("hosted") / "home"
    playground = Playground(home, "--host", "0.0.0.0", "--allow-host", "class.example.org", extra=secrets)
    yield playground.start()
    playground.close()


@pytest.fixture(scope="module")
def client(hosted: Playground) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=hosted.url, timeout=120, trust_env=False) as client:
        yield client


@pytest.fixture(scope="module")
def victim(hosted: Playground) -> tuple[str, str]:
    """The secret of a visitor, and the identifier of the run that is theirs."""
    secret = new_secret()
    workspace = Workspace(hosted.home, hosted=True)
    id, path = workspace.runs.create(workspace.visitor(secret), NAME)
    make_run(path)
    return secret, id


def ask_all(client: httpx.Client, config: dict[str, Any], request: dict[str, Any], only: str = "") -> str:
    """The answers of every server function of the page to one request (or of those with ``only`` in their name)."""
    answers = []
    for component in config["components"]:
        for name in component["props"].get("server_fns", []):
            if only not in name:
                continue
            body = {"data": request, "fn_name": name, "component_id": component["id"], "session_hash": "s"}
            answer = client.post("/gradio_api/component_server", json=body)
            assert answer.status_code == 200, (name, answer.text)
            answers.append(f"{name}: {answer.text}")
    return "\n".join(answers)


def test_server_functions_answer_the_owner_and_nobody_else(client: httpx.Client, victim: tuple[str, str]) -> None:
    secret, run = victim
    config = client.get("/config").json()
    asked = {"shown": run, "runs": {run: 0}, "run": run, "id": run, "samples": 0, "cursors": {run: 0}}
    stranger = ask_all(client, config, {"visitor": new_secret(), **asked})
    assert stranger.count("\n") >= 2
    assert NAME not in stranger
    assert NAME not in ask_all(client, config, {"visitor": None, **asked})
    assert NAME not in ask_all(client, config, {"visitor": "owner", **asked})
    assert NAME in ask_all(client, config, {"visitor": secret, **asked})


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Origin": "null"}])
def test_other_websites_are_refused(client: httpx.Client, hosted: Playground, headers: dict[str, str]) -> None:
    before = sorted((hosted.home / ".uploads").rglob("*"))
    for path in ("/", "/config", "/gradio_api/info"):
        assert client.get(path, headers=headers).status_code in (403, 421)
    upload = client.post("/gradio_api/upload", headers=headers, files={"files": ("x.txt", b"x")})
    assert upload.status_code in (403, 421)
    assert sorted((hosted.home / ".uploads").rglob("*")) == before


def test_the_names_the_host_allows_are_answered(client: httpx.Client) -> None:
    assert client.get("/", headers={"Host": "class.example.org"}).status_code == 200


def test_an_upload_over_the_limit_is_refused_before_it_is_sent(hosted: Playground) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", hosted.port, timeout=120)
    connection.putrequest("POST", "/gradio_api/upload")
    connection.putheader("Content-Type", "multipart/form-data; boundary=x")
    connection.putheader("Content-Length", "23000000")
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_files_of_the_home_and_the_machine_cannot_be_fetched(
    client: httpx.Client, hosted: Playground, victim: tuple[str, str]
) -> None:
    _, run = victim
    for path in (
        "/etc/passwd",
        hosted.home / ".key",
        hosted.home / "runs" / run / "config.yaml",
        hosted.home / "runs" / ".items" / f"{run}.json",
        f"{hosted.home}/.uploads/../runs/{run}/config.yaml",
        "http://127.0.0.1:1/",
    ):
        for route in ("/gradio_api/file=", "/gradio_api/file/", "/gradio_api/proxy="):
            assert client.get(f"{route}{path}").status_code in (400, 403, 404), path


def test_nothing_but_the_visitors_own_token_goes_to_the_hub(client: httpx.Client, hub: HubServer) -> None:
    secret = new_secret()
    config = client.get("/config").json()
    pulls = [one for one in config["dependencies"] if str(one["api_name"]).startswith("pull")]
    assert pulls
    for dependency in pulls:
        _call(client, dependency["id"], [_entered(config, id, secret) for id in dependency["inputs"]])
        while "working" in ask_all(client, config, {"visitor": secret}, only="progress"):
            pass  # each question is a request that waits for its answer
    assert any(path.startswith("/api/models/ada/secret") for _, path, _ in hub.requests), "the Hub was never asked"
    assert {token for _, _, token in hub.requests} == {None}


def _entered(config: dict[str, Any], id: int, secret: str) -> Any:
    component = next(one for one in config["components"] if one["id"] == id)
    if component["type"] == "browserstate":
        return secret
    if component["type"] == "textbox":
        return "" if component["props"].get("type") == "password" else "ada/secret"
    return component["props"].get("value")


def _call(client: httpx.Client, fn_index: int, values: list[Any]) -> None:
    """Call an event as the page does, and wait until it is over."""
    session = f"session{fn_index}"
    body = {"data": values, "fn_index": fn_index, "session_hash": session, "event_data": None, "trigger_id": None}
    client.post("/gradio_api/queue/join", json=body).raise_for_status()
    with client.stream("GET", "/gradio_api/queue/data", params={"session_hash": session}) as stream:
        for line in stream.iter_lines():
            if line.startswith("data:") and json.loads(line[5:])["msg"] in ("process_completed", "close_stream"):
                return
