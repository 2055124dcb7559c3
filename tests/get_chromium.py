"""Make sure that there is a Chromium for the tests in a browser, however this platform provides one.

Does nothing where one is found already: the variable ``CHROMIUM``, ``chromium`` or ``google-chrome`` on the path, or
Playwright's own. Ends with status 1 and a sentence when none can be had.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Error, sync_playwright

PACKAGES = ["chromium", "fonts-liberation"]  # without any font, texts have no width and nothing can be clicked


def executable() -> str | None:
    """The Chromium that the tests use, or ``None`` for Playwright's own."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


def version() -> str | None:
    """The version of the Chromium that can be started, or ``None``."""
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=executable(), args=["--no-sandbox"])
        except Error:
            return None
        found = browser.version
        browser.close()
    return found


def attempts() -> list[list[list[str]]]:
    """The ways to install one, each a list of commands; the likeliest first. Ubuntu's package is only a stub."""
    root = [] if getattr(os, "geteuid", lambda: 1)() == 0 else ["sudo"]
    apt = [
        [*root, "apt-get", "update"],
        [*root, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y", "--no-install-recommends"],
    ]
    apt[1] += PACKAGES
    own = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if not sys.platform.startswith("linux"):
        return [own]
    own[0].insert(-1, "--with-deps")
    release = Path("/etc/os-release")
    is_debian = release.is_file() and "ID=debian" in release.read_text(encoding="utf-8").splitlines()
    ways = [apt, own] if is_debian else [own, apt]
    return ways if shutil.which("apt-get") else [own]


def main() -> int:
    """Install one if there is none; returns the exit status."""
    for commands in [[], *attempts()]:
        done = all(subprocess.run(command, check=False).returncode == 0 for command in commands if _exists(command[0]))
        found = version() if done else None
        if found:
            sys.stdout.write(f"Chromium {found} is there for the tests in a browser.\n")
            return 0
    sys.stderr.write("No Chromium could be installed; install one yourself and set CHROMIUM to its path.\n")
    return 1


def _exists(program: str) -> bool:
    return shutil.which(program) is not None


if __name__ == "__main__":
    raise SystemExit(main())
