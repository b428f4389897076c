"""A deck says what its page says, in pieces that fit, and its live figure answers, opened from a folder."""

import os
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pages import LOOK_AT_MATH
from riemvae_book.notebooks import chapter_pages
from riemvae_book.slides import deck, first_sentence, last_sentences, write_slides

ROOT = Path(__file__).resolve().parents[2]
PAGES = chapter_pages(ROOT)
SHOWN = PAGES if "RIEMVAE_ALL_DECKS" in os.environ else PAGES[:1]  # make test-slides looks at all
LEAST = {"09": 9, "11": 7}  # the two largest live figures, to be shown on their pages
PAGE = """<article class="bd-article"><section id="t"><h1>1. A claim</h1><p>By the end.</p>
<section id="s"><h2>One</h2><p>It holds. More is said, namely</p><div class="math">\\[a\\]</div>
<div class="proof theorem admonition"><section>All.</section></div>
<div class="proof admonition">Because.</div>
<p>In <span class="rv-tied"><span class="math">\\(b\\)</span>,</span> it is so:</p>
<div class="cell tag_slide">
<div class="cell_input"><div class="highlight"><pre>program</pre></div></div></div>
<p class="rv-used-in">Reference: none</p>
<div class="cell"><div class="cell_input">code</div>
<div class="cell_output"><figure id="f"></figure></div></div>
<fieldset class="rv-question"><legend><strong>Question.</strong> <span>Which?</span></legend>
<div class="rv-answer"><label><span>This</span></label>
<details><div><p>Not this one. No.</p></div></details></div>
<div class="rv-answer"><label><span>That</span></label>
<details><div><p>Right. Yes.</p></div></details></div>
</fieldset></section></section></article>"""


def paragraph(text: str):
    return BeautifulSoup(f"<p>{text}</p>", "html.parser").p


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("One is said. Two as well.", "One is said.", " Two as well."),
        ("<strong>Bold it is.</strong> Then more.", "<strong>Bold it is.</strong>", "Then more."),
        ("As Shi et al. [2025] say, yes. No.", "As Shi et al. [2025] say, yes.", " No."),
        ("At <span>1. A</span> it turns. So:", "At <span>1. A</span> it turns.", " So:"),
        ('Of <span class="rv-tied">z.</span> So:', 'Of <span class="rv-tied">z.</span>', "So:"),
        ("Only one", "Only one", "Only one"),
    ],
)
def test_sentences_are_cut_between_marks(text, first, last):
    assert first_sentence(paragraph(text)) == first
    assert last_sentences(paragraph(text)).strip() == last.strip()


def test_a_table_has_the_sentences_before_it_that_fit():
    text = paragraph("One is said. <em>Two</em> as well. Of these five.")
    assert last_sentences(text, 30) == " <em>Two</em> as well. Of these five."
    assert last_sentences(text, 100) == text.decode_contents()
    assert last_sentences(text) == " Of these five."


def test_a_deck_has_a_slide_for_each_thing_shown():
    slides = BeautifulSoup(deck(PAGE), "html.parser").select("section[class]")
    assert [slide["class"][0] for slide in slides] == [
        "title",
        "opening",
        "formula",
        "theorem",
        "code",
        "figure",
        "question",
    ]
    opening, formula, theorem, code, _, question = slides[1:]
    assert opening.select_one(".lead").text == "It holds."
    assert formula.select_one(".lead").text.strip() == "More is said, namely"
    assert code.pre.text == "program"
    assert code.select_one(".lead .rv-tied").text == r"\(b\),"  # the comma stays with its formula
    assert "Reference" not in deck(PAGE)
    assert not theorem.find("section")
    assert [li.text for li in question.select(".right")] == ["That"]
    assert question.select_one(".fragment.why").text == "Right. Yes."
    assert "Because" not in deck(PAGE)
    assert "code" not in [tag.text for tag in slides]


OVERFULL = """() => [...document.querySelectorAll(".room")]
  .filter((room) => room.scrollHeight > room.clientHeight || room.scrollWidth > room.clientWidth)
  .map((room) => room.textContent.slice(0, 60))"""
TINY = """() => [...document.querySelectorAll(".room")]
  .filter((room) => parseFloat(room.style.fontSize || 1) < 0.6)
  .map((room) => room.textContent.slice(0, 60))"""
# The least height of words on a slide of 720 pixels; in a live figure, whose parts keep together, less.
SMALL = """(inFigure) => [...document.querySelectorAll(".room")].flatMap((room) => {
  const words = [...room.querySelectorAll("p, li, td, th, pre, figcaption, dt, dd, label, output, button")];
  const zoom = (el) => parseFloat(el.closest(".rv-stage")?.style.zoom || 1);
  const size = (el) => parseFloat(getComputedStyle(el).fontSize) * zoom(el);
  const small = (el) => el.textContent.trim() && size(el) < (el.closest(".rv-stage") ? inFigure : 13);
  return words.filter(small).slice(0, 2).map((el) => `${size(el)} px: ${el.textContent.trim().slice(0, 60)}`);
})"""
GO_TO_LIVE = (
    """() => { const {h, v} = Reveal.getIndices(document.querySelector(".live")); Reveal.slide(h, v); }"""
)


@pytest.fixture(scope="module")
def decks(site, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("slides")
    write_slides(ROOT, site, out, SHOWN)
    return out


@pytest.mark.browser
@pytest.mark.parametrize("page_name", SHOWN, ids=lambda name: Path(name).name)
def test_a_deck_opens_from_a_folder_and_its_figure_is_driven(browser, decks, page_name):
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda asked: problems.append(asked.url))
    page.goto((decks / f"{Path(page_name).name}.html").as_uri())
    page.wait_for_function("document.documentElement.dataset.deckReady !== undefined", timeout=120_000)
    problems += page.evaluate(LOOK_AT_MATH.replace('".math"', '".room .math"'))  # notes keep their source
    problems += page.evaluate(OVERFULL) + page.evaluate(TINY)
    problems += page.evaluate(SMALL, LEAST.get(Path(page_name).name[:2], 11))
    problems += page.evaluate(
        "[...document.querySelectorAll('figure[data-rv-module]:not([data-rv-ready])')].map(String)"
    )
    assert problems == []
    if page.locator(".live").count():
        drive(page)
    assert problems == []
    page.close()


def drive(page) -> None:
    """The first live figure follows the hand on a larger screen too, and keeps the arrow keys for itself."""
    page.set_viewport_size({"width": 1920, "height": 1080})
    page.evaluate(GO_TO_LIVE)
    place = page.evaluate("() => Reveal.getIndices()")
    figure = page.locator(".live.present .rv-stage")
    held = figure.locator("canvas.rv-plane, .rv-rows").first
    said = "document.querySelector('.live.present .rv-stage').textContent"
    before = page.evaluate(said)
    if figure.locator("canvas.rv-plane").count():
        box = held.bounding_box()
        page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.5 * box["height"])
        page.mouse.down()
        page.mouse.move(box["x"] + 0.6 * box["width"], box["y"] + 0.4 * box["height"], steps=3)
        page.mouse.up()
    else:  # chapter 9's rows of laws
        held.focus()
        page.keyboard.press("ArrowDown")
    page.wait_for_function(f"(before) => {said} !== before", arg=before)
    held.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate("() => Reveal.getIndices()") == place
