"""Public corpora, read by the real client libraries from a small Hub on this machine."""

import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow
import pyarrow.parquet
import pytest

from microformer.data.corpora import CORPORA

STORIES = [f"Story {number}: the red ball was in box {number * number} all day long." for number in range(20_000)]
SHAKESPEARE = "First Citizen:\nBefore we proceed any further, hear me speak.\n\n" * 100


def _parquet(texts: list[str]) -> bytes:
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": texts}), buffer)
    return buffer.getvalue()


def _files() -> dict[str, bytes]:
    """The bytes of ``repository/file`` for two corpora."""
    stories, plays = CORPORA["tinystories"], CORPORA["tinyshakespeare"]
    third = len(SHAKESPEARE) // 3
    parts = [SHAKESPEARE[:third], SHAKESPEARE[third : 2 * third], SHAKESPEARE[2 * third :]]
    files = {f"{plays.repository}/{name}": _parquet([part]) for name, part in zip(plays.files, parts, strict=True)}
    files[f"{stories.repository}/{stories.files[0]}"] = "\n<|endoftext|>\n".join(STORIES).encode()
    return files


class _Hub(BaseHTTPRequestHandler):
    """Answers what the clients ask to read a file of a dataset; notes how many bytes of files it sent."""

    protocol_version = "HTTP/1.1"
    files: dict[str, bytes]
    sent: list[int]
    tokens: list[str | None]

    def do_GET(self) -> None:
        self.tokens.append(self.headers.get("Authorization"))
        path = unquote(urlsplit(self.path).path)
        if match := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/\w+/(.+)", path):
            self._file(self.files.get(f"{match[1]}/{match[2]}"))
        elif match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)(?:/revision/(\w+))?", path):
            sha = match[2] or "0" * 40
            self._json({"id": match[1], "sha": sha, "siblings": [{"rfilename": n} for n in self._names(match[1])]})
        elif match := re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/tree/\w+(?:/(.+))?", path):
            self._json(
                [self._entry(match[1], name) for name in self._names(match[1]) if name.startswith(match[2] or "")]
            )
        else:
            self._reply(404, b"")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        match = re.fullmatch(r"/api/datasets/([^/]+/[^/]+)/paths-info/\w+", unquote(urlsplit(self.path).path))
        if match:
            found = [name for name in self._names(match[1]) if name in unquote(asked)]
            self._json([self._entry(match[1], name) for name in found])
        else:
            self._reply(404, b"")

    def _names(self, repository: str) -> list[str]:
        return [name.removeprefix(repository + "/") for name in self.files if name.startswith(repository + "/")]

    def _entry(self, repository: str, name: str) -> dict[str, object]:
        return {"type": "file", "path": name, "size": len(self.files[f"{repository}/{name}"]), "oid": "1" * 40}

    def _file(self, data: bytes | None) -> None:
        if data is None:
            self._reply(404, b"")
            return
        headers = {"ETag": '"1"', "X-Repo-Commit": "0" * 40, "Accept-Ranges": "bytes"}
        status, part = 200, data
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            start, stop = int(asked[1]), int(asked[2]) + 1 if asked[2] else len(data)
            status, part = 206, data[start:stop]
            headers["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{len(data)}"
        self.sent.append(0 if self.command == "HEAD" else len(part))
        self._reply(status, part, headers)

    def _json(self, value: object) -> None:
        self._reply(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _reply(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep the tests quiet."""


@pytest.fixture
def hub() -> Iterator[tuple[str, type[_Hub]]]:
    handler = type("Bound", (_Hub,), {"files": _files(), "sent": [], "tokens": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler
    server.shutdown()
    server.server_close()
    thread.join()


def _read(url: str, name: str, limit: int | None, home: Path) -> list[tuple[str, bool]]:
    """The pieces of a corpus, read in a process of its own, because the libraries fix the Hub's address on import."""
    code = (
        "import json, sys; from microformer.data.sources import read_source;"
        f"json.dump(list(read_source('hub:{name}', seed=1, size=1, limit={limit})), sys.stdout)"
    )
    environment = os.environ | {
        "HF_ENDPOINT": url,
        "HF_HUB_OFFLINE": "0",
        "HF_HOME": str(home),
        "HF_TOKEN": "hf_secret",
    }
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [tuple(piece) for piece in json.loads(done.stdout)]


def test_a_text_file_is_read_only_as_far_as_needed(hub: tuple[str, type[_Hub]], tmp_path: Path) -> None:
    url, server = hub
    pieces = _read(url, "tinystories", 5_000, tmp_path)
    assert [text for text, _ in pieces] == STORIES[: len(pieces)]
    assert all(ends for _, ends in pieces) and 5_000 <= sum(len(text) for text, _ in pieces) < 5_100
    assert sum(server.sent) < sum(map(len, server.files.values()))
    assert set(server.tokens) == {None}  # never with the token of whoever runs the program


def test_rows_of_parquet_files_join_to_the_text(hub: tuple[str, type[_Hub]], tmp_path: Path) -> None:
    url, server = hub
    pieces = _read(url, "tinyshakespeare", None, tmp_path)
    assert "".join(text for text, _ in pieces) == SHAKESPEARE
    assert not any(ends for _, ends in pieces)
    assert set(server.tokens) == {None}
