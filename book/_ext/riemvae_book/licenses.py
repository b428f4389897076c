"""What the site copies from others: `{licenses}` shows book/licenses.yml, the build copies the texts."""

import importlib.metadata
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

FILE, COPIED = Path("book") / "licenses.yml", Path("_static") / "licenses"
NAMES = ("LICENSE", "LICENSE.rst", "LICENSE.txt", "LICENSE.md", "COPYING")


def read_licenses(root: Path) -> list[dict]:
    """The entries of book/licenses.yml, the versions of those that are packages filled in."""
    entries = yaml.safe_load((root / FILE).read_text(encoding="utf8"))
    for entry in entries:
        if "package" in entry and "npm" not in entry:
            entry["version"] = importlib.metadata.version(entry["package"])
    return entries


def text_name(entry: dict) -> str:
    return "".join(c if c.isalnum() else "-" for c in entry["name"].lower()) + ".txt"


#: what the build itself writes: figures and weights, texts of licenses, previews, cards, names to find
MADE = ("riemvae/", "licenses/", "previews/", "cards/", "finder.js")


def license_text(entry: dict, root: Path) -> str | None:
    """An entry's license in full; None where the license asks for a link alone (CC BY 4.0)."""
    wanted = entry.get("text")
    if wanted == "MIT":
        terms = (root / "LICENSE").read_text(encoding="utf8")
        return f"MIT License\n\n{entry['copyright']}\n\n{terms[terms.index('Permission is') :]}"
    if "package" not in entry:
        return (root / wanted).read_text(encoding="utf8") if wanted else None
    files = importlib.metadata.files(entry["package"]) or []
    for file in files:
        if file.as_posix().endswith(wanted) if wanted else file.name in NAMES:
            return Path(file.locate()).read_text(encoding="utf8")
    raise FileNotFoundError(f"{FILE}: {entry['package']} brings no license for {entry['name']}")


def unlisted(static: Path, own: set[str], entries: list[dict]) -> list[str]:
    """The files of a site's _static that are neither the book's own nor matched by an entry."""
    patterns = [pattern for entry in entries for pattern in entry["files"]]
    names = (path.relative_to(static).as_posix() for path in sorted(static.rglob("*")) if path.is_file())
    strangers = (name for name in names if name not in own and not name.startswith(MADE))
    return [name for name in strangers if not any(fnmatchcase(name, pattern) for pattern in patterns)]


def table(entries: list[dict], root: Path, page: str) -> Iterator[str]:
    """The entries as a table in MyST Markdown."""
    up = "../" * page.count("/")
    yield from ("| What | Version | License | Whose |", "|---|---|---|---|")
    for entry in entries:
        terms = entry["license"]
        if license_text(entry, root):
            terms = f'<a href="{up}{COPIED.as_posix()}/{text_name(entry)}">{terms}</a>'
        package = entry.get("package")
        whose = entry.get("copyright") or ("in the text" if package or "text" in entry else "")
        brought = f", by `{package}`" if package and package != entry["name"].lower() else ""
        yield f"| {entry['name']}{brought} | {entry.get('version', '')} | {terms} | {whose} |"


class Licenses(SphinxDirective):
    """Draws the table; the page is read anew when the file has changed."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        self.env.note_dependency(str(root / FILE))
        lines = StringList(list(table(read_licenses(root), root, self.env.docname)), str(root / FILE))
        drawn = nodes.Element()
        self.state.nested_parse(lines, self.content_offset, drawn)
        return drawn.children


def copy_texts(app: Sphinx) -> None:
    root = Path(app.srcdir)
    if app.builder.format != "html" or not (root / FILE).exists():
        return
    folder = Path(app.outdir) / COPIED
    folder.mkdir(parents=True, exist_ok=True)
    for entry in read_licenses(root):
        if text := license_text(entry, root):
            (folder / text_name(entry)).write_text(text, encoding="utf8")


def setup(app: Sphinx) -> None:
    app.add_directive("licenses", Licenses)
    app.connect("builder-inited", copy_texts)
