"""The page with the live figures, on disk and served."""

import functools
import http.server
import threading

import pytest
from figure_page import write_figure_page
from figures import opened


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        """Say nothing."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return write_figure_page(tmp_path_factory.mktemp("figures")).parent


@pytest.fixture(scope="session")
def address(folder):
    """Where the page is served."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder.as_uri()) as page:
        yield page
