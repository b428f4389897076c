"""`{chapter-facts}`: how long a chapter takes to read and to run, counted and measured, never typed."""

import re

import yaml
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .execution import execution_record, kernel_threads
from .solutions import VERBATIM, blocks, strip_solutions

WORDS_PER_MINUTE = 160  # a textbook with formulas is read more slowly than a novel
FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.S)
NOT_PROSE = re.compile(
    r"\$\$.*?\$\$(?:\s*\(\S+\))?"  # displayed formulas
    r"|\$[^$\n]+\$"  # formulas in a line
    r"|^\(\S+\)=\s*$|^%[^\n]*$|^:[\w-]+:[^\n]*$|^[:`~]{3,}[^\n]*$|^\+\+\+[^\n]*$"  # labels, comments, fences
    r"|\{[\w:.-]+\}(?=`)|<[^>\n]*>|\]\([^)]*\)",  # names of roles, targets of links
    re.S | re.M,
)
WORD = re.compile(r"[^\W\d_][\w'’-]*")


def front_matter(text: str) -> dict:
    found = FRONT_MATTER.match(text)
    return yaml.safe_load(found[1]) or {} if found else {}


def is_notebook(text: str) -> bool:
    return "kernelspec" in front_matter(text)


def prose_words(text: str) -> int:
    """Words of a chapter's prose: without code, formulas, options, targets of links or solutions."""
    lines = FRONT_MATTER.sub("", strip_solutions(text)).split("\n")
    for first, last, directive, _ in blocks(lines):
        if directive in VERBATIM:
            lines[first : last + 1] = [""] * (last + 1 - first)
    return len(WORD.findall(NOT_PROSE.sub(" ", "\n".join(lines))))


def minutes_to_read(words: int) -> int:
    return max(1, round(words / WORDS_PER_MINUTE))


def facts_sentence(words: int, seconds: float | None, threads: str) -> str:
    reading = f"About {minutes_to_read(words)} minutes to read"
    if seconds is None:
        return f"{reading}."
    return (
        f"{reading}; its code ran in {max(1, round(seconds))} s on {threads} thread{'s' * (threads != '1')}."
    )


class FactsNode(nodes.paragraph):
    """Stands where the sentence goes until the page's execution is known."""


class ChapterFacts(SphinxDirective):
    """Minutes to read and measured seconds to run of the chapter it stands in."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        return [FactsNode(classes=["chapter-facts"])]


def fill_in(app: Sphinx, document: nodes.document) -> None:
    docname = app.env.docname
    record = execution_record(app.env, docname)
    with open(app.env.doc2path(docname), encoding="utf8") as source:
        words = prose_words(source.read())
    for node in list(document.findall(FactsNode)):
        seconds = record["runtime"] if record and record["succeeded"] else None
        sentence = facts_sentence(words, seconds, kernel_threads())
        node.replace_self(nodes.paragraph("", sentence, classes=["chapter-facts"]))


def setup(app: Sphinx) -> None:
    app.add_directive("chapter-facts", ChapterFacts)
    app.connect("doctree-read", fill_in)
