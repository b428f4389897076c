"""Solutions stand in the source, beside their exercises; readers get everything but them."""

import re
from collections.abc import Iterator
from itertools import takewhile

import yaml
from sphinx.application import Sphinx

FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}|:{3,})(?P<info>.*)$")
DIRECTIVE = re.compile(r"\{([\w:.-]+)\}\s*(.*)")
SOLUTION_TAG = "solution"
VERBATIM = ("", "code", "code-block", "code-cell", "math", "raw")  # nothing inside these is a directive


def blocks(lines: list[str]) -> Iterator[tuple[int, int, str, str]]:
    """Yield (first, last, directive, argument) of each outermost fenced block; both lines belong to it."""
    at = 0
    while at < len(lines):
        opened = FENCE.match(lines[at])
        if not opened:
            at += 1
            continue
        fence = opened["fence"]
        closing = re.compile(rf"^ *{re.escape(fence[0])}{{{len(fence)},}}\s*$")
        end = next((i for i in range(at + 1, len(lines)) if closing.match(lines[i])), len(lines) - 1)
        named = DIRECTIVE.match(opened["info"].strip())
        yield at, end, *(named.groups() if named else ("", opened["info"].strip()))
        at = end + 1


def cell_metadata(body: list[str]) -> dict:
    """The metadata of a code cell in MyST: `:key: value` lines, or YAML between two `---`."""
    if body and body[0].strip() == "---":
        end = next(i for i, line in enumerate(body[1:], 1) if line.strip() == "---")
        return yaml.safe_load("\n".join(body[1:end])) or {}
    options = [line[1:] for line in takewhile(lambda line: re.match(r":[\w-]+:", line), body)]
    return yaml.safe_load("\n".join(options)) or {}


def is_solution(directive: str, body: list[str]) -> bool:
    if directive == "solution":
        return True
    return directive == "code-cell" and SOLUTION_TAG in cell_metadata(body).get("tags", [])


def gated(lines: list[str]) -> Iterator[tuple[int, int, str, list[str]]]:
    """The blocks of a text: (first, last, directive, body); a solution from start to end is one of them."""
    start = None
    for first, last, directive, _ in blocks(lines):
        if directive == "solution-start":
            start = first
        elif directive == "solution-end" and start is not None:
            yield start, last, "solution", lines[start + 1 : last]
            start = None
        elif start is None:
            yield first, last, directive, lines[first + 1 : last]
    if start is not None:
        yield start, len(lines) - 1, "solution", lines[start + 1 :]


def strip_lines(lines: list[str]) -> list[str]:
    kept, at = [], 0
    for first, last, directive, body in gated(lines):
        if is_solution(directive, body):
            kept += lines[at:first]
            at = last + 1
            while kept and kept[-1] == "" and at < len(lines) and lines[at] == "":
                at += 1
        elif directive not in VERBATIM:
            kept += [*lines[at : first + 1], *strip_lines(body)]
            at = last
    return kept + lines[at:]


def strip_solutions(text: str) -> str:
    """The chapter without its solutions: no `{solution}` block and no code cell tagged `solution` is left."""
    return "\n".join(strip_lines(text.split("\n")))


def strip_on_read(app: Sphinx, docname: str, content: list[str]) -> None:
    content[0] = strip_solutions(content[0])


def setup(app: Sphinx) -> None:
    app.connect("source-read", strip_on_read)
