"""`make slides`: a deck for every chapter, made of its built page; reveal.js shows it, from a folder too.

The page is the chapter executed and numbered, without solutions, so that a deck says what the page says.
Taken are titles, each section's first sentence, what stands displayed (formulas, theorems, figures, live
figures, tables, lists, and code whose cell is tagged `slide`) with the sentence before it, and the questions,
whose answer comes with the next step. All of a section's text is in the speaker's notes.
"""

import importlib.metadata
import re
import shutil
import sys
from collections.abc import Iterator
from copy import copy
from html import escape
from pathlib import Path

from bs4 import BeautifulSoup, NavigableString, Tag

from .notebooks import chapter_pages
from .site import copy_mathjax

OWN = Path(__file__).resolve().parents[2] / "_slides"
REVEAL_PACKAGE = "sphinx-revealjs"
REVEAL_FILES = ("dist/reset.css", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js", "LICENSE")
# what a page has and a slide hasn't: most code, what notebooks alone can do, marks of links
LEFT_OUT = (
    "script, noscript, details.hide, .cell:not(.tag_slide) > .cell_input, .rv-in-notebook, .output.stream"
)
LEFT_OUT += ", .headerlink, .chapter-facts, .rv-used-in, .copybtn"
# what has words before it, and the characters that these may have beyond one sentence
LED_TO = {"formula": 0, "list": 0, "table": 240}
SKIPPED = "questions-people-ask"
SENTENCE = re.compile(r"(?<![A-Z])(?<! al)[.!?](?=\s+[A-Z“(]|\s*$)")
DECK = """<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="_static/reveal/dist/reset.css">
<link rel="stylesheet" href="_static/reveal/dist/reveal.css">
<link rel="stylesheet" href="_static/riemvae/figures.css">
<link rel="stylesheet" href="_static/pygments.css">
<link rel="stylesheet" href="_static/deck.css">
<script src="_static/deck.js"></script>
<script src="_static/rv_loader.js"></script>
<script defer src="_static/vendor/mathjax/tex-chtml.js"></script>
<script defer src="_static/reveal/dist/reveal.js"></script>
<script defer src="_static/reveal/plugin/notes/notes.js"></script>
</head>
<body><div class="reveal"><div class="slides">
{slides}
</div></div></body>
</html>
"""


def ends_at(text: str) -> int | None:
    """Where the first sentence of a text ends; None if it goes on after it."""
    found = SENTENCE.search(text)
    return found.end() if found else None


def closes(node: Tag) -> bool:
    """Whether a sentence ends with a marked word, or with the full stop that is tied to a formula."""
    can = node.name in ("strong", "em") or "rv-tied" in node.get("class", ())
    return can and ends_at(node.get_text()) == len(node.get_text())


def first_sentence(paragraph: Tag) -> str:
    """The first sentence of a paragraph as HTML; marked words and formulas are not cut."""
    said = ""
    for node in paragraph.children:
        if isinstance(node, NavigableString):
            end = ends_at(node)
            said += escape(node if end is None else node[:end], quote=False)
            if end is not None:
                break
        else:
            said += str(node)
            if closes(node):
                break
    return said.strip()


def sentence_starts(nodes: list) -> Iterator[tuple[int, int]]:
    """Where sentences after the first one begin, the last of them first: node, and place in its text."""
    for at in range(len(nodes) - 1, -1, -1):
        node = nodes[at]
        if isinstance(node, NavigableString):
            ends = [found.end() for found in SENTENCE.finditer(node)]
            yield from ((at, end) for end in reversed(ends) if node[end:].strip() or at < len(nodes) - 1)
        elif at < len(nodes) - 1 and closes(node):
            yield at + 1, 0


def last_sentences(paragraph: Tag, room: int = 0) -> str:
    """What leads to a formula or table under a paragraph, as HTML: its last sentence, and those that fit.

    `room` is the number of characters that they may have together.
    """
    nodes = [*paragraph.children, NavigableString("")]
    kept = ""
    for at, begin in [*sentence_starts(nodes), (0, 0)]:
        first = nodes[at]
        cut = escape(first[begin:], quote=False) if isinstance(first, NavigableString) else str(first)
        text = cut + "".join(map(str, nodes[at + 1 :]))
        if kept and len(BeautifulSoup(text, "html.parser").get_text()) > room:
            break
        kept = text
    return kept


def slide(kind: str, body: str, notes: list[str] = ()) -> str:
    aside = f'<aside class="notes">{"".join(notes)}</aside>' if notes else ""
    return f'<section class="{kind}"><div class="room">{body}</div>{aside}</section>'


def question(box: Tag) -> str:
    """Question and answers; the next step marks the right one and says why."""
    answers = []
    for answer in box.select(".rv-answer"):
        text, why = answer.select_one("label > span"), answer.select_one("details > div")
        right = why.get_text().lstrip().startswith("Right.")
        answers.append(f'<li class="{"right" if right else ""}">{text.decode_contents()}</li>')
        if right:
            reason = f'<div class="fragment why" data-fragment-index="0">{why.decode_contents()}</div>'
    mark = '<span class="fragment" data-fragment-index="0"></span>'
    asked = box.select_one("legend > span").decode_contents()
    return f'<p class="asked">{asked}</p><ol class="answers">{"".join(answers)}</ol>{mark}{reason}'


def displayed(section: Tag) -> Iterator[tuple[str, Tag]]:
    """What a section shows besides its running text, in order, and its paragraphs: (kind, element)."""
    for node in section.find_all(True, recursive=False):
        classes = node.get("class", [])
        if node.name == "p":
            yield "p", node
        elif node.name == "section":
            yield "section", node
        elif "math" in classes:
            yield "formula", node
        elif "proof" in classes and len(classes) > 2:  # with the class of its kind, which a proof has not
            yield "theorem", node
        elif "rv-question" in classes:
            yield "question", node
        elif node.name in ("ul", "ol"):
            yield "list", node
        elif "pst-scrollable-table-container" in classes:
            yield "table", node
        else:
            for code in node.select(".cell_input pre"):
                yield "code", code.parent
            for figure in node.find_all("figure"):
                yield ("live" if "data-rv-module" in figure.attrs else "figure"), figure


def section_slides(section: Tag) -> list[str]:
    """The slides of a section: its title with its first sentence, then what it shows."""
    title = section.find(["h2", "h3"]).decode_contents()
    if section.get("id") == "exercises":
        named = (one.get_text(" ", strip=True) for one in section.select(".exercise > .admonition-title"))
        return [
            slide("homework", f"<h2>{title}</h2><ul>{''.join(f'<li>{escape(n)}</li>' for n in named)}</ul>")
        ]
    made: list[tuple[str, str, list[str]]] = []
    before, notes = None, []
    for at, (kind, node) in enumerate(displayed(section)):
        if kind == "p":
            notes.append(str(node))
            first = first_sentence(node)
            if at == 0:
                made.append(("opening", f'<h2>{title}</h2><p class="lead">{first}</p>', notes))
            before = None if at == 0 and last_sentences(node) == first else node
            continue
        if kind == "section":
            made += [("", one, []) for one in section_slides(node)]
            continue
        body = question(node) if kind == "question" else str(node)
        if kind == "formula" and before is None and made and made[-1][0] in ("formula", "list"):
            made[-1] = (made[-1][0], made[-1][1] + body, notes)  # nothing is said between the two
            continue
        head = f"<h2>{title}</h2>" if kind == "list" and not made else f"<h3>{title}</h3>"
        lead = ""
        if before and kind in (*LED_TO, "code"):
            said = first_sentence(before) if kind == "code" else last_sentences(before, LED_TO[kind])
            lead = f'<p class="lead">{said}</p>'
        made.append((kind, head + lead + body, notes))
        before, notes = None, []
    return [slide(kind, body, notes) if kind else body for kind, body, notes in made]


def deck(page: str) -> str:
    """The deck of a built chapter page."""
    soup = BeautifulSoup(page, "html.parser")
    article = soup.select_one("article.bd-article > section")
    for left_out in article.select(LEFT_OUT):
        left_out.decompose()
    for link in article.select("a"):
        link.unwrap()
    for inner in article.select(".proof section"):  # to reveal.js every section is a slide
        inner.name = "div"
    title, promise = article.find("h1"), article.find("p")
    plain = copy(title).get_text()
    first = slide("title", f"<h1>{title.decode_contents()}</h1><p>{promise.decode_contents()}</p>")
    sections = [one for one in article.find_all("section", recursive=False) if one.get("id") != SKIPPED]
    stacks = ["<section>{}</section>".format("\n".join(section_slides(one))) for one in sections]
    return DECK.format(title=escape(plain), slides="\n".join([first, *stacks]))


def copy_reveal(target: Path) -> None:
    """Copy what the decks need of reveal.js out of the installed package, its license beside it."""
    for file in importlib.metadata.files(REVEAL_PACKAGE) or []:
        for name in REVEAL_FILES:
            if file.as_posix().endswith(f"_static/revealjs/{name}"):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file.locate(), target / name)


def write_slides(root: Path, site: Path, out: Path, pages: list[str]) -> list[Path]:
    """Write decks of chapters of the built book, and beside them the files that all of them load."""
    static = out / "_static"
    shutil.copytree(site / "_static" / "riemvae", static / "riemvae", dirs_exist_ok=True)
    shutil.copyfile(root / "book" / "_static" / "rv_loader.js", static / "rv_loader.js")
    shutil.copyfile(site / "_static" / "pygments.css", static / "pygments.css")
    for name in ("deck.css", "deck.js"):
        shutil.copyfile(OWN / name, static / name)
    copy_mathjax(out)
    copy_reveal(static / "reveal")
    written = []
    for page in pages:
        path = out / f"{Path(page).name}.html"
        path.write_text(deck((site / f"{page}.html").read_text(encoding="utf8")), encoding="utf8")
        written.append(path)
    return written


def main() -> int:
    root = Path(__file__).resolve().parents[3]
    for path in write_slides(root, root / "_build/html", root / "_build/slides", chapter_pages(root)):
        print(path.relative_to(root))
    return 0


if __name__ == "__main__":
    sys.exit(main())
