from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from microformer.ui.prelude import Prelude

PAGE = "<html><head><script>theirs()</script></head><body>ä <head></body></html>"


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse(PAGE)


async def other(request: Request) -> PlainTextResponse:
    return PlainTextResponse(PAGE)


def test_the_script_comes_before_all_others_on_the_page_and_nowhere_else() -> None:
    client = TestClient(Prelude(Starlette(routes=[Route("/", page), Route("/file", other)]), script="ours()"))
    answer = client.get("/")
    assert answer.text == PAGE.replace("<head>", "<head><script>ours()</script>", 1)
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert client.get("/file").text == PAGE
