"""The chapters' plots: drawn into the page, named for those who cannot see them, captioned for all."""

import json
from pathlib import Path

from docutils import nodes
from myst_nb.sphinx_ import SphinxNbRenderer
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from .svg import inline_svg

LOGGER = logging.getLogger(__name__)
RECORD = "application/papermill.record/"


def is_cell_output(node: nodes.Node) -> bool:
    while node.parent is not None:
        node = node.parent
        if isinstance(node, nodes.container) and node.get("nb_element") == "cell_code_output":
            return True
    return False


def caption_of(image: nodes.image) -> str:
    node = image.parent
    while node is not None and not isinstance(node, nodes.figure):
        node = node.parent
    return "" if node is None else "".join(part.astext() for part in node.findall(nodes.caption))


def read_palette(root: Path) -> dict:
    path = root / "book" / "_static" / "palette.json"
    return json.loads(path.read_text(encoding="utf8")) if path.exists() else {}


class InlineFigures(SphinxPostTransform):
    """Replace the <img> of a cell's SVG output by the drawing itself, and ask each figure for its texts."""

    default_priority = 20  # after MyST-NB has chosen one of a cell's outputs
    formats = ("html",)

    def run(self, **kwargs) -> None:
        root = Path(self.app.srcdir)
        palette = read_palette(root)
        outputs = [image for image in self.document.findall(nodes.image) if is_cell_output(image)]
        for number, image in enumerate(outputs, 1):
            label = image.get("alt", "").strip()
            if not label:
                self.complain(image, "a cell's figure has no alt text (mystnb: image: alt:)", "alt")
            if not caption_of(image):
                self.complain(image, "a cell's figure has no caption (mystnb: figure: caption:)", "caption")
            if image["uri"].endswith(".svg"):
                source = (root / image["uri"]).read_text(encoding="utf8")
                drawn = inline_svg(source, label, f"plot-{number}-", palette)
                image.replace_self(nodes.raw("", drawn, format="html"))

    def complain(self, image: nodes.image, message: str, subtype: str) -> None:
        cell = image.parent
        while cell.line is None and cell.parent is not None:
            cell = cell.parent
        LOGGER.warning(message, location=(self.env.docname, cell.line), type="riemvae", subtype=subtype)


def is_record(output: dict) -> bool:
    """Whether an output is a value glued for the text, which no page shows where it is made."""
    return bool(output.get("data")) and all(mime.startswith(RECORD) for mime in output["data"])


def keep_records_out(renderer: type[SphinxNbRenderer]) -> None:
    """Keep MyST-NB from making one more figure of the same name of each value that a figure's cell glues."""
    render = renderer._render_nb_cell_code_outputs

    def without_records(self, token, outputs):
        render(self, token, [output for output in outputs if not is_record(output)])

    if render.__name__ != without_records.__name__:
        renderer._render_nb_cell_code_outputs = without_records


def setup(app: Sphinx) -> None:
    keep_records_out(SphinxNbRenderer)
    app.add_post_transform(InlineFigures)
