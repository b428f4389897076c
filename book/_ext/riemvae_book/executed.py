"""A student notebook with the outputs that the book shows: nothing is executed for it.

A JupyterLab shows no SVG and runs no script of a notebook that it does not trust, and it trusts none
from elsewhere. So every drawing becomes
a picture that stands in the text, and a live figure its still picture.
"""

import base64
import re
from html import escape
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_output

from .elements import outermost

STILLS = Path("riemvae_core") / "figures" / "widgets" / "figures.css"
LABEL = re.compile(r'aria-label="([^"]*)"')
WIDTH = re.compile(r'viewBox="\S+ \S+ (\S+) \S+"')
CAPTION = re.compile(r"<figcaption>(.*?)</figcaption>", re.S)
PROLOG = re.compile(r"\A.*?(?=<svg)", re.S)  # an XML declaration has no place in a data address's text


def picture(svg: str, alt: str, width: str = "") -> str:
    """An svg element as an image on a white ground, with `alt` in HTML's spelling."""
    address = base64.b64encode(PROLOG.sub("", svg, count=1).encode()).decode()
    wide = f' width="{width}"' if width else ""
    return f'<img src="data:image/svg+xml;base64,{address}" alt="{alt}"{wide} style="background: white">'


def still_style(root: Path) -> str:
    """The rules of the figures' stylesheet that a still picture needs to stand by itself, in light colors."""
    css = (root / STILLS).read_text(encoding="utf8")
    palette = re.search(r"^:root \{.*?^\}", css, re.M | re.S)[0]
    rules = re.findall(r"^(?:\.rv-figure )?(\.rv-still .*)$", css, re.M)
    return "\n".join([palette, ".rv-still { fill: var(--rv-ink); font: 14px sans-serif; }", *rules])


def stills(html: str, style: str) -> str:
    """A live figure of a page as its still pictures and its caption; what has no drawing stays."""
    pictures = []
    for svg in outermost(html, "svg"):
        alone = svg.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
        alone = re.sub(r"(<svg[^>]*>)", rf"\1<style>{style}</style>", alone, count=1)
        named, box = LABEL.search(svg), WIDTH.search(svg)  # a still picture is as wide as what it shows
        pictures.append(picture(alone, named[1] if named else "", box[1] if box else ""))
    caption = CAPTION.search(html)
    return "\n".join([*pictures, f"<p>{caption[1]}</p>" if caption else ""]) if pictures else html


def readable(output: NotebookNode, alt: str, style: str) -> NotebookNode:
    """An output of the book as any notebook front end shows it, trusted or not."""
    data = output.get("data", {})
    if "image/svg+xml" in data:
        shown = picture(data["image/svg+xml"], escape(alt))
    elif "text/html" in data:
        shown = stills(data["text/html"], style)
    else:
        return output
    words = alt if "image/svg+xml" in data else "a live figure: run the cell"
    return new_output("display_data", {"text/html": shown, "text/plain": words})


def with_outputs(root: Path, cells: list[NotebookNode], ran: NotebookNode) -> None:
    """Give code cells the outputs that the book's executed notebook of the chapter, `ran`, has for them.

    Raises ValueError unless it has the same cells: then the chapter was changed after its last execution.
    """
    done = [cell for cell in ran.cells if cell.cell_type == "code"]
    if [cell.source for cell in cells] != [cell.source for cell in done]:
        raise ValueError("the chapter's code is not that of its last execution: run make book first")
    style = still_style(root)
    for number, (cell, shown) in enumerate(zip(cells, done, strict=True), 1):
        alt = shown.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        cell.execution_count = number
        cell.outputs = [readable(output, alt, style) for output in shown.outputs]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
