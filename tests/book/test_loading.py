"""What a page waits for: words at once, in the reader's colors; formulas first where the reader is."""

import re

import pytest
from pages import SETTLE
from riemvae_book import loading
from riemvae_book.policy import FOLDER, pages

CHAPTER = "chapters/05_riemannian_metric"
HEAD = f"""<head>
<script defer src="{FOLDER}/a.js"></script>
<script data-cfasync="false" src="{FOLDER}/b.js"></script>
<script src="_static/documentation_options.js"></script>
<script src="_static/doctools.js?v=1"></script><script type="application/json">{{"src": "x.js"}}</script>
<script data-x="1" src="{FOLDER}/c.js"></script>
<script data-x="1" src="{FOLDER}/c.js"></script>
<script async src="_static/e.js"></script></head><body><script src="{FOLDER}/d.js"></script></body>"""
PLACES = """() => [...document.querySelectorAll("article .math")].map((el) => ({
  set: el.querySelector("mjx-container") !== null, far: el.getBoundingClientRect().top - innerHeight,
  shown: el.getClientRects().length > 0,
}))"""
FAR = 1000  # pixels below the window
HEIGHTS = """() => [...document.querySelectorAll(".bd-article :is(svg.rv-plot, .highlight pre)")].map((el) =>
  Math.round(el.getBoundingClientRect().height))"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / FOLDER).mkdir(parents=True)
    for name, code in {"c": "let a = 1;", "d": "document.write('<button>')"}.items():
        (tmp_path / FOLDER / f"{name}.js").write_text(code)
    return tmp_path


def test_scripts_wait_but_those_that_write_and_the_colors(folder):
    page = loading.deferred(HEAD, folder)
    assert '<script defer src="_static/doctools.js?v=1">' in page
    assert f'<script defer data-x="1" src="{FOLDER}/c.js">' in page
    colors = (
        f'<script data-cfasync="false" src="{FOLDER}/b.js"></script><script src="_static/colors.js"></script>'
    )
    assert colors in page
    order = ["documentation_options.js", "a.js", "c.js", "doctools.js"]  # settings first, each once
    assert re.findall(r"<script defer [^>]*?([a-z_]+\.js)", page) == order
    for same in ('<script async src="_static/e.js">', f'<script src="{FOLDER}/d.js">', '{"src": "x.js"}'):
        assert same in page
    assert loading.deferred(page, folder) == page


def test_code_says_how_many_lines_it_has():
    page = '<div class="highlight"><pre><span></span>a = 1\n\nb = 2\n</pre></div><pre>c\n</pre>'
    counted = loading.counted(page)
    assert counted == page.replace("<pre><span>", '<pre style="--rv-lines: 3"><span>')
    assert loading.counted(counted) == counted


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_what_is_not_drawn_yet_is_as_high_as_it_will_be(browser, served, width):
    """Else the page grows under the reader's hand, and a link's target moves."""
    page = browser.new_page(viewport={"width": width, "height": 800})
    page.goto(f"{served}/{CHAPTER}.html", wait_until="load")
    page.evaluate(SETTLE)
    before = page.evaluate(HEIGHTS)
    page.add_style_tag(content="* { content-visibility: visible !important; }")
    assert len(before) > 30
    assert min(before) > 20
    assert page.evaluate(HEIGHTS) == pytest.approx(before, abs=1)
    page.close()


@pytest.mark.slow
def test_no_page_of_the_site_waits_for_a_script_that_could_wait(site):
    for path in set(pages(site)) - {site / "search.html"}:  # whose scripts count on their order
        at_once = re.findall(r"<script (?!defer|async)[^>]*src=[^>]*>", path.read_text(encoding="utf8"))
        files = [re.search(r'src="[^"]*?([\w.-]+)(\?[^"]*)?"', tag)[1] for tag in at_once]
        pairs = list(zip(files, at_once, strict=True))
        coloring = [file for file, tag in pairs if "data-cfasync" in tag or file == "colors.js"]
        writing = [(site / FOLDER / file).read_text("utf8") for file in files if file not in coloring]
        assert all("document.write" in code for code in writing), path.name
        if files:  # else the page only leads on to another one
            assert len(coloring) == 2, path.name
            assert coloring[1] == "colors.js", path.name


@pytest.mark.slow
def test_only_the_front_page_has_its_style_sheet_and_pages_without_formulas_no_mathjax(site):
    with_sheet = [path for path in pages(site) if "front.css" in path.read_text(encoding="utf8")]
    assert [path.relative_to(site).as_posix() for path in with_sheet] == ["book/index.html"]
    for name, formulas in {"book/index": False, CHAPTER: True}.items():
        page = (site / f"{name}.html").read_text(encoding="utf8")
        assert ("formulas.js" in page) is ("tex-chtml.js" in page) is formulas


@pytest.mark.browser
@pytest.mark.slow
def test_formulas_in_view_come_first_and_paper_gets_all_of_them(browser, served):
    """No spare time is given, so that what is set when the page is loaded is what was near."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.add_init_script("globalThis.requestIdleCallback = (go) => { globalThis.spareTime = go; };")
    page.goto(f"{served}/{CHAPTER}.html", wait_until="load")
    page.wait_for_timeout(500)
    places = page.evaluate(PLACES)
    seen = [one["set"] for one in places if one["shown"] and one["far"] <= 0]
    far = [one["set"] for one in places if not one["shown"] or one["far"] > FAR]
    assert seen
    assert all(seen)
    assert len(far) > 100
    assert not any(far)
    assert page.evaluate("performance.getEntriesByName('rv-formulas').length") == 1
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert all(one["set"] for one in page.evaluate(PLACES))
    page.close()


@pytest.mark.browser
@pytest.mark.slow
def test_a_link_into_a_chapter_shows_its_formulas_first_and_then_all(browser, served):
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(f"{served}/{CHAPTER}.html#overlap-pays-more-than-its-share", wait_until="load")
    page.evaluate(SETTLE)
    assert all(one["set"] for one in page.evaluate(PLACES))
    top = page.locator("#overlap-pays-more-than-its-share > h2").bounding_box()["y"]
    page.wait_for_timeout(1000)
    assert page.locator("#overlap-pays-more-than-its-share > h2").bounding_box()["y"] == pytest.approx(
        top, abs=2
    )
    assert 0 <= top < 200
    page.close()


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_first_picture_has_the_readers_colors(browser, served, scheme):
    """Without the theme's own script, which sets them only when the whole page is read."""
    page = browser.new_page(color_scheme=scheme)
    page.route("**/pydata-sphinx-theme.js*", lambda route: route.abort())
    page.goto(f"{served}/{CHAPTER}.html", wait_until="load")
    assert page.evaluate("document.documentElement.dataset.theme") == scheme
    page.close()
