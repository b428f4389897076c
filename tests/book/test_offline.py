"""The zip of `make offline`: what it holds and what not, and that it opens without a network."""

import ast
import json
import re
from zipfile import ZipFile

import offline
import pytest
from pages import visit
from riemvae_book import notebooks
from test_site import text_of
from traces import letters, solution_lines

WHEEL = "riemvae_core-0-py3-none-any.whl"
TOP = f"{offline.TOP}/"


@pytest.fixture(scope="module")
def inputs(site, root, tmp_path_factory):
    """Site, student notebooks, and what stands for the wheel (tests/test_dist.py looks into a real one)."""
    folder = tmp_path_factory.mktemp("inputs")
    wheel = folder / WHEEL
    wheel.write_bytes(b"wheel")
    notebooks.put_core_beside(root, notebooks.write_all(root, folder), wheel)
    return site, folder / "student", wheel


@pytest.fixture(scope="module")
def unpacked(inputs, tmp_path_factory):
    """The zip in a folder of a name that addresses must escape."""
    folder = tmp_path_factory.mktemp("a folder für alle")
    with ZipFile(offline.pack(*inputs, folder / "book.zip")) as archive:
        archive.extractall(folder)
    return folder / offline.TOP


def test_it_holds_all_that_a_reader_needs(unpacked, root):
    assert sorted(path.name for path in unpacked.iterdir()) == [
        "CITATION.cff", "LICENSE", "LICENSE-TEXT", "notebooks", "site", "start here.html",
    ]  # fmt: skip
    chapters = [page.split("/")[-1] for page in notebooks.chapter_pages(root)]
    beside = sorted(path.name for path in (unpacked / "notebooks").iterdir())
    assert beside == sorted([*(f"{name}.ipynb" for name in chapters), "requirements.txt", WHEEL])
    for name in ("site/index.html", "site/searchindex.js", "site/_static/vendor/mathjax/LICENSE"):
        assert (unpacked / name).is_file()


def test_who_did_what_the_start_page_says_needs_no_network_for_any_notebook(unpacked):
    """Its pip line asks for all that a first cell looks for, under the same names and bounds."""
    start = (unpacked / "start here.html").read_text(encoding="utf8")
    assert len(re.findall(r"pip install (?:\S+ )*jupyterlab -r requirements\.txt", start)) == 3
    asked = (unpacked / "notebooks" / "requirements.txt").read_text(encoding="utf8").splitlines()
    for path in (unpacked / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf8"))["cells"]
        first = next("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
        needed = ast.literal_eval(re.search(r"^needed = (\{.*?^\})", first, re.M | re.S)[1])
        assert needed.pop("riemvae_core")
        assert needed
        assert set(needed.values()) <= set(asked)
    assert f"./{WHEEL}" in asked


def test_its_names_hold_on_every_system(unpacked):
    """Also where case is no difference, colons and final dots are refused and a path has 260 characters."""
    names = [path.relative_to(unpacked.parent).as_posix() for path in unpacked.rglob("*")]
    assert len({name.lower() for name in names}) == len(names)
    assert [name for name in names if not re.fullmatch(r"[\w .+/-]+(?<![. ])", name, re.ASCII)] == []
    assert [
        name for name in names if re.search(r"(?i)(^|/)(con|prn|aux|nul|com\d|lpt\d)([./]|$)", name)
    ] == []
    assert max(map(len, names)) < 160


def test_the_same_files_give_the_same_bytes(inputs, unpacked, tmp_path):
    again = offline.pack(*inputs, tmp_path / "again.zip")
    assert again.read_bytes() == (unpacked.parent / "book.zip").read_bytes()


def test_no_solution_and_no_hidden_file_is_in_it(unpacked, root):
    lines = {letters(line) for page in notebooks.chapter_pages(root) for line in solution_lines(page)}
    assert lines
    files = [path for path in unpacked.rglob("*") if path.is_file()]
    assert [path for path in files if path.name.startswith(".")] == []
    read = [path for path in files if path.suffix in (".html", ".md", ".ipynb", ".txt", ".json", ".js")]
    texts = {path: text_of(path) for path in read if "_static" not in path.parts}
    assert [path.name for path, text in texts.items() if any(line in text for line in lines)] == []
    for path in (unpacked / "notebooks").glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf8"))["cells"]
        assert not any("**Solution" in "".join(cell["source"]) for cell in cells)


@pytest.mark.browser
def test_it_opens_from_the_folder_without_a_network(browser, unpacked):
    """From a double click on the first file: the front page, a chapter's live figure, the search."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((unpacked / "start here.html").as_uri())
    page.get_by_role("link", name="Read the book").click()
    page.wait_for_url("**/site/book/index.html")
    page.goto((unpacked / "site" / "search.html").as_uri() + "?q=autoencoder")
    page.wait_for_selector("ul.search li a")
    context.close()
    for name in ("book/index", "chapters/02_kl_as_packing"):
        seen = visit(browser, (unpacked / "site").as_uri(), name, "light", 1280, offline=True)
        assert seen.page.locator("figure[data-rv-ready]").count() > 0
        seen.page.context.close()
        assert seen.problems == []
