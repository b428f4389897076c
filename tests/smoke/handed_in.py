"""What students hand in for `make test-grading`, and what they must not have been given."""

import ast
import builtins
import contextlib
import json
import symtable
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "book" / "_ext"), str(ROOT / "tests" / "book")]

from riemvae_book.exercises import PLACEHOLDER, Exercise, read_exercises  # noqa: E402
from riemvae_book.labels import source_file  # noqa: E402
from riemvae_book.notebooks import make_notebook  # noqa: E402
from riemvae_book.solutions import strip_solutions  # noqa: E402
from wrong_answers import SLIPS  # noqa: E402

HIDDEN = ("values_", "mock.patch", "BEGIN HIDDEN", "BEGIN SOLUTION")
BUILTINS = set(dir(builtins))
SHOWN = ("print(", "say(", "plotting.", "plt.", "widgets.")  # such calls change nothing that is graded
BROKEN = {  # answers that break, and a piece of what is said of them
    "error": ("raise RuntimeError('an error on purpose')", "an error on purpose"),
    "endless": ("while True:\n        pass", "stopped after"),
    "borrowed": ("return {expected}(*arguments)", "must not call"),
}
HURRY = "import os\n\nos.environ['RIEMVAE_CHECK_SECONDS'] = '2'\n\n\n"  # for what has no end
SAID = {kind: said for kind, (_, said) in BROKEN.items()} | {"untouched": "not written", "wrong": "differ"}


class Chapter:
    """One chapter, its exercises in code, and what a student must not see."""

    def __init__(self, page: str):
        self.page, self.name = page, Path(page).name
        self.text = source_file(ROOT, page).read_text(encoding="utf8")
        exercises = [piece for piece in read_exercises(self.text) if isinstance(piece, Exercise)]
        self.tasks = {exercise.label: exercise.task for exercise in exercises if exercise.task}
        self.in_words = len(exercises) - len(self.tasks)

    def kinds(self, notebook: str, turn: int) -> dict[str, str]:
        """What each exercise is answered with: all alike, or in the broken notebook each in another way."""
        kinds = dict.fromkeys(self.tasks, notebook)
        if notebook == "broken":
            for i, (label, task) in enumerate(self.tasks.items(), start=int(self.name[:2]) + turn):
                named = ast.unparse(task.call.args[0]) == task.name  # else there is nothing to borrow
                ways = [way for way in BROKEN if named or way != "borrowed"]
                kinds[label] = ways[i % len(ways)]
        return kinds

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

    def answer(self, label: str, kind: str) -> str:
        task = self.tasks[label]
        if kind == "untouched":
            return f"{task.head}\n    {PLACEHOLDER}"
        if kind in BROKEN:
            hurry = HURRY if kind == "endless" else ""
            body = "    " + BROKEN[kind][0].format(expected=ast.unparse(task.call.args[1]))
            return f"{hurry}def {task.name}(*arguments):\n{body}\n"
        return f"{task.head}\n{SLIPS[label].answer(task.answer) if kind == 'wrong' else task.answer}"

    def hand_in(self, given: Path, to: Path, kinds: dict[str, str], whole: bool) -> None:
        """A student's notebook; the one with right answers has lost the cells that call Otter's checks."""
        notebook = nbformat.read(given, as_version=4)
        places = []
        for label, kind in kinds.items():
            head = self.tasks[label].head
            (place,) = [
                i
                for i, c in enumerate(notebook.cells)
                if c.source.startswith(head) and PLACEHOLDER in c.source
            ]
            places.append(place)
            notebook.cells[place].source = self.answer(label, kind)
        if not whole:
            cut(notebook, min(places))
        if "right" in kinds.values():
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
    read, made, used = set(), set(), set()
    for statement in ast.parse(source).body:
        top = symtable.symtable(ast.unparse(statement), "cell", "exec")
        tables = [top]
        for table in tables:
            tables += table.get_children()
        found = [(table, symbol) for table in tables for symbol in table.get_symbols()]
        before = made | BUILTINS
        if isinstance(statement, ast.For):
            before = before | {node.id for node in ast.walk(statement.target) if isinstance(node, ast.Name)}
        here = {s.get_name() for t, s in found if s.is_referenced() and (t is top or s.is_global())} - before
        calls = [node for node in ast.walk(statement) if isinstance(node, ast.Expr | ast.AugAssign)]
        calls = [node for node in calls if not ast.unparse(node).startswith(SHOWN)]
        used |= here & {node.id for call in calls for node in ast.walk(call) if isinstance(node, ast.Name)}
        read |= here
        made |= {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported()}
    return read, made, used


def cut(notebook: nbformat.NotebookNode, first: int) -> None:
    """Take out the code cells before the first answer that neither give nor change a name needed later."""
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    modules = {s.get_name() for s in symtable.symtable(code, "all", "exec").get_symbols() if s.is_imported()}
    needed: set[str] = set()
    kept = []
    for i, cell in reversed(list(enumerate(notebook.cells))):
        if cell.cell_type == "code":
            read, made, used = names(cell.source)
            if i < first and "nbgrader" not in cell.metadata and not (made | used - modules) & needed:
                continue
            needed = needed - made | read
        kept.append(cell)
    notebook.cells = kept[::-1]


def joined(text: str) -> list[str]:
    return ["".join(cell["source"]) for cell in json.loads(text)["cells"]]
