"""A script at the very top of the page. What Gradio calls its head is added only once its own scripts have begun."""

from collections.abc import MutableMapping
from typing import Any

from microformer.ui.guard import App, Receive, Scope, Send

HEAD = b"<head>"


class Prelude:
    """ASGI middleware that puts a script into the page at ``/`` before all others."""

    def __init__(self, app: App, *, script: str) -> None:
        self.app, self.script = app, b"<script>" + script.encode() + b"</script>"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on; in the answer, only the page itself is changed."""
        held: MutableMapping[str, Any] | None = None

        async def with_script(message: MutableMapping[str, Any]) -> None:
            nonlocal held
            if message["type"] == "http.response.start":
                held = message  # its length is known when the body is
                return
            if held is not None:
                body = message.get("body", b"")
                if HEAD in body:
                    message = {**message, "body": body.replace(HEAD, HEAD + self.script, 1)}
                    held = {**held, "headers": _longer(held["headers"], len(self.script))}
                await send(held)
                held = None
            await send(message)

        page = scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == "/"
        await self.app(scope, receive, with_script if page else send)


def _longer(headers: list[tuple[bytes, bytes]], more: int) -> list[tuple[bytes, bytes]]:
    return [(name, b"%d" % (int(value) + more) if name == b"content-length" else value) for name, value in headers]
