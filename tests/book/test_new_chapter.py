"""`make chapter`: a skeleton that runs, with each entry that the project asks for."""

import importlib.util
import runpy
import shutil
import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import pytest
import test_anatomy
from new_chapter import add_chapter
from riemvae_book.exams import read_questions, source_of
from riemvae_book.figures import read_palette
from riemvae_book.front import chapter_card, read_cards
from riemvae_book.notebooks import chapter_pages, split_cells
from riemvae_book.teaching import estimates, read_chapters

NAME, TITLE = "many-tori", "A torus has no edge"
WRITTEN_BY_HAND = {"test_length_of_the_prose"}


@pytest.fixture
def copy(root, tmp_path):
    """The sources that a new chapter touches, in a folder of their own."""
    for name in ("chapters", "book/instructors", "book/_ext"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    files = (
        "_toc.yml",
        "README.md",
        "book/cards.yml",
        "book/_static/palette.json",
        "tests/book/wrong_answers.py",
    )
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def page(copy):
    add_chapter(copy, NAME, TITLE)
    return chapter_pages(copy)[-1]


def test_it_has_the_anatomy_of_a_chapter_but_for_the_words(copy, page):
    text = (copy / f"{page}.md").read_text(encoding="utf8")
    failed = set()
    for name, test in vars(test_anatomy).items():
        marks = [mark for mark in getattr(test, "pytestmark", []) if mark.args[0] == "text"]
        if name.startswith("test_") and len(marks) == len(getattr(test, "pytestmark", [])) == 1:
            try:
                test(text)
            except AssertionError:
                failed.add(name)
    assert failed == WRITTEN_BY_HAND
    assert f"(ch-{NAME})=\n# {TITLE}\n" in text
    with pytest.raises(AssertionError, match=rf"FILL-IN is left:\n *{page}\.md: \d+ lines"):
        test_anatomy.test_nothing_is_left_to_fill_in(copy)


def test_its_code_runs(copy, page, monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    names: dict = {}
    with matplotlib.rc_context():  # the set-up cell puts the book's style there
        for kind, code, _ in split_cells((copy / f"{page}.md").read_text(encoding="utf8")):
            if kind == "code":
                exec(compile(code, page, "exec"), names)
        plt.close("all")
    assert names["prior"] == 0


def test_every_entry_is_there(root, copy, page, monkeypatch):
    chapters, guess = read_chapters(copy), estimates(copy)
    new = chapters[-1]
    assert (new.page, new.label, new.number) == (page, f"ch-{NAME}", len(chapter_pages(root)))
    assert [guess[exercise.label] > 0 for exercise in new.exercises] == [True] * 5
    assert [q.kind for q in read_questions(source_of(copy, page), 1)] == ["compute", "derive", "judge"]
    assert f"\n| {new.number} | {TITLE}: FILL-IN |\n" in (copy / "README.md").read_text(encoding="utf8")
    slips = runpy.run_path(str(copy / "tests/book/wrong_answers.py"))["SLIPS"]
    in_code = test_anatomy.tasks_of((copy / f"{page}.md").read_text(encoding="utf8"))
    assert list(in_code) == [f"ex-{NAME}-third", f"ex-{NAME}-fourth"] == list(slips)[-2:]
    syllabi = (copy / "book/instructors/syllabi.md").read_text(encoding="utf8").split("\n## ")
    assert [part.split(" ")[0] for part in syllabi if f"<ch-{NAME}>" in part] == ["Eight", "Thirteen"]
    plan = (copy / "book/instructors/chapters.md").read_text(encoding="utf8")
    assert plan.count(f"```{{chapter-work}} {page}\n```") == 1
    card = chapter_card(read_cards(copy), page)
    spec = importlib.util.spec_from_file_location(
        "riemvae_book.drawn", copy / "book/_ext/riemvae_book/pictures.py"
    )
    pictures = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, pictures)
    spec.loader.exec_module(pictures)
    assert "<path" in pictures.picture_svg(card["picture"], card["alt"], read_palette(root))


def test_its_sources_are_in_the_house_s_format(copy, page):
    paths = copy / "book/_ext/riemvae_book/pictures.py", copy / "tests/book/wrong_answers.py"
    command = [sys.executable, "-m", "ruff", "format", "--check", "--line-length=110", *map(str, paths)]
    assert subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    ("name", "title", "message"),
    [
        ("Torus", TITLE, "NAME must be words in small letters"),
        ("", TITLE, "NAME must be words in small letters"),
        (NAME, " ", "TITLE must be the chapter's claim"),
        ("your-own", TITLE, "NAME must be new .*got 'your-own'"),
        ("ball", TITLE, "NAME must be new .*got 'ball'"),  # a function of the drawings
        ("class", TITLE, "NAME must be new .*got 'class'"),
    ],
)
def test_a_bad_name_writes_nothing(copy, name, title, message):
    before = {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match=message):
        add_chapter(copy, name, title)
    assert {path: path.read_bytes() for path in copy.rglob("*") if path.is_file()} == before


def test_a_missing_card_is_named_with_its_file(copy, page):
    cards = read_cards(copy)
    del cards[page]["alt"]
    with pytest.raises(Exception, match=f"book/cards.yml must have an entry {page} .* missing: alt"):
        chapter_card(cards, page)


def test_a_missing_estimate_or_exam_is_named_with_its_file(copy, page):
    with pytest.raises(Exception, match=r"book/instructors/minutes.yml must have a line .* ex-nowhere"):
        estimates(copy)["ex-nowhere"]
    source_of(copy, page).unlink()
    with pytest.raises(ValueError, match=r"one file of exam questions, book/instructors/exams/\d\d_\*\.md"):
        source_of(copy, page)
