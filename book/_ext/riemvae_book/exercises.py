"""A chapter's exercises taken apart: what is asked, what a student fills in, its check and its solution."""

import ast
import re
from dataclasses import dataclass

from .plain import split_options
from .solutions import SOLUTION_TAG, cell_metadata, gated, strip_solutions

HEADING = re.compile(r"#{1,2} ")
POINTS = re.compile(r"points-(\d+(?:\.\d+)?)$")
PLACEHOLDER = "return None  # your turn"


@dataclass(frozen=True)
class Task:
    """An exercise in code: a function to fill in, and the book's own check of it."""

    name: str
    given: str  # what stands before the function and isn't asked for
    head: str  # the function's first lines, to the colon
    answer: str  # the solution's lines for the function's body
    check: str  # from what the check needs to the call of exercises.check

    @property
    def call(self) -> ast.Call:
        """The call of exercises.check that ends the check."""
        return ast.parse(self.check).body[-1].value  # type: ignore[attr-defined]

    @property
    def before_call(self) -> str:
        """What the check defines before it calls."""
        lines = self.check.split("\n")[: ast.parse(self.check).body[-1].lineno - 1]
        return "\n".join(lines).strip("\n")


@dataclass(frozen=True)
class Exercise:
    """One exercise: in code when it has a task, else answered in words."""

    label: str
    points: float
    statement: str
    written: str  # the solution in words, as the chapter has it
    task: Task | None


def read_exercises(text: str, points: float = 1.0, asked: set[str] | None = None) -> list[str | Exercise]:
    """A chapter cut into exercises that carry points and the text around them, which has no solution left.

    An exercise that the book solves, in code or in words, counts `points`, an open one nothing, unless its
    own `:class: points-3` says otherwise. With `asked`, labels of exercises, the others count nothing.
    """
    lines = text.split("\n")
    found = [(first, last, directive) for first, last, directive, _ in gated(lines)]
    starts = [first for first, _, directive in found if directive == "exercise-start"]
    inside = {i for first, last, _ in found for i in range(first, last + 1)}
    headings = [i for i, line in enumerate(lines) if i not in inside and HEADING.match(line)]
    pieces: list[str | Exercise] = []
    at = 0
    for start in starts:
        end = min([i for i in (*starts, *headings) if i > start], default=len(lines))
        exercise, rest = take_apart(lines[start:end], points)
        pieces.append(strip_solutions("\n".join(lines[at:start])))
        if exercise.points and (asked is None or exercise.label in asked):
            pieces += [exercise, rest]
        else:
            pieces.append(strip_solutions("\n".join(lines[start:end])))
        at = end
    return [*pieces, strip_solutions("\n".join(lines[at:]))]


def take_apart(lines: list[str], points: float) -> tuple[Exercise, str]:
    """The exercise that these lines hold, and the prose that stands among them."""
    options: dict = {}
    statement, written, rest = [], [], []
    code: dict[bool, list[str]] = {False: [], True: []}
    at = 0
    for first, last, directive, body in gated(lines):
        rest += lines[at:first]
        if directive == "exercise-start":
            options, _ = split_options(body)
        elif directive == "exercise-end":
            statement, rest = lines[: last + 1], []
        elif directive == "solution":
            written += [*lines[first : last + 1], ""]
        elif directive == "code-cell":
            solved = SOLUTION_TAG in cell_metadata(body).get("tags", [])
            code[solved].append("\n".join(split_options(body)[1]).strip("\n"))
        elif statement:
            rest += lines[first : last + 1]
        at = last + 1
    label = options.get("label", "")
    if not label or not statement:
        raise ValueError(f"an exercise must have a label and an end, got {lines[0]!r}")
    task = read_task(label, "\n\n\n".join(code[False]), code[True]) if code[False] else None
    own = [float(m[1]) for m in map(POINTS.match, options.get("class", "").split()) if m]
    worth = own[0] if own else points if task or written else 0.0
    text = "\n".join([*rest, *lines[at:]]).strip("\n")
    return Exercise(label, worth, "\n".join(statement), "\n".join(written), task), text


def read_task(label: str, code: str, solutions: list[str]) -> Task:
    """The task of an exercise from its code cells, joined, and its solutions in code."""
    body, lines = ast.parse(code).body, code.split("\n")
    stubs = [node for node in body if isinstance(node, ast.FunctionDef) and is_stub(lines, node)]
    if len(stubs) != 1:
        raise ValueError(f"{label} must have one function that ends in {PLACEHOLDER!r}, got {len(stubs)}")
    (stub,) = stubs
    if not is_check(body[-1]):
        raise ValueError(
            f"the code of {label} must end in exercises.check(answer, function, cases), with a function that "
            f"has a name (no lambda) and a tolerance, if any, by its keyword, got {lines[-1]!r}"
        )
    return Task(
        name=stub.name,
        given="\n".join(lines[: stub.lineno - 1]).strip("\n"),
        head="\n".join(lines[stub.lineno - 1 : stub.body[0].lineno - 1]),
        answer=find_answer(label, stub, solutions),
        check="\n".join(lines[stub.end_lineno :]).strip("\n"),
    )


def find_answer(label: str, stub: ast.FunctionDef, solutions: list[str]) -> str:
    """The body of the solution's function, which has to have the stub's name and arguments."""
    for source in solutions:
        first = ast.parse(source).body[0]
        if isinstance(first, ast.FunctionDef) and first.name == stub.name:
            if ast.dump(first.args) != ast.dump(stub.args):
                asked = ast.unparse(stub.args)
                raise ValueError(f"{label}'s solution must take ({asked}), got ({ast.unparse(first.args)})")
            return "\n".join(source.split("\n")[first.body[0].lineno - 1 : first.end_lineno])
    raise ValueError(f"{label} must have a solution cell that begins with `def {stub.name}`")


def is_stub(lines: list[str], node: ast.FunctionDef) -> bool:
    return len(node.body) == 1 and lines[node.body[0].lineno - 1].strip() == PLACEHOLDER


def is_check(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "exercises.check"
        and len(node.value.args) == 3
        and isinstance(node.value.args[1], ast.Name | ast.Attribute)  # so that a test can take it away
    )
