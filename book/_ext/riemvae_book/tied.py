"""A formula keeps the marks that touch it on its line: a browser may break between it and its full stop."""

import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

OPENS = re.compile(r"[(\[“‘\"'-]+\Z")
CLOSES = re.compile(r"[.,;:?!)\]”’\"'%-]+")


def touching(formula: nodes.math) -> tuple[str, str]:
    """The marks right before and right after an inline formula."""
    siblings, at = formula.parent.children, formula.parent.index(formula)
    before = siblings[at - 1] if at else None
    after = siblings[at + 1] if at + 1 < len(siblings) else None
    opens = OPENS.search(before.astext()) if isinstance(before, nodes.Text) else None
    closes = CLOSES.match(after.astext()) if isinstance(after, nodes.Text) else None
    return opens[0] if opens else "", closes[0] if closes else ""


def tie(formula: nodes.math) -> None:
    """Put an inline formula and the marks that touch it into one span that does not break."""
    opens, closes = touching(formula)
    if not opens + closes:
        return
    parent, at = formula.parent, formula.parent.index(formula)
    if opens:
        parent[at - 1] = nodes.Text(parent[at - 1].astext()[: -len(opens)])
    if closes:
        parent[at + 1] = nodes.Text(parent[at + 1].astext()[len(closes) :])
    parent[at] = span = nodes.inline(classes=["rv-tied"])
    span += [nodes.Text(opens), formula, nodes.Text(closes)]


class TieMarks(SphinxPostTransform):
    """Tie each inline formula of a page."""

    default_priority = 850
    formats = ("html",)

    def run(self, **kwargs) -> None:
        for formula in list(self.document.findall(nodes.math)):
            tie(formula)


def setup(app: Sphinx) -> None:
    app.add_post_transform(TieMarks)
