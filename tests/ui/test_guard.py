"""The door: foreign hosts and origins, closed routes and bodies that are too large never reach the page."""

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from microformer.ui.guard import Guard, host_name, own_names


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(f"{len(await request.body())} bytes")


GUARD = Guard(
    Starlette(routes=[Route("/{path:path}", echo, methods=["GET", "POST"])]),
    hosts=["localhost", "127.0.0.1", "::1", "*.example.org"],
    max_body=1000,
)


def ask(
    path: str = "/", *, host: str = "localhost:7860", body: Iterable[bytes] = (b"",), kind: str = "http", **headers: str
) -> list[MutableMapping[str, Any]]:
    """The messages with which the guard, or the small app behind it, answers one request."""
    named = {"host": host} | {name.replace("_", "-"): value for name, value in headers.items()}
    scope = {
        "type": kind,
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }
    chunks, answers = list(body), []

    async def receive() -> MutableMapping[str, Any]:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def send(message: MutableMapping[str, Any]) -> None:
        answers.append(message)

    asyncio.run(GUARD(scope, receive, send))
    return answers


def status(*arguments: Any, **named: Any) -> int:
    """The status of the answer; see ``ask``."""
    return int(ask(*arguments, **named)[0]["status"])


@pytest.mark.parametrize(
    "host", ["localhost:7860", "localhost", "127.0.0.1:1", "[::1]:7860", "LOCALHOST", "a.example.org", "localhost."]
)
def test_our_own_names_are_answered(host: str) -> None:
    assert status(host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.com",
        "localhost.evil.com",
        "evil.com:7860",
        "",
        "a@localhost",
        "localhost:x",
        "example.org.",
        "[::1",
        "a b",
    ],
)
def test_other_names_are_refused(host: str) -> None:
    assert status(host=host) == 421


@pytest.mark.parametrize("origin", ["http://evil.com", "http://localhost:3000", "null", "", "http://localhost"])
def test_requests_from_other_websites_are_refused(origin: str) -> None:
    assert status("/gradio_api/upload", origin=origin) == 403


def test_requests_from_the_page_itself_are_answered() -> None:
    assert status("/gradio_api/upload", origin="http://localhost:7860") == 200


@pytest.mark.parametrize(
    "path",
    [
        "/monitoring",
        "/monitoring/summary",
        "/pwa_icon/512",
        "/gradio_api/deep_link",
        "/gradio_api/proxy=http://x",
        "/gradio_api/file=http://x",
        "/gradio_api/file=https://x",
        "/gradio_api/runs",
        "/gradio_api/vibe-edit",
        "//monitoring",
        "/GRADIO_API/file=HTTP://x",
    ],
)
def test_closed_routes_are_not_found(path: str) -> None:
    assert status(path) == 404


def test_a_body_over_the_limit_is_refused_however_it_is_sent() -> None:
    assert ask("/x", body=[b"x" * 1000])[1]["body"] == b"1000 bytes"
    assert status("/x", content_length="1001") == 413
    assert status("/x", content_length="-5") == 413
    assert status("/x", body=[b"x" * 600, b"x" * 600]) == 413


def test_every_answer_forbids_loading_from_elsewhere() -> None:
    policy = dict(ask("/")[0]["headers"])[b"content-security-policy"].decode()
    assert "default-src 'self'" in policy and "frame-ancestors 'self'" in policy and "http" not in policy


def test_web_sockets_are_closed() -> None:
    assert ask(kind="websocket")[0]["type"] == "websocket.close"


def test_a_host_header_is_read_strictly() -> None:
    assert host_name("Name.Local:80") == "name.local"
    assert host_name("[2001:db8::1]:80") == "2001:db8::1"
    assert host_name("a/b") is None
    assert host_name("a?b") is None


def test_the_machine_knows_its_own_names() -> None:
    assert {"localhost", "127.0.0.1"} <= own_names()
