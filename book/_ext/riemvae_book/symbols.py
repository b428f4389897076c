"""`{symbols}`: book/symbols.yml as the tables of the notation page."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FILE = Path("book") / "symbols.yml"


def read_symbols(root: Path) -> dict:
    """The groups of symbols and the letters of shapes that book/symbols.yml lists."""
    return yaml.safe_load((root / FILE).read_text(encoding="utf8"))


def chapter_page(root: Path, number: int) -> str:
    """The page of a chapter by its number, as a path from the root without its suffix."""
    found = sorted((root / "chapters").glob(f"{number:02d}_*.md"))
    if len(found) != 1:
        raise ValueError(f"first must be the number of a chapter in chapters/, got {number}")
    return found[0].relative_to(root).with_suffix("").as_posix()


def details(entry: dict, root: Path) -> str:
    """A symbol's name in the code, its shape and unit, and the chapter that introduces it."""
    parts = [f"`{entry[key]}`" for key in ("code", "shape") if key in entry]
    parts += [entry["unit"]] if "unit" in entry else []
    number = entry["first"]
    return " · ".join([*parts, f"{{doc}}`chapter {number} </{chapter_page(root, number)}>`"])


def table(caption: str, header: tuple[str, str], rows: list[tuple[str, str]]) -> Iterator[str]:
    """A two-column table in MyST Markdown; a cell may hold several paragraphs."""
    yield from (f":::{{list-table}} {caption}", ":header-rows: 1", ":widths: auto", "")
    for left, right in [header, *rows]:
        first, *rest = right.split("\n")
        yield from (f"* - {left}", f"  - {first}", *(f"    {line}".rstrip() for line in rest))
    yield from (":::", "")


def markdown(symbols: dict, root: Path) -> Iterator[str]:
    """The notation page's tables."""
    for group in symbols["groups"]:
        rows = [
            (f"${one['symbol']}$", f"{one['meaning']}\n\n{details(one, root)}") for one in group["symbols"]
        ]
        yield from table(group["title"], ("Symbol", "Meaning"), rows)
    letters = [(f"`{letter}`", meaning) for letter, meaning in symbols["letters"].items()]
    yield from table("Letters in shapes", ("Letter", "Meaning"), letters)


class Symbols(SphinxDirective):
    """Draws the tables; the page is read anew when the file has changed."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / FILE))
        try:
            lines = StringList(list(markdown(read_symbols(root), root)), str(root / FILE))
        except ValueError as wrong:
            raise self.error(f"{FILE}: {wrong}") from wrong
        tables = nodes.Element()
        self.state.nested_parse(lines, self.content_offset, tables)
        return tables.children


def setup(app: Sphinx) -> None:
    app.add_directive("symbols", Symbols)
