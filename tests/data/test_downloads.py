"""Downloads from a server in this process that breaks off, lies and forgets: no network is used."""

import hashlib
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import platformdirs
import properties
import pytest

from riemvae_core.data import downloads

CONTENT = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2
KEPT = HALF // downloads.CHUNK * downloads.CHUNK  # what is kept of a half


class Mirror(BaseHTTPRequestHandler):
    """Serves CONTENT under paths that say how."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Range"]))
        start = int((self.headers["Range"] or "bytes=0-")[6:-1])
        if self.path == "/missing":
            self.send_error(404)
        elif self.path == "/forgets-ranges":
            self.answer(200, CONTENT)
        elif self.path == "/lies":
            self.answer(200, b"<html>" + CONTENT[6:])
        elif start >= len(CONTENT):
            self.send_error(416)
        else:
            end = max(HALF, start) if self.path == "/breaks-off" else None
            self.answer(206 if start else 200, CONTENT[start:], CONTENT[start:end])

    def answer(self, status, promised, sent=None):
        self.send_response(status)
        self.send_header("Content-Length", str(len(promised)))
        self.end_headers()
        self.wfile.write(promised if sent is None else sent)

    def log_message(self, *_):
        """Nothing is logged: the tests look at ``asked``."""


@pytest.fixture
def mirror():
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
        server.asked = []
        server.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def at(mirror, *paths):
    return downloads.DataFile("images.bin", SHA256, tuple(mirror.address + path for path in paths))


def files_in(folder):
    """All but the lock, which stays: who waits for it has it open."""
    return sorted(path.name for path in folder.iterdir() if path.name != ".images.bin.lock")


def test_the_first_mirror_that_works_is_enough(mirror, tmp_path):
    path = downloads.download(at(mirror, "/missing", "/good", "/lies"), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "images.bin"
    assert path.read_bytes() == CONTENT
    assert [asked for asked, _ in mirror.asked] == ["/missing", "/good"]
    assert files_in(path.parent) == ["images.bin"]


def test_what_is_there_and_right_is_not_fetched_again(mirror, tmp_path):
    (tmp_path / "images.bin").write_bytes(CONTENT)
    downloads.download(at(mirror, "/good"), tmp_path)
    assert mirror.asked == []
    (tmp_path / "images.bin").write_bytes(CONTENT[:-1] + b"?")
    assert downloads.download(at(mirror, "/good"), tmp_path).read_bytes() == CONTENT


def test_another_mirror_goes_on_where_one_broke_off(mirror, tmp_path):
    path = downloads.download(at(mirror, "/breaks-off", "/good"), tmp_path)
    assert path.read_bytes() == CONTENT
    assert mirror.asked == [("/breaks-off", None), ("/good", f"bytes={KEPT}-")]


def test_a_later_call_goes_on_where_one_broke_off(mirror, tmp_path):
    with pytest.raises(OSError, match="can't be downloaded") as caught:
        downloads.download(at(mirror, "/breaks-off"), tmp_path)
    properties.message_names(caught.value, "/breaks-off", "IncompleteRead")
    assert files_in(tmp_path) == ["images.bin.part"]
    assert (tmp_path / "images.bin.part").read_bytes() == CONTENT[:KEPT]
    assert mirror.asked == [("/breaks-off", None), ("/breaks-off", f"bytes={KEPT}-")]
    mirror.asked.clear()
    assert downloads.download(at(mirror, "/good"), tmp_path).read_bytes() == CONTENT
    assert mirror.asked == [("/good", f"bytes={KEPT}-")]


def test_a_server_without_ranges_starts_anew(mirror, tmp_path):
    (tmp_path / "images.bin.part").write_bytes(CONTENT[:HALF])
    assert downloads.download(at(mirror, "/forgets-ranges"), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("left", [b"?" * HALF, CONTENT, CONTENT + b"?"], ids=["wrong", "whole", "too long"])
def test_a_left_over_that_does_not_fit_costs_one_round(mirror, tmp_path, left):
    (tmp_path / "images.bin.part").write_bytes(left)
    assert downloads.download(at(mirror, "/good"), tmp_path).read_bytes() == CONTENT
    assert mirror.asked == [("/good", f"bytes={len(left)}-"), ("/good", None)]


def test_wrong_bytes_are_refused_and_not_kept(mirror, tmp_path):
    with pytest.raises(OSError, match=r"images\.bin can't be downloaded") as caught:
        downloads.download(at(mirror, "/lies", "/missing"), tmp_path)
    properties.message_names(
        caught.value, f"{mirror.address}/lies", "hash", f"{mirror.address}/missing", "404"
    )
    assert files_in(tmp_path) == []


def test_without_a_network_the_bundled_set_is_named(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: whoever calls is refused
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/images.bin"
        with pytest.raises(OSError, match="can't be downloaded") as caught:
            downloads.download(downloads.DataFile("images.bin", SHA256, (url,)), tmp_path)
    properties.message_names(
        caught.value, url, "refused", "folder=", "RIEMVAE_DATA", 'load_images("fashion")'
    )


def test_progress_is_shown(mirror, tmp_path, capsys):
    downloads.download(at(mirror, "/good"), tmp_path)
    properties.message_names(RuntimeError(capsys.readouterr().err), "images.bin: 100%", "300k/300k")


@pytest.mark.parametrize("package", ["pooch", "requests", "filelock"])
def test_without_pooch_the_extra_is_named(tmp_path, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"riemvae-core\[data\]"):
        downloads.download(downloads.DataFile("images.bin", SHA256, ()), tmp_path)


def test_downloads_are_kept_in_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("RIEMVAE_CACHE", str(tmp_path))
    assert downloads.download_dir() == downloads.cache_dir() / "data" == tmp_path / "data"
    monkeypatch.delenv("RIEMVAE_CACHE")
    assert downloads.download_dir() == Path(platformdirs.user_cache_dir("riemvae")) / "data"


def test_files_are_found_in_all_their_forms(tmp_path):
    file = downloads.DataFile("set.tar.gz", SHA256, (), ("set.tar",), "set")
    empty, full = tmp_path / "empty", tmp_path / "full"
    empty.mkdir()
    assert downloads.find_file(file, [tmp_path / "nowhere", empty, full]) is None
    (full / "set").mkdir(parents=True)
    assert downloads.find_file(file, [empty, full]) == full / "set"
    assert downloads.find_file(file, [full / "set"]) == full / "set"
    (full / "set.tar").write_bytes(b"")
    assert downloads.find_file(file, [empty, full]) == full / "set.tar"
    (full / "set.tar.gz").mkdir()  # a folder of the file's name is not the file
    assert downloads.find_file(file, [empty, full]) == full / "set.tar"
