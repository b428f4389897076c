"""What instructors get: plans that agree with the chapters, exams whose keys are right and stay apart."""

import functools
import html
import re
from pathlib import Path

import nbformat
import pytest
from riemvae_book.exams import KINDS, Paper, Question, chosen, near, read_questions, source_of, write_exams
from riemvae_book.facts import WORDS_PER_MINUTE
from riemvae_book.notebooks import chapter_pages, write_all
from riemvae_book.teaching import (
    MINUTES,
    direct_needs,
    draw_needs,
    estimates,
    read_chapters,
    read_syllabus,
)

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "book" / "instructors"
CHAPTERS = read_chapters(ROOT)
BY_LABEL = {one.label: one for one in CHAPTERS}
PLAN = (FOLDER / "chapters.md").read_text(encoding="utf8")
SYLLABI = (FOLDER / "syllabi.md").read_text(encoding="utf8")
WEEKS = ("Four", 4), ("Eight", 8), ("Thirteen", 13)
PARTS = "Read before", "In class", "Homework", "May be skipped"
each = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.label)


@functools.cache
def questions(page: str, seed: int) -> list[Question]:
    return read_questions(source_of(ROOT, page), seed)


def plan_of(label: str) -> str:
    """The plan's section on a chapter."""
    found = [part for part in PLAN.split("\n## ") if f"<{label}>`" in part.split("**")[0]]
    assert found, (
        f"book/instructors/chapters.md wants a section for {{numref}}`{{number}}. {{name}} <{label}>`"
    )
    return found[0]


@each
def test_a_chapter_has_a_plan(chapter):
    plan = plan_of(chapter.label)
    where = f"in book/instructors/chapters.md, section <{chapter.label}>"
    for part in ("**Afterwards a student can**", "**On the screen first.**", "**To discuss**"):
        assert part in plan, f"{part} is wanted {where}"
    promised, rest = plan.split("**Afterwards a student can**")[1].split("**On the screen first.**")
    assert 4 <= promised.count("\n- ") <= 7, f"four to seven things that a student can do are wanted {where}"
    assert f"{{chapter-work}} {chapter.page}\n" in plan, f"the directive of its exercises is wanted {where}"
    assert re.search(r"\*Ask:\* .*\?", rest), f"*Ask:* and a question are wanted {where}"
    assert plan.split("**To discuss**")[1].count("\n- ") >= 3, f"three things to discuss are wanted {where}"


@each
def test_a_belief_comes_with_what_breaks_it(chapter):
    rows = re.findall(r"^\| (?!belief|-)(.*) \| (.*) \|$", plan_of(chapter.label), re.M)
    names = r"\{(?:prf:ref|numref|ref|eq)\}|[Qq]uestion|table|[Pp]atient|column"
    where = f"in book/instructors/chapters.md, section <{chapter.label}>"
    assert len(rows) >= 5, f"five rows of beliefs are wanted {where}"
    lost = [belief for belief, breaks in rows if not re.search(names, breaks)]
    assert lost == [], f"what breaks it must name a figure, a box, a formula, a table or a question {where}"


def test_every_exercise_has_an_estimate():
    labels = [exercise.label for chapter in CHAPTERS for exercise in chapter.exercises]
    assert set(labels) - set(estimates(ROOT)) == set(), f"{MINUTES} wants a line for each of these"
    assert set(estimates(ROOT)) - set(labels) == set(), f"{MINUTES} has lines for no exercise"
    assert len(set(labels)) == len(labels), "two exercises have one label"
    assert {exercise.kind for chapter in CHAPTERS for exercise in chapter.exercises} == {
        "Pencil",
        "Code",
        "Open",
    }


def test_the_pace_that_is_stated_is_the_pace_that_is_used():
    assert f"at {WORDS_PER_MINUTE} a minute" in PLAN


def test_needs_come_from_earlier_chapters_and_are_all_drawn():
    direct, drawn = direct_needs(CHAPTERS), draw_needs(CHAPTERS)
    assert all(need < number for number, needs in direct.items() for need in needs)
    assert drawn.count("<rect") == len(CHAPTERS)
    assert drawn.count("marker-end") == sum(map(len, direct.values())) >= 6
    assert direct[2] == {1}
    assert direct[3] == {2}  # what chapter 2 needs itself is no arrow of its own


@pytest.mark.parametrize(("name", "weeks"), WEEKS)
def test_a_syllabus_goes_forward(name, weeks):
    """Each week has its parts; what a chapter needs comes before it; homework is of the week's chapters."""
    found = read_syllabus(ROOT, weeks)
    assert f"## {name} weeks" in SYLLABI
    assert [week.number for week in found] == list(range(1, weeks + 1))
    met: set[str] = set()
    for _, labels, body, homework in found:
        assert [part for part in PARTS if f"*{part}:*" not in body] == []
        taught = [BY_LABEL[label] for label in labels]
        met |= {chapter.page for chapter in taught}
        met |= {BY_LABEL[label].page for label in re.findall(r"<(ch-[\w-]+)>", body)}
        assert [need for chapter in taught for need in chapter.needs if need not in met] == []
        own = {exercise.label: exercise.kind for chapter in taught for exercise in chapter.exercises}
        assert set(homework) <= set(own)
        assert {own[label] for label in homework} == {"Pencil", "Code"}  # one of each, as the page says
        titled = re.findall(r"\{ref\}`(.*?) <(ex-[\w-]+)>`", body)
        titles = {exercise.label: exercise.title for chapter in taught for exercise in chapter.exercises}
        assert [title for title, label in titled if titles[label] != title] == []
    if weeks > 4:
        opening = SYLLABI.split(f"## {name} weeks")[1].split("\nWeek 1:")[0]
        left_out = {BY_LABEL[label].page for label in re.findall(r"<(ch-[\w-]+)>", opening)}
        lost = {chapter.page for chapter in CHAPTERS} - met - left_out
        assert lost == set(), f"a week of {name} weeks in book/instructors/syllabi.md, or what it leaves out"


def test_a_syllabus_says_what_each_week_asks(site):
    """The table is in the page; a chapter of two weeks counts once; a wrong number of weeks is named."""
    page = (site / "book" / "instructors" / "syllabi.html").read_text(encoding="utf8")
    tables = [
        re.findall(r"<tr.*?</tr>", table, re.S) for table in re.findall(r"<table.*?</table>", page, re.S)
    ]
    cells = [
        [re.sub(r"<.*?>", "", cell) for cell in re.findall(r"<td.*?</td>", rows[-1], re.S)] for rows in tables
    ]
    assert [len(rows) for rows in tables] == [weeks + 2 for _, weeks in WEEKS]
    assert int(cells[-1][2]) == sum(chapter.minutes for chapter in CHAPTERS)
    with pytest.raises(ValueError, match="a syllabus must be of 4, 8, 13 weeks, got 9"):
        read_syllabus(ROOT, 9)


@each
def test_an_exam_s_keys_agree_with_the_core_and_its_points_add_up(chapter):
    path = source_of(ROOT, chapter.page)
    told = path.read_text(encoding="utf8")
    exams = [questions(chapter.page, seed) for seed in (0, 1)]
    assert len(exams[0]) == told.count("\n### Key\n") == told.count("\n## ") + 1, (
        f"{path.name}: a form is broken"
    )
    assert len(exams[0]) >= 3, f"{path.name} wants three questions or more"
    assert exams[0] == read_questions(path, 0)
    assert [q.text for q in exams[0]] != [q.text for q in exams[1]]
    for question in exams[0]:
        assert question.kind in KINDS
        points = sum(map(int, re.findall(r"\((\d+)\)$", question.key, re.M)))
        assert question.points == points, (
            f"{path.name}, {question.title}: the key's points add up to {points}"
        )
        assert "@{" not in question.text + question.key
    assert "compute" in {question.kind for question in exams[0]}
    assert "near(" in told, f"{path.name} wants one key that is held against the core with near(...)"


def test_exams_are_of_mixed_kinds():
    kinds = [question.kind for chapter in CHAPTERS for question in questions(chapter.page, 0)]
    assert len(kinds) >= 36
    assert min(kinds.count(kind) for kind in KINDS) >= 8


def test_a_wrong_key_is_found():
    near([1.0, 2.0], [1.0, 2.0 + 1e-9])
    with pytest.raises(ValueError, match=r"a key must agree with its check within 1e-06, got 1\.0 and 1\.1"):
        near(1.0, 1.1)


def words(text: str) -> str:
    """The words of a text, without formulas, marks and tags."""
    text = re.sub(r"\\\(.*?\\\)|\$[^$]*\$|<[^>]*>|[`*_>]|\(\d+\)", " ", html.unescape(text), flags=re.S)
    return " ".join(re.findall(r"[^\W\d_]+", text)).lower()


def runs_of_keys(seed: int) -> list[str]:
    """From each key the longest run of words between formulas: nine words that nothing else says."""
    runs = []
    for page in chapter_pages(ROOT):
        for question in questions(page, seed):
            parts = re.split(r"\$[^$]*\$|\n", question.key)
            longest = max((words(part).split() for part in parts), key=len)
            runs.append(" ".join(longest[:9]))
    return [run for run in runs if len(run.split()) >= 6]


def test_keys_stand_in_no_page_and_in_no_student_s_notebook(site, tmp_path):
    write_all(ROOT, tmp_path)
    notebooks = [nbformat.read(path, as_version=4) for path in (tmp_path / "student").glob("*.ipynb")]
    texts = {"notebooks": "\n".join(cell.source for notebook in notebooks for cell in notebook.cells)}
    for kind in ("*.html", "*.md", "*.ipynb", "searchindex.js"):
        texts |= {path.name: path.read_text(encoding="utf8") for path in site.rglob(kind)}
    said = "\n".join(words(text) for text in texts.values())
    runs = runs_of_keys(0)
    assert len(runs) >= 40
    assert [run for run in runs if run in said] == []
    assert not list(site.rglob("*exams*"))


def test_questions_and_keys_lie_in_folders_of_their_own(site, tmp_path):
    written = write_exams(ROOT, site, tmp_path, 7)
    assert len(written) == 4 * len(CHAPTERS)
    folders = {
        name: words(
            "\n".join(path.read_text(encoding="utf8") for path in (tmp_path / "exams-7" / name).iterdir())
        )
        for name in ("questions", "keys")
    }
    runs = runs_of_keys(7)
    assert [run for run in runs if run not in folders["keys"]] == []
    assert [run for run in runs if run in folders["questions"]] == []
    folder = tmp_path / "exams-7" / "questions"
    pages = [path.read_text(encoding="utf8") for path in folder.glob("*.html")]
    assert sum(page.count('class="rv-plot"') for page in pages) >= 10
    assert [page for page in pages if "<pre>" in page] == []  # a drawing that Markdown took for text
    linked = re.findall(r"\]\((fig-.*?)\)", "".join(path.read_text("utf8") for path in folder.glob("*.md")))
    assert sorted(linked) == sorted(path.name for path in folder.glob("*.svg"))
    assert "var(" not in "".join(path.read_text("utf8") for path in folder.glob("*.svg"))
    assert [page for page in pages if "seed 7" in page] == []  # who knows it can compute the key
    assert [
        page for page in pages if "![](" in page or "http" in re.sub(r'xmlns[^"]*"[^"]*"', "", page)
    ] == []


def test_one_paper_has_the_questions_that_it_names(site, tmp_path):
    written = write_exams(ROOT, site, tmp_path, 7, ["2.3", "0.1"])
    assert sorted({path.stem for path in written}) == ["exam"]
    asked = [questions(CHAPTERS[2].page, 7)[2], questions(CHAPTERS[0].page, 7)[0]]
    paper, key = (
        (tmp_path / "exams-7" / part / "exam.md").read_text("utf8") for part in ("questions", "keys")
    )
    assert f"{asked[0].points + asked[1].points} points" in paper
    assert 0 < paper.index(asked[0].text) < paper.index(asked[1].text)
    assert 0 < key.index(asked[0].key) < key.index(asked[1].key)
    with pytest.raises(ValueError, match=r"QUESTIONS must be of 0\.1, 0\.2, got 0\.9"):
        chosen({0: Paper("bound", "0. The bound", asked)}, ["0.9"])
