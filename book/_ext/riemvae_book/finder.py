"""What the search finds besides words: error messages as they are printed, boxes and terms by their names."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

from sphinx.application import Sphinx

from .messages import CORE, PAGE, messages, rooms
from .previews import read_previews

TITLE = re.compile(r'(?:<p class="admonition-title">|^<p><strong>)(.*?)(?:</strong>)?</p>', re.S)
TAG = re.compile(r"<[^>]+>")


def box_titles(outdir: Path) -> Iterator[tuple[str, str, str]]:
    """Page, anchor and title of each box and term, from the previews' files."""
    for path in sorted((outdir / "_static" / "previews").rglob("*.js")):
        page, shown = read_previews(path)
        for anchor, html in shown.items():
            if title := TITLE.search(html):
                yield page, anchor, " ".join(unescape(TAG.sub("", title[1])).split())


def write_finder(app: Sphinx, exception: Exception | None) -> None:
    if exception or app.builder.format != "html":
        return
    root, out = Path(app.srcdir), Path(app.outdir)
    listed = list(box_titles(out))
    if PAGE in app.env.found_docs and (root / CORE).is_dir():
        listed += [
            (PAGE, one.anchor, f"{one.kind}: {one.text}", one.where)
            for room in rooms(root)
            for one in messages(root, room)
        ]
    text = json.dumps(listed, ensure_ascii=False, separators=(",", ":"))
    (out / "_static" / "finder.js").write_text(f"__rvFinder({text});\n", encoding="utf8")


def setup(app: Sphinx) -> None:
    app.connect("build-finished", write_finder)
