"""One source, two hosts: a figure's ES modules as a page's classic script or as a notebook's one module."""

import base64
import html
import json
import os
import re
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from riemvae_core.figures.widgets.assets import asset, asset_names, unpack

HERE = Path(__file__).parent
JS = HERE / "js"
FIGURES = (
    "points_and_balls", "packing", "broken_contract", "metric_field", "walking_chains", "voronoi",
    "three_paths", "own_latents", "bound", "particles", "verdict",
)  # fmt: skip
IMPORT = re.compile(r'^import\s[^;]*?from\s+"([^"]+)";\n', re.M)
EXPORT_DEFAULT = re.compile(r"^export default .*;\n", re.M)
EXPORT = re.compile(r"^export (?=async |function\b|const |let |class )", re.M)


def in_book() -> bool:
    """Whether a build of the book is running, so that figures must stand without a kernel."""
    return "RIEMVAE_BOOK" in os.environ


def sources(figure: str) -> list[Path]:
    """A figure's modules, each after those that it imports, its own last."""
    if figure not in FIGURES:
        raise ValueError(f"figure must be one of {', '.join(FIGURES)}, got {figure!r}")
    ordered: dict[Path, None] = {}

    def visit(path: Path) -> None:
        if path not in ordered:
            for imported in IMPORT.findall(path.read_text(encoding="utf8")):
                visit((path.parent / imported).resolve())
            ordered[path] = None

    visit((JS / "figures" / f"{figure}.js").resolve())
    return list(ordered)


def joined_source(figure: str) -> str:
    """A figure's modules as one text without import and export."""
    texts = [path.read_text(encoding="utf8") for path in sources(figure)]
    return "\n".join(EXPORT.sub("", EXPORT_DEFAULT.sub("", IMPORT.sub("", text))) for text in texts)


def notebook_module(figure: str) -> str:
    """The figure as the one ES module that a notebook imports."""
    return joined_source(figure) + "\nexport default { render };\n"


def page_script(figure: str) -> str:
    """The figure as a classic script, which also runs from ``file://``."""
    return f"(() => {{\n{joined_source(figure)}\n__rv.define({json.dumps(figure)}, mount, unpack);\n}})();\n"


def stylesheet() -> str:
    """The figures' own stylesheet, palette included."""
    return (HERE / "figures.css").read_text(encoding="utf8")


def asset_script(name: str) -> str:
    """An asset as a classic script: deflated, each array as planes of bytes, a fifth lighter than plain."""
    packed = asset(name)
    planes = [a[..., None].view("u1").reshape(-1, a.itemsize).T.tobytes() for a in unpack(packed).values()]
    data = base64.b64encode(zlib.compress(b"".join(planes), 9)).decode()
    return f"__rv.asset({json.dumps(name)}, {json.dumps(packed.header)}, {json.dumps(data)});\n"


def write_static(outdir: Path) -> None:
    """Write what pages load for their figures: a script for each figure and asset, and the stylesheet.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     widgets.write_static(Path(folder))
        ...     "voronoi.js" in {path.name for path in Path(folder).iterdir()}
        True
    """
    outdir = Path(outdir)
    outdir.mkdir(parents=True, exist_ok=True)
    for figure in FIGURES:
        (outdir / f"{figure}.js").write_text(page_script(figure), encoding="utf8")
    for name in asset_names():
        (outdir / f"{name}.js").write_text(asset_script(name), encoding="utf8")
    (outdir / "figures.css").write_text(stylesheet(), encoding="utf8")


def live_assets(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Assets as a notebook's widget carries them."""
    return {name: asset(name)._asdict() for name in dict.fromkeys(names)}


def captions(see: str, try_this: str) -> dict[str, str]:
    """The two sentences of a caption, checked."""
    for name, value in (("see", see), ("try_this", try_this)):
        if not isinstance(value, str):
            raise ValueError(f"{name} must be a sentence (str), got {value!r}")
    return {"see": see, "try_this": try_this}


def caption_html(see: str, try_this: str) -> str:
    """The two sentences as a figure's caption; they are plain text."""
    lines = [f"<b>{name}</b> {html.escape(t)}" for name, t in (("See.", see), ("Try.", try_this)) if t]
    return f"<figcaption>{' '.join(lines)}</figcaption>"


class StaticFigure:
    """A figure in a build of the book: an element and a still picture of its first state, no widget state."""

    def __init__(self, module: str, props: dict[str, Any], still: str, caption: dict[str, str]) -> None:
        self.module, self.props, self.still, self.caption = module, props, still, caption

    def _repr_html_(self) -> str:
        props = html.escape(json.dumps(self.props), quote=True)
        return (
            f'<figure class="rv-figure" data-rv-module="{self.module}" data-rv-props="{props}">{self.still}'
            "<noscript><p>Scripts are off, so this is a still picture of its first state.</p></noscript>"
            f"{caption_html(**self.caption)}</figure>"
        )


class LiveFigure(anywidget.AnyWidget):
    """What every figure in a notebook carries; a figure adds its module, ``_esm``, and its traits."""

    _css = stylesheet()
    _props = traitlets.Dict().tag(sync=True)
    _assets = traitlets.Dict().tag(sync=True)

    def __init__(self, props: dict[str, Any], names: Iterable[str], **start: Any) -> None:
        super().__init__(_props=props, _assets=live_assets(names), **start)


def figure(
    module: str,
    widget: Callable[[dict[str, Any]], LiveFigure],
    props: dict[str, Any],
    still: Callable[[], str],
    see: str,
    try_this: str,
) -> StaticFigure | LiveFigure:
    """A figure for where it is asked for: with its still picture in a book, as a widget in a notebook."""
    caption = captions(see, try_this)
    return StaticFigure(module, props, still(), caption) if in_book() else widget(props | caption)
