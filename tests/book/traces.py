"""What would betray a solution: lines and runs of words that stand in it and nowhere else in its chapter."""

import re
import unicodedata
from pathlib import Path

from riemvae_book.solutions import gated, is_solution, strip_solutions

ROOT = Path(__file__).resolve().parents[2]
MARKUP = re.compile(r"\$[^$]*\$|\{[\w:]+\}`[^`]*`|[`*]")


def letters(text: str) -> str:
    return re.sub(r"\s+", "", text)


def solution_lines(chapter: str) -> list[str]:
    """The lines that stand in a chapter's solutions and nowhere else in it."""
    whole = (ROOT / f"{chapter}.md").read_text(encoding="utf8")
    kept = letters(strip_solutions(whole))
    lines = whole.split("\n")
    found = []
    for _, _, directive, body in gated(lines):
        if is_solution(directive, body):
            found += [line for line in body if len(letters(line)) >= 20 and letters(line) not in kept]
    return found


def words(text: str) -> str:
    """A text's letters and digits alone, as they come out of a PDF, where formulas are glyphs."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text))


def solution_runs(chapter: str) -> list[str]:
    """What lies between formulas and markup in a chapter's solutions, long runs that stand there alone."""
    kept = words(strip_solutions((ROOT / f"{chapter}.md").read_text(encoding="utf8")))
    runs = [words(run) for line in solution_lines(chapter) for run in MARKUP.split(line)]
    return [run for run in runs if len(run) >= 20 and run not in kept]
