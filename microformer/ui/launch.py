"""Starting the playground: the settings a public page needs, the address it prints, and how it ends."""

import logging
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microformer.errors import UserError
from microformer.ui.workspace import Workspace

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
DEFAULT_PORT = 7860


@dataclass(frozen=True)
class Address:
    """Where the page is served. ``allowed`` are further names under which it may be reached."""

    host: str = "127.0.0.1"
    port: int | None = None
    allowed: tuple[str, ...] = field(default=())

    @property
    def hosted(self) -> bool:
        """Whether others than the person at this machine can open the page."""
        return self.host not in LOOPBACK_HOSTS or bool(os.environ.get("SPACE_ID"))

    def names(self) -> set[str]:
        """The Host headers that are answered."""
        from microformer.ui.guard import LOOPBACK, own_names

        names = {*LOOPBACK, self.host, *self.allowed}
        if self.hosted:
            names |= own_names()
        if space := os.environ.get("SPACE_HOST"):
            names |= {name.strip() for name in space.split(",")}
        return names


def prepare_environment(home: Path) -> None:
    """Settings that Gradio and the Hub's client read when they are imported, so this comes first."""
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(home / ".uploads")
    # The token of whoever runs the page is theirs alone: it is never used for what a visitor asks.
    os.environ["HF_HUB_DISABLE_IMPLICIT_TOKEN"] = "1"
    os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"


def launch_settings(workspace: Workspace, address: Address) -> dict[str, Any]:
    """Arguments of ``Blocks.launch``: nothing shared, nothing recorded, nothing fetched, and a guard at the door."""
    from starlette.middleware import Middleware

    from microformer.ui.guard import Guard
    from microformer.ui.prelude import Prelude
    from microformer.ui.theme import ASSETS, STYLES, head, theme

    space = bool(os.environ.get("SPACE_ID"))
    limit = workspace.limits.upload_mb * 10**6
    guard = Middleware(
        Guard,
        hosts=address.names(),
        # A form and a pasted text travel with some words of their own around them.
        max_body=limit + 2 * 10**6,
        framed_by=["https://huggingface.co"] if space else [],
    )
    prelude = Middleware(Prelude, script=(ASSETS / "first.js").read_text(encoding="utf-8"))
    return {
        "server_name": address.host,
        "server_port": address.port,
        "theme": theme(),
        "css_paths": STYLES,
        "head": head(),
        "favicon_path": ASSETS / "icon.svg",
        "max_file_size": limit,
        "state_session_capacity": 200,
        "enable_monitoring": False,
        "run_history": False,
        "footer_links": [],
        "pwa": False,
        "ssr_mode": False,
        "strict_cors": True,
        "share": False,
        "mcp_server": False,
        "show_error": False,
        "allowed_paths": [],
        "quiet": True,
        "prevent_thread_lock": True,
        "app_kwargs": {"middleware": [guard, prelude], "docs_url": None, "redoc_url": None, "openapi_url": None},
    }


def start(home: Path, address: Address) -> tuple[Any, Workspace, str]:
    """Build and serve the page; returns its Blocks, the workspace and the address to open.

    Raises ``UserError`` when the port is taken.
    """
    prepare_environment(home)
    from microformer.ui.app import build_app

    workspace = Workspace(home, hosted=address.hosted)
    workspace.uploads()
    workspace.clean()
    demo = build_app(workspace)
    try:
        _, url, _ = demo.launch(**launch_settings(workspace, address))
    except OSError as error:
        workspace.close()
        where = f"{address.host}:{address.port}" if address.port else address.host
        raise UserError(f"The page cannot be served at {where}; choose another --port or --host.") from error
    workspace.start()
    return demo, workspace, url


def announce(address: Address, url: str) -> None:
    """Print where the page is, once it answers."""
    from microformer.ui.guard import network_address

    port = url.rstrip("/").rsplit(":", 1)[-1]
    if address.host in ("0.0.0.0", "::") and (others := network_address()):
        sys.stdout.write(f"Microformer is ready. Here: http://localhost:{port}\n")
        sys.stdout.write(f"For others on this network: http://{others}:{port}\n")
    else:
        sys.stdout.write(f"Microformer is ready: {url}\n")
    sys.stdout.flush()


def serve(home: Path, address: Address) -> None:
    """Serve the page until it is interrupted. Runs that are training go on afterwards."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    demo, workspace, url = start(home, address)
    announce(address, url)
    try:
        demo.block_thread()
    finally:
        workspace.close()
