"""One id, one element: sphinx-proof and sphinx-exercise give the same ids to all of their boxes."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

SHARED = {"proof", "proof-content", "exercise-content", "solution-content"}


class DropSharedIds(SphinxPostTransform):
    """Take away the ids that name a kind of box, not a box; nothing links to them."""

    default_priority = 900

    def run(self, **kwargs) -> None:
        for node in self.document.findall(nodes.Element):
            if SHARED & set(node.get("ids", ())):
                node["ids"] = [name for name in node["ids"] if name not in SHARED]


def setup(app: Sphinx) -> None:
    app.add_post_transform(DropSharedIds)
