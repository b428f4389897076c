"""One small drawing for each chapter, on its card and beside links to it: the figures' colors, no words."""

import io
from collections.abc import Callable
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Ellipse
from scipy.interpolate import CubicSpline
from scipy.spatial import Voronoi

from .fonts import SERIF, packaged
from .svg import inline_svg

WIDTH, HEIGHT = 16.0, 10.0  # a drawing's own units
INCHES = 0.1

DRAWINGS: dict[str, Callable[[Axes, dict], None]] = {}


def card(draw: Callable[[Axes, dict], None]) -> Callable[[Axes, dict], None]:
    """The drawing of a chapter's card, by its name."""
    DRAWINGS[draw.__name__] = draw
    return draw


def ball(ax: Axes, at, widths, color: str, angle: float = 0.0, alpha: float = 0.18) -> None:
    ax.add_patch(Ellipse(at, *widths, angle=angle, facecolor=(color, alpha), edgecolor=(color, 0.9), lw=0.9))


@card
def bound(ax: Axes, ink: dict) -> None:
    t = np.linspace(1, 15, 60)
    level, climbed = np.full_like(t, 8.2), 7.6 - 6.4 * np.exp(-(t - 1) / 3.2)
    ax.fill_between(t, climbed, level, color=ink["posterior"], alpha=0.18, lw=0)
    ax.plot(t, level, color=ink["ink"], lw=1.2)
    ax.plot(t, climbed, color=ink["posterior"], lw=1.6)


@card
def balls(ax: Axes, ink: dict) -> None:
    rng = np.random.default_rng(3)
    at = rng.normal(0, (1.35, 1.9), (26, 2)).clip(-2.9, 2.9)
    sizes = np.exp(rng.normal(-0.15, 0.45, (26, 2)))
    ax.scatter(*np.add(at, (4, 5)).T, s=7, color=ink["data"], lw=0)
    ax.plot([8, 8], [1, 9], color=ink["muted"], lw=0.7)
    for center, size in zip(np.add(at, (12, 5)), sizes, strict=True):
        ball(ax, center, size, ink["posterior"])


@card
def packing(ax: Axes, ink: dict) -> None:
    rng, placed = np.random.default_rng(0), []
    for _ in range(4000):  # each as large as its place allows
        x, y = rng.uniform(-4, 4, 2)
        room = min([4.3 - np.hypot(x, y), 1.3, *(np.hypot(x - a, y - b) - r for a, b, r in placed)])
        if room > 0.32:
            placed.append((x, y, room))
    ax.add_patch(Circle((8, 5), 4.3, fill=False, edgecolor=ink["prior"], lw=1.2))
    for x, y, r in placed:
        ball(ax, (8 + x, 5 + y), (2 * r, 2 * r), ink["posterior"])


@card
def contract(ax: Axes, ink: dict) -> None:
    t = np.linspace(1, 15, 90)
    ax.plot(t, 4.2 + 3.6 / (1 + np.exp(-(t - 10.8) * 2.4)), color=ink["ink"], lw=1.6)
    ax.plot(t, np.full_like(t, 2.2), color=ink["muted"], lw=0.7)
    for x, r in ((4.6, 2.6), (10.8, 0.62)):
        ball(ax, (x, 2.2), (2 * r, 1.7), ink["posterior"])
        for end in (x - r, x + r):
            ax.plot(
                [end, end],
                [2.2, 4.2 + 3.6 / (1 + np.exp(-(end - 10.8) * 2.4))],
                ":",
                color=ink["muted"],
                lw=0.8,
            )


@card
def cells(ax: Axes, ink: dict) -> None:
    rng = np.random.default_rng(8)
    at = (
        np.stack(np.meshgrid(np.arange(1.6, 16, 3.2), np.arange(1.6, 10, 3.2)), -1).reshape(-1, 2)
    ) + rng.uniform(-1, 1, (15, 2))
    found = Voronoi(np.concatenate([at, [(-30, 5), (46, 5), (8, -30), (8, 40)]]))
    for ridge in found.ridge_vertices:
        if -1 not in ridge:
            ax.plot(*found.vertices[ridge].T, color=ink["codes"], lw=0.9)
    ax.scatter(*at.T, s=14, color=ink["codes"], lw=0)


@card
def metric(ax: Axes, ink: dict) -> None:
    for x in np.arange(2, 15, 2):
        for y in np.arange(1.4, 9, 1.8):
            far = np.hypot((x - 8) / 6, (y - 5) / 4)
            size = 0.45 + 1.05 * min(far, 1.1)
            ball(
                ax,
                (x, y),
                (size, size * (0.45 + 0.5 * min(far, 1.1))),
                ink["prior"],
                np.degrees(np.arctan2(y - 5, x - 8)) + 90,
            )


@card
def chain(ax: Axes, ink: dict) -> None:
    rng = np.random.default_rng(5)
    angle = np.cumsum(rng.normal(0.32, 0.3, 21)) + 0.4
    radius = 1 + rng.normal(0, 0.09, 21)
    for r, alpha in ((1.3, 0.16), (1.15, 0.22)):
        ax.add_patch(Ellipse((8, 5), 10.5 * r, 6.4 * r, facecolor=(ink["prior"], alpha), lw=0))
    ax.add_patch(Ellipse((8, 5), 7.6, 4.2, facecolor=ink["ground"], lw=0))
    x, y = 8 + 5.25 * radius * np.cos(angle), 5 + 3.2 * radius * np.sin(angle)
    ax.plot(x, y, color=ink["ink"], lw=0.9)
    ax.scatter(x, y, s=10, color=ink["ink"], lw=0)


@card
def weights(ax: Axes, ink: dict) -> None:
    t = np.linspace(1, 15, 90)
    hills = np.exp(-0.5 * ((t - 4.6) / 1.1) ** 2) + 0.65 * np.exp(-0.5 * ((t - 11.2) / 1.3) ** 2)
    for power in (0.03, 0.15, 0.4, 1.0):
        height = hills**power / (hills**power).mean()
        ax.plot(t, 2.4 + 2.1 * height, color=(ink["prior"], 0.4 + 0.6 * power), lw=1.0 + 0.5 * power)
    at = np.arange(2, 15, 1.2)
    grown = np.interp(at, t, hills)
    ax.scatter(at, np.full_like(at, 1.6), s=3 + 60 * grown, color=ink["posterior"], alpha=0.6, lw=0)


@card
def paths(ax: Axes, ink: dict) -> None:
    rng = np.random.default_rng(1)
    ax.scatter(*rng.normal((8, 4.1), (1.7, 1.1), (70, 2)).T, s=6, color=ink["data"], alpha=0.75, lw=0)
    ends = np.array([(1.8, 3.2), (14.2, 3.2)])
    t = np.linspace(0, 1, 50)
    curve = CubicSpline(
        [0, 0.28, 0.5, 0.72, 1], [(1.8, 3.2), (4.2, 6.9), (8, 8.3), (11.8, 6.9), (14.2, 3.2)]
    )(t)
    ax.plot(*curve.T, color=ink["ink"], lw=1.6)
    ax.plot(*ends.T, "--", color=ink["data"], lw=1.4)
    ax.scatter(*ends.T, s=26, color=ink["ink"], lw=0, zorder=3)


@card
def comparison(ax: Axes, ink: dict) -> None:
    ax.plot([8, 8], [0.8, 9.2], color=ink["muted"], lw=0.8)
    rows = ((4.4, 1.6, 1), (6.1, 1.1, 1), (7.4, 1.5, 0), (8.9, 1.7, 0), (11.0, 1.3, 1), (12.6, 1.4, 1))
    for y, (x, half, filled) in zip(np.linspace(8.4, 1.6, 6), rows, strict=True):
        color = ink["posterior"] if x < 8 else ink["prior"]
        ax.plot([x - half, x + half], [y, y], color=color, lw=1.3)
        ax.scatter(
            [x], [y], s=24, facecolor=color if filled else ink["ground"], edgecolor=color, lw=1.2, zorder=3
        )


@card
def few(ax: Axes, ink: dict) -> None:
    rng = np.random.default_rng(2)
    centers = np.array([(3, 6.6), (6.2, 2.8), (8.6, 7.2), (11.2, 3.6), (13.4, 6.8)])
    for center in centers:
        ax.scatter(*rng.normal(center, 0.85, (16, 2)).T, s=8, color=ink["posterior"], alpha=0.4, lw=0)
    ax.scatter(*centers.T, s=34, color=ink["ink"], lw=0)


@card
def own(ax: Axes, ink: dict) -> None:
    for y, (indent, length) in zip(
        np.linspace(7.8, 2.2, 5), ((0, 5.6), (0, 4.4), (0.9, 4.9), (0.9, 3.2), (0, 5.1)), strict=True
    ):
        ax.plot([1.4 + indent, 1.4 + length], [y, y], color=ink["muted"], lw=2.2, solid_capstyle="round")
    for at, widths, angle in (
        ((10.6, 6.6), (3.2, 2.2), 20),
        ((13.3, 4.4), (1.6, 2.9), 10),
        ((10.4, 2.9), (2.3, 1.4), -15),
    ):
        ball(ax, at, widths, ink["posterior"], angle)
        ax.scatter(*np.array([at]).T, s=9, color=ink["ink"], lw=0)


def drawn(
    figure: Figure, frame: tuple[float, float, float, float], name: str, colors: dict[str, str]
) -> None:
    """Add a drawing to a figure, within a frame in the figure's units."""
    if name not in DRAWINGS:
        raise ValueError(
            f"picture in book/cards.yml must be a function of book/_ext/riemvae_book/pictures.py under @card "
            f"({', '.join(DRAWINGS)}), got {name!r}"
        )
    ax = figure.add_axes(frame, xlim=(0, WIDTH), ylim=(0, HEIGHT), aspect="equal")
    ax.set_axis_off()
    DRAWINGS[name](ax, colors)


def picture_svg(name: str, alt: str, palette: dict) -> str:
    """A drawing as an element of a page, in the page's colors."""
    figure = Figure(figsize=(WIDTH * INCHES, HEIGHT * INCHES))
    stream = io.StringIO()
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        drawn(figure, (0, 0, 1, 1), name, {key: shade["light"] for key, shade in palette.items()})
        figure.savefig(stream, format="svg", transparent=True)
    return inline_svg(stream.getvalue(), alt, f"card-{name}-", palette)


def social_card(path: Path, name: str, title: str, line: str, book: str, palette: dict) -> None:
    """A picture of 1200 x 630 pixels that other sites show beside a link to the page."""
    colors = {key: shade["light"] for key, shade in palette.items()}
    figure = Figure(figsize=(12, 6.3), dpi=100, facecolor=colors["ground"])
    serif = {"font": packaged(SERIF), "va": "top"}
    figure.text(0.06, 0.91, book, size=20, color=colors["muted"], **serif)
    figure.text(
        0.06, 0.76, "\n".join(wrap(title, 22)), size=38, color=colors["ink"], linespacing=1.2, **serif
    )
    lines = "\n".join(wrap(line, 62))
    figure.text(0.06, 0.23, lines, size=18, color=colors["muted"], linespacing=1.4, **serif)
    drawn(figure, (0.56, 0.27, 0.4, 0.5), name, colors)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, facecolor=colors["ground"], metadata={"Software": None})
