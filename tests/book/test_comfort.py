"""The built pages as a reader meets them: the first view, the way on, previews, the search."""

import re
from urllib.parse import unquote, urldefrag

import pytest
from pages import AXE, SETTLE
from riemvae_book.front import read_cards
from riemvae_book.labels import toc_pages
from riemvae_book.notebooks import chapter_pages
from riemvae_book.previews import read_previews
from test_site import read

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHAPTER = "chapters/00_a_vae_in_thirty_lines"
MOST_BYTES = 4_000_000
SEARCHES = {  # what people type: where its best answer stands
    "ELBO": "book/glossary.html#term-ELBO",
    "KL divergence": "book/glossary.html#term-KL-divergence",
    "Mahalanobis": "book/glossary.html#term-Mahalanobis-distance",
    "Fréchet distance": "book/glossary.html#term-Frechet-distance",
    "a point has no inside": "chapters/01_points_to_balls.html#thm-no-inside",
    "ValueError: log_var must be given for a law of kind 'tempered', got None": "book/messages.html#laws-",
    "log_var must have mu's shape (5, 3), got (5, 1)": "book/messages.html#",
}


@pytest.fixture(scope="module")
def opened(browser):
    """Opens an address in a window of a size; the pages are closed after the tests."""
    contexts = []

    def go(address: str, width: int, height: int = 800, **options):
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.goto(address, wait_until="load", timeout=120_000)
        page.evaluate(SETTLE)
        return page

    yield go
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def chapter(opened, site):
    """A chapter, from a folder, wide."""
    return opened(f"{site.as_uri()}/{CHAPTER}.html", 1280)


BOXES = """() => ["h1", ".rv-claim dl", "figure.rv-figure", "figure.rv-figure canvas"].map((one) => {
  const {left, right, top, bottom} = document.querySelector(`article ${one}`).getBoundingClientRect();
  return {left, right, top, bottom};
})"""


def test_the_first_view_holds_claim_uses_and_figure(browser, served):
    """Side by side on a wide screen, with no more than 4 MB loaded; on a narrow one claim, figure, uses."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    sizes = []
    page.on("response", lambda got: sizes.append(int(got.headers.get("content-length", 0))))
    page.goto(f"{served}/book/index.html", wait_until="load")
    page.evaluate(SETTLE)
    title, claim, figure, plane = page.evaluate(BOXES)
    assert claim["right"] < figure["left"]
    assert max(claim["bottom"], plane["bottom"]) < 800
    assert title["top"] < 200
    assert page.locator(".rv-claim dt").all_text_contents() == ["Read", "Run", "Teach", "Build"]
    assert sum(sizes) < MOST_BYTES
    page.set_viewport_size({"width": 390, "height": 844})
    figure = page.evaluate(BOXES)[2]
    words, uses = (page.locator(f".rv-claim > {tag}").last.bounding_box() for tag in ("p", "dl"))
    page.close()
    assert words["y"] + words["height"] <= figure["top"] < 844 - 200  # the figure is seen with the claim
    assert figure["bottom"] <= uses["y"]


def test_each_chapter_has_a_card_and_each_page_says_what_comes(root, site):
    front = (site / "book" / "index.html").read_text(encoding="utf8")
    cards, lines = read_cards(root), []
    for page in chapter_pages(root):
        assert f'href="../{page}.html"' in front
        assert f'aria-label="{cards[page]["alt"]}"' in front
    for page in toc_pages(root):
        html = (site / f"{page}.html").read_text(encoding="utf8")
        lines += re.findall(r'<span class="rv-comes">', html)
        assert ('name="description"' in html) == (page in cards)
    assert len(lines) > 2 * len(chapter_pages(root))


def test_every_link_to_a_term_box_formula_or_work_has_its_preview(root, site):
    shown, lacking, met = {}, [], 0
    for page in toc_pages(root):
        shown[site / f"{page}.html"] = read_previews(site / "_static" / "previews" / f"{page}.js")[1]
    for path in shown:
        for link in read(path).links:
            address, anchor = urldefrag(link)
            to_a_work = address.endswith("references.html") and re.fullmatch(r"id\d+", anchor)
            if to_a_work or re.match(r"(term|thm|def|lem|cor|prop|equation-eq)-", anchor):
                target = (path.parent / unquote(address)).resolve() if address else path
                met += 1
                if unquote(anchor) not in shown.get(target, {}):
                    lacking.append(f"{path.relative_to(site)} -> {link}")
    assert lacking == []
    assert met > 500


def test_a_preview_opens_stays_and_closes(chapter):
    """By pointer and by keyboard, from a folder; nothing that axe finds is wrong with it (WCAG 1.4.13)."""
    page = chapter
    box, link = page.locator(".rv-preview"), page.locator("article a.reference[href*='#thm-']").first
    name = link.text_content()
    link.hover()
    box.wait_for(state="visible")
    assert name in box.text_content()
    assert link.get_attribute("aria-describedby") == box.get_attribute("id")
    box.hover()
    page.wait_for_timeout(500)
    assert box.is_visible()
    page.evaluate(AXE)
    assert page.evaluate("async () => (await axe.run('#rv-preview')).violations.map((one) => one.id)") == []
    page.keyboard.press("Escape")
    assert box.is_hidden()
    assert link.get_attribute("aria-describedby") is None
    page.mouse.move(5, 5)
    page.keyboard.press("Tab")
    link.focus()
    box.wait_for(state="visible")
    page.keyboard.press("Tab")
    box.wait_for(state="hidden")


def test_the_first_tap_previews_and_the_second_follows(opened, site):
    page = opened(f"{site.as_uri()}/{CHAPTER}.html", 390, has_touch=True, is_mobile=True)
    link, address = page.locator("article a.reference[href*='#thm-']").first, page.url
    link.tap()
    page.locator(".rv-preview").wait_for(state="visible")
    assert "Tap again to go there." in page.locator(".rv-preview").text_content()
    assert page.url == address
    link.tap()
    page.wait_for_url("**#thm-*")


def test_minutes_left_and_permalinks(chapter):
    page = chapter
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    page.wait_for_function("scrollY === 0")
    told = int(re.search(r"About (\d+) minutes", page.locator(".chapter-facts").text_content())[1])
    page.wait_for_function(
        "(text) => document.querySelector('.rv-minutes').textContent === text", arg=f"{told} min left"
    )
    page.evaluate("scrollTo({top: 1e7, behavior: 'instant'})")
    page.wait_for_function("!document.querySelector('.rv-minutes').textContent")
    link = page.locator(".proof.theorem > .admonition-title > .headerlink").first
    page.mouse.move(5, 5)
    assert link.evaluate("(el) => getComputedStyle(el).opacity") == "0"
    page.keyboard.press("Tab")
    link.focus()
    page.wait_for_timeout(500)  # it appears slowly
    assert link.evaluate("(el) => getComputedStyle(el).opacity") == "1"
    assert link.get_attribute("href").startswith("#thm-")


def test_the_search_finds_names_and_messages(opened, site):
    """From a folder; what was asked for stands first."""
    page = opened(f"{site.as_uri()}/search.html?q=Jensen", 1280)
    first = page.locator("ul.search li a").first
    first.wait_for()
    assert first.get_attribute("href").endswith("glossary.html#term-Jensen-s-inequality")
    assert first.text_content() == "Jensen’s inequality"
    ask = """async (query) => {
      const [asked, ...rest] = Search._parseQuery(query);
      const found = Search._performSearch(asked, ...rest).at(-1);
      return found ? `${found[0]}.html${found[2]}` : "nothing";
    }"""
    for query, where in SEARCHES.items():
        assert page.evaluate(ask, query).startswith(where), query
