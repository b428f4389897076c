"""The built site as files: links, anchors, downloads, and nothing that should not be there."""

import json
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from riemvae_book.notebooks import chapter_pages
from riemvae_book.solutions import gated, is_solution, strip_solutions

from upkeep.links import Reader, broken_inside, read, read_pages

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = chapter_pages(ROOT)


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Reader]:
    return read_pages(site)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("07_geodesics_and_interpolation", "08_geodesics_and_interpolation"),
        ("08_does_it_generate_better", "09_does_it_generate_better"),
        ("09_your_own_vae", "11_your_own_vae"),
    ],
)
def test_old_addresses_forward(site, old, new):
    page = (site / "chapters" / f"{old}.html").read_text(encoding="utf8")
    assert re.search(rf'http-equiv="refresh" content="0; url={new}\.html"', page)
    assert (site / "chapters" / f"{new}.html").is_file()


def test_every_internal_link_and_anchor_resolves(site, pages):
    assert broken_inside(site, pages) == []


def test_pages_load_only_files_of_the_site(site, pages):
    outside = []
    for path, reader in pages.items():
        for address in reader.loads:
            parts = urlsplit(address)
            if parts.scheme == "data":
                continue
            if parts.scheme or parts.netloc or not (path.parent / unquote(parts.path)).exists():
                outside.append(f"{path.relative_to(site)}: {address}")
    assert outside == []


def test_formulas_come_with_their_license(site):
    folder = site / "_static" / "vendor" / "mathjax"
    assert "Apache License" in (folder / "LICENSE").read_text(encoding="utf8")
    assert list((folder / "output" / "chtml" / "fonts" / "woff-v2").glob("*.woff"))


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_the_download_menu_serves_the_student_notebook(site, chapter):
    page = site / f"{chapter}.html"
    links = [link for link in read(page).links if link.endswith(".ipynb") and "_sources" in link]
    assert [(page.parent / link).resolve() for link in links] == [
        (site / "_sources" / f"{chapter}.ipynb").resolve()
    ]
    notebook = json.loads((site / "_sources" / f"{chapter}.ipynb").read_text(encoding="utf8"))
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_says_how_long_it_took(site, chapter):
    text = " ".join(read(site / f"{chapter}.html").text)
    assert re.search(r"About \d+ minutes to read; its code ran in \d+ s on \d+ threads?\.", text)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_page_weighs_at_most_four_megabytes(site, chapter):
    page = site / f"{chapter}.html"
    assert page.stat().st_size < 4_000_000


def letters(text: str) -> str:
    return re.sub(r"\s+", "", text)


def solution_lines(chapter: str) -> list[str]:
    """The lines that stand in a chapter's solutions and nowhere else in it."""
    whole = (ROOT / f"{chapter}.md").read_text(encoding="utf8")
    kept = letters(strip_solutions(whole))
    lines = whole.split("\n")
    found = []
    for _, _, directive, body in gated(lines):
        if is_solution(directive, body):
            found += [letters(line) for line in body if len(letters(line)) >= 20]
    return [line for line in found if line not in kept]


def text_of(path: Path) -> str:
    if path.suffix == ".html":
        return letters("".join(read(path).text))
    if path.suffix == ".ipynb":
        cells = json.loads(path.read_text(encoding="utf8"))["cells"]
        return letters("".join("".join(cell["source"]) for cell in cells))
    return letters(path.read_text(encoding="utf8"))


def test_no_trace_of_a_solution_is_published(site):
    lines = {line for chapter in CHAPTERS for line in solution_lines(chapter)}
    assert lines, "the chapters hold solutions"
    suffixes = (".html", ".md", ".ipynb", ".txt", ".json")
    scripts = [site / "searchindex.js", *(site / "_sources").rglob("*.js")]
    published = [*scripts, *(path for path in site.rglob("*") if path.suffix in suffixes)]
    texts = {path.relative_to(site): text_of(path) for path in published}
    traces = [f"{path}: {line}" for path, text in texts.items() for line in lines if line in text]
    assert traces == []
