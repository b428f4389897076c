"""`{symbols}`: book/symbols.yml as the tables of the notation page."""

from collections.abc import Iterator
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FILE = Path("book") / "symbols.yml"
HEADER = ("Symbol", "In code", "Shape", "Meaning", "Unit", "First in")


def read_symbols(root: Path) -> dict:
    """The groups of symbols, the letters of shapes and the functions and constants of book/symbols.yml."""
    return yaml.safe_load((root / FILE).read_text(encoding="utf8"))


def literal(text: str) -> str:
    return f"`{text}`" if text else ""


def row(entry: dict) -> str:
    """One line of a Markdown table."""
    cells = (
        f"${entry['symbol']}$",
        literal(entry.get("code", "")),
        literal(entry.get("shape", "")),
        entry["meaning"],
        entry.get("unit", ""),
        f"{{ref}}`{entry['first']}`",
    )
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def markdown(symbols: dict) -> Iterator[str]:
    """The notation page's tables as MyST Markdown."""
    for group in symbols["groups"]:
        yield from (f":::{{table}} {group['title']}", "")
        yield f"| {' | '.join(HEADER)} |"
        yield "|" + " --- |" * len(HEADER)
        yield from map(row, group["symbols"])
        yield from ("", ":::", "")
    yield from (":::{table} Letters in shapes", "", "| Letter | Meaning |", "| --- | --- |")
    yield from (f"| `{letter}` | {meaning} |" for letter, meaning in symbols["letters"].items())
    yield from ("", ":::")


class Symbols(SphinxDirective):
    """Draws the tables; the page is read anew when the file has changed."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / FILE))
        lines = list(markdown(read_symbols(root)))
        parent = nodes.Element()
        self.state.nested_parse(StringList(lines, str(root / FILE)), self.content_offset, parent)
        return parent.children


def setup(app: Sphinx) -> None:
    app.add_directive("symbols", Symbols)
