"""`{error-messages} room`: what the core says when it refuses, read from its source, to be searched."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

CORE = "riemvae_core"
PAGE = "book/messages"


class Message(NamedTuple):
    """An error's kind, its text with `...` for what differs, and the function that raises it."""

    kind: str
    text: str
    where: str
    anchor: str


def template(node: ast.expr) -> str:
    """The fixed words of a string, `...` for what is filled in; empty for what is no string."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(template(part) if isinstance(part, ast.Constant) else "..." for part in node.values)
    return ""


def raised(tree: ast.AST, inside: tuple[str, ...] = ()) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Each error's kind, its text and the names of the class and function around it."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.Raise) and isinstance(child.exc, ast.Call) and child.exc.args:
            text = " ".join(template(child.exc.args[0]).split())
            if sum(word.strip(".,") != "" for word in text.split()) >= 3:
                yield ast.unparse(child.exc.func).split(".")[-1], text, inside
        named = isinstance(child, ast.FunctionDef | ast.ClassDef)
        yield from raised(child, (*inside, child.name) if named else inside)


def messages(root: Path, room: str) -> list[Message]:
    """The messages of a room in alphabetical order, each once."""
    path = root / CORE / room
    files = sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]
    found: dict[str, tuple[str, str]] = {}
    for file in files:
        module = ".".join(file.relative_to(root / CORE).with_suffix("").parts).removesuffix(".__init__")
        for kind, text, inside in raised(ast.parse(file.read_text(encoding="utf8"))):
            found.setdefault(text, (kind, ".".join((module, *inside))))
    ordered = sorted(found, key=lambda text: text.lower().strip(". "))
    return [
        Message(found[text][0], text, found[text][1], f"{room}-{at}") for at, text in enumerate(ordered, 1)
    ]


def rooms(root: Path) -> list[str]:
    """The rooms of the core that refuse anything."""
    names = {
        path.stem for path in (root / CORE).iterdir() if path.suffix in ("", ".py") and path.stem[0] != "_"
    }
    return sorted(name for name in names if name.isidentifier() and messages(root, name))


class ErrorMessages(SphinxDirective):
    """A room's messages, each under an address of its own."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        listed = nodes.bullet_list(classes=["rv-messages"])
        for kind, text, where, anchor in messages(root, self.arguments[0]):
            item = nodes.list_item(ids=[anchor])
            item += nodes.paragraph("", "", nodes.literal("", f"{kind}: {text}"))
            item += nodes.paragraph("", where, classes=["rv-where"])
            listed += item
        return [listed]


def setup(app: Sphinx) -> None:
    app.add_directive("error-messages", ErrorMessages)
