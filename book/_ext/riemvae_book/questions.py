"""`{question}`: choose an answer, check it, read why; nothing is scored, nothing stored."""

import re
from textwrap import dedent
from typing import NamedTuple

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from .solutions import blocks

ANSWER = re.compile(r"^[-*] \[(?P<mark>[ xX])\] +(?P<text>\S.*)$")
VERDICTS = {True: "Right.", False: "Not this one."}


class Part(NamedTuple):
    """Some lines of a question's source, and where they begin in it."""

    lines: list[str]
    at: int


class Answer(NamedTuple):
    """One answer to choose, whether it is right, and why."""

    right: bool
    text: Part
    why: Part


def part(lines: list[str], first: int, last: int) -> Part:
    """Lines `first` to `last`, without empty ones around them and without their common indentation."""
    while first < last and not lines[first].strip():
        first += 1
    return Part(dedent("\n".join(lines[first:last])).rstrip().split("\n"), first)


def read_answer(lines: list[str], first: int, last: int) -> Answer:
    item = ANSWER.match(lines[first])
    gap = next((at for at in range(first, last) if not lines[at].strip()), last)
    why = part(lines, gap, last)
    if not why.lines[0]:
        raise ValueError(f"an answer must be followed by its explanation, got none after {item['text']!r}")
    text = [item["text"], *(line.strip() for line in lines[first + 1 : gap])]
    return Answer(item["mark"] != " ", Part(text, first), why)


def read_question(lines: list[str]) -> tuple[Part, list[Answer]]:
    """A question's one paragraph and its answers."""
    starts = [at for at, line in enumerate(lines) if ANSWER.match(line)]
    if not 2 <= len(starts) <= 5:
        raise ValueError(f"a question must have 2 to 5 answers (- [ ] or - [x]), got {len(starts)}")
    asked = part(lines, 0, starts[0])
    if not asked.lines[0] or "" in asked.lines:
        raise ValueError("a question must be one paragraph, followed by an empty line and its answers")
    ends = [*starts[1:], len(lines)]
    answers = [read_answer(lines, first, last) for first, last in zip(starts, ends, strict=True)]
    right = sum(answer.right for answer in answers)
    if right != 1:
        raise ValueError(f"a question must have exactly one right answer (- [x]), got {right}")
    return asked, answers


def without_questions(text: str) -> str:
    """A chapter's text without its questions."""
    lines, kept, at = text.split("\n"), [], 0
    for first, last, directive, _ in blocks(lines):
        if directive == "question":
            kept += lines[at:first]
            at = last + 1
    return "\n".join(kept + lines[at:])


class Html(nodes.General, nodes.Element):
    """An HTML element: its tag's name and its attributes; one without an end tag is `empty`."""


def visit_html(translator, node: Html) -> None:
    empty = node.get("empty", False)
    translator.body.append(translator.starttag(node, node["tag"], "", empty, **node.get("attributes", {})))


def depart_html(translator, node: Html) -> None:
    if not node.get("empty", False):
        translator.body.append(f"</{node['tag']}>")


def html(tag: str, *children: nodes.Node, kind: str = "", **attributes) -> Html:
    classes = [kind] if kind else []
    return Html("", *children, tag=tag, classes=classes, attributes=attributes, empty=tag == "input")


class Question(SphinxDirective):
    """A fieldset of radio buttons; the explanations are folded until book/_static/questions.js takes over."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        try:
            asked, answers = read_question(list(self.content))
            name = f"question-{self.env.new_serialno('question') + 1}"
            legend = html("legend", nodes.strong("", "Question."), nodes.Text(" "), self.inline(asked))
            choices = [self.choice(answer, name) for answer in answers]
        except ValueError as wrong:
            raise self.error(str(wrong)) from wrong
        question = html("fieldset", legend, *choices, kind="rv-question")
        question["ids"] = [name]
        return [question]

    def choice(self, answer: Answer, name: str) -> Html:
        radio = html("input", type="radio", name=name, autocomplete="off")
        label = html("label", radio, self.inline(answer.text))
        why = self.parse(answer.why)
        if not isinstance(why[0], nodes.paragraph):
            raise ValueError("an explanation must begin with a sentence")
        why[0][:0] = [nodes.strong("", VERDICTS[answer.right]), nodes.Text(" ")]
        summary = html("summary", nodes.Text("Explanation"))
        return html("div", label, html("details", summary, html("div", *why)), kind="rv-answer")

    def parse(self, piece: Part) -> list[nodes.Node]:
        parsed = nodes.Element()
        lines = StringList(piece.lines, self.get_source_info()[0])
        self.state.nested_parse(lines, self.content_offset + piece.at, parsed)
        return parsed.children

    def inline(self, piece: Part) -> nodes.inline:
        """The content of what must be a single paragraph."""
        parsed = self.parse(piece)
        if len(parsed) != 1 or not isinstance(parsed[0], nodes.paragraph):
            raise ValueError(f"a question and its answers must be one paragraph each, got {piece.lines[0]!r}")
        return nodes.inline("", "", *parsed[0].children)


def setup(app: Sphinx) -> None:
    app.add_node(Html, html=(visit_html, depart_html))
    app.add_directive("question", Question)
