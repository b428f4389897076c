"""Pages with the live figures and nothing else: what the browser's tests and the frame benchmark open."""

import os
import shutil
from pathlib import Path

from riemvae_core.figures import widgets

STATIC = Path(__file__).resolve().parents[1] / "_static"
PAGE = """<!doctype html>
<html lang="en" data-theme="light">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>The live figures</title>
<link rel="stylesheet" href="_static/riemvae.css">
<script src="_static/rv_loader.js"></script>
<link rel="icon" href="data:,">
<style>
body {{ max-width: 48rem; margin: 0 auto; padding: 0 1rem; font-family: sans-serif; }}
body {{ background: var(--rv-ground); }}
</style>
</head>
<body><main><h1 style="color: var(--rv-ink)">The live figures</h1>{figures}</main></body>
</html>
"""


PAGES = {
    "index": lambda: [
        widgets.points_and_balls(see="Two planes.", try_this="Drag the handle."),
        widgets.packing(see="240 balls.", try_this="Move one."),
        widgets.points_and_balls(("fashion-vae-2d",), see="One plane.", try_this="Drag."),
    ],
    "bound": lambda: [
        widgets.bound(see="A bound.", try_this="Drag q."),
    ],
    "contract": lambda: [
        widgets.broken_contract(see="One ball.", try_this="Leave it."),
    ],
    "codes": lambda: [
        widgets.voronoi(see="Codes and their cells.", try_this="Drag a code."),
    ],
    "fields": lambda: [
        widgets.metric_field(see="The field of a metric.", try_this="Drag the point."),
        widgets.walking_chains(see="The same field.", try_this="Press play."),
    ],
    "particles": lambda: [
        widgets.particles(see="Particles on their way.", try_this="Drag the frame."),
        widgets.particles(see="A crowd without a center.", try_this="Read the last frame.", world="ring"),
    ],
    "paths": lambda: [
        widgets.three_paths(see="Three paths.", try_this="Drag an end."),
    ],
    "verdict": lambda: [
        widgets.verdict(see="Laws in a cell.", try_this="Click on a law."),
    ],
    "own": lambda: [
        widgets.own_latents(see="Balls of a shipped model.", try_this="Drop your own."),
    ],
}


def write_figure_page(outdir: Path) -> Path:
    """Write a page for each of PAGES, and all that they load, below ``outdir``; the path of the first."""
    before = os.environ.get("RIEMVAE_BOOK")
    os.environ["RIEMVAE_BOOK"] = "1"
    try:
        shown = {name: "\n".join(f._repr_html_() for f in figures()) for name, figures in PAGES.items()}
    finally:
        if before is None:
            del os.environ["RIEMVAE_BOOK"]
        else:
            os.environ["RIEMVAE_BOOK"] = before
    widgets.write_static(outdir / "_static" / "riemvae")
    for name in ("rv_loader.js", "riemvae.css"):
        shutil.copyfile(STATIC / name, outdir / "_static" / name)
    for name, figures in shown.items():
        (outdir / f"{name}.html").write_text(PAGE.format(figures=figures), encoding="utf8")
    return outdir / "index.html"
