"""Grade right, wrong and untouched answers with the real graders, in an environment of their own.

    python tests/smoke/grading.py [02 06 10] [--formats otter nbgrader] [--whole] [--keep]

For each chapter and format: write the assignment, let the grader make the student's version of it, look for
the book's solutions in all that a student gets, hand in three notebooks and grade them. Right answers must
get all points of the exercises in code, wrong and missing ones none. Wrong are three sorts in turn: a value
moved by one, an error, and a call of the function that the answer is compared with. That takes eight
executions of a chapter, of its cells that the exercises need, or with --whole of all.
"""

import argparse
import ast
import contextlib
import json
import os
import shutil
import subprocess
import symtable
import sys
import time
import venv
from collections.abc import Iterator
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / "_build" / "grading"
GRADERS = ("otter-grader==7.0.0", "nbgrader==0.9.6")
SORTS = ("moved", "error", "borrowed")
HIDDEN = ("values_", "mock.patch", "BEGIN HIDDEN", "BEGIN SOLUTION")
SCORES = """
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    for found in book.assignment_submissions({name!r}):
        print(json.dumps([found.student.id, found.code_score, found.max_code_score, found.written_score,
                          found.max_written_score, found.needs_manual_grade]))
"""
MOVED = """
def {name}(*arguments):
    value = {name}_(*arguments)
    several = isinstance(value, tuple | list)
    return tuple(part + 1 for part in value) if several else value + 1
"""

sys.path[:0] = [str(ROOT), str(ROOT / "book" / "_ext")]

from riemvae_book.exercises import PLACEHOLDER, Exercise, Task, read_exercises  # noqa: E402
from riemvae_book.grading import graded_notebook, write_graded  # noqa: E402
from riemvae_book.labels import source_file  # noqa: E402
from riemvae_book.notebooks import chapter_pages, make_notebook, write_notebook  # noqa: E402
from riemvae_book.solutions import strip_solutions  # noqa: E402


def environment(keep: bool) -> dict[str, str]:
    """The surroundings of an environment that sees the project's packages and has the graders beside them."""
    folder = ROOT / "_build" / "venv-grading"
    if not (keep and folder.is_dir()):
        venv.create(folder, clear=True, with_pip=True)
        (packages,) = folder.glob("lib/python*/site-packages")
        seen = "".join(
            f"import site; site.addsitedir({path!r})\n" for path in sys.path if "site-packages" in path
        )
        (packages / "project.pth").write_text(seen)
        pip = [folder / "bin" / "python", "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        subprocess.run([*map(str, pip), *GRADERS], check=True)
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter")}
    return {key: value for key, value in os.environ.items() if key != "RIEMVAE_BOOK"} | own


class Chapter:
    """One chapter, its exercises in code, and what a student must not see."""

    def __init__(self, page: str):
        self.page, self.name = page, Path(page).name
        self.text = source_file(ROOT, page).read_text(encoding="utf8")
        exercises = [piece for piece in read_exercises(self.text) if isinstance(piece, Exercise)]
        self.tasks = [exercise.task for exercise in exercises if exercise.task]
        self.in_words = len(exercises) - len(self.tasks)
        self.sorts = [self.sort(int(self.name[:2]) + i, task) for i, task in enumerate(self.tasks)]

    @staticmethod
    def sort(number: int, task: Task) -> str:
        named = (
            ast.unparse(task.call.args[0]) == task.name
        )  # else the check wraps the answer: nothing to borrow
        return SORTS[number % 3] if named or SORTS[number % 3] != "borrowed" else "moved"

    def secrets(self) -> set[str]:
        """Lines of the instructor's notebook that the student's lacks, also as ast.unparse writes them."""
        executed = ROOT / "_build" / "jupyter_execute" / f"{self.page}.glue.json"
        plain = [
            make_notebook(ROOT, self.page, text, executed, None, "")
            for text in (strip_solutions(self.text), self.text)
        ]
        seen, whole = (set(strings([cell.source for cell in notebook.cells])) for notebook in plain)
        asserted = "assert exercises.check("  # what graders ask of an answer is no solution
        return {line for line in whole - seen if len(line) > 12 and not line.startswith(asserted)}

    def answer(self, task: Task, kind: str, sort: str) -> str:
        if kind == "right":
            return f"{task.head}\n{task.answer}"
        if sort == "moved":
            return f"{task.head.replace(task.name, task.name + '_', 1)}\n{task.answer}\n" + MOVED.format(
                name=task.name
            )
        body = "raise RuntimeError('an error on purpose')"
        if sort == "borrowed":
            body = f"return {ast.unparse(task.call.args[1])}(*arguments)"
        return f"def {task.name}(*arguments):\n    {body}\n"

    def hand_in(self, given: Path, to: Path, kind: str) -> None:
        """A student's notebook; the one with right answers has lost the cells that call Otter's checks."""
        notebook = nbformat.read(given, as_version=4)
        for task, sort in zip(self.tasks, self.sorts, strict=True):
            (cell,) = [
                c for c in notebook.cells if c.source.startswith(task.head) and PLACEHOLDER in c.source
            ]
            if kind != "untouched":
                cell.source = self.answer(task, kind, sort)
        if kind == "right":
            notebook.cells = [cell for cell in notebook.cells if not cell.source.startswith("grader.check(")]
            for cell in notebook.cells:
                if cell.cell_type == "markdown" and "Type your answer here" in cell.source:
                    cell.source = "It follows from the definition."
        to.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, to)


def strings(value: object) -> Iterator[str]:
    """All lines of text in a notebook and its metadata, stripped; code also as ast.unparse writes it."""
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from strings(item)
    elif isinstance(value, str):
        with contextlib.suppress(SyntaxError, ValueError):
            yield from (line.strip() for line in ast.unparse(ast.parse(value)).split("\n"))
        yield from (
            line.strip().removeprefix(">>> ").removeprefix("... ").strip() for line in value.split("\n")
        )


def assert_no_solution(chapter: Chapter, folder: Path) -> int:
    """Look through every file that a student gets; the number of lines looked for."""
    secrets, files = chapter.secrets(), [path for path in folder.rglob("*") if path.is_file()]
    assert secrets, f"{chapter.name}: no solution to look for"
    assert [path.name for path in files] == [f"{chapter.name}.ipynb"], files
    text = files[0].read_text(encoding="utf8")
    found = secrets & set(strings(json.loads(text) | {"joined": joined(text)}))
    found |= {mark for mark in HIDDEN if mark in text}
    assert not found, f"{chapter.name}: a student would see {sorted(found)}"
    return len(secrets)


def names(source: str) -> tuple[set[str], set[str], set[str]]:
    """The notebook's names that a cell reads, makes, and may change in place."""
    top = symtable.symtable(source, "cell", "exec")
    tables = [top]
    for table in tables:
        tables += table.get_children()
    found = [(table, symbol) for table in tables for symbol in table.get_symbols()]
    read = {s.get_name() for t, s in found if s.is_referenced() and (t is top or s.is_global())}
    made = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr | ast.AugAssign)]
    used = {node.id for call in calls for node in ast.walk(call) if isinstance(node, ast.Name)}
    return read, made, used & read


def cut(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """The notebook with those code cells alone that give or change a name which its exercises need."""
    asked = [
        i for i, c in enumerate(notebook.cells) if "BEGIN QUESTION" in c.source or "nbgrader" in c.metadata
    ]
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    modules = {s.get_name() for s in symtable.symtable(code, "all", "exec").get_symbols() if s.is_imported()}
    needed: set[str] = set()
    kept = []
    for i, cell in reversed(list(enumerate(notebook.cells))):
        if cell.cell_type == "code":
            read, made, used = names(cell.source)
            if i < asked[0] and not (made | used - modules) & needed:
                continue
            needed = needed - made | read
        kept.append(cell)
    notebook.cells = kept[::-1]
    return notebook


def joined(text: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]


def call(surroundings: dict[str, str], cwd: Path, *command: str, fails: bool = False) -> str:
    done = subprocess.run(command, cwd=cwd, env=surroundings, capture_output=True, text=True)
    if (done.returncode != 0) is not fails:
        sys.exit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout + done.stderr


def with_otter(chapter: Chapter, surroundings: dict[str, str], whole: bool) -> dict[str, tuple[float, float]]:
    folder = WORK / "otter" / chapter.name
    shutil.rmtree(folder, ignore_errors=True)
    source = graded_notebook(ROOT, chapter.page, "otter", 1.0)
    write_notebook(source, folder / f"{chapter.name}.ipynb")
    assign = ("otter", "assign", f"{chapter.name}.ipynb", "dist")
    call(surroundings, folder, *assign, "--no-run-tests")
    lines = assert_no_solution(chapter, folder / "dist" / "student")
    print(f"{chapter.name} otter: none of {lines} lines of solutions in the student's files", flush=True)
    if not whole:
        write_notebook(cut(source), folder / f"{chapter.name}.ipynb")
    call(surroundings, folder, *assign)  # grades the solutions too, and stops at one that fails
    (archive,) = (folder / "dist" / "autograder").glob("*.zip")
    scores = {}
    for kind in ("right", "wrong", "untouched"):
        given, handed_in = folder / "dist" / "student" / f"{chapter.name}.ipynb", folder / f"{kind}.ipynb"
        chapter.hand_in(given, handed_in, kind)
        (folder / kind).mkdir()
        call(
            surroundings, folder, "otter", "run", handed_in.name, "-a", str(archive), "-o", kind, "--no-logo"
        )
        tests = json.loads((folder / kind / "results.json").read_text(encoding="utf8"))["tests"]
        graded = [test for test in tests if test.get("max_score")]
        scores[kind] = (sum(t["score"] for t in graded), sum(t["max_score"] for t in graded))
        print(f"{chapter.name} otter {kind}: {scores[kind][0]:g} of {scores[kind][1]:g} points", flush=True)
    return scores


def with_nbgrader(
    chapter: Chapter, surroundings: dict[str, str], whole: bool
) -> dict[str, tuple[float, float]]:
    course = WORK / "nbgrader"
    name = f"{chapter.name}.ipynb"
    generate = ("nbgrader", "generate_assignment", chapter.name, "--force")
    call(surroundings, course, *generate)
    release = course / "release" / chapter.name
    lines = assert_no_solution(chapter, release)
    print(f"{chapter.name} nbgrader: none of {lines} lines of solutions in the student's files", flush=True)
    cells = nbformat.read(release / name, as_version=4).cells
    told = [cell.metadata.nbgrader for cell in cells if "nbgrader" in cell.metadata]
    assert all(cell.checksum and cell.schema_version == 3 for cell in told)
    if not whole:
        source = course / "source" / chapter.name / name
        write_notebook(cut(nbformat.read(source, as_version=4)), source)
        call(surroundings, course, *generate)
    said = call(surroundings, course, "nbgrader", "validate", f"source/{chapter.name}/{name}")
    assert "Success" in said, said
    for kind in ("right", "wrong", "untouched"):
        chapter.hand_in(release / name, course / "submitted" / kind / chapter.name / name, kind)
    call(surroundings, course, "nbgrader", "autograde", chapter.name, "--force")
    call(surroundings, course, "nbgrader", "generate_feedback", chapter.name, "--force")
    scores = {}
    for line in call(surroundings, course, "python", "-c", SCORES.format(name=chapter.name)).splitlines():
        kind, code, most, written, most_written, by_hand = json.loads(line)
        scores[kind] = (code, most)
        assert (written, most_written) == (0, chapter.in_words), "answers in words wait for a reader"
        assert by_hand is (kind == "right"), f"{kind}: {by_hand}"  # only there was something written
        feedback = course / "feedback" / kind / chapter.name / f"{chapter.name}.html"
        assert feedback.stat().st_size > 10_000
        print(f"{chapter.name} nbgrader {kind}: {code:g} of {most:g} points, by hand: {by_hand}", flush=True)
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("chapters", nargs="*", help="their numbers; all by default")
    parser.add_argument("--formats", nargs="+", choices=("otter", "nbgrader"), default=("otter", "nbgrader"))
    parser.add_argument("--whole", action="store_true", help="execute whole chapters")
    parser.add_argument("--keep", action="store_true", help="take the environment as the last run left it")
    asked = parser.parse_args()
    pages = [p for p in chapter_pages(ROOT) if not asked.chapters or Path(p).name[:2] in asked.chapters]
    surroundings = environment(asked.keep)
    if "nbgrader" in asked.formats:
        shutil.rmtree(WORK / "nbgrader", ignore_errors=True)
        write_graded(ROOT, WORK / "nbgrader", "nbgrader")
    graders = {"otter": with_otter, "nbgrader": with_nbgrader}
    for chapter in map(Chapter, pages):
        for form in asked.formats:
            start = time.perf_counter()
            scores = graders[form](chapter, surroundings, asked.whole)
            most = len(chapter.tasks)
            assert scores == {"right": (most, most), "wrong": (0, most), "untouched": (0, most)}, scores
            print(
                f"{chapter.name} {form}: {time.perf_counter() - start:.0f} s, wrong: {chapter.sorts}",
                flush=True,
            )


if __name__ == "__main__":
    main()
