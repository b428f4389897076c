"""Find a Chromium for the checks of the built book, or get one; serve a folder to it."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
MISSING = (
    "no browser was found and none could be installed: install Chromium (Debian: apt install chromium; "
    "elsewhere: python -m playwright install chromium) or name one in RIEMVAE_BROWSER"
)
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *args, headers: dict[str, str], **kwargs):
        self.more_headers = headers
        super().__init__(*args, **kwargs)

    def end_headers(self):
        for name, value in self.more_headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format, *args):
        """Say nothing: what is read is the output of the checks themselves."""


@contextmanager
def serving(folder: Path, headers: dict[str, str] | None = None) -> Iterator[str]:
    """The address under which a folder is served on this machine, for as long as the context lasts.

    ``headers`` are sent with every file.
    """
    handler = functools.partial(QuietHandler, directory=str(folder), headers=headers or {})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def installed_browser() -> str | None:
    """The browser named in RIEMVAE_BROWSER, else the first known one on PATH, else Playwright's own."""
    named = os.environ.get("RIEMVAE_BROWSER")
    if named:
        if not Path(named).is_file():
            raise ValueError(f"RIEMVAE_BROWSER must be the path of a browser, got {named!r}")
        return named
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found:
        return found
    return playwright_browser()


def playwright_browser() -> str | None:
    """The Chromium that Playwright has downloaded, if it has."""
    ask = "from playwright.sync_api import *\nwith sync_playwright() as p: print(p.chromium.executable_path)"
    answer = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=False)
    path = answer.stdout.strip()
    return path if answer.returncode == 0 and Path(path).is_file() else None


def succeeds(*command: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, env=environment, check=False
        )
    except OSError:
        return False
    return done.returncode == 0


def install_debian_package() -> bool:
    """Install Debian's chromium where this user may: as root, or with a sudo that asks no password."""
    if not shutil.which("apt-get"):
        return False
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not succeeds(*sudo, "true"):
        return False
    succeeds(*sudo, "apt-get", "update", "-qq")
    return succeeds(*sudo, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium")


def find_browser() -> str:
    """The path of a Chromium; RuntimeError with what to install if there is none and none can be had."""
    found = installed_browser()
    if found is None and install_debian_package():
        found = installed_browser()
    if found is None and succeeds(sys.executable, "-m", "playwright", "install", "chromium"):
        found = installed_browser()
    if found is None:
        raise RuntimeError(MISSING)
    return found


if __name__ == "__main__":
    print(find_browser())
