"""The door: which requests reach the page at all.

Any website open in the same browser can send requests to ``localhost``, and a name it controls can be made to point
there (DNS rebinding). So the Host header must be one of ours, and a request that says it comes from a page must come
from this one. Gradio 6.31 by itself writes cross-site uploads to disk.
"""

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import psutil
from starlette.exceptions import HTTPException

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "::1")
# Parts of Gradio that this page does not use: they tell about other visitors, fetch addresses, or change code.
CLOSED = (
    "/pwa_icon",
    "/monitoring",
    "/login",
    "/gradio_api/deep_link",
    "/gradio_api/proxy=",
    "/gradio_api/file=http:",
    "/gradio_api/file=https:",
    "/gradio_api/dev",
    "/gradio_api/run-history",
    "/gradio_api/runs",
    "/gradio_api/profiling",
    "/gradio_api/process_recording",
    "/gradio_api/vibe",
    "/gradio_api/undo-vibe",
    "/gradio_api/custom_component",
)
# Nothing the page shows may load anything from elsewhere, even if somebody smuggles HTML into it.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors {ancestors}"
)


class Guard:
    """ASGI middleware that refuses foreign hosts and origins, closed routes and bodies over ``max_body`` bytes.

    ``hosts`` are the names and addresses under which the page is reached, without ports; ``*.example.org`` allows
    every name below. ``framed_by`` are the origins that may show the page in a frame.
    """

    def __init__(self, app: App, *, hosts: Iterable[str], max_body: int, framed_by: Iterable[str] = ()) -> None:
        self.app, self.max_body = app, max_body
        self.hosts = frozenset(host.lower().strip("[]") for host in hosts)
        ancestors = " ".join(["'self'", *framed_by])
        self._headers = [
            (b"content-security-policy", POLICY.format(ancestors=ancestors).encode()),
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"same-origin"),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it here."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] != "http" or refusal:
            await _answer(scope, send, *(refusal or (403, "Only ordinary requests are answered here.")))
            return

        async def with_policy(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *self._headers]}
            await send(message)

        await self.app(scope, self._counted(receive), with_policy)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        headers = {name: value.decode("latin-1") for name, value in scope.get("headers", [])}
        host = headers.get(b"host", "")
        if not self._known(host):
            return 421, "This page is not served under that name; its host can allow it with --allow-host."
        origin = headers.get(b"origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            return 403, "Requests from other websites are refused."
        path = "/" + scope.get("path", "").lstrip("/").lower()
        if path.startswith(CLOSED):
            return 404, "Not found."
        length = headers.get(b"content-length", "0")
        if not length.isdecimal() or int(length) > self.max_body:
            return 413, self._too_large()
        return None

    def _known(self, host: str) -> bool:
        name = host_name(host)
        if name is None:
            return False
        parents = {"*" + name[place:] for place, letter in enumerate(name) if letter == "."}
        return name in self.hosts or not self.hosts.isdisjoint(parents)

    def _counted(self, receive: Receive) -> Receive:
        """A body sent in chunks states no length, so it is counted as it comes."""
        seen = 0

        async def counted() -> MutableMapping[str, Any]:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self.max_body:
                raise HTTPException(413, self._too_large())  # what FastAPI passes on from anywhere in a route
            return message

        return counted

    def _too_large(self) -> str:
        return f"That is larger than {self.max_body // 10**6} MB, which is the most that can be sent here."


def host_name(header: str) -> str | None:
    """The name or address of a Host header, without its port and in lower case; ``None`` if it is malformed."""
    try:
        split = urlsplit(f"//{header}")
        _ = split.port  # raises for a port that is no number
    except ValueError:
        return None
    if not split.hostname or split.path or split.query or split.username is not None:
        return None
    return split.hostname.rstrip(".").lower()


def own_names() -> set[str]:
    """The names and addresses of this machine, as others on its network may type them."""
    host = socket.gethostname().lower()
    names = {*LOOPBACK, host, f"{host}.local", host.split(".")[0]}
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family in (socket.AF_INET, socket.AF_INET6):
                names.add(address.address.split("%")[0])
    return names


def network_address() -> str | None:
    """The address of this machine on its local network, to be typed into other people's browsers."""
    for name in sorted(own_names()):
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            continue
        if address.version == 4 and not address.is_loopback and not address.is_link_local:
            return name
    return None


async def _answer(scope: Scope, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    body = sentence.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
