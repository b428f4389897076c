"""MyST Markdown as plain Markdown, for notebook front ends that know nothing of MyST."""

import ast
import re
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from .numbers import Numbers, numbered_title
from .questions import VERDICTS, read_question
from .shown import without_example
from .solutions import blocks

ENUMERATED = ("exercise", "prf:theorem", "prf:lemma", "prf:definition", "prf:proposition", "prf:corollary")
NAMED_TITLES = (
    "note",
    "tip",
    "hint",
    "warning",
    "important",
    "caution",
    "attention",
    "seealso",
    "danger",
    "error",
)
ROLE = re.compile(r"\{(?P<role>[\w:.-]+)\}(?P<ticks>`+)(?P<text>.+?)(?P=ticks)", re.S)
TITLED = re.compile(r"^(?P<title>.*?)\s*<(?P<target>[^<>]+)>$", re.S)
CLOSING = re.compile(r"^ *(`{3,}|~{3,}|:{3,})\s*$")
TITLE = re.compile(r"^# (.+)$", re.M)
LABEL_LINE = re.compile(r"^\((?P<label>[^)\s]+)\)=\s*$")
LABELED_MATH = re.compile(r"\$\$(?P<body>(?:[^$]|\$(?!\$))+?)\$\$[ \t]*\((?P<label>[^)\s]+)\)")
DISPLAYED = re.compile(r"\$\$(.+?)\$\$", re.S)
ATTRIBUTES = re.compile(r"(?<=[\])`*])\{[.#][^}\n]*\}")
DOCUMENT_LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)\s#:]+\.md)(?P<anchor>#[^)\s]*)?\)")


@dataclass
class Book:
    """What a chapter's text refers to beyond itself: titles, labels' texts, citations, measured values."""

    chapter: Path
    page: str = ""
    facts: str = ""
    titles: dict[str, str] = field(default_factory=dict)  # page name -> its title
    labels: dict[str, str] = field(default_factory=dict)  # label -> how it is called in a sentence
    equations: dict[str, str] = field(default_factory=dict)  # label -> its number
    citations: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # authors, year, entry
    values: dict[str, str] = field(default_factory=dict)  # glued name -> its text
    cited: list[str] = field(default_factory=list)


def split_options(body: list[str]) -> tuple[dict, list[str]]:
    """A directive's options and its content."""
    if body and body[0].strip() == "---":
        end = next(i for i, line in enumerate(body[1:], 1) if line.strip() == "---")
        return yaml.safe_load("\n".join(body[1:end])) or {}, body[end + 1 :]
    options: dict = {}
    for at, line in enumerate(body):
        found = re.match(r"\s*:([\w-]+):\s*(.*)$", line)
        if not found:
            return options, body[at:]
        options[found[1]] = found[2]
    return options, []


def quoted(title: str, body: str) -> str:
    """A titled block as a quote.

    Its display formulas stand on one line each: of a longer one, front ends show the quote's marks.
    """
    body = DISPLAYED.sub(lambda found: f"$${' '.join(found[1].split())}$$", body)
    lines = [f"**{title}**", *(["", *body.strip("\n").split("\n")] if body.strip() else [])]
    return "\n".join(f"> {line}".rstrip() for line in lines)


def source_of(path: Path, name: str) -> str:
    """The source of the function, class or method `name` (`Class.method`) in a Python file."""
    text = path.read_text(encoding="utf8")
    node: ast.AST | None = ast.parse(text)
    for part in name.split("."):
        named = (
            n for n in ast.walk(node) if isinstance(n, ast.FunctionDef | ast.ClassDef) and n.name == part
        )
        node = next(named, None)
        if node is None:
            raise ValueError(f"pyobject must name a function or class of {path.name}, got {name!r}")
    return textwrap.dedent(ast.get_source_segment(text, node, padded=True) or "")


def enumerated_title(directive: str, number: str, title: str) -> str:
    kind = directive.split(":")[-1].capitalize()
    return f"{kind} {number} ({title})" if title else f"{kind} {number}"


class Plain:
    """Rewrites one chapter's Markdown cells in order; numbering goes on from cell to cell."""

    def __init__(self, book: Book):
        self.book = book
        self.numbers = Numbers()

    def number(self, kind: str) -> str:
        return self.numbers.next(kind, self.book.page)

    def cell(self, text: str) -> str:
        return re.sub(r"\n{3,}", "\n\n", self.lines(text.split("\n"))).strip("\n")

    def lines(self, lines: list[str]) -> str:
        out, at = [], 0
        for first, last, directive, argument in blocks(lines):
            out.append(self.prose("\n".join(lines[at:first])))
            closed = (
                last if re.match(r"^ *(`{3,}|~{3,}|:{3,})\s*$", lines[last]) and last > first else last + 1
            )
            if directive:
                out.append(self.directive(directive, argument, lines[first + 1 : closed]))
            elif lines[first].lstrip().startswith(":"):
                out.append(self.lines(lines[first + 1 : closed]))
            else:
                out.append("\n".join(lines[first : last + 1]))
            at = last + 1
        out.append(self.prose("\n".join(lines[at:])))
        return "\n".join(out)

    def directive(self, name: str, argument: str, body: list[str]) -> str:
        options, content = split_options(body)
        handler: Callable | None = getattr(self, "do_" + name.replace(":", "_").replace("-", "_"), None)
        if handler:
            return handler(argument, options, content)
        inner = self.lines(content)
        title = self.prose(argument)
        if name in ENUMERATED:
            return quoted(enumerated_title(name, self.number(name), title), inner)
        if name.startswith("prf:"):
            kind = name.removeprefix("prf:").capitalize()
            return quoted(f"{kind} ({title})" if title else kind, inner)
        return quoted(title or name.capitalize(), inner)

    # directives that are more than a titled block

    def do_math(self, argument: str, options: dict, content: list[str]) -> str:
        label = options.get("label")
        tag = f" \\tag{{{self.book.equations[label]}}}" if label in self.book.equations else ""
        return "$$\n" + "\n".join([argument, *content]).strip("\n") + tag + "\n$$"

    def do_code_block(self, argument: str, options: dict, content: list[str]) -> str:
        return "\n".join([f"```{argument}", *content, "```"])

    def do_literalinclude(self, argument: str, options: dict, content: list[str]) -> str:
        path = (self.book.chapter.parent / argument).resolve()
        code = (
            source_of(path, options["pyobject"]) if "pyobject" in options else path.read_text(encoding="utf8")
        )
        shown = without_example(code).strip("\n")
        return "\n".join([f"```{options.get('language', 'python')}", shown, "```"])

    def do_chapter_facts(self, argument: str, options: dict, content: list[str]) -> str:
        return f"*{self.book.facts}*"

    def do_exercise_start(self, argument: str, options: dict, content: list[str]) -> str:
        return f"**{enumerated_title('exercise', self.number('exercise'), self.prose(argument))}**\n"

    def do_solution_start(self, argument: str, options: dict, content: list[str]) -> str:
        return f"**Solution of {self.book.labels.get(argument, argument)}**"

    def do_exercise_end(self, argument: str, options: dict, content: list[str]) -> str:
        return ""

    do_solution_end = do_exercise_end

    def do_solution(self, argument: str, options: dict, content: list[str]) -> str:
        return quoted(f"Solution of {self.book.labels.get(argument, argument)}", self.lines(content))

    def do_question(self, argument: str, options: dict, content: list[str]) -> str:
        asked, answers = read_question(content)
        lines = [f"**Question.** {self.lines(asked.lines)}", ""]
        letters = [f"**{letter}**" for letter in "abcde"[: len(answers)]]
        for letter, answer in zip(letters, answers, strict=True):
            lines.append(f"- {letter}: {self.lines(answer.text.lines)}")
        lines += ["", "<details><summary><b>Show the explanations</b></summary>", ""]
        for letter, answer in zip(letters, answers, strict=True):
            lines += [f"{letter}: {VERDICTS[answer.right]} {self.lines(answer.why.lines)}", ""]
        return "\n".join([*lines, "</details>"])

    def do_figure(self, argument: str, options: dict, content: list[str]) -> str:
        return f"*{self.figure_caption(options.get('alt', ''), content)}*"

    def do_bibliography(self, argument: str, options: dict, content: list[str]) -> str:
        works = self.works_cited()
        self.book.cited.clear()
        return works

    def do_glue_text(self, argument: str, options: dict, content: list[str]) -> str:
        return self.value(argument)

    def do_margin_drawing(self, argument: str, options: dict, content: list[str]) -> str:
        return ""  # the drawing is of the page

    def do_margin(self, argument: str, options: dict, content: list[str]) -> str:
        return quoted(self.prose(argument) or "Aside", self.lines(content))

    def works_cited(self) -> str:
        """The list of works cited since the last such list."""
        entries = sorted({self.book.citations[key][2] for key in self.book.cited})
        return "\n".join(f"- {entry}" for entry in entries)

    def figure_caption(self, alt: str, content: list[str]) -> str:
        return f"Figure {self.number('figure')}. {self.lines(content).strip() or alt}"

    # prose

    def prose(self, text: str) -> str:
        kept = [x for x in text.split("\n") if not LABEL_LINE.match(x) and not x.startswith(("% ", "+++"))]
        text = "\n".join(kept)
        text = TITLE.sub(lambda found: f"# {numbered_title(self.book.page, found[1])}", text)
        text = LABELED_MATH.sub(self.tagged, text)
        text = ROLE.sub(self.role, text)
        text = DOCUMENT_LINK.sub(self.notebook_link, text)
        return ATTRIBUTES.sub("", text)

    def tagged(self, found: re.Match) -> str:
        number = self.book.equations.get(found["label"])
        return f"$${found['body'].rstrip()} \\tag{{{number}}}\n$$" if number else f"$${found['body']}$$"

    def notebook_link(self, found: re.Match) -> str:
        here = self.book.chapter.parent
        sibling = (here / found["target"]).resolve().parent == here.resolve()
        if not sibling:
            return found["text"]
        return f"[{found['text']}]({found['target'].removesuffix('.md')}.ipynb{found['anchor'] or ''})"

    def role(self, found: re.Match) -> str:
        name, text = found["role"], found["text"]
        titled = TITLED.match(text)
        title, target = (titled["title"], titled["target"]) if titled else ("", text)
        if name.startswith("cite"):
            return self.citation(name, text)
        if name == "glue:text":
            return self.value(text)
        if name == "math":
            return f"${text}$"
        if name == "eq":
            return f"({self.book.equations.get(target, target)})"
        if name == "doc":
            page = target.strip("/").split("/")[-1].removesuffix(".md")
            return title or self.book.titles.get(page, page)
        if name in ("ref", "numref", "prf:ref"):
            return title if title and "{" not in title and "%s" not in title else self.label(target)
        if name in ("sub", "sup"):
            return f"<{name}>{text}</{name}>"
        if name in ("term", "abbr", "dfn"):
            return title or text
        if name in ("kbd", "code", "file", "command", "samp"):
            return f"`{text}`"
        return title or f"`{target.lstrip('~.').split('.')[-1] if name.startswith('py:') else target}`"

    def label(self, target: str) -> str:
        return self.book.labels.get(target.lower(), target)

    def value(self, text: str) -> str:
        name, _, fmt = text.partition(":")
        if name not in self.book.values:
            return f"`{name}`"
        value = self.book.values[name]
        return format(float(value), fmt) if fmt else value

    def citation(self, role: str, text: str) -> str:
        entries = []
        for key in (part.strip() for part in text.split(",")):
            if key not in self.book.citations:
                raise ValueError(f"{{{role}}} must cite a key of book/references.bib, got {key!r}")
            self.book.cited.append(key)
            authors, year, _ = self.book.citations[key]
            entries.append(f"{authors} ({year})" if role.startswith("cite:t") else f"{authors}, {year}")
        return ", ".join(entries) if role.startswith("cite:t") else f"({'; '.join(entries)})"
