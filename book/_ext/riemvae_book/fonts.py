"""The site's serif: taken from its package, cut down to the letters that the book may use, at build time."""

import hashlib
import importlib.metadata
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
PACKAGE = "fontpkg-literata"  # SIL Open Font License 1.1, without a reserved name
SERIF = "Literata[opsz,wght].ttf"
FILES = {SERIF: "serif.woff2", "Literata-Italic[opsz,wght].ttf": "serif-italic.woff2"}
# Latin, Greek, punctuation, and the few signs that stand in running text; formulas have MathJax's fonts
LETTERS = (*range(0x20, 0x180), *range(0x370, 0x400), *range(0x2010, 0x2060), 0x20AC)
SIGNS = (0x2190, 0x2192, 0x2202, 0x2212, 0x221E, 0x2248, 0x2260, 0x2264, 0x2265)
FEATURES = ["kern", "liga", "lnum", "tnum", "pnum", "ccmp", "locl", "mark", "mkmk"]
AXES = {"wght": (400, 700), "opsz": 12}  # one optical size: half the bytes of all of them


def packaged(name: str) -> Path:
    """A file of the font's package."""
    found = next(f for f in importlib.metadata.files(PACKAGE) or () if f.name == name)
    return Path(found.locate())


def cut(source: Path, target: Path) -> None:
    """Write a font with the book's letters and weights as woff2."""
    from fontTools import subset  # loaded only when there is something to cut
    from fontTools.ttLib import TTFont
    from fontTools.varLib import instancer

    font = TTFont(source)
    options = subset.Options()
    options.layout_features = FEATURES
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=LETTERS + SIGNS)
    cutter.subset(font)
    font = instancer.instantiateVariableFont(font, AXES)
    font.flavor = "woff2"
    font.save(target)


def copy_fonts(outdir: Path) -> None:
    """Put the two fonts and their license into the site, once for each version of package and choice."""
    target = outdir / "_static" / "fonts"
    chosen = f"{importlib.metadata.version(PACKAGE)} {LETTERS} {SIGNS} {FEATURES} {AXES}"
    key = hashlib.sha256(chosen.encode()).hexdigest()
    stamp = target / ".key"
    if stamp.exists() and stamp.read_text() == key:
        return
    LOGGER.info("cutting the serif down to the book's letters")
    target.mkdir(parents=True, exist_ok=True)
    for name, short in FILES.items():
        cut(packaged(name), target / short)
    (target / "LICENSE").write_bytes(packaged("LICENSE").read_bytes())
    stamp.write_text(key)


def write_fonts(app: Sphinx) -> None:
    style = Path(app.srcdir) / "book" / "_static" / "look.css"
    if app.builder.format == "html" and style.exists():  # a site without the style that names them needs none
        copy_fonts(Path(app.outdir))


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", write_fonts)
