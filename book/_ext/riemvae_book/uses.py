"""Code that the book names leads to its entry in the reference, and an entry leads back to the chapters."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from .facts import FRONT_MATTER
from .labels import directives
from .names import PACKAGE, Names
from .plain import split_options
from .questions import Html
from .solutions import strip_solutions

LITERAL = re.compile(r"(?<![`}\w])`([^`\n]+)`(?!`)")
FENCED = re.compile(r"^(`{3,}|~{3,}).*?^\1\s*$", re.S | re.M)
NO_LINKS = (nodes.reference, nodes.title, nodes.caption, addnodes.pending_xref, addnodes.desc_signature)
DEFINED = re.compile(r"(?:@.*\n)*(?:def|class) (\w+)")
PAGES = "book/reference/"


def names_of(env: BuildEnvironment) -> Names:
    """The core's public names, read once a build."""
    if not hasattr(env.app, "riemvae_names"):
        env.app.riemvae_names = Names(Path(env.srcdir))
    return env.app.riemvae_names


# the chapters' sources


def imports(tree: ast.AST) -> dict[str, str]:
    """The names by which a piece of code knows the core and what is in it."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {one.asname: one.name for one in node.names if one.asname and PACKAGE in one.name}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            found |= {(one.asname or one.name): f"{node.module}.{one.name}" for one in node.names}
    return found


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute, `a` of a name, else nothing."""
    if isinstance(node, ast.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr}" if left else ""
    return node.id if isinstance(node, ast.Name) else ""


def named_in_code(names: Names, cells: list[str]) -> Iterator[str]:
    """The paths of the public names that a chapter's code uses."""
    trees = [ast.parse(cell) for cell in cells]
    known = {"rc": PACKAGE}
    for tree in trees:
        known |= imports(tree)
    for node in (node for tree in trees for node in ast.walk(tree)):
        head, _, tail = dotted(node).partition(".")
        if head in known:
            spelled = f"{known[head]}.{tail}" if tail else known[head]
            path = names.spellings.get(spelled.replace(f"{PACKAGE}.", "rc.", 1)) or names.spellings.get(
                spelled
            )
        else:
            path = names.meaning(f"{head}.{tail}") if tail else None
        if path:
            yield path
    for path in known.values():
        if path in names.spellings:
            yield names.spellings[path]


def named_in(names: Names, text: str) -> set[str]:
    """The paths of the public names that a chapter uses or speaks of, its solutions left out."""
    text = strip_solutions(FRONT_MATTER.sub("", text))
    cells, found = [], set()
    for name, argument, body in directives(text.split("\n")):
        options, content = split_options(body)
        if name == "code-cell":
            cells.append("\n".join(content))
        elif name == "literalinclude" and "pyobject" in options:
            home = argument.partition(f"{PACKAGE}/")[2].removesuffix(".py").replace("/", ".")
            found.add(names.spellings.get(f"{PACKAGE}.{home}.{options['pyobject']}"))
    prose = FENCED.sub("", text)
    found |= {names.meaning(literal) for literal in LITERAL.findall(prose)}
    found |= set(named_in_code(names, cells))
    return {path for path in found if path}


def uses(env: BuildEnvironment) -> dict[str, list[str]]:
    """The chapters that use an entry, by its path, in order; a method counts for its class."""
    if not hasattr(env.app, "riemvae_uses"):
        names, found = names_of(env), {}
        for file in sorted(Path(env.srcdir).glob("chapters/[0-9]*.md")):
            page = f"chapters/{file.stem}"
            for path in named_in(names, file.read_text(encoding="utf8")) if page in env.found_docs else ():
                entry = names.entry(path)
                if entry and page not in found.setdefault(entry.path, []):
                    found[entry.path].append(page)
        env.app.riemvae_uses = found
    return env.app.riemvae_uses


def pages_to_write(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages of the reference, when chapters use other names than at the last build."""
    before, now = getattr(env, "riemvae_uses", None), uses(env)
    env.riemvae_uses = now
    return [] if before == now else [page for page in env.found_docs if page.startswith(PAGES)]


# the pages


def scope_of(node: nodes.Node) -> str:
    """The path of the entry, method or module that a node is part of."""
    while node is not None:
        if isinstance(node, addnodes.desc) and node[0].get("ids"):
            return node[0]["ids"][0]
        node = node.parent
    return ""


def may_link(node: nodes.Node) -> bool:
    while node is not None:
        if isinstance(node, NO_LINKS) or (isinstance(node, Html) and node["tag"] in ("label", "summary")):
            return False
        node = node.parent
    return True


def shown_source(names: Names, block: nodes.literal_block) -> str | None:
    """The path of the public name whose source a page shows, where it shows that of one."""
    file, first = Path(block.get("source", "")), DEFINED.match(block.astext())
    if not first or names.root / PACKAGE not in file.parents:
        return None
    home = ".".join(file.relative_to(names.root).with_suffix("").parts)
    return names.spellings.get(f"{home}.{first[1]}")


class LinkNames(SphinxPostTransform):
    """Make links of the inline code that names something public; end each entry with its chapters."""

    default_priority = 30
    formats = ("html",)

    def run(self, **kwargs) -> None:
        known = self.env.get_domain("py").objects
        for literal in list(self.document.findall(nodes.literal)):
            scope = scope_of(literal)
            path = names_of(self.env).meaning(literal.astext(), scope)
            if path in known and path != scope and may_link(literal):
                literal.replace_self(self.link(path, literal.deepcopy()))
        for block in list(self.document.findall(nodes.literal_block)):
            path = shown_source(names_of(self.env), block)
            if path in known:
                line = nodes.paragraph("", "Reference: ", classes=["rv-used-in"])
                line += self.link(path, nodes.literal("", names_of(self.env).all[path].import_path))
                outer = block.parent if isinstance(block.parent, nodes.container) else block
                outer.parent.insert(outer.parent.index(outer) + 1, line)
        if self.env.docname.startswith(PAGES):
            for entry in self.document.findall(addnodes.desc):
                self.end_with_chapters(entry)

    def link(self, path: str, shown: nodes.Node) -> nodes.reference:
        entry = self.env.get_domain("py").objects[path]
        return make_refnode(self.app.builder, self.env.docname, entry.docname, entry.node_id, shown)

    def end_with_chapters(self, entry: addnodes.desc) -> None:
        pages = uses(self.env).get(entry[0]["ids"][0]) if entry[0].get("ids") else None
        if not pages:
            return
        line = nodes.paragraph("", "Used in: ", classes=["rv-used-in"])
        for page in pages:
            number = int(re.search(r"/(\d+)_", page)[1])
            said = nodes.Text(f"chapter {number}")
            line += [make_refnode(self.app.builder, self.env.docname, page, "", said), nodes.Text(", ")]
        line.pop()
        entry[-1] += line


def setup(app: Sphinx) -> None:
    app.connect("env-updated", pages_to_write)
    app.add_post_transform(LinkNames)
