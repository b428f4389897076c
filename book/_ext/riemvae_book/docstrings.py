"""The core's docstrings, written for readers of the source, as reStructuredText for the reference.

A docstring is a sentence, paragraphs with `$...$` and ``code``, lines `name: what it is` for parameters, and,
last, `Example:` with doctests.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .names import EXAMPLE
from .solutions import blocks
from .symbols import chapter_page

TOKEN = re.compile(r"(?P<ticks>`+)(?P<code>.+?)(?P=ticks)|(?<!\\)\$(?P<math>[^$]+)\$", re.S)
CHAPTERS = re.compile(r"\bchapters?\s\d+(?:(?:,|,? and) \d+)*")
SPECIAL = re.compile(r"[\\*|_`]")
RAISES = re.compile(r"(?<=[.;:)]) (?=Raises [A-Z]\w+)")
SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[A-Z`$])")
AMBIGUOUS = {"code", "codes"}  # docstrings speak of programs too
PARAMETER = re.compile(r"(?P<names>\w+(?:(?:,? and |, )\w+)*): (?P<rest>.*)")


def read_terms(root: Path) -> list[tuple[str, ...]]:
    """The glossary's terms; those that share an explanation stand together, the first of them first."""
    path = root / "book" / "glossary.md"
    if not path.exists():
        return []
    lines, groups, before = path.read_text(encoding="utf8").split("\n"), [], ""
    for first, last, directive, _ in blocks(lines):
        for line in lines[first + 1 : last] if directive == "glossary" else []:
            if line and not line.startswith((" ", ":")):
                if before and not before.startswith((" ", ":")):
                    groups[-1] += (line.strip(),)
                else:
                    groups.append((line.strip(),))
            before = line
    return groups


@dataclass
class Writer:
    """Rewrites the docstring of one entry; a term of the glossary is linked where it is first used."""

    root: Path
    terms: list[tuple[str, ...]] = field(default_factory=list)
    parameters: tuple[str, ...] = ()
    links: bool = True

    def __post_init__(self) -> None:
        self.seen: set[tuple[str, ...]] = set()
        self.groups = {
            term.lower(): group for group in self.terms for term in group if term.lower() not in AMBIGUOUS
        }
        every = sorted(self.groups, key=len, reverse=True)
        words = "|".join(re.escape(term) for term in every)
        self.words = re.compile(rf"(?<![\w-])(?:{words})(?![\w-])", re.I) if words else None

    def lines(self, doc: str) -> list[str]:
        """A docstring as lines of reStructuredText, the example under a title of its own."""
        found = EXAMPLE.search(doc)
        text, example = (doc[: found.start()], doc[found.end() :]) if found else (doc, "")
        out = []
        for paragraph in re.split(r"\n\s*\n", text.strip("\n")):
            out += [*self.paragraph(paragraph.split("\n")), ""]
        if example:
            out += [".. rubric:: Example", "", *self.example(example)]
        return out

    def paragraph(self, lines: list[str]) -> Iterator[str]:
        """A paragraph, broken before what it raises; lines on parameters are a list of definitions."""
        text: list[str] = []
        names = ""
        for line in [*lines, None]:
            named = PARAMETER.fullmatch(line) if line is not None else None
            if named and not set(re.split(r",? and |, ", named["names"])) <= set(self.parameters):
                named = None
            ends = line is None or named or line.startswith(("- ", "Raises "))
            if ends and text:
                yield from self.item(names, " ".join(text)) if names else self.sentences(" ".join(text))
                text = []
            if line is None:
                return
            if named:
                names, line = named["names"], named["rest"]
            elif ends:
                names = ""
            text.append(line.strip())

    def sentences(self, text: str) -> Iterator[str]:
        for part in RAISES.split(text):
            bullet = part.startswith("- ")
            yield from (f"- {self.inline(part[2:])}" if bullet else self.inline(part), "")

    def item(self, names: str, text: str) -> Iterator[str]:
        first, *rest = RAISES.split(text)
        yield ", ".join(f"``{name}``" for name in re.split(r",? and |, ", names))
        yield from (f"   {self.inline(first)}", "")
        for part in rest:
            yield from self.sentences(part)

    def example(self, text: str) -> Iterator[str]:
        """Doctests as they are, without their indent; sentences between them as sentences."""
        body = [line.strip("\n") for line in text.strip("\n").split("\n")]
        indent = min((len(line) - len(line.lstrip()) for line in body if line.strip()), default=0)
        within = False
        for line in (line[indent:] for line in body):
            within = bool(line.strip()) and (within or line.startswith(">>>"))
            yield line if within else self.inline(line)
        yield ""

    def inline(self, text: str) -> str:
        out, at = [], 0
        for token in TOKEN.finditer(text):
            out.append(self.plain(text[at : token.start()]))
            math = token["math"]
            out.append(rf"\ :math:`{' '.join(math.split())}`\ " if math else rf"\ ``{token['code']}``\ ")
            at = token.end()
        return "".join([*out, self.plain(text[at:])])

    def plain(self, text: str) -> str:
        if not self.links:
            return SPECIAL.sub(r"\\\g<0>", text)
        out, at = [], 0
        for found in CHAPTERS.finditer(text):
            out += [self.with_terms(text[at : found.start()]), self.chapters(found[0])]
            at = found.end()
        return "".join([*out, self.with_terms(text[at:])])

    def chapters(self, text: str) -> str:
        if text.startswith("chapter "):
            number = int(text.split()[1])
            return rf"\ :doc:`{text} </{chapter_page(self.root, number)}>`\ "
        link = r"\\ :doc:`\g<0> </%s>`\\ "
        return re.sub(r"\d+", lambda n: n.expand(link % chapter_page(self.root, int(n[0]))), text)

    def with_terms(self, text: str) -> str:
        out, at = [], 0
        for found in self.words.finditer(text) if self.words else ():
            group = self.groups[found[0].lower()]
            if group in self.seen:
                continue
            self.seen.add(group)
            term = next(one for one in group if one.lower() == found[0].lower())
            out += [SPECIAL.sub(r"\\\g<0>", text[at : found.start()]), rf"\ :term:`{found[0]} <{term}>`\ "]
            at = found.end()
        return "".join([*out, SPECIAL.sub(r"\\\g<0>", text[at:])])


def first_sentence(doc: str) -> str:
    """What a docstring says first, on one line."""
    paragraph = " ".join(re.split(r"\n\s*\n", doc.strip())[0].split())
    return SENTENCE.split(paragraph)[0]
