"""`make exams SEED=7`: exam questions with numbers drawn by the seed, and keys computed from these numbers.

With QUESTIONS="0.1 2.3" it writes one paper of these questions, and its key.
Sources lie in book/instructors/exams, which no page of the site includes. A question is a heading, a line
with its kind and points, perhaps a block of code, the text, and after `### Key` the key, whose paragraphs end
with their points. The code draws the numbers (`draw`), computes the answer, and holds it against the core
(`near`); text and key take values out of it: `@{name:.3f}`.
"""

import math
import random
import re
import sys
from pathlib import Path
from typing import NamedTuple

import torch
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

import riemvae_core as rc

from .elements import outermost
from .labels import read_book
from .notebooks import chapter_pages
from .numbers import chapter_number
from .site import copy_mathjax

KINDS = ("compute", "derive", "judge", "read a figure")
QUESTION = re.compile(
    r"^## (?P<title>[^\n]+)\n(?P<kind>[a-z ]+), (?P<points>\d+) points\n\n"
    r"(?:```python\n(?P<code>.*?)```\n\n)?(?P<text>.*?)\n### Key\n\n(?P<key>.*?)(?=^## |\Z)",
    re.S | re.M,
)
VALUE = re.compile(r"@\{([^{}]+?)(?::([^{}:'\[\]]*))?\}")
FIGURE = re.compile(r"!\[\]\((fig-[\w-]+)\)\n*")
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<link rel="icon" href="data:,">
<style>
body {{ max-width: 44rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 Georgia, serif; }}
h2 {{ margin-top: 2.5rem; font-size: 1.15rem; break-after: avoid; }} svg {{ break-inside: avoid; }}
</style>
<script>MathJax = {{options: {{enableMenu: false}}}}</script>
<script defer src="{up}_static/vendor/mathjax/tex-chtml.js"></script></head>
<body>
{body}
</body></html>
"""


class Question(NamedTuple):
    """A question with its numbers in place."""

    title: str
    kind: str
    points: int
    text: str
    key: str


class Paper(NamedTuple):
    """Questions on one sheet, and the name of its files."""

    name: str
    title: str
    asked: list[Question]


class Figure(NamedTuple):
    """A figure that a question shows: what the book calls it, and its SVG."""

    number: str
    drawn: str


def near(found: float | list[float], expected: float | list[float], tolerance: float = 1e-6) -> None:
    """Stop where a key is not what the core says."""
    one, other = (torch.tensor(value, dtype=torch.float64) for value in (found, expected))
    if not torch.allclose(one, other, rtol=tolerance, atol=tolerance):
        raise ValueError(f"a key must agree with its check within {tolerance}, got {found} and {expected}")


def row(values: tuple | list, form: str = "g") -> str:
    return ", ".join(format(value, form) for value in values)


def fill_in(text: str, names: dict) -> str:
    return VALUE.sub(lambda found: format(eval(found[1], names), found[2] or ""), text)


def read_questions(path: Path, seed: int) -> list[Question]:
    """The questions of a file, with the numbers of this seed."""
    questions = []
    for found in QUESTION.finditer(path.read_text(encoding="utf8")):
        chance = random.Random(f"{seed} {path.stem} {found['title']}")
        names = {"math": math, "torch": torch, "rc": rc, "near": near, "row": row}
        names["draw"] = lambda *choices, chance=chance: chance.choice(choices)
        exec(compile(found["code"] or "", f"{path.name}: {found['title']}", "exec"), names)
        text, key = (fill_in(found[part], names).strip() for part in ("text", "key"))
        questions.append(Question(found["title"], found["kind"], int(found["points"]), text, key))
    return questions


def source_of(root: Path, page: str) -> Path:
    """The exam source of a chapter: the file with its number."""
    name = f"book/instructors/exams/{chapter_number(page):02d}_*.md"
    found = sorted(root.glob(name))
    if len(found) != 1:
        raise ValueError(f"{page} must have one file of exam questions, {name}, got {len(found)}")
    return found[0]


def as_markdown(title: str, questions: list[Question], part: str) -> str:
    lines = [f"# {title}", "", f"{sum(question.points for question in questions)} points", ""]
    for at, question in enumerate(questions, 1):
        lines += [f"## {at}. {question.title} ({question.kind}, {question.points} points)", ""]
        lines += [getattr(question, part), ""]
    return "\n".join(lines)


def drawing(page: str, name: str) -> str:
    """A figure of a built page as SVG."""
    found = re.search(rf'<figure[^>]* id="{name}"', page)
    drawn = next(outermost(page[found.start() :], "svg"), "") if found else ""
    if not drawn:
        raise ValueError(f"an exam asks for {name}, which its chapter does not draw")
    return drawn


def by_itself(svg: str) -> str:
    """A drawing of a page as a file of its own, which programs without CSS variables read as well."""
    return re.sub(r"var\([\w-]+, ([^()]+)\)", r"\1", svg).replace(
        "<svg ", '<svg font-family="sans-serif" ', 1
    )


def as_html(markdown: str, figures: dict[str, Figure], up: str) -> str:
    """A page to print, its formulas set by the MathJax that lies beside it."""
    reader = (
        MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin, allow_digits=True)
    )
    reader.add_render_rule("math_inline", lambda self, tokens, at, *_: rf"\({tokens[at].content}\)")
    reader.add_render_rule("math_block", lambda self, tokens, at, *_: rf"\[{tokens[at].content}\]")
    # drawings come in last: to Markdown an empty line within one would end it
    body = reader.render(FIGURE.sub(lambda found: f"<figure>{found[1]}</figure>\n\n", markdown))
    body = re.sub(r"(?<=<figure>)([\w-]+)", lambda found: figures[found[1]].drawn, body)
    title = markdown.split("\n")[0].removeprefix("# ")
    return PAGE.format(title=title, body=body, up=up)


def write_paper(
    out: Path, seed: int, name: str, title: str, asked: list[Question], figures: dict[str, Figure]
) -> list[Path]:
    """Questions and their key, each in a folder of its own, to print and to edit."""
    written = []
    # the seed stands on the key alone: who knows it can compute the key
    for folder, part, named in (("questions", "text", title), ("keys", "key", f"{title}: key, seed {seed}")):
        text, target = as_markdown(named, asked, part), out / f"exams-{seed}" / folder
        target.mkdir(parents=True, exist_ok=True)
        for found in FIGURE.findall(text):
            (target / f"{found}.svg").write_text(by_itself(figures[found].drawn), encoding="utf8")
        linked = FIGURE.sub(lambda found: f"![{figures[found[1]].number}]({found[1]}.svg)\n\n", text)
        for suffix, content in (("md", linked), ("html", as_html(text, figures, "../../"))):
            written.append(target / f"{name}.{suffix}")
            written[-1].write_text(content, encoding="utf8")
    return written


def chosen(papers: dict[int, Paper], wanted: list[str]) -> list[Question]:
    """The questions named as "2.3": the third one of chapter 2."""
    named = {f"{n}.{at}": one for n, paper in papers.items() for at, one in enumerate(paper.asked, 1)}
    if unknown := [one for one in wanted if one not in named]:
        raise ValueError(f"QUESTIONS must be of {', '.join(named)}, got {' '.join(unknown)}")
    return [named[one] for one in wanted]


def write_exams(root: Path, site: Path, out: Path, seed: int, wanted: list[str] = ()) -> list[Path]:
    """Questions and keys of every chapter; with `wanted` one paper of these instead."""
    papers, figures = {}, {}
    for page in chapter_pages(root):
        book = read_book(root, page, root / "_build/jupyter_execute" / f"{page}.glue.json", "")
        number, name = chapter_number(page), Path(page).name
        asked, built = read_questions(source_of(root, page), seed), (site / f"{page}.html").read_text("utf8")
        papers[int(number)] = Paper(name, f"{number}. {book.titles[name]}", asked)
        for found in FIGURE.findall("".join(one.text + one.key for one in asked)):
            figures[found] = Figure(book.labels[found], drawing(built, found))
    if wanted:
        exam = Paper("exam", "Exam", chosen(papers, wanted))
    written = []
    for paper in [exam] if wanted else papers.values():
        written += write_paper(out, seed, *paper, figures)
    copy_mathjax(out)
    return written


def main(seed: str = "0", *wanted: str) -> int:
    root = Path(__file__).resolve().parents[3]
    try:
        written = write_exams(
            root, root / "_build/html", root / "_build/instructors", int(seed), list(wanted)
        )
    except ValueError as wrong:
        sys.exit(f"make exams: {wrong}")
    for path in written:
        print(path.relative_to(root))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
