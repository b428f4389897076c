"""What the instructors' pages are told by the chapters: minutes counted and measured, and who needs whom."""

import re
from collections import Counter
from functools import cached_property
from html import escape
from pathlib import Path
from typing import NamedTuple, NoReturn

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective, SphinxRole

from .execution import execution_record
from .facts import minutes_to_read, prose_words
from .labels import directives, headings, source_file
from .notebooks import chapter_pages
from .numbers import chapter_number
from .plain import split_options

MINUTES = "book/instructors/minutes.yml"
NEEDS = re.compile(r"^\*\*You need\*\*(.*?)\n\n", re.S | re.M)
OTHER_CHAPTER = re.compile(r"\]\((\d\d_\w+)\.md")
WEEK = re.compile(r"^Week (\d+): ([^\n]*)\n: (.*?)(?=^Week|\Z)", re.S | re.M)
KIND = re.compile(r"^\*(Pencil|Code|Open)\.\*", re.M)
STEP, HIGH, BOX, ROWS = 92, 62, (76, 40), {1: 1, 11: 3}

TIP = (
    '<marker id="rv-needs-tip" viewBox="0 0 8 8" refX="6" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto">'
    '<path d="M0 0 L8 4 L0 8 z" fill="var(--rv-muted)"/></marker>'
)


class Exercise(NamedTuple):
    """An exercise as its chapter states it."""

    label: str
    title: str
    kind: str


class Chapter:
    """What a chapter's source says of itself."""

    def __init__(self, root: Path, page: str):
        self.page, self.number = page, int(chapter_number(page))
        self.text = source_file(root, page).read_text(encoding="utf8")
        self.lines = self.text.split("\n")

    @cached_property
    def label(self) -> str:
        label = next((label for label, _ in headings(self.lines) if label.startswith("ch-")), None)
        return label or self.lacks("a label (ch-...)= above its title")

    def lacks(self, what: str) -> NoReturn:
        raise ValueError(f"{self.page}.md must have {what}")

    @cached_property
    def minutes(self) -> int:
        return minutes_to_read(prose_words(self.text))

    @cached_property
    def needs(self) -> list[str]:
        """The pages of the chapters that its `You need` names."""
        found = NEEDS.search(self.text) or self.lacks("a paragraph that begins with **You need**")
        return [f"chapters/{name}" for name in OTHER_CHAPTER.findall(found[1])]

    @cached_property
    def exercises(self) -> list[Exercise]:
        found = []
        for name, title, body in directives(self.lines):
            if name == "exercise-start":
                label = split_options(body)[0]["label"]
                asked = self.text[self.text.index(f":label: {label}\n") :]
                kind = KIND.search(asked) or self.lacks(f"*Pencil.*, *Code.* or *Open.* in {label}")
                found.append(Exercise(label, title, kind[1]))
        return found


def read_chapters(root: Path) -> list[Chapter]:
    return [Chapter(root, page) for page in chapter_pages(root)]


class Estimates(dict):
    """Minutes for each exercise; one that has none is named with the file that wants it."""

    def __missing__(self, label: str) -> NoReturn:
        raise ExtensionError(f"{MINUTES} must have a line for the exercise, {label}: its minutes")


def estimates(root: Path) -> dict[str, int]:
    """Minutes for each exercise, estimated by the authors."""
    with (root / MINUTES).open(encoding="utf8") as file:  # a file, so that an error names it
        return Estimates(yaml.safe_load(file))


class Week(NamedTuple):
    """A week of a syllabus: its number, the labels of its chapters, its text, the labels of its homework."""

    number: int
    chapters: list[str]
    text: str
    homework: list[str]


def read_syllabus(root: Path, weeks: int) -> list[Week]:
    """The syllabus of so many weeks."""
    text = (root / "book/instructors/syllabi.md").read_text(encoding="utf8")
    found = {len(read): read for part in text.split("\n## ") if (read := WEEK.findall(part))}
    if weeks not in found:
        raise ValueError(f"a syllabus must be of {', '.join(map(str, found))} weeks, got {weeks}")
    return [
        Week(
            int(number),
            re.findall(r"<(ch-[\w-]+)>", head),
            body,
            re.findall(r"<(ex-[\w-]+)>", body.split("*Homework:*")[1].split("*May be skipped:*")[0]),
        )
        for number, head, body in found[weeks]
    ]


def direct_needs(chapters: list[Chapter]) -> dict[int, set[int]]:
    """For each chapter those that it needs and that no other of its needs needs: the arrows of a drawing."""
    at = {one.page: one.number for one in chapters}
    every: dict[int, set[int]] = {}
    direct: dict[int, set[int]] = {}
    for one in chapters:
        named = {at[page] for page in one.needs}
        beyond = set().union(*(every[n] for n in named))
        every[one.number], direct[one.number] = named | beyond, named - beyond
    return direct


def draw_needs(chapters: list[Chapter]) -> str:
    """The chapters as boxes, each to the right of those it needs; SVG in the page's colors."""
    direct, column, row, taken = direct_needs(chapters), {}, {}, {}
    for one in chapters:
        before = direct[one.number]
        column[one.number] = max((column[n] + 1 for n in before), default=0)
        wanted = max((row[n] for n in before), default=ROWS.get(one.number, 0))
        while (column[one.number], wanted) in taken:
            wanted += 1
        row[one.number] = wanted
        taken[column[one.number], wanted] = one
    at = {n: (column[n] * STEP + 2, row[n] * HIGH + 2) for n in column}
    width, height = max(column.values()) * STEP + BOX[0] + 4, max(row.values()) * HIGH + BOX[1] + 4
    arrows = "".join(
        f'<path d="M{at[n][0] + BOX[0]} {at[n][1] + BOX[1] / 2} L{at[k][0] - 3} {at[k][1] + BOX[1] / 2}" '
        'fill="none" stroke="var(--rv-muted)" stroke-width="1.5" marker-end="url(#rv-needs-tip)"/>'
        for k, before in direct.items()
        for n in sorted(before)
    )
    names = {one.number: escape(one.label.removeprefix("ch-").replace("-", " ")) for one in chapters}
    boxes = "".join(
        f'<g transform="translate({at[one.number][0]} {at[one.number][1]})">'
        f'<rect width="{BOX[0]}" height="{BOX[1]}" rx="4" fill="none" stroke="var(--rv-muted)"/>'
        f'<text x="{BOX[0] / 2}" y="17" font-weight="600">{one.number}</text>'
        f'<text x="{BOX[0] / 2}" y="32" font-size="12">{names[one.number]}</text></g>'
        for one in chapters
    )
    said = "; ".join(f"{k} needs {' and '.join(map(str, sorted(v)))}" for k, v in direct.items() if v)
    return (
        f'<svg class="rv-plot" role="img" aria-label="Which chapter needs which: {said}." '
        f'viewBox="0 0 {width} {height}" style="width: 100%; max-width: {width}px; height: auto" '
        f'fill="currentColor" font-size="13" text-anchor="middle">{TIP}{arrows}{boxes}</svg>'
    )


class Parsed(SphinxDirective):
    """A directive that writes MyST and lets it be parsed; its page is read again in each build."""

    optional_arguments = 1

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        inner = nodes.container()
        lines = self.write(Path(self.env.srcdir)).split("\n")
        self.state.nested_parse(StringList(lines, self.env.docname), self.content_offset, inner)
        return inner.children


class TeachingTimes(Parsed):
    """A table with a row for each chapter: minutes to read, seconds to run, minutes of exercises."""

    def write(self, root: Path) -> str:
        guess, rows = estimates(root), []
        for one in read_chapters(root):
            by = {
                k: sum(guess[e.label] for e in one.exercises if (e.kind == "Open") == k)
                for k in (False, True)
            }
            name = f"{{numref}}`{{number}}. {{name}} <{one.label}>`"
            rows.append(f"| {name} | {one.minutes} | {{ran}}`{one.page}` | {by[False]} | {by[True]} |")
        head = "| chapter | minutes to read | seconds to run | minutes for exercises | for the open one |"
        return "\n".join([head, "|---|---|---|---|---|", *rows])


class ChapterWork(Parsed):
    """One chapter's minutes, and its exercises with an estimate for each."""

    def write(self, root: Path) -> str:
        one, guess = Chapter(root, self.arguments[0]), estimates(root)
        rows = [f"| {{ref}}`{e.label}` {e.title} | {e.kind} | {guess[e.label]} |" for e in one.exercises]
        facts = f"{one.minutes} minutes to read; its code ran in {{ran}}`{one.page}` s."
        head = ["| exercise | kind | minutes, estimated |", "|---|---|---|"]
        return "\n".join([facts, "", *head, *rows])


class SyllabusTimes(Parsed):
    """A table with a row for each week of a syllabus: what it asks of a student besides the classes."""

    def write(self, root: Path) -> str:
        weeks, guess = read_syllabus(root, int(self.arguments[0])), estimates(root)
        chapters = {one.label: one for one in read_chapters(root)}
        parts = Counter(label for week in weeks for label in week.chapters)  # one chapter may take two weeks
        rows, sums = [], [0, 0]
        for week in weeks:
            taught = [chapters[label] for label in week.chapters]
            minutes = [
                sum(round(one.minutes / parts[one.label]) for one in taught),
                sum(guess[label] for label in week.homework),
            ]
            sums = [all_weeks + one for all_weeks, one in zip(sums, minutes, strict=True)]
            ran = " + ".join(f"{{ran}}`{one.page}`" for one in taught)
            numbers = ", ".join(str(one.number) for one in taught)
            rows.append(f"| {week.number} | {numbers} | {minutes[0]} | {minutes[1]} | {ran} |")
        head = "| week | chapters | minutes to read | minutes of homework | seconds to run |"
        return "\n".join([head, "|---|---|---|---|---|", *rows, f"| all | | {sums[0]} | {sums[1]} | |"])


class ChapterNeeds(SphinxDirective):
    """The drawing of what needs what."""

    def run(self) -> list[nodes.Node]:
        self.env.note_reread()
        drawn = draw_needs(read_chapters(Path(self.env.srcdir)))
        return [nodes.raw("", f'<div class="rv-needs">{drawn}</div>', format="html")]


class RanNode(nodes.inline):
    """Stands for the seconds of a chapter, which are known when all pages are read."""


class Ran(SphinxRole):
    """`{ran}`: the seconds that a chapter's code ran for its page."""

    def run(self) -> tuple[list[nodes.Node], list]:
        return [RanNode("", "", page=self.text)], []


def fill_in(app: Sphinx, document: nodes.document, docname: str) -> None:
    for node in list(document.findall(RanNode)):
        record = execution_record(app.env, node["page"])
        known = record and record["succeeded"]
        node.replace_self(nodes.Text(str(max(1, round(record["runtime"]))) if known else "?"))


def setup(app: Sphinx) -> None:
    app.add_directive("teaching-times", TeachingTimes)
    app.add_directive("syllabus-times", SyllabusTimes)
    app.add_directive("chapter-work", ChapterWork)
    app.add_directive("chapter-needs", ChapterNeeds)
    app.add_role("ran", Ran())
    app.connect("doctree-resolved", fill_in)
