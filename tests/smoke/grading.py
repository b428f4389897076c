"""Grade right, wrong and untouched answers with the real graders, in an environment of their own.

    python tests/smoke/grading.py [02 06 10] [--formats alone otter nbgrader] [--whole] [--keep]

For each chapter: all sorts of answers before the tests alone (alone.py). Then, in each format: write the
assignment, let the grader make the student's version of it, look for the book's solutions in all that a
student gets, hand in four notebooks and grade them. Right answers must get all points of the exercises in
code; none get those that are wrong by one thing (tests/book/wrong_answers.py), missing, or broken: in turn an
error, a loop without an end and a call of the function that the answer is compared with. The student must be
told why. Each notebook is cut to the cells that its exercises need, or with --whole executed as it is.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path
from typing import NamedTuple

import nbformat
from handed_in import ROOT, SAID, Chapter, assert_no_solution  # first: it says where the packages are
from riemvae_book.grading import graded_notebook, write_graded
from riemvae_book.notebooks import chapter_pages, write_notebook

WORK = ROOT / "_build" / "grading"
GRADERS = ("otter-grader==7.0.0", "nbgrader==0.9.6")
NOTEBOOKS = ("right", "wrong", "untouched", "broken")
OTTER_RUNS = """
import sys
from otter.cli import cli
for name in sys.argv[2:]:
    cli(["run", f"{name}.ipynb", "-a", sys.argv[1], "-o", name, "--no-logo"], standalone_mode=False)
"""  # `otter run` four times in one process: it takes seconds to load
SCORES = """
import json
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    for found in book.assignment_submissions({name!r}):
        grades = [grade for grade in found.notebooks[0].grades if grade.cell.cell_type == "code"]
        grades = [[grade.cell.name, grade.score, grade.max_score] for grade in grades]
        print(json.dumps([found.student.id, grades, found.written_score, found.max_written_score,
                          found.needs_manual_grade]))
"""


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


def call(surroundings: dict[str, str], cwd: Path, *command: str, fails: bool = False) -> str:
    done = subprocess.run(command, cwd=cwd, env=surroundings, capture_output=True, text=True)
    if (done.returncode != 0) is not fails:
        sys.exit(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        )
    return done.stdout + done.stderr


def alone(chapter: Chapter, surroundings: dict[str, str], whole: bool) -> None:
    print(call(surroundings, ROOT, sys.executable, "tests/smoke/alone.py", chapter.name[:2]), end="")


class Verdict(NamedTuple):
    """What one exercise got of one notebook, and what the student is told."""

    points: float
    most: float
    told: str


def judge(chapter: Chapter, kinds: dict[str, str], verdicts: dict[str, Verdict], said: str) -> None:
    """All points for right answers, none for others, each with its reason; and a line about it."""
    assert set(verdicts) == set(kinds), f"{said}: {sorted(verdicts)} were graded"
    for label, kind in kinds.items():
        points, most, told = verdicts[label]
        wanted = (1.0 if kind == "right" else 0.0, 1.0)
        assert (points, most) == wanted, f"{said}, {label}, {kind}: {points:g} of {most:g} points; {told}"
        assert SAID.get(kind, "") in told, f"{said}, {label}, {kind}: a student is told {told!r}"
    print(
        said, *(f"{label} {kind} {verdicts[label].points:g}/1" for label, kind in kinds.items()), flush=True
    )


def with_otter(chapter: Chapter, surroundings: dict[str, str], whole: bool) -> None:
    folder = WORK / "otter" / chapter.name
    shutil.rmtree(folder, ignore_errors=True)
    name = f"{chapter.name}.ipynb"
    write_notebook(graded_notebook(ROOT, chapter.page, "otter", 1.0), folder / name)
    unless = (
        () if whole else ("--no-run-tests",)
    )  # else it grades the solutions too, and stops at one that fails
    call(surroundings, folder, "otter", "assign", name, "dist", *unless)
    lines = assert_no_solution(chapter, folder / "dist" / "student")
    print(f"{chapter.name} otter: none of {lines} lines of solutions in the student's files", flush=True)
    (archive,) = (folder / "dist" / "autograder").glob("*.zip")
    for notebook in NOTEBOOKS:
        kinds = chapter.kinds(notebook, 0)
        chapter.hand_in(folder / "dist" / "student" / name, folder / f"{notebook}.ipynb", kinds, whole)
        (folder / notebook).mkdir()
    call(surroundings, folder, "python", "-c", OTTER_RUNS, str(archive), *NOTEBOOKS)
    for notebook in NOTEBOOKS:
        tests = json.loads((folder / notebook / "results.json").read_text(encoding="utf8"))["tests"]
        verdicts = {
            test["name"]: Verdict(test["score"], test["max_score"], test.get("output", ""))
            for test in tests
            if test.get("max_score")
        }
        judge(chapter, chapter.kinds(notebook, 0), verdicts, f"{chapter.name} otter:")


def with_nbgrader(chapter: Chapter, surroundings: dict[str, str], whole: bool) -> None:
    course = WORK / "nbgrader"
    name = f"{chapter.name}.ipynb"
    call(surroundings, course, "nbgrader", "generate_assignment", chapter.name, "--force")
    release = course / "release" / chapter.name
    lines = assert_no_solution(chapter, release)
    print(f"{chapter.name} nbgrader: none of {lines} lines of solutions in the student's files", flush=True)
    cells = nbformat.read(release / name, as_version=4).cells
    told = [cell.metadata.nbgrader for cell in cells if "nbgrader" in cell.metadata]
    assert all(cell.checksum and cell.schema_version == 3 for cell in told)
    if whole:
        said = call(surroundings, course, "nbgrader", "validate", f"source/{chapter.name}/{name}")
        assert "Success" in said, said
    for notebook in NOTEBOOKS:
        to = course / "submitted" / notebook / chapter.name / name
        chapter.hand_in(release / name, to, chapter.kinds(notebook, 1), whole)
    call(surroundings, course, "nbgrader", "autograde", chapter.name, "--force")
    call(surroundings, course, "nbgrader", "generate_feedback", chapter.name, "--force")
    rows = [
        json.loads(line)
        for line in call(surroundings, course, "python", "-c", SCORES.format(name=chapter.name)).splitlines()
    ]
    assert sorted(row[0] for row in rows) == sorted(NOTEBOOKS)
    for notebook, grades, written, most_written, by_hand in rows:
        assert (written, most_written) == (0, chapter.in_words), "answers in words wait for a reader"
        assert by_hand is (notebook == "right"), f"{notebook}: {by_hand}"  # only there was something written
        feedback = course / "feedback" / notebook / chapter.name / f"{chapter.name}.html"
        assert feedback.stat().st_size > 10_000
        graded = nbformat.read(course / "autograded" / notebook / chapter.name / name, as_version=4)
        outputs = {
            cell.metadata.nbgrader.grade_id: json.dumps(cell.outputs)
            for cell in graded.cells
            if cell.cell_type == "code" and "nbgrader" in cell.metadata
        }
        verdicts = {
            label.removesuffix("-check"): Verdict(points, most, outputs[label])
            for label, points, most in grades
        }
        judge(chapter, chapter.kinds(notebook, 1), verdicts, f"{chapter.name} nbgrader:")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    graders = {"alone": alone, "otter": with_otter, "nbgrader": with_nbgrader}
    names = {Path(page).name[:2]: page for page in chapter_pages(ROOT)}
    parser.add_argument("chapters", nargs="*", metavar="CHAPTER", choices=[*names, "all"], default="all")
    parser.add_argument("--formats", nargs="+", choices=graders, default=[*graders])
    parser.add_argument("--whole", action="store_true", help="execute whole chapters")
    parser.add_argument("--keep", action="store_true", help="take the environment as the last run left it")
    asked = parser.parse_args()
    surroundings = environment(asked.keep) if asked.formats != ["alone"] else dict(os.environ)
    if "nbgrader" in asked.formats:
        shutil.rmtree(WORK / "nbgrader", ignore_errors=True)
        write_graded(ROOT, WORK / "nbgrader", "nbgrader")
    for number, page in names.items():
        if number not in asked.chapters and "all" not in asked.chapters:
            continue
        chapter = Chapter(page)
        for form in asked.formats:
            start = time.perf_counter()
            graders[form](chapter, surroundings, asked.whole)
            print(f"{chapter.name} {form}: {time.perf_counter() - start:.0f} s in all", flush=True)


if __name__ == "__main__":
    main()
