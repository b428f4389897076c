"""Every page of the built book in a browser: wide over http and narrow from a folder, in both themes."""

from pathlib import Path

import nbformat
import pytest
from pages import (
    ALL_BUT_CONTRAST,
    AXE,
    CONTRAST,
    LIGHTEN,
    LOOK_AT_FIGURES,
    LOOK_AT_WIDTH,
    PAGES,
    RUN_AXE,
    visit,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.mark.parametrize("name", PAGES)
def test_page_over_http(browser, served, name):
    """Wide, in light and then in dark, which contrast depends on."""
    seen = looked_at(browser, served, name, "light", 1280)
    seen.look(RUN_AXE, CONTRAST)
    seen.turn("light")
    seen.look(RUN_AXE, CONTRAST)
    seen.page.context.close()
    assert seen.problems == []


@pytest.mark.parametrize("name", PAGES)
def test_page_from_a_folder(browser, site, name):
    """Narrow, in dark and then in light. Where files come from has no part in widths, nor these in that."""
    seen = looked_at(browser, site.as_uri(), name, "dark", 390)
    seen.page.context.close()
    assert seen.problems == []


def looked_at(browser, base, name, theme, width):
    """A page seen in both themes, with all that axe finds but contrast."""
    seen = visit(browser, base, name, theme, width)
    seen.turn("dark" if theme == "light" else "light")
    seen.look(LOOK_AT_FIGURES)
    seen.look(LOOK_AT_WIDTH)
    seen.page.evaluate(LIGHTEN)
    seen.page.evaluate(AXE)
    seen.look(RUN_AXE, ALL_BUT_CONTRAST)
    return seen


def test_the_theme_button_changes_the_plots_with_the_page(browser, served):
    """A plot's ink is the page's text color, in light and in dark."""
    page = browser.new_page(color_scheme="light")
    page.goto(f"{served}/{next(name for name in PAGES if name.startswith('chapters/'))}.html")
    read = """(theme) => {
      document.documentElement.dataset.theme = theme;
      const plot = document.querySelector("svg.rv-plot");
      return [getComputedStyle(plot).fill, getComputedStyle(document.querySelector("article")).color];
    }"""
    light, dark = page.evaluate(read, "light"), page.evaluate(read, "dark")
    page.close()
    assert light[0] != dark[0]
    assert dark[0] == dark[1]


def test_the_first_address_leads_to_the_book(browser, served):
    page = browser.new_page()
    page.goto(f"{served}/index.html")
    page.wait_for_url("**/book/index.html")
    title = page.title()
    page.close()
    assert "Balls, Codes and Geodesics" in title


def test_the_search_finds_a_word(browser, site):
    page = browser.new_page()
    page.goto(f"{site.as_uri()}/search.html?q=autoencoder")
    page.wait_for_selector("ul.search li a")
    page.close()


@pytest.mark.parametrize("way", ["http", "file"])
def test_the_download_buttons_save_the_file(browser, served, site, way):
    """Under a name that says which chapter, and as published; the page stays where it is."""
    name = next(name for name in PAGES if name.startswith("chapters/"))
    page = browser.new_page()
    page.goto(f"{served if way == 'http' else site.as_uri()}/{name}.html")
    address = page.url
    for suffix in ("ipynb", "md"):
        page.get_by_role("button", name="Download this page").click()
        with page.expect_download() as waiting:
            page.get_by_role("link", name=f".{suffix}", exact=True).click()
        saved = waiting.value
        assert saved.suggested_filename == f"{name.split('/')[-1]}.{suffix}"
        assert Path(saved.path()).read_bytes() == (site / "_sources" / f"{name}.{suffix}").read_bytes()
        if suffix == "ipynb":
            nbformat.validate(nbformat.read(saved.path(), as_version=4))
    assert (page.url, len(page.context.pages)) == (address, 1)
    page.close()
