"""Notebooks for graders out of the chapters: sources for Otter-Grader, and a course for nbgrader.

The tests are the book's own checks. Neither package is needed to write these files.
"""

import argparse
import ast
import sys
from collections.abc import Callable
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_raw_cell

from .exercises import PLACEHOLDER, Exercise, Task, read_exercises
from .labels import source_file
from .notebooks import cell_id, chapter_pages, make_notebook, write_notebook
from .teaching import read_syllabus

Cells = list[NotebookNode]
MARK = "graded"  # tags cells that never leave this module: they say which exercise the next cells belong to
ALONE = "an answer must not call the function that it is compared with"
NO_SAMPLE = "*This exercise is open: there is no sample answer.*"

# what the first raw cell of a source tells `otter assign`
OTTER_CONFIG = """# ASSIGNMENT CONFIG
name: {name}
requirements:
    - riemvae-core[figures,medoids]
show_question_points: true
check_all_cell: true
export_cell:
    pdf: false
    run_tests: false"""

NBGRADER_CONFIG = f'''"""The course's settings for nbgrader; written by `make notebooks FORMAT=nbgrader`."""

c = get_config()
c.CourseDirectory.course_id = "balls-codes-geodesics"
c.ClearSolutions.code_stub = {{"python": "{PLACEHOLDER}"}}
c.ClearSolutions.text_stub = "*Type your answer here, in place of this line.*"
c.Execute.timeout = 900  # seconds for one cell: some train a model
'''


def marked(exercise: Exercise) -> str:
    """The words of an exercise in MyST, with marks around what they are."""

    def mark(part: str) -> str:
        return f"```{{code-cell}}\n:tags: [{MARK}]\n# {exercise.label} {part}\n```"

    asked = [mark("statement"), exercise.statement]
    answered = [] if exercise.task else [mark("written"), exercise.written or NO_SAMPLE]
    return "\n".join(["", *asked, *answered, mark("end"), ""])


def graded_notebook(
    root: Path, page: str, form: str, points: float, asked: set[str] | None = None
) -> NotebookNode | None:
    """The source of a chapter's assignment for one of the FORMATS; None if nothing in it is `asked`."""
    pieces = read_exercises(source_file(root, page).read_text(encoding="utf8"), points, asked)
    exercises = {piece.label: piece for piece in pieces if isinstance(piece, Exercise)}
    if not exercises:
        return None
    text = "\n".join(marked(piece) if isinstance(piece, Exercise) else piece for piece in pieces)
    executed = root / "_build" / "jupyter_execute" / f"{page}.glue.json"
    notebook = make_notebook(root, page, text, executed, None, "")
    cells: Cells = []
    into, parts = cells, {}
    for cell in notebook.cells:
        if MARK not in cell.metadata.get("tags", []):
            into.append(cell)
            continue
        label, part = cell.source.removeprefix("# ").split()
        if part == "end":
            cells += FORMATS[form](exercises[label], parts["statement"], parts.get("written", []))
            into, parts = cells, {}
        else:
            into = parts[part] = []
    if form == "otter":
        cells.insert(0, new_raw_cell(OTTER_CONFIG.format(name=Path(page).name)))
    for index, cell in enumerate(cells):
        cell.id = cell_id(f"{page}:{form}", index)
    notebook.cells = cells
    return notebook


def call_source(task: Task) -> str:
    return ast.get_source_segment(task.check, task.call) or ""


def unaided(task: Task, more: str = "", told: str = "") -> str:
    """A check of the answer while the function it is compared with says that it must not be called.

    Without it, an answer that calls that function would agree with it. `more` stands in the `with` statement,
    `told` behind the assertion.
    """
    yours, expected, cases = task.call.args
    refusal = f"mock.Mock(side_effect=AssertionError({ALONE!r}))"
    if isinstance(expected, ast.Attribute):
        gone = f"mock.patch.object({ast.unparse(expected.value)}, {expected.attr!r}, refusal_)"
    else:
        gone = f'mock.patch.dict(getattr({task.name}, "__globals__", {{}}), {ast.unparse(expected)}=refusal_)'
    more_arguments = "".join(f", {ast.unparse(keyword)}" for keyword in task.call.keywords)
    given = f"{ast.unparse(yours)}, lambda *_: next(values_), {ast.unparse(cases)}{more_arguments}"
    return "\n".join(
        [
            "from unittest import mock",
            "",
            f"refusal_ = {refusal}",
            f"values_ = iter([{ast.unparse(expected)}(*case) for case in {ast.unparse(cases)}])",
            f"with {gone}{more}:",
            f"    assert exercises.check({given}){told}",
        ]
    )


def otter_cells(exercise: Exercise, statement: Cells, written: Cells) -> Cells:
    """An exercise between the raw cells that `otter assign` reads."""
    task = exercise.task
    settings = f"name: {exercise.label}\npoints: {exercise.points:g}"
    if task is None:
        begin = new_raw_cell(f"# BEGIN QUESTION\n{settings}\nmanual: true")
        solution = [new_raw_cell("# BEGIN SOLUTION"), *written, new_raw_cell("# END SOLUTION")]
        return [begin, *statement, *solution, new_raw_cell("# END QUESTION")]
    answer = [
        task.head,
        "    # BEGIN SOLUTION NO PROMPT",
        task.answer,
        "    # END SOLUTION",
        '    """ # BEGIN PROMPT',
        f"    {PLACEHOLDER}",
        '    """ # END PROMPT',
    ]
    start = ["import contextlib, io", "from riemvae_core import exercises", task.before_call]
    told = "contextlib.redirect_stdout(told)"
    seen = [
        *start,
        "told = io.StringIO()",
        f"with {told}:",
        f"    agree = {call_source(task)}",
        "assert agree, told.getvalue()",
    ]
    hidden = ["# HIDDEN", *start, "told = io.StringIO()", unaided(task, f", {told}", ", told.getvalue()")]
    return [
        new_raw_cell(f"# BEGIN QUESTION\n{settings}\nall_or_nothing: true"),
        *statement,
        *([new_code_cell(task.given)] if task.given else []),
        new_raw_cell("# BEGIN SOLUTION"),
        new_code_cell("\n".join(answer)),
        new_raw_cell("# END SOLUTION"),
        new_code_cell(task.check),
        new_raw_cell("# BEGIN TESTS"),
        new_code_cell("\n".join(seen)),
        new_code_cell("\n".join(hidden)),
        new_raw_cell("# END TESTS"),
        new_raw_cell("# END QUESTION"),
    ]


def nbgrader_cells(exercise: Exercise, statement: Cells, written: Cells) -> Cells:
    """An exercise in cells with nbgrader's metadata; its checksums are nbgrader's own to add."""
    task = exercise.task

    def told(cell: NotebookNode, part: str, **kind: bool) -> NotebookNode:
        name = exercise.label + (f"-{part}" if part else "")
        roles = {role: kind.get(role, False) for role in ("grade", "solution", "locked", "task")}
        worth = {"points": exercise.points} if roles["grade"] else {}
        cell.metadata["nbgrader"] = {"schema_version": 3, "grade_id": name, **roles, **worth}
        return cell

    asked = [told(cell, f"{i}" if i else "", locked=True) for i, cell in enumerate(statement)]
    if task is None:
        words = new_markdown_cell("\n\n".join(cell.source for cell in written))
        return [*asked, told(words, "answer", grade=True, solution=True)]
    answer = [task.head, "    ### BEGIN SOLUTION", task.answer, "    ### END SOLUTION"]
    check = [
        "from riemvae_core import exercises",
        "",
        *([task.before_call, ""] if task.before_call else []),
        f"assert {call_source(task)}",
        "### BEGIN HIDDEN TESTS",
        unaided(task),
        "### END HIDDEN TESTS",
    ]
    return [
        *asked,
        *([told(new_code_cell(task.given), "given", locked=True)] if task.given else []),
        told(new_code_cell("\n".join(answer)), "answer", solution=True),
        told(new_code_cell("\n".join(check)), "check", grade=True, locked=True),
    ]


FORMATS: dict[str, Callable[[Exercise, Cells, Cells], Cells]] = {
    "otter": otter_cells,
    "nbgrader": nbgrader_cells,
}


def write_graded(
    root: Path, out: Path, form: str, points: float = 1.0, weeks: int | None = None
) -> list[Path]:
    """Write every chapter's assignment under `out`, in the folders that the grader expects.

    With `weeks` only the homework of the syllabus of so many weeks carries points.
    """
    if form not in FORMATS:
        raise ValueError(f"FORMAT must be one of {', '.join(FORMATS)}, or be left out, got {form!r}")
    if not 0 < points < float("inf"):
        raise ValueError(f"POINTS must be a number above 0, got {points:g}")
    asked = None
    if weeks is not None:
        asked = {label for week in read_syllabus(root, weeks) for label in week.homework}
    written = []
    for page in chapter_pages(root):
        name = Path(page).name
        path = out / "source" / name / f"{name}.ipynb" if form == "nbgrader" else out / f"{name}.ipynb"
        notebook = graded_notebook(root, page, form, points, asked)
        if notebook is None:
            path.unlink(missing_ok=True)  # what another syllabus left there
            continue
        write_notebook(notebook, path)
        written.append(path)
    if form == "nbgrader":
        (out / "nbgrader_config.py").write_text(NBGRADER_CONFIG, encoding="utf8")
    return written


def main() -> int:
    parser = argparse.ArgumentParser(prog="make notebooks", description=__doc__.splitlines()[0])
    parser.add_argument("form", metavar="FORMAT", help=" or ".join(FORMATS))
    parser.add_argument("points", metavar="POINTS", nargs="?", type=float, default=1.0)
    parser.add_argument(
        "--syllabus", metavar="WEEKS", type=int, help="only the homework of that syllabus counts"
    )
    asked = parser.parse_args()
    root = Path(__file__).resolve().parents[3]
    try:
        out = root / "_build" / "notebooks" / asked.form
        paths = write_graded(root, out, asked.form, asked.points, asked.syllabus)
    except ValueError as wrong:
        sys.exit(f"make notebooks: {wrong}")
    for path in paths:
        print(path.relative_to(root))
    return 0


if __name__ == "__main__":
    sys.exit(main())
