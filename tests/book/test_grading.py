"""Assignments for graders: their cells, and what their tests let pass (graders: `make test-grading`)."""

import ast
import re
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat.v4 import new_markdown_cell
from riemvae_book.exercises import PLACEHOLDER, Exercise, read_exercises
from riemvae_book.grading import FORMATS, graded_notebook, nbgrader_cells, otter_cells, write_graded
from riemvae_book.notebooks import chapter_pages, make_notebook
from riemvae_book.solutions import strip_solutions
from riemvae_book.teaching import read_chapters
from wrong_answers import SLIPS

ROOT = Path(__file__).resolve().parents[2]
PAGES = {Path(page).name: page for page in chapter_pages(ROOT)}
CHAPTER = """\
# Squares

```{exercise-start} By hand
:label: ex-hand
:class: points-2.5
```
*Pencil.* What is $2^2$?
```{exercise-end}
```

:::{solution} ex-hand
It is 4: SECRET.
:::

```{exercise-start} In code
:label: ex-square
```
*Code.* Write `square(x)`.
```{exercise-end}
```

```{code-cell} python
power = 2


def square(x):
    return None  # your turn
```

```{code-cell} python
def by_power(x):
    return x**power


exercises.check(square, by_power, [(2.0,), (3.0,)], tolerance=1e-6);
```

```{code-cell} python
:tags: [solution]

def square(x):
    secret = x * x
    return secret


assert exercises.check(square, by_power, [(2.0,), (3.0,)], tolerance=1e-6)
```

```{exercise-start} Open
:label: ex-open
```
*Open.* Why?
```{exercise-end}
```

## After

The end.
"""
SQUARE = "def square(x):\n    return {}"
ANSWERS = {  # what stands in the answer's cell, and whether the test should pass
    "x * x": True,
    "x * x + 1e-9": True,
    "x + x": False,
    "None": False,
    "1 / 0": False,
    "float('nan')": False,
    "by_power(x)": False,
}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> dict[str, dict[str, nbformat.NotebookNode]]:
    """All assignments of both formats, by format and chapter."""
    out = tmp_path_factory.mktemp("graded")
    paths = {form: write_graded(ROOT, out / form, form) for form in FORMATS}
    return {form: {p.stem: nbformat.read(p, as_version=4) for p in paths[form]} for form in FORMATS}


@pytest.fixture(scope="module")
def square() -> Exercise:
    return next(p for p in read_exercises(CHAPTER) if isinstance(p, Exercise) and p.task)


def exercises_of(name: str) -> list[Exercise]:
    pieces = read_exercises((ROOT / f"{PAGES[name]}.md").read_text(encoding="utf8"))
    return [piece for piece in pieces if isinstance(piece, Exercise)]


def released(notebook: nbformat.NotebookNode) -> list[str]:
    """The lines that a student gets, by the rules of both graders (raw cells; metadata)."""
    kept, block = [], []
    for cell in notebook.cells:
        if cell.cell_type == "raw":
            words = cell.source.split("\n")[0].split()
            if words[1] == "BEGIN":
                block.append(words[2])
            elif words[1] == "END":
                assert block.pop() == words[2]
            continue
        words_are_solution = cell.metadata.get("nbgrader", {}).get("solution") or "SOLUTION" in block
        if "TESTS" in block or (cell.cell_type == "markdown" and words_are_solution):
            continue
        cut = r"^ *#+ BEGIN (SOLUTION|HIDDEN TESTS).*?^ *#+ END \1$|^ *\"\"\" # \w+ PROMPT$"
        kept += re.sub(cut, "", cell.source, flags=re.S | re.M).split("\n")
    assert block == []
    return [line for line in kept if line.strip()]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_released_that_the_student_notebook_lacks(written, name, form):
    """So no solution, in words or code, and none of the hidden tests."""
    text = (ROOT / f"{PAGES[name]}.md").read_text(encoding="utf8")
    executed = ROOT / "_build" / "jupyter_execute" / f"{PAGES[name]}.glue.json"
    student = make_notebook(ROOT, PAGES[name], strip_solutions(text), executed, None, "")
    seen = {line for cell in student.cells for line in cell.source.split("\n")}
    more = {line for line in released(written[form][name]) if line not in seen}
    checks = {line for line in more if line.startswith("assert exercises.check(")}
    asked = [exercise for exercise in exercises_of(name) if exercise.task]
    assert len(checks) == (len(asked) if form == "nbgrader" else 0)
    assert more - checks <= {"from riemvae_core import exercises"}


@pytest.mark.parametrize("name", PAGES)
def test_every_exercise_that_the_book_solves_is_asked(written, name):
    raw = [c.source for c in written["otter"][name].cells if c.cell_type == "raw"]
    asked = [yaml.safe_load(source) for source in raw if source.startswith("# BEGIN QUESTION")]
    told = [c.metadata.nbgrader for c in written["nbgrader"][name].cells if "nbgrader" in c.metadata]
    graded = {cell.grade_id: cell.points for cell in told if cell.grade}
    expected = exercises_of(name)
    assert [(q["name"], q["points"], q.get("manual", False)) for q in asked] == [
        (e.label, e.points, e.task is None) for e in expected
    ]
    assert graded == {f"{e.label}-{'check' if e.task else 'answer'}": e.points for e in expected}
    assert len({cell.grade_id for cell in told}) == len(told)
    assert sum(e.task is not None for e in expected) >= 2


@pytest.mark.parametrize("form", FORMATS)
def test_cells_have_ids_of_their_own_and_code_that_parses(written, form):
    for notebook in written[form].values():
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
        for cell in notebook.cells:
            if cell.cell_type == "code":
                ast.parse(cell.source)


def test_the_same_chapter_gives_the_same_bytes(written):
    name = "09_does_it_generate_better"  # it has code that is given before what is asked
    for form in FORMATS:
        assert graded_notebook(ROOT, PAGES[name], form, 1.0) == written[form][name]


def test_points_are_one_setting_or_the_exercise_s_own():
    found = [piece for piece in read_exercises(CHAPTER, points=2) if isinstance(piece, Exercise)]
    assert [(exercise.label, exercise.points) for exercise in found] == [("ex-hand", 2.5), ("ex-square", 2)]
    own = CHAPTER.replace("ex-open\n", "ex-open\n:class: tip points-7\n")
    last = [piece for piece in read_exercises(own) if isinstance(piece, Exercise)][-1]
    assert (last.label, last.points, last.written) == ("ex-open", 7, "")


def test_what_stands_around_exercises_is_kept_without_solutions():
    pieces = read_exercises(CHAPTER)
    around = "\n".join(piece for piece in pieces if isinstance(piece, str))
    assert around.startswith("# Squares")
    assert "*Open.* Why?" in around
    assert around.endswith("## After\n\nThe end.\n")
    assert "secret" not in around.lower()


def test_a_task_is_cut_into_what_is_given_asked_and_checked(square):
    assert square.task.given == "power = 2"
    assert square.task.head == "def square(x):"
    assert square.task.answer == "    secret = x * x\n    return secret"
    assert square.task.check.startswith("def by_power(x):")


@pytest.mark.parametrize(("answer", "passes"), ANSWERS.items())
@pytest.mark.parametrize("form", FORMATS)
def test_the_tests_pass_right_answers_only(square, form, answer, passes):
    """Run as the graders run them: nbgrader's in the notebook, Otter's each in a copy of its names."""
    names: dict = {}
    exec(SQUARE.format(answer), names)
    exec(f"{square.task.given}\n{square.task.before_call}", names)
    if form == "nbgrader":
        codes = [nbgrader_cells(square, [new_markdown_cell("")], [])[-1].source]
    else:
        cells = otter_cells(square, [new_markdown_cell("")], [])
        begin = next(i for i, cell in enumerate(cells) if cell.source == "# BEGIN TESTS")
        codes = [cell.source for cell in cells[begin + 1 : -2]]
        assert [code.startswith("# HIDDEN") for code in codes] == [False, True]

    def run() -> None:
        for code in codes:
            exec(code, names if form == "nbgrader" else dict(names))

    if passes:
        run()
    elif answer == "by_power(x)":
        with pytest.raises(AssertionError, match="must not call the function that it is compared with"):
            run()
    else:
        with pytest.raises((AssertionError, ZeroDivisionError, TypeError)):
            run()


def test_a_test_does_not_trust_the_notebook_s_own_check(square):
    names: dict = {"exercises": None, "power": 2}
    exec(SQUARE.format("x * x"), names)
    exec(nbgrader_cells(square, [new_markdown_cell("")], [])[-1].source, names)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (f"{PLACEHOLDER}", "return 0", "ex-square must have one function that ends in"),
        ("tolerance=1e-6);", "tolerance=1e-6); print()", "the code of ex-square must end in"),
        ("check(square, by_power", "check(square, lambda x: x * x", "the code of ex-square must end in"),
        ("def square(x):\n    secret", "def square(y):\n    secret", r"must take \(x\), got \(y\)"),
        ("def square(x):\n    secret", "def cube(x):\n    secret", "ex-square must have a solution cell"),
        (":label: ex-square\n", "", "an exercise must have a label"),
    ],
)
def test_an_exercise_that_cannot_be_graded_is_named(old, new, message):
    with pytest.raises(ValueError, match=message):
        read_exercises(CHAPTER.replace(old, new))


def test_a_slip_that_the_solution_can_not_make_is_named():
    with pytest.raises(ValueError, match="the solution must hold"):
        SLIPS["ex-two"].answer("    return 0")


def test_unknown_formats_and_points_are_refused_by_name(tmp_path):
    with pytest.raises(
        ValueError, match="FORMAT must be one of otter, nbgrader, or be left out, got 'canvas'"
    ):
        write_graded(ROOT, tmp_path, "canvas")
    with pytest.raises(ValueError, match="POINTS must be a number above 0, got 0"):
        write_graded(ROOT, tmp_path, "otter", 0.0)
    assert list(tmp_path.iterdir()) == []


def test_a_syllabus_gives_points_to_its_homework_alone(tmp_path):
    """The eight weeks leave chapter 10 out, and give two of chapter 2's exercises, one of them in code."""
    (tmp_path / "10_few_images.ipynb").write_text("of another syllabus")
    written = [path.stem for path in write_graded(ROOT, tmp_path, "otter", weeks=8)]
    syllabi = (ROOT / "book" / "instructors" / "syllabi.md").read_text(encoding="utf8")
    left_out = re.search(r"Left out, and good for a ninth week: .*", syllabi)[0]
    chapters = [chapter for chapter in read_chapters(ROOT) if f"<{chapter.label}>" not in left_out]
    assert written == [Path(chapter.page).name for chapter in chapters]
    assert not (tmp_path / "10_few_images.ipynb").exists()
    cells = nbformat.read(tmp_path / "02_kl_as_packing.ipynb", as_version=4).cells
    named = [name for cell in cells for name in re.findall(r"# BEGIN QUESTION\nname: (\S+)", cell.source)]
    assert named == ["ex-unit", "ex-water"]
    text = "\n".join(cell.source for cell in cells)
    assert "The price of a bit" in text  # asked, and neither graded nor solved
    assert text.count("# BEGIN SOLUTION") == 3  # a question in words has one mark, one in code two
