"""Numbers of chapters and of what stands in them: sidebar, titles, boxes, references and notebooks agree."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from docutils import nodes
from riemvae_book.labels import read_book, toc_pages
from riemvae_book.notebooks import chapter_pages, write_all
from riemvae_book.numbers import BESIDE, assign_section_numbers, chapter_number, numbered_title, page_number

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = chapter_pages(ROOT)
NUMBERED_PAGES = [*CHAPTERS, *BESIDE]
VOID = {"meta", "link", "img", "br", "hr", "input", "source", "wbr", "col"}
EQUATION = re.compile(r"\(((?:\d+|[A-D](?=\.))(?:\.\d+)?)\)")
NUMBERED = re.compile(r"[A-Z][a-z]+\.? (?:\d+|[A-D](?=\.))(?:\.\d+)?")
CHAPTER = re.compile(r"[Cc]hapter (\d+)")


@pytest.mark.parametrize(
    ("page", "number"),
    [
        ("chapters/06_sampling", 6),
        ("chapters/00_before", 0),
        ("chapters/12_more", 12),
        ("book/index", None),
        ("book/reference/01_data", None),
        ("chapters/about", None),
    ],
)
def test_a_chapter_s_number_is_that_of_its_file(page, number):
    assert chapter_number(page) == number
    assert numbered_title(page, "A title") == ("A title" if number is None else f"{number}. A title")


def test_pages_beside_the_road_have_letters_in_the_order_of_the_contents():
    assert [page for page in toc_pages(ROOT) if page in BESIDE] == list(BESIDE)
    assert [page_number(page) for page in BESIDE] == list("ABCD")
    assert numbered_title("book/hessians", "A title") == "C. A title"
    assert [chapter_number(page) for page in BESIDE] == [None] * 4


def contents(*anchors: str) -> nodes.bullet_list:
    return nodes.bullet_list("", *(nodes.reference(anchorname=anchor) for anchor in anchors))


def test_chapters_are_numbered_and_their_sections_are_not():
    pages = ("book/index", "chapters/00_a", "chapters/03_b", "book/hessians")
    tocs = {page: contents("", "#one") for page in pages}
    titles = {page: nodes.title("", page) for page in tocs}
    before = {"chapters/03_b": {"": (3,), "#one": ()}}
    env = SimpleNamespace(tocs=tocs, titles=titles, longtitles=dict(titles), toc_secnumbers=before)
    assert assign_section_numbers(None, env) == ["chapters/00_a", "book/hessians"]
    lettered = {"book/hessians": {"": ("C",), "#one": ()}}
    assert env.toc_secnumbers == {"chapters/00_a": {"": (0,), "#one": ()}, **before, **lettered}
    assert [link["secnumber"] for link in tocs["chapters/00_a"]] == [[0], None]
    assert "secnumber" not in tocs["book/index"][0]
    assert [title.get("secnumber") for title in env.titles.values()] == [None, [0], [3], ["C"]]
    assert not any("secnumber" in title for title in env.longtitles.values())


def test_the_contents_go_through_the_chapters_by_number():
    numbers = [number for number in map(chapter_number, toc_pages(ROOT)) if number is not None]
    assert numbers == sorted(set(numbers))
    assert len(numbers) == len(CHAPTERS)


@dataclass
class Element:
    tag: str
    attributes: dict
    inside: list = field(default_factory=list)  # Element or str

    @property
    def text(self) -> str:
        texts = (part if isinstance(part, str) else part.text for part in self.inside)
        return re.sub(r"\s+", " ", "".join(texts))

    @property
    def classes(self) -> set[str]:
        return set((self.attributes.get("class") or "").split())

    def find(self, tag: str = "", name: str = "") -> Iterator["Element"]:
        """The elements within this one, by tag and class."""
        for part in self.inside:
            if isinstance(part, Element):
                if tag in ("", part.tag) and name in {"", *part.classes}:
                    yield part
                yield from part.find(tag, name)


class Tree(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open = [Element("", {})]

    def handle_starttag(self, tag, attrs):
        element = Element(tag, dict(attrs))
        self.open[-1].inside.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attrs):
        self.open[-1].inside.append(Element(tag, dict(attrs)))

    def handle_endtag(self, tag):
        at = max((i for i, element in enumerate(self.open) if element.tag == tag), default=0)
        if at:
            del self.open[at:]

    def handle_data(self, data):
        self.open[-1].inside.append(data)


def tree(path: Path) -> Element:
    reader = Tree()
    reader.feed(path.read_text(encoding="utf8"))
    return reader.open[0]


@pytest.fixture(scope="module")
def pages(site) -> dict[str, Element]:
    return {page: tree(site / f"{page}.html") for page in toc_pages(ROOT)}


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("notebooks")
    write_all(ROOT, out)
    return out


def article(page: Element) -> Element:
    return next(page.find("article", "bd-article"))


def heading(page: Element) -> str:
    return next(article(page).find("h1")).text.removesuffix("#").strip()


def numbers_by_id(page: Element) -> dict[str, str]:
    """What the page itself says each box, figure and formula with an id is called."""
    found = {}
    for element in article(page).find():
        label = element.attributes.get("id")
        if not label:
            continue
        if "math" in element.classes and (tag := next(element.find("span", "eqno"), None)):
            found[label.removeprefix("equation-")] = EQUATION.search(tag.text)[1]
        elif "rv-figure" in element.classes:
            continue  # a live figure has a place to link to and no number
        elif element.tag == "figure" or element.classes & {"proof", "exercise"}:
            found[label] = next(element.find("span", "caption-number")).text.strip()
    return found


@pytest.mark.parametrize("chapter", NUMBERED_PAGES)
def test_sidebar_heading_and_window_show_the_number_of_the_file(pages, chapter):
    number = BESIDE.get(chapter) or int(Path(chapter).name.split("_")[0])
    page = pages[chapter]
    assert re.match(rf"{number}\. [A-Z]", heading(page))
    assert next(page.find("title")).text.startswith(heading(page))
    here = next(next(page.find("nav", "bd-links")).find("li", "current"))
    assert here.text.strip() == heading(page)
    assert [h2.text for h2 in article(page).find("h2") if h2.text[0].isdigit()] == []


def neighbors(page: Element) -> list[str]:
    """What previous and next are called, without the line on what comes."""
    found = []
    for title in page.find("p", "prev-next-title"):
        comes = next(title.find("span", "rv-comes"), Element("", {}))
        found.append(title.text.removesuffix(comes.text).strip())
    return found


def test_next_and_previous_show_the_number(pages):
    for one, two in pairwise(CHAPTERS):
        assert neighbors(pages[one])[-1] == heading(pages[two])
        assert neighbors(pages[two])[0] == heading(pages[one])


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_all_in_a_chapter_is_numbered_within_it(pages, chapter):
    kinds: dict[str, list[str]] = {}
    for name in numbers_by_id(pages[chapter]).values():
        kind, _, number = name.rpartition(" ")
        kinds.setdefault(kind, []).append(number)
    assert len(kinds) >= 4, "theorems, exercises, figures and formulas"
    for numbers in kinds.values():
        expected = [f"{chapter_number(chapter)}.{count}" for count in range(1, len(numbers) + 1)]
        assert numbers == expected


def test_all_beside_the_road_is_numbered_within_its_page(pages):
    names = [name for page in BESIDE for name in numbers_by_id(pages[page]).values()]
    assert {name.rpartition(" ")[2].partition(".")[0] for name in names} == set("ABCD")


def test_references_say_what_their_target_says(pages):
    """Every link of the book that shows a number shows that of the place it leads to."""
    names = {page: numbers_by_id(tree_) for page, tree_ in pages.items()}
    compared, wrong = 0, []
    for page, tree_ in pages.items():
        for link in article(tree_).find("a", "internal"):
            parts = urlsplit(link.attributes["href"])
            target = os.path.normpath(Path(page).parent / unquote(parts.path)) if parts.path else page
            target, label = target.removesuffix(".html"), unquote(parts.fragment).removeprefix("equation-")
            if shown := CHAPTER.fullmatch(link.text):
                said, called = shown[1], str(chapter_number(target))
            elif shown := EQUATION.fullmatch(link.text) or NUMBERED.fullmatch(link.text):
                said, called = shown[shown.re.groups], names.get(target, {}).get(label)
            else:
                continue
            wrong += [f"{page}: {link.text} leads to {called}"] * (said != called)
            compared += 1
    assert wrong == []
    assert compared > 200


def test_notebooks_call_every_label_what_the_pages_call_it(pages):
    book = read_book(ROOT, CHAPTERS[0], Path("none"), "")
    called = {label: name.replace("Figure", "Fig.") for label, name in book.labels.items()}
    called |= book.equations
    shown = {label: name for page in pages.values() for label, name in numbers_by_id(page).items()}
    numbered = {label for label, name in called.items() if name[0] != "“"}
    assert numbered == {label for label in shown if label in called}
    assert {label: called[label] for label in numbered} == {label: shown[label] for label in numbered}
    assert len(numbered) > 150


def lines_of(path: Path) -> list[str]:
    cells = nbformat.read(path, as_version=4).cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown").split("\n")


@pytest.mark.parametrize("reader", ["student", "instructor"])
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_notebook_s_numbers_are_the_page_s(pages, notebooks, reader, chapter):
    """Title, boxes, figures and formulas, in the order in which they come."""
    lines = lines_of(notebooks / reader / f"{Path(chapter).name}.ipynb")
    title = next(line for line in lines if line.startswith("# "))
    assert title.split(" ")[1] == heading(pages[chapter]).split(" ")[0]
    shown = list(numbers_by_id(pages[chapter]).values())
    boxes = [re.match(r"(?:> )*\*{1,2}([A-Z][a-z]+) (\d+\.\d+)[ .*]", line) for line in lines]
    called = [f"{found[1]} {found[2]}".replace("Figure", "Fig.") for found in boxes if found]
    assert called == [name for name in shown if " " in name]
    tags = re.findall(r"\\tag\{([\d.]+)\}", "\n".join(lines))
    assert tags == [name for name in shown if " " not in name]
