"""The chapters' plots: drawn into the page, named for those who cannot see them, captioned for all."""

import json
from pathlib import Path

import myst_nb.sphinx_
from docutils import nodes
from myst_nb.sphinx_ import SphinxNbRenderer
from myst_parser.mdit_to_docutils.base import token_line
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


def is_picture(output: dict) -> bool:
    return any(mime.startswith("image/") for mime in output.get("data", {}))


class FigureRenderer(SphinxNbRenderer):
    """MyST-NB makes a figure of every output of a figure's cell; this one makes one, of its picture."""

    def _render_nb_cell_code_outputs(self, token, outputs):
        outputs = [output for output in outputs if not is_record(output)]
        if "figure" in token.meta["metadata"].get("mystnb", {}) and any(map(is_picture, outputs)):
            rest = [output for output in outputs if "data" in output and not is_picture(output)]
            if rest:
                where = (self.sphinx_env.docname, token_line(token, 0))
                message = (
                    "a figure's cell shows something besides its figure: end its last line with a semicolon"
                )
                LOGGER.warning(message, location=where, type="riemvae", subtype="output")
            outputs = [output for output in outputs if output not in rest]
        super()._render_nb_cell_code_outputs(token, outputs)


def setup(app: Sphinx) -> None:
    myst_nb.sphinx_.SphinxNbRenderer = FigureRenderer  # the parser takes its renderer from there
    app.add_post_transform(InlineFigures)
