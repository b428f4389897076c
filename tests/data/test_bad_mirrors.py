"""Servers that loop, stall, lie and send pages, and processes that download at once: whole or not there."""

import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import properties
import pytest
from test_downloads import CONTENT, HALF, SHA256, files_in

from riemvae_core.data import downloads

ROOT = Path(__file__).resolve().parents[2]
PAGE = b"<!DOCTYPE html><title>Sign in to this network</title>"


class BadMirror(BaseHTTPRequestHandler):
    """Answers as its paths say."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Range"]))
        getattr(self, self.path[1:].replace("-", "_"))(int((self.headers["Range"] or "bytes=0-")[6:-1]))

    def answer(self, body, status=200, length=None, kind="application/octet-stream"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not False:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def good(self, start):
        self.answer(CONTENT[start:], 206 if start else 200)

    def page(self, _start):
        self.answer(PAGE, kind="text/html; charset=utf-8")

    def wrong(self, _start):
        self.answer(CONTENT[:-1] + b"?")

    def promises_more(self, start):
        self.answer(CONTENT[start:], 206 if start else 200, len(CONTENT) + 10**12)

    def promises_less(self, _start):
        self.answer(CONTENT, length=HALF)

    def promises_nonsense(self, _start):
        self.answer(CONTENT, length="many")

    def other_range(self, start):
        self.answer(CONTENT[: len(CONTENT) - start], 206 if start else 200)

    def loops(self, _start):
        self.send_response(302)
        self.send_header("Location", "/loops")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def fails(self, _start):
        self.send_error(500)

    def stalls(self, _start):
        self.answer(CONTENT[:HALF], length=len(CONTENT))
        self.server.free.wait(60)

    def says_nothing(self, _start):
        self.server.free.wait(60)

    def endless(self, _start):
        self.answer(b"", length=False)
        for _ in range(10_000):  # until the other side has enough
            self.wfile.write(CONTENT)

    def slow(self, _start):
        self.answer(b"", length=len(CONTENT))
        for at in range(0, len(CONTENT), 30_000):
            self.server.seen |= {path.name for path in self.server.folder.iterdir()}
            self.wfile.write(CONTENT[at : at + 30_000])
            time.sleep(0.05)

    def log_message(self, *_):
        """Nothing is logged: the tests look at ``asked``."""


class Quiet(ThreadingHTTPServer):
    def handle_error(self, *_):
        """A client that hangs up is what some of these tests are about."""


@pytest.fixture
def mirror(tmp_path):
    with Quiet(("127.0.0.1", 0), BadMirror) as server:
        server.asked, server.seen, server.folder, server.free = [], set(), tmp_path, threading.Event()
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.free.set()
        server.shutdown()
        thread.join()


def at(mirror, *paths):
    return downloads.DataFile("images.bin", SHA256, tuple(mirror.address + path for path in paths))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/page", ("a page of HTML",)),
        ("/wrong", ("hash",)),
        ("/promises-more", ("IncompleteRead",)),
        ("/promises-less", ("hash",)),
        ("/promises-nonsense", ("many",)),
        ("/loops", ("TooManyRedirects",)),
        ("/fails", ("500",)),
        ("/stalls", ("timed out",)),
        ("/says-nothing", ("timed out",)),
        ("/endless", ("more than 400,000 bytes",)),
    ],
)
def test_a_bad_mirror_is_named_with_its_fault_and_the_next_one_taken(
    mirror, tmp_path, monkeypatch, path, words
):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)
    monkeypatch.setattr(downloads, "MOST", 400_000)
    with pytest.raises(OSError, match=r"images\.bin can't be downloaded") as caught:
        downloads.download(at(mirror, path), tmp_path / "alone")
    properties.message_names(caught.value, f"{mirror.address}{path}", *words)
    assert "images.bin" not in files_in(tmp_path / "alone")
    monkeypatch.setattr(downloads, "TIMEOUT", 30.0)
    got = downloads.download(at(mirror, "/good"), tmp_path / "alone")  # whatever the bad one has left
    assert got.read_bytes() == CONTENT
    assert files_in(tmp_path / "alone") == ["images.bin"]


def test_a_page_of_html_costs_nothing_of_what_was_there(mirror, tmp_path):
    (tmp_path / "images.bin.part").write_bytes(CONTENT[:HALF])
    assert downloads.download(at(mirror, "/page", "/good"), tmp_path).read_bytes() == CONTENT
    assert mirror.asked == [("/page", f"bytes={HALF}-"), ("/good", f"bytes={HALF}-")]


def test_another_range_than_was_asked_for_is_found_out_by_the_hash(mirror, tmp_path):
    (tmp_path / "images.bin.part").write_bytes(CONTENT[:HALF])
    assert downloads.download(at(mirror, "/other-range"), tmp_path).read_bytes() == CONTENT
    assert mirror.asked == [("/other-range", f"bytes={HALF}-"), ("/other-range", None)]


def test_a_file_of_wrong_bytes_that_is_there_is_not_replaced_by_worse(mirror, tmp_path):
    """Nobody is told that it is right, and what was there is still there."""
    (tmp_path / "images.bin").write_bytes(b"mine")
    with pytest.raises(OSError, match="can't be downloaded"):
        downloads.download(at(mirror, "/wrong"), tmp_path)
    assert (tmp_path / "images.bin").read_bytes() == b"mine"


DOWNLOAD = """import sys
from pathlib import Path
from riemvae_core.data import downloads
path = downloads.download(downloads.DataFile("images.bin", sys.argv[1], (sys.argv[2],)), Path(sys.argv[3]))
print(len(path.read_bytes()))"""


def test_of_two_processes_one_downloads_and_the_other_waits(mirror, tmp_path):
    arguments = [sys.executable, "-c", DOWNLOAD, SHA256, f"{mirror.address}/slow", str(tmp_path)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen(
            arguments, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for one in both:
        out, err = one.communicate(timeout=300)
        assert (one.returncode, out) == (0, f"{len(CONTENT)}\n"), err[-2000:]
    assert mirror.asked == [("/slow", None)]
    assert "images.bin" not in mirror.seen  # while bytes were still to come
    assert "images.bin.part" in mirror.seen
    assert files_in(tmp_path) == ["images.bin"]
