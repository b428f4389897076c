"""What a chapter's cross references say when there is no Sphinx to resolve them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import yaml
from pybtex.database import BibliographyData, Entry, parse_file
from pybtex.textutils import abbreviate

from .facts import FRONT_MATTER
from .numbers import Numbers
from .plain import ENUMERATED, LABEL_LINE, LABELED_MATH, Book, enumerated_title, split_options
from .solutions import VERBATIM, blocks, cell_metadata

VENUES = ("journal", "booktitle", "publisher", "howpublished")
HEADING = re.compile(r"^#{1,6}\s+(?P<title>.*?)\s*(\{[^}]*\})?$")


def toc_pages(root: Path) -> list[str]:
    """The pages of _toc.yml in order, as paths from the root without their suffix."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
    chapters = [entry for part in toc.get("parts", [toc]) for entry in part.get("chapters", [])]
    return [toc["root"], *(entry["file"] for entry in chapters)]


def source_file(root: Path, page: str) -> Path:
    return root / f"{page.removesuffix('.md')}.md"


def directives(lines: list[str]) -> Iterator[tuple[str, str, list[str]]]:
    """Each directive of a text (name, argument, body), the outer before those within it."""
    for first, last, name, argument in blocks(lines):
        body = lines[first + 1 : last]
        if name:
            yield name, argument, body
        if name not in VERBATIM:
            yield from directives(body)


def headings(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Each heading that a `(label)=` line stands above, and the page's first heading under the label ''."""
    label, first = "", True
    for line in lines:
        found = HEADING.match(line)
        if found and (label or first):
            yield label, found["title"]
        first = first and not found
        if line.strip():
            named = LABEL_LINE.match(line)
            label = named["label"] if named else ""


class Labels(NamedTuple):
    """What a page's labels are called in a sentence."""

    title: str
    sections: dict[str, str]  # label -> “heading”
    boxes: dict[str, str]  # label -> Theorem 6.2, Figure 6.1, Exercise 6.3
    equations: dict[str, str]  # label -> 6.4


def read_labels(page: str, text: str, numbers: Numbers) -> Labels:
    """The labels of a page's text; `numbers` has counted the pages before it."""
    lines = FRONT_MATTER.sub("", text).split("\n")
    title, sections, boxes, equations = "", {}, {}, {}
    for label, heading in headings(lines):
        if label:
            sections[label.lower()] = f"“{heading}”"
        title = title or heading
    for name, _, body in directives(lines):
        options = cell_metadata(body) if name == "code-cell" else split_options(body)[0]
        if name == "code-cell":
            kind, options = "figure", options.get("mystnb", {}).get("figure", {})
            if not options:
                continue
        else:
            kind = name.removesuffix("-start")
        if kind == "figure" or kind in ENUMERATED:
            number = numbers.next(kind, page)
            label = options.get("name") or options.get("label")
            if label:
                boxes[label.lower()] = enumerated_title(kind, number, "")
    for found in re.finditer(rf"{LABELED_MATH.pattern}|\{{math\}}[^\n]*\n:label:\s*(?P<named>\S+)", text):
        equations[found["label"] or found["named"]] = numbers.next("equation", page)
    return Labels(title, sections, boxes, equations)


def short_authors(entry: Entry) -> str:
    names = [
        " ".join([*person.prelast_names, *person.last_names]) for person in entry.persons.get("author", [])
    ]
    names = [re.sub(r"[{}]", "", name) for name in names] or [entry.fields.get("title", "")]
    return " and ".join(names) if len(names) < 3 else f"{names[0]} et al."


def full_entry(entry: Entry) -> str:
    people = entry.persons.get("author", [])
    names = []
    for person in people:
        initials = [abbreviate(name) for name in [*person.first_names, *person.middle_names]]
        names.append(" ".join([*initials, *person.prelast_names, *person.last_names]))
    fields = entry.fields
    venue = next(
        (fields[key] for key in ("journal", "booktitle", "publisher", "howpublished") if key in fields), ""
    )
    number = f"arXiv {fields['eprint']}" if "eprint" in fields else ""
    parts = [", ".join(names), fields.get("title", ""), venue, number, fields.get("year", "")]
    return re.sub(r"[{}]", "", ". ".join(part for part in parts if part)) + "."


def read_citations(root: Path) -> dict[str, tuple[str, str, str]]:
    path = root / "book" / "references.bib"
    data = parse_file(str(path)) if path.exists() else BibliographyData()
    return {
        key: (short_authors(entry), entry.fields.get("year", ""), full_entry(entry))
        for key, entry in data.entries.items()
    }


def read_values(executed: Path) -> dict[str, str]:
    """The glued values of an executed chapter (MyST-NB writes them beside its notebook), as text."""
    if not executed.exists():
        return {}
    values = {}
    for name, output in json.loads(executed.read_text(encoding="utf8")).items():
        text = output.get("data", {}).get("text/plain")
        if text is not None:
            values[name] = str(text).strip("'\"")
    return values


def read_book(root: Path, page: str, executed: Path, facts: str) -> Book:
    """All that the chapter `page` may refer to."""
    book = Book(source_file(root, page), page, facts, citations=read_citations(root))
    numbers = Numbers()
    for other in toc_pages(root):
        if not source_file(root, other).exists():
            continue
        read = read_labels(other, source_file(root, other).read_text(encoding="utf8"), numbers)
        book.titles[other.split("/")[-1]] = read.title
        where = "" if other == page else f" in “{read.title}”"
        book.labels.update({label: f"{text}{where}" for label, text in read.sections.items()})
        book.labels.update(read.boxes)
        book.equations.update(read.equations)
    book.values = read_values(executed)
    return book
