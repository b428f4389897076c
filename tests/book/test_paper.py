"""The book on paper: two pages of it printed and bound, the shortest chapter and one that it links to."""

import re
from pathlib import Path

import pdf
import pytest
from pypdf import PdfReader
from traces import solution_runs, words

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHAPTER, BESIDE = "chapters/00_a_vae_in_thirty_lines", "book/references"
PARTS = {"Balls": [CHAPTER], "Around it": [BESIDE]}


@pytest.fixture(scope="module")
def bound(browser, site, tmp_path_factory) -> tuple[Path, list[Path]]:
    return pdf.print_book(browser, site, PARTS, tmp_path_factory.mktemp("paper"))


@pytest.fixture(scope="module")
def book(bound) -> PdfReader:
    return PdfReader(bound[0])


@pytest.fixture(scope="module")
def text(book) -> list[str]:
    return [sheet.extract_text() for sheet in book.pages]


def titles(outline) -> list:
    return [titles(entry) if isinstance(entry, list) else entry.title for entry in outline]


def links(reader):
    notes = [note.get_object() for sheet in reader.pages for note in sheet.get("/Annots", [])]
    return [note for note in notes if note["/Subtype"] == "/Link"]


def fonts(resources, seen):
    """All fonts of some resources, those of the forms within them too."""
    for font in resources.get("/Font", {}).values():
        yield font.get_object()
    for form in resources.get("/XObject", {}).values():
        form = form.get_object()
        if "/Resources" in form and form.indirect_reference.idnum not in seen:
            seen.add(form.indirect_reference.idnum)
            yield from fonts(form["/Resources"], seen)


def is_embedded(font) -> bool:
    if font["/Subtype"] == "/Type3":
        return "/CharProcs" in font
    (inner,) = font.get("/DescendantFonts", [font])
    about = inner.get_object()["/FontDescriptor"]
    return any(key in about for key in ("/FontFile", "/FontFile2", "/FontFile3"))


def test_the_contents_name_the_sheets_that_their_titles_stand_on(book, text):
    labels = book.page_labels
    assert labels[:3] == ["i", "ii", "1"]
    assert labels[-1] == str(len(labels) - 2)
    rows = re.findall(r"^(?:0\. )?(A VAE in thirty lines|Bibliography).*?(\d+)$", text[1], re.M)
    assert [title for title, _ in rows] == ["A VAE in thirty lines", "Bibliography"]
    for title, number in rows:
        sheet = text[labels.index(number)]
        assert title in sheet
        assert re.search(rf"^{number}$", sheet, re.M), "the sheet shows its number"


def test_the_text_is_the_page_s_with_its_answers_and_without_its_solutions(book, text):
    whole = "\n".join(text)
    assert "Answers to the questions" in whole
    assert "Folded code" in whole
    assert (
        len(re.findall(r"\([a-e]\) Right\.", whole)) == len(re.findall(r"^Question \d+\.", whole, re.M)) > 4
    )
    for remnant in ("Show code cell", "Hide code cell", "Explanation", "Skip to main content", "Check\n"):
        assert remnant not in whole
    runs = solution_runs(CHAPTER)
    assert len(runs) > 3
    letters = words(whole)
    assert [run for run in runs if run in letters] == []


def test_formulas_are_set_and_every_font_travels_along(book, text):
    whole = "\n".join(text)
    assert "(0.3)" in whole
    assert "p(x) = ∫ p(x ∣ z)p(z)dz." in whole
    assert not re.search(r"\\\(|\\lVert|\\operatorname", whole)
    seen: set[int] = set()
    held = [font for sheet in book.pages for font in fonts(sheet["/Resources"], seen)]
    assert len(held) > 20
    assert all(map(is_embedded, held))


def test_links_lead_within_the_book_or_out_into_the_world(book, bound):
    sheets = {sheet.indirect_reference.idnum for sheet in book.pages}
    for link in links(book):
        if "/Dest" in link:
            assert link["/Dest"][0].idnum in sheets
        else:
            assert link["/A"]["/URI"].startswith("https://")
    own = PdfReader(next(path for path in bound[1] if path.stem in CHAPTER))
    out = [link["/A"] for link in links(own) if "/A" in link and link["/A"]["/S"] == "/GoToR"]
    assert {action["/F"] for action in out} == {"../book/references.pdf"}
    works = PdfReader(next(path for path in bound[1] if path.stem in BESIDE))
    named = [str(action["/D"]) for action in out if isinstance(action["/D"], str)]
    assert named
    assert set(named) <= set(works.named_destinations)


def test_bookmarks_are_the_headings_part_by_part(book):
    part, chapter, beside, _ = (titles(book.outline) + [None] * 4)[1:5]
    assert part == "Balls"
    assert chapter[0].endswith("A VAE in thirty lines, and the bound it climbs")
    assert "Exercises" in chapter[1]
    assert beside == "Around it"


def test_a_screen_reader_finds_the_tags_of_every_sheet(book):
    root = book.root_object
    assert root["/MarkInfo"]["/Marked"]
    assert root["/Lang"] == "en"
    tree = root["/StructTreeRoot"]
    numbers = tree["/ParentTree"]["/Nums"]
    assert numbers[::2] == list(range(tree["/ParentTreeNextKey"]))
    assert len(tree["/K"]) == 3
    keys = [sheet["/StructParents"] for sheet in book.pages]
    assert len(set(keys)) == len(keys)
    for sheet, key in zip(book.pages, keys, strict=True):
        marked = [one.get_object() for one in numbers[2 * key + 1].get_object() if one]
        assert sheet.indirect_reference in [one.get("/Pg") for one in marked]


def test_its_dates_are_fixed_and_nothing_in_it_names_a_folder(bound):
    for path in [bound[0], *bound[1]]:
        data = path.read_bytes()
        assert b"file:///" not in data
        assert str(PdfReader(path).metadata["/CreationDate"]).startswith("D:1980")
        assert b"Headless" not in data


def test_a_page_read_in_the_dark_is_printed_in_the_light(browser, site):
    """By the reader's own print too, which keeps to the article, and is dark again afterwards."""
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(f"{site.as_uri()}/{BESIDE}.html")
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    seen = """(event) => {
      dispatchEvent(new Event(event));
      return [document.documentElement.dataset.theme, getComputedStyle(document.body).backgroundColor];
    }"""
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate(seen, "beforeprint") == ["light", "rgb(255, 255, 255)"]
    assert not page.locator(".bd-sidebar-primary").is_visible()
    assert page.locator("article h1").is_visible()
    assert page.evaluate(seen, "afterprint")[0] == "dark"
    context.close()
