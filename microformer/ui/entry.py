"""The command line of ``app.py``. Knows nothing heavy, so that a wrong flag is answered at once."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from microformer.errors import UserError
from microformer.files import check_folder
from microformer.ui.launch import DEFAULT_PORT, Address, serve


def parser() -> argparse.ArgumentParser:
    """The flags of ``python app.py``."""
    flags = argparse.ArgumentParser(
        prog="app.py",
        description="Microformer's playground in the browser. MICROFORMER_HOME says where it keeps what you make "
        "(./workspace by default).",
    )
    flags.add_argument(
        "--host",
        default=_from_environment("GRADIO_SERVER_NAME", "127.0.0.1"),
        metavar="ADDRESS",
        help="address to serve; 0.0.0.0 lets others on this network in, each with datasets and runs of their own",
    )
    flags.add_argument(
        "--port", type=_port, default=None, metavar="N", help=f"port; {DEFAULT_PORT} or the next free one"
    )
    flags.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a further name under which the page is reached (behind a proxy); may be given several times",
    )
    return flags


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the page until it is interrupted; the exit status."""
    chosen = parser().parse_args(arguments)
    try:
        serve(_home(), Address(chosen.host, chosen.port, tuple(chosen.allow_host)))
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def _home() -> Path:
    """Where what people make is kept: a folder that is there now. Raises ``UserError``."""
    home = Path(os.environ.get("MICROFORMER_HOME") or "workspace")
    try:
        home.mkdir(parents=True, exist_ok=True)
        check_folder(home)
    except (OSError, UserError):
        raise UserError(
            f"What you make cannot be kept in {home}; set MICROFORMER_HOME to a folder that belongs to you."
        ) from None
    return home


def _from_environment(name: str, otherwise: str) -> str:
    # A Space sets GRADIO_SERVER_NAME, because its proxy does not come from this machine's loopback.
    return (os.environ.get(name) if os.environ.get("SPACE_ID") else None) or otherwise


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise argparse.ArgumentTypeError(f"{text} is no port; it must be a whole number from 1 to 65535")
    return int(text)
