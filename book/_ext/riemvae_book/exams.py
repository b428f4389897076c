"""`make exams SEED=7`: exam questions with numbers drawn by the seed, and keys computed from these numbers.

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


def drawing(site: Path, page: str, name: str) -> str:
    """A figure of the built page as SVG, or an empty text where the book is not built."""
    built = site / f"{page}.html"
    text = built.read_text(encoding="utf8") if built.exists() else ""
    found = re.search(rf'<figure[^>]* id="{name}"', text)
    return next(outermost(text[found.start() :], "svg"), "") if found else ""


def as_html(markdown: str, site: Path, page: str, up: str) -> str:
    """A page to print, its formulas set by the MathJax that lies beside it."""
    reader = (
        MarkdownIt("commonmark", {"html": True}).enable("table").use(dollarmath_plugin, allow_digits=True)
    )
    reader.add_render_rule("math_inline", lambda self, tokens, at, *_: rf"\({tokens[at].content}\)")
    reader.add_render_rule("math_block", lambda self, tokens, at, *_: rf"\[{tokens[at].content}\]")
    shown = FIGURE.sub(lambda found: f"{drawing(site, page, found[1])}\n\n", markdown)
    title = markdown.split("\n")[0].removeprefix("# ")
    return PAGE.format(title=title, body=reader.render(shown), up=up)


def write_exams(root: Path, site: Path, out: Path, seed: int) -> list[Path]:
    """Questions and keys of every chapter, each in a folder of its own, to print and to edit."""
    written = []
    for page in chapter_pages(root):
        book = read_book(root, page, root / "_build/jupyter_execute" / f"{page}.glue.json", "")
        questions, name = read_questions(source_of(root, page), seed), Path(page).name
        title = f"{chapter_number(page)}. {book.titles[name]}"
        # the seed stands on the key alone: who knows it can compute the key
        for folder, part, named in (
            ("questions", "text", title),
            ("keys", "key", f"{title}: key, seed {seed}"),
        ):
            text = as_markdown(named, questions, part)
            target = out / f"exams-{seed}" / folder
            target.mkdir(parents=True, exist_ok=True)
            for suffix, content in (
                ("md", FIGURE.sub(lambda found, book=book: f"See {book.labels[found[1]]}.\n\n", text)),
                ("html", as_html(text, site, page, "../../")),
            ):
                written.append(target / f"{name}.{suffix}")
                written[-1].write_text(content, encoding="utf8")
    copy_mathjax(out)
    return written


def main(seed: str = "0") -> int:
    root = Path(__file__).resolve().parents[3]
    for path in write_exams(root, root / "_build/html", root / "_build/instructors", int(seed)):
        print(path.relative_to(root))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
