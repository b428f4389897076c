"""Every kind of answer before the tests that graders get, without a grader: all of them for each exercise.

    python tests/smoke/alone.py 05

The cells that the exercises need are executed once, then each exercise is answered in each way, and the
assertions that stand in both sorts of assignments run as the graders run them: nbgrader's in the notebook,
Otter's each in a copy of its names. `make test-grading` does this first, for it takes seconds.
"""

import ast
import contextlib
import io
import os
import sys
import time
import warnings

from handed_in import BROKEN, ROOT, SAID, Chapter, cut
from riemvae_book.grading import graded_notebook
from riemvae_book.notebooks import chapter_pages


def otter_tests(page: str) -> dict[str, list[str]]:
    """The sources of Otter's tests, by exercise."""
    tests: dict[str, list[str]] = {}
    label, inside = "", False
    for cell in graded_notebook(ROOT, page, "otter", 1.0).cells:
        if cell.cell_type == "raw":
            if cell.source.startswith("# BEGIN QUESTION"):
                label = cell.source.split("name: ")[1].split("\n")[0]
            inside = cell.source == "# BEGIN TESTS"
        elif inside:
            tests.setdefault(label, []).append(cell.source)
    return tests


def verdict(tests: list[str], names: list[dict]) -> tuple[bool, str]:
    """Whether all of them pass, each within its names, and what is said."""
    told, passed = io.StringIO(), True
    for test, within in zip(tests, names, strict=True):
        try:
            with contextlib.redirect_stdout(told):
                exec(test, within)
        except Exception as error:
            passed = False
            told.write(f"\n{type(error).__name__}: {error}")
    return passed, told.getvalue()


def main(number: str) -> None:
    (page,) = [page for page in chapter_pages(ROOT) if f"/{number}_" in page]
    chapter, by_otter = Chapter(page), otter_tests(page)
    notebook = graded_notebook(ROOT, page, "nbgrader", 1.0)
    cut(notebook, min(i for i, cell in enumerate(notebook.cells) if "nbgrader" in cell.metadata))
    names: dict = {"__name__": "__main__"}
    for cell in notebook.cells:
        place = cell.metadata.get("nbgrader", {}).get("grade_id", "")
        label = place.removesuffix("-check")
        if cell.cell_type == "code" and label == place:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                exec(cell.source, names)
        if label == place or cell.cell_type != "code":
            continue
        task, start = chapter.tasks[label], time.perf_counter()
        borrowed = ast.unparse(task.call.args[0]) == task.name  # else the check wraps the answer
        kinds = [kind for kind in ("untouched", "wrong", *BROKEN, "right") if borrowed or kind != "borrowed"]
        for kind in kinds:
            os.environ.pop("RIEMVAE_CHECK_SECONDS", None)  # an answer without an end has set it
            exec(chapter.answer(label, kind), names)
            found = {
                "nbgrader": verdict([cell.source], [names]),
                "otter": verdict(by_otter[label], [dict(names) for _ in by_otter[label]]),
            }
            for form, (passed, told) in found.items():
                assert passed == (kind == "right"), f"{label}, {kind}, {form}: passed is {passed}\n{told}"
                assert SAID.get(kind, "") in told, f"{label}, {kind}, {form}: a student is told\n{told}"
        print(f"{chapter.name} {label} {time.perf_counter() - start:.0f} s: {' '.join(kinds)}", flush=True)


if __name__ == "__main__":
    os.environ.update(MPLBACKEND="agg")
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
