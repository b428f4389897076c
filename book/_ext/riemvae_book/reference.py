"""The reference: a page for each room of the core, from its docstrings; a name without one stops the build.

`{eval-rst}` pages hold one directive each: `.. room:: balls` documents what the door of a room lists and the
modules that the room offers whole, `.. public-names::` is the table of all.
"""

import inspect
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from .docstrings import Writer, first_sentence, read_terms
from .names import GROUND, PACKAGE, Name, Names, short
from .signatures import Signatures, show_shapes, spans_for_parameters
from .uses import PAGES, names_of

LOGGER = logging.getLogger(__name__)


class Reference(SphinxDirective):
    """What both directives need: the names, and reStructuredText that becomes nodes."""

    def names(self) -> Names:
        """The public names; the page is read again when a file of the core or the glossary changes."""
        names = names_of(self.env)
        for file in sorted((names.root / PACKAGE).rglob("*.py")):
            self.env.note_dependency(str(file))
        self.env.note_dependency(str(names.root / "book" / "glossary.md"))
        return names

    def parsed(self, lines: list[str], into: nodes.Element) -> nodes.Element:
        source = StringList(lines, self.get_source_info()[0])
        self.state.nested_parse(source, self.content_offset, into)
        return into


class Room(Reference):
    """All entries of a room: those of its door by the files that make them, then those of offered modules."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        names, room = self.names(), self.arguments[0]
        if room not in names.rooms:
            raise self.error(f"room must be one of {', '.join(names.rooms)}, got {room!r}")
        door, doc = f"{PACKAGE}.{room}", ""
        if room != GROUND:
            doc = names.module(door).doc
        modules = [door] if room != GROUND else []
        modules += [whole for whole, where in names.offered.items() if where == room]
        lines = [line for module in modules for line in (f".. py:module:: {module}", "")]
        intro = self.parsed([*lines, *Writer(names.root).lines(doc)], nodes.Element())
        groups: dict[tuple[str, str], list[Name]] = {}
        for one in names.all.values():
            if one.room == room:
                groups.setdefault((one.part_of, one.part_of or one.home), []).append(one)
        return [*intro.children, *(self.section(names, *key, group) for key, group in groups.items())]

    def section(self, names: Names, part_of: str, module: str, group: list[Name]) -> nodes.section:
        title = short(module).replace("_", " ").capitalize()
        section = nodes.section("", nodes.title("", title), ids=[f"file-{module}"])
        whole = [f".. py:module:: {module}", ""] if part_of and part_of not in names.offered else []
        self.parsed([*whole, *Writer(names.root).lines(names.module(module).doc)], section)
        for paragraph in section[1:]:
            paragraph["classes"].append("rv-of-file")
        return self.parsed([line for one in group for line in (*entry(names, one), "")], section)


def entry(names: Names, one: Name) -> list[str]:
    """The directive that documents a name; a value has no docstring, so its comment is its text."""
    if one.kind == "function":
        return [f".. autofunction:: {one.path}"]
    if one.kind == "class":
        return [f".. autoclass:: {one.path}", "   :members:", "   :special-members: __call__"]
    where, _, name = one.path.rpartition(".")
    head = [f".. py:data:: {name}", f"   :module: {where}", f"   :value: {one.value}", ""]
    text = Writer(names.root, read_terms(names.root)).lines(one.doc)
    return [*head, *(f"   {line}".rstrip() for line in text)]


class PublicNames(Reference):
    """A table of all public names: what each is in a sentence, and its room."""

    def run(self) -> list[nodes.Node]:
        names = self.names()
        lines = [".. list-table::", "   :header-rows: 1", "   :class: rv-names", "   :widths: auto", ""]
        lines += ["   * - Name", "     - What it is", "     - Room"]
        for one in sorted(names.all.values(), key=lambda one: one.short.lower()):
            sentence = Writer(names.root, links=False).inline(first_sentence(one.doc))
            room = f":doc:`{one.room} </{PAGES}{one.room}>`"
            lines += [f"   * - ``{one.path}``", f"     - {sentence}", f"     - {room}"]
        table = self.parsed(lines, nodes.Element())
        for row in list(table.findall(nodes.row))[1:]:
            shown = next(row.findall(nodes.literal))
            one = names.all[shown.astext()]
            target = {"refdomain": "py", "reftype": "obj", "reftarget": one.path, "refdoc": self.env.docname}
            link = addnodes.pending_xref("", nodes.literal("", one.short), refexplicit=True, **target)
            shown.replace_self(link)
        return table.children


# what autodoc is told


def signatures(app: Sphinx) -> Signatures:
    if not hasattr(app, "riemvae_signatures"):
        app.riemvae_signatures = Signatures(names_of(app.env))
    return app.riemvae_signatures


def write_signature(
    app: Sphinx, what: str, name: str, thing: Any, options: Any, arguments: str | None, returned: str | None
) -> tuple[str, str] | None:
    return signatures(app).of(what, thing)


def write_docstring(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    names = names_of(app.env)
    known = names.all[name].parameters if name in names.all else ()
    if not known and inspect.isroutine(thing):
        known = tuple(inspect.signature(thing).parameters)
    writer = Writer(names.root, read_terms(names.root), known)
    lines[:] = writer.lines("\n".join(lines))


def skip_fields(app: Sphinx, what: str, name: str, thing: Any, skip: bool, options: Any) -> bool | None:
    """A named tuple's fields stand in its signature; what Python says of them is only their number."""
    return True if type(thing).__name__ == "_tuplegetter" else None


def finish_signature(app: Sphinx, domain: str, kind: str, content: addnodes.desc_content) -> None:
    """Shapes without marks, and before a name how a reader gets at it."""
    signature = content.parent[0]
    if domain != "py" or not app.env.docname.startswith(PAGES):
        return
    show_shapes(signature)
    for link in signature.findall(addnodes.pending_xref):
        link["reftype"] = "obj"  # a type of the core may be a value, such as `Metric`
    one = names_of(app.env).all.get(signature["ids"][0]) if signature["ids"] else None
    name = next(signature.findall(addnodes.desc_name))
    if one is not None:
        prefix = one.import_path.removesuffix(one.short)
        signature.insert(signature.index(name), addnodes.desc_addname("", prefix))


def finish_page(app: Sphinx, page: str, template: str, context: dict, doctree: nodes.document | None) -> None:
    if page.startswith(PAGES):
        context["body"] = spans_for_parameters(context["body"])


# what stops a build


def lacking(names: Names, documented: set[str]) -> list[str]:
    """What is missing in the core's public names, each in a sentence."""
    found = []
    for path, one in names.all.items():
        if not one.doc:
            found.append(f"{path} has no {'comment (#: above it)' if one.kind == 'data' else 'docstring'}")
        elif one.kind != "data" and not one.has_example:
            found.append(f"{path} has no example (Example: with >>> at the end of its docstring)")
        if path not in documented:
            found.append(f"{path} is in no page of the reference (.. room:: {one.room})")
    return found


def check(app: Sphinx, env: BuildEnvironment) -> None:
    names = names_of(env)
    app.riemvae_lacking = lacking(names, set(env.get_domain("py").objects))
    for sentence in app.riemvae_lacking:
        LOGGER.warning("reference: %s", sentence, type="riemvae", subtype="reference")


def stop(app: Sphinx, exception: Exception | None) -> None:
    """A name that readers can't look up stops the build, warnings asked for or not."""
    if exception is None and getattr(app, "riemvae_lacking", None):
        raise ExtensionError(f"the reference lacks {len(app.riemvae_lacking)} things (see above)")


def find_core(app: Sphinx) -> None:
    """The core of this folder is documented, whatever else is installed."""
    sys.path.insert(0, str(Path(app.srcdir)))


def setup(app: Sphinx) -> None:
    app.setup_extension("sphinx.ext.autodoc")
    app.add_directive("room", Room)
    app.add_directive("public-names", PublicNames)
    app.connect("builder-inited", find_core)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("autodoc-process-docstring", write_docstring)
    app.connect("autodoc-skip-member", skip_fields)
    app.connect("object-description-transform", finish_signature)
    app.connect("html-page-context", finish_page)
    app.connect("env-check-consistency", check)
    app.connect("build-finished", stop, priority=950)
