"""The page with the live figures, on disk and served."""

import pytest
from browser import serving
from figure_page import write_figure_page
from figures import opened
from riemvae_book import policy


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The pages, each under the policy that the site's pages carry."""
    folder = write_figure_page(tmp_path_factory.mktemp("figures")).parent
    for path in folder.glob("*.html"):
        path.write_text(policy.moved(path.read_text(encoding="utf8"), "")[0], encoding="utf8")
    return folder


@pytest.fixture(scope="session")
def address(folder):
    """Where the page is served."""
    with serving(folder) as where:
        yield where


@pytest.fixture
def page(browser, folder):
    with opened(browser, folder.as_uri()) as page:
        yield page


@pytest.fixture
def own(browser, folder):
    """The figure of a reader's own latents alone."""
    with opened(browser, folder.as_uri(), name="own") as page:
        yield page
