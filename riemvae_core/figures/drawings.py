"""Drawings of boxes and arrows: which part of a model hands what to which."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.axes import Axes

from riemvae_core.figures.plotting import COLORS


def draw_flow(
    ax: Axes,
    boxes: Mapping[str, tuple[float, float, str, str]],
    arrows: Sequence[tuple[str, str]],
    labels: Sequence[tuple[float, float, str]] = (),
) -> None:
    """Draw boxes with words in them, an arrow from box to box, and labels that stand free.

    A box is (place to the right, place upwards, words, color), an arrow (from, to) by the names of boxes, a
    label (right, up, words). ``color`` is a name of ``COLORS`` or matplotlib's; empty means no rim. Raises
    ValueError for an arrow whose box is not there.
    Used in chapters 0, 4, 9 and 11.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import drawings
        >>> ax = Figure().subplots()
        >>> boxes = {"x": (0.0, 0.0, "picture", ""), "f": (2.0, 0.0, "encoder", "ink")}
        >>> drawings.draw_flow(ax, boxes, [("x", "f")])
        >>> [text.get_text() for text in ax.texts]
        ['picture', 'encoder', '']
    """
    for arrow in arrows:
        if not set(arrow) <= boxes.keys():
            raise ValueError(f"arrows must join boxes, of {', '.join(boxes)}, got {arrow}")
    drawn = {}
    for name, (x, y, words, color) in boxes.items():
        rim = {"boxstyle": "round,pad=0.45", "facecolor": "none", "linewidth": 1.3}
        rim["edgecolor"] = COLORS.get(color, color) or "none"
        drawn[name] = ax.text(x, y, words, ha="center", va="center", bbox=rim)
    for start, end in arrows:
        ends = {"patchA": drawn[start].get_bbox_patch(), "patchB": drawn[end].get_bbox_patch()}
        look = {"arrowstyle": "-|>", "color": COLORS["ink"], "shrinkA": 2, "shrinkB": 2, "linewidth": 1.1}
        ax.annotate("", boxes[end][:2], boxes[start][:2], arrowprops=look | ends)
    for x, y, words in labels:
        ax.text(x, y, words, ha="center", va="center", color=COLORS["data"], fontsize=10.5)
    places = [*(box[:2] for box in boxes.values()), *(label[:2] for label in labels)]
    right, up = zip(*places, strict=True)
    ax.set(xlim=(min(right) - 0.9, max(right) + 0.9), ylim=(min(up) - 0.5, max(up) + 0.5))
    ax.set_axis_off()


class _Drawn(NamedTuple):
    """A model as a drawing: its name, what it has in other words than a VAE or besides, and what it lacks.

    ``boxes`` are as in ``draw_flow``; an arrow is two names of boxes with a space between.
    """

    title: str
    boxes: Mapping[str, tuple[float, float, str, str]] = {}
    arrows: str = ""
    lacks: str = ""


_BOXES = {
    "x": (0.0, 0.0, "picture $x$", "data"),
    "encoder": (1.8, 0.0, "encoder", "ink"),
    "ball": (3.3, 0.0, r"$\mu,\ \sigma$", "posterior"),
    "z": (4.9, 0.0, r"$z=\mu+\sigma\epsilon$", "posterior"),
    "decoder": (9.3, 0.0, "decoder", "ink"),
    "y": (11.2, 0.0, "drawing $g(z)$", "data"),
    "price": (3.3, -1.0, r"price: KL to $N(0, I)$", "prior"),
}
_ARROWS = "x encoder, encoder ball, ball z, z decoder, decoder y, ball price"
_CODE = {"z": (4.4, 0.0, "code $z$", "ink")}
_STEPS = {
    "steps": (7.2, 0.0, "Hamiltonian steps", "posterior"),
    "price": (3.3, -1.0, "price: KL, with momenta", "prior"),
}
#: drawings of models by their names, for ``draw_model``; the study's models have the study's names
MODELS = {
    "vae": _Drawn("VAE"),
    "beta-vae": _Drawn(r"$\beta$-VAE", {"price": (3.3, -1.0, r"price: 4 KL to $N(0, I)$", "prior")}),
    "vamp": _Drawn(
        "VampPrior",
        {
            "price": (3.3, -1.0, "price: KL to their mixture", "prior"),
            "own": (7.2, -1.0, "balls of learned pictures", "prior"),
        },
        "own price",
    ),
    "iwae": _Drawn(
        "IWAE",
        {
            "z": (4.9, 0.0, r"$z_1,\ \ldots,\ z_5$", "posterior"),
            "price": (7.2, -1.0, r"price: $-\log$ of the mean of $p(x,z_i)/q(z_i)$", "prior"),
        },
        "z price, decoder price",
        "ball price",
    ),
    "hvae": _Drawn(
        "HVAE",
        _STEPS | {"force": (7.2, -1.0, r"force: $\nabla_z\log p(x,z)$", "posterior")},
        "z steps, steps decoder, force steps",
        "z decoder",
    ),
    "rhvae": _Drawn(
        "RHVAE",
        _STEPS | {"metric": (7.2, -1.0, "in a metric that is learned, too", "posterior")},
        "z steps, steps decoder, metric steps",
        "z decoder",
    ),
    "rae": _Drawn(
        "RAE",
        _CODE
        | {
            "price": (4.4, -1.0, r"price: $\Vert z\Vert^2$", "prior"),
            "smooth": (9.3, -1.0, "price: weights, or slope", "prior"),
        },
        "encoder z, z price, decoder smooth",
        "ball, ball price",
    ),
    "wae": _Drawn(
        "WAE",
        _CODE | {"price": (4.4, -1.0, r"price: all codes against draws of $N(0, I)$", "prior")},
        "encoder z, z price",
        "ball, ball price",
    ),
    "vq-vae": _Drawn(
        "VQ-VAE",
        {
            "ball": (3.5, 0.0, "point", "ink"),
            "z": (6.2, 0.0, r"nearest code $e_k$", "codes"),
            "book": (6.2, 1.0, r"$K$ learned codes", "codes"),
            "price": (4.8, -1.0, "price: their distance²", "codes"),
        },
        "book z, z price",
    ),
    "fsq": _Drawn(
        "FSQ",
        {
            "ball": (3.8, 0.0, "squashed point", "ink"),
            "z": (6.6, 0.0, "each axis rounded", "codes"),
        },
        lacks="price, ball price",
    ),
    "conditional": _Drawn(
        "conditional VAE",
        {"told": (1.8, 1.0, "label $y$", "codes"), "again": (9.3, 1.0, "label $y$", "codes")},
        "told encoder, again decoder",
    ),
}


def draw_model(ax: Axes, name: str) -> None:
    """Draw one of ``MODELS`` with a box around what the plain VAE has not: its other parts are bare words.

    The VAE itself has a box around each part. Raises ValueError for an unknown name.
    Used in chapters 4, 9 and 11.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import drawings
        >>> ax = Figure().subplots()
        >>> drawings.draw_model(ax, "wae")
        >>> [text.get_text() for text in ax.texts][:4]
        ['picture $x$', 'encoder', 'code $z$', 'decoder']
    """
    if name not in MODELS:
        raise ValueError(f"name must be one of {', '.join(MODELS)}, got {name!r}")
    own = MODELS[name]
    lacks = [part.split() for part in own.lacks.split(", ")]
    boxes = {
        part: box if part in own.boxes or name == "vae" else (*box[:3], "")
        for part, box in (_BOXES | own.boxes).items()
        if [part] not in lacks
    }
    every = [tuple(arrow.split()) for arrow in f"{_ARROWS}, {own.arrows}".split(", ") if arrow]
    arrows = [arrow for arrow in every if list(arrow) not in lacks and set(arrow) <= boxes.keys()]
    draw_flow(ax, boxes, arrows, [(0.0, -1.0, own.title)])
