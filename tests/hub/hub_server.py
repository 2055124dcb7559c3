"""A small Hub on this machine: enough of its protocol for the real huggingface_hub client to push and pull.

In a test: ``with HubServer() as hub: ... hub.url``. For another process: ``python tests/hub/hub_server.py`` prints
the address and serves until its input is closed. Accounts are made up: the token ``hf_ada`` belongs to ``ada``.
"""

import base64
import hashlib
import json
import re
import sys
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

ACCOUNTS = {"hf_ada": "ada", "hf_bob": "bob"}
LFS_FROM = 1000  # bytes; larger files take the road of large ones


@dataclass
class Repo:
    """One repository with the files of its newest commit."""

    name: str
    private: bool = False
    gated: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[str] = field(default_factory=list)

    @property
    def sha(self) -> str:
        return hashlib.sha1(f"{self.name} {len(self.commits)}".encode(), usedforsecurity=False).hexdigest()


class HubServer:
    """The server, its repositories, and the log of (method, path, token) that a test may look at."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.failing: int | None = None  # a status that every request is answered with, while it is set
        handler = type("Bound", (Handler,), {"hub": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "HubServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    hub: HubServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_HEAD(self) -> None:
        self._answer("HEAD")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PUT(self) -> None:
        self._answer("PUT")

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet; ``HubServer.requests`` has what came in."""

    def _answer(self, method: str) -> None:
        path = unquote(urlsplit(self.path).path)
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        self.token = token if scheme == "Bearer" else None
        self.body = self._read_body()
        self.hub.requests.append((method, path, self.token))
        if self.hub.failing is not None:
            return self._error(self.hub.failing, "", "made to fail")
        for verb, pattern, action in ROUTES:
            matched = re.fullmatch(pattern, path)
            if matched and (method == verb or (method == "HEAD" and verb == "GET")):
                return action(self, **matched.groupdict())
        return self._error(404, "", "no such address")

    def _read_body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    @property
    def user(self) -> str | None:
        return ACCOUNTS.get(self.token or "")

    def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _json(self, value: Any, status: int = 200, **headers: str) -> None:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        self._send(status, json.dumps(value).encode(), {"Content-Type": "application/json", **named})

    def _error(self, status: int, code: str, message: str) -> None:
        self._json({"error": message}, status, X_Error_Code=code, X_Error_Message=message)

    def _repo(self, name: str, *, write: bool = False) -> Repo | None:
        """The repository, if whoever asks may see (or change) it; otherwise the error was already sent."""
        repo = self.hub.repos.get(name)
        owner = name.split("/")[0]
        if self.token is not None and self.user is None:
            self._error(401, "", "Invalid username or password.")
        elif repo is None or (repo.private and self.user != owner):
            self._error(404 if self.user else 401, "RepoNotFound", "Repository not found")
        elif write and self.user != owner:
            self._error(403, "", "You have no right to write here")
        elif repo.gated and self.user != owner:
            self._error(403, "GatedRepo", "Access to this model is restricted")
        else:
            return repo
        return None

    def who_am_i(self) -> None:
        if self.user is None:
            return self._error(401, "", "Invalid username or password.")
        return self._json({"type": "user", "name": self.user, "orgs": [], "auth": {"type": "access_token"}})

    def create(self) -> None:
        asked = json.loads(self.body)
        owner = asked.get("organization") or self.user
        if self.user is None:
            return self._error(401, "", "Invalid username or password.")
        if owner != self.user:
            return self._error(403, "", f"You don't have the rights to create a model under the namespace {owner}")
        name = f"{owner}/{asked['name']}"
        if name in self.hub.repos:
            return self._json({"error": "You already created this model repo", "url": f"{self.hub.url}/{name}"}, 409)
        private = asked.get("private", False) or asked.get("visibility") == "private"
        self.hub.repos[name] = Repo(name, private=private, files={".gitattributes": b""})
        return self._json({"url": f"{self.hub.url}/{name}", "name": name})

    def validate_yaml(self) -> None:
        self._json({"errors": [], "warnings": []})

    def preupload(self, repo: str, revision: str) -> None:
        if self._repo(repo, write=True):
            files = json.loads(self.body)["files"]
            self._json(
                {
                    "files": [
                        {
                            "path": file["path"],
                            "uploadMode": "lfs" if file["size"] >= LFS_FROM else "regular",
                            "shouldIgnore": False,
                        }
                        for file in files
                    ]
                }
            )

    def lfs_batch(self, repo: str) -> None:
        if self._repo(repo, write=True):
            objects = [
                one | {"actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}}
                for one in json.loads(self.body)["objects"]
            ]
            self._json({"transfer": "basic", "objects": objects})

    def lfs_upload(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self._error(400, "", "these are not the bytes that were announced")
        self.hub.blobs[oid] = self.body
        return self._send(200, b"", {})

    def commit(self, repo: str, revision: str) -> None:
        held = self._repo(repo, write=True)
        if held is None:
            return
        for line in self.body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "header":
                held.commits.append(value["summary"])
            elif entry["key"] == "file":
                held.files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                held.files[value["path"]] = self.hub.blobs[value["oid"]]
        self._json({"commitUrl": f"{self.hub.url}/{repo}/commit/{held.sha}", "commitOid": held.sha, "success": True})

    def model_info(self, repo: str, revision: str = "main") -> None:
        held = self._repo(repo)
        if held is not None:
            siblings = [{"rfilename": name, "size": len(data)} for name, data in held.files.items()]
            common = {"private": held.private, "gated": held.gated, "tags": [], "downloads": 0, "likes": 0}
            self._json({"_id": "1", "id": repo, "modelId": repo, "sha": held.sha, "siblings": siblings, **common})

    def tree(self, repo: str, revision: str) -> None:
        held = self._repo(repo)
        if held is not None:
            self._json([_entry(name, data) for name, data in held.files.items()])

    def resolve(self, repo: str, revision: str, name: str) -> None:
        held = self._repo(repo)
        if held is None:
            return
        if name not in held.files:
            return self._error(404, "EntryNotFound", "Entry not found")
        data = held.files[name]
        etag = f'"{hashlib.sha256(data).hexdigest()}"'
        self._send(200, data, {"ETag": etag, "X-Repo-Commit": held.sha, "Accept-Ranges": "bytes"})


def _entry(name: str, data: bytes) -> dict[str, Any]:
    oid = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    return {"type": "file", "path": name, "size": len(data), "oid": oid}


REPO = r"(?P<repo>[^/]+/[^/]+)"
ROUTES = [
    ("GET", r"/api/whoami-v2", Handler.who_am_i),
    ("POST", r"/api/repos/create", Handler.create),
    ("POST", r"/api/validate-yaml", Handler.validate_yaml),
    ("POST", rf"/api/models/{REPO}/preupload/(?P<revision>[^/]+)", Handler.preupload),
    ("POST", rf"/api/models/{REPO}/commit/(?P<revision>[^/]+)", Handler.commit),
    ("GET", rf"/api/models/{REPO}/tree/(?P<revision>[^/]+)", Handler.tree),
    ("GET", rf"/api/models/{REPO}/revision/(?P<revision>[^/]+)", Handler.model_info),
    ("GET", rf"/api/models/{REPO}", Handler.model_info),
    ("POST", rf"/{REPO}\.git/info/lfs/objects/batch", Handler.lfs_batch),
    ("PUT", r"/lfs/(?P<oid>[0-9a-f]{64})", Handler.lfs_upload),
    ("GET", rf"/{REPO}/resolve/(?P<revision>[^/]+)/(?P<name>.+)", Handler.resolve),
]


if __name__ == "__main__":
    with HubServer() as served:
        sys.stdout.write(served.url + "\n")
        sys.stdout.flush()
        sys.stdin.read()
