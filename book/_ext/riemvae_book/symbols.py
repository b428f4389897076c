"""`{symbols}`: book/symbols.yml as the tables of the notation page.

In book/notation.md the directive stands around the same tables in plain Markdown, for those who read the
source; `make notation` writes them there. On the built page the directive draws its own.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FILE, PAGE = Path("book") / "symbols.yml", Path("book") / "notation.md"
SHOWN = re.compile(r"(?<=^:::\{symbols\}\n).*?(?=^:::$)", re.M | re.S)


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
    for caption, rows in small_tables(symbols, root):
        yield from table(caption, ("Letter", "Meaning"), rows)


def small_tables(symbols: dict, root: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The tables of letters that are no symbols of the core: captions, and rows of letter and meaning."""
    yield "Letters in shapes", [(f"`{letter}`", meaning) for letter, meaning in symbols["letters"].items()]
    known = symbols["indices"] | symbols["others"]
    yield "Indices and constants", [(f"${letter}$", meaning) for letter, meaning in known.items()]
    for page, letters in symbols["local"].items():
        rows = [(f"${letter}$", meaning) for letter, meaning in letters.items()]
        if page.startswith("chapters/"):
            yield f"Letters of chapter {int(Path(page).name[:2])} alone", rows
        elif page.startswith("book/"):
            title = re.search(r"^# (.+)$", (root / page).read_text(encoding="utf8"), re.M)
            yield f"Letters of “{title[1]}” alone", rows


def plain(symbols: dict, root: Path) -> Iterator[str]:
    """The same tables in Markdown that any reader of the source shows."""
    for group in symbols["groups"]:
        yield from plain_head(group["title"], ("Symbol", "Meaning", "Code", "Shape", "Unit", "Chapter"))
        for one in group["symbols"]:
            code, shape = (f"`{one[key]}`" if key in one else "" for key in ("code", "shape"))
            link = f"[{one['first']}](../{chapter_page(root, one['first'])}.md)"
            yield plain_row(f"${one['symbol']}$", one["meaning"], code, shape, one.get("unit", ""), link)
        yield ""
    for caption, rows in small_tables(symbols, root):
        yield from plain_head(caption, ("Letter", "Meaning"))
        yield from (plain_row(*row) for row in rows)
        yield ""


def plain_head(caption: str, columns: tuple[str, ...]) -> list[str]:
    return [f"**{caption}**", "", plain_row(*columns), plain_row(*["---"] * len(columns))]


def plain_row(*cells: str) -> str:
    if any("|" in cell for cell in cells):
        raise ValueError(f"a cell of a table must hold no |, got {cells}")
    return f"| {' | '.join(cells)} |"


def symbols_shown(root: Path) -> str:
    """The tables that stand in the source of the notation page."""
    return SHOWN.search((root / PAGE).read_text(encoding="utf8"))[0]


def show(symbols: dict, root: Path) -> str:
    """The tables that should stand there."""
    return "\n".join(["", *plain(symbols, root)])


def main(root: Path = Path(".")) -> None:
    """Write the tables into the source of the notation page."""
    page, tables = (root / PAGE).read_text(encoding="utf8"), show(read_symbols(root), root)
    (root / PAGE).write_text(SHOWN.sub(lambda _: tables, page), encoding="utf8")


class Symbols(SphinxDirective):
    """Draws the tables; the page is read anew when the file has changed."""

    has_content = True

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
