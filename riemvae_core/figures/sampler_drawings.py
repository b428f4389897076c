"""Drawings of the core's samplers: what goes in, what is done with it, what comes out."""

from collections.abc import Mapping
from typing import NamedTuple

from matplotlib.axes import Axes

from riemvae_core.figures.drawings import draw_flow


class Drawing(NamedTuple):
    """Boxes as in ``draw_flow``, and arrows as pairs of names, ``"a>b b>c"``.

    Example:
        >>> from riemvae_core.figures import sampler_drawings
        >>> sampler_drawings.SAMPLERS["prior"].arrows
        'noise>z'
    """

    boxes: Mapping[str, tuple[float, float, str, str]]
    arrows: str


_CODES = (0.0, 0.0, r"codes $\mu_i$", "data")
_BALLS = (0.0, 0.0, r"balls $\mu_i,\ \sigma_i$", "posterior")
_NOISE = (9.6, 0.0, r"noise $\epsilon$", "prior")
#: a drawing of each sampler that chapters 6 and 7 teach, by its name
SAMPLERS = {
    "prior": Drawing(
        {"z": (7.0, 0.0, r"$z=\epsilon$", "ink"), "noise": _NOISE},
        "noise>z",
    ),
    "gaussian": Drawing(
        {
            "codes": _CODES,
            "fit": (3.4, 0.0, r"mean $m$, covariance $LL^\top$", "ink"),
            "noise": _NOISE,
            "z": (7.0, 0.0, r"$z=m+L\epsilon$", "ink"),
        },
        "codes>fit fit>z noise>z",
    ),
    "mixture": Drawing(
        {
            "codes": _CODES,
            "fit": (2.4, 0.0, "ten Gaussians", "ink"),
            "pick": (4.75, 0.0, "one by weight", "ink"),
            "noise": _NOISE,
            "z": (7.0, 0.0, r"$z=m_k+L_k\epsilon$", "ink"),
        },
        "codes>fit fit>pick pick>z noise>z",
    ),
    "aggregate": Drawing(
        {
            "balls": _BALLS,
            "pick": (3.4, 0.0, "a ball at random", "posterior"),
            "noise": _NOISE,
            "z": (7.0, 0.0, r"$z=\mu_i+\sigma_i\epsilon$", "ink"),
        },
        "balls>pick pick>z noise>z",
    ),
    "hmc": Drawing(
        {
            "z": (0.0, 0.0, "a place $z$", "ink"),
            "kick": (0.0, -1.1, r"noise $\xi$", "prior"),
            "roll": (3.1, 0.0, "leapfrog steps", "ink"),
            "force": (3.1, -1.1, "slope of log volume", "posterior"),
            "accept": (6.3, 0.0, r"accept by $\Delta H$", "ink"),
            "stay": (6.3, -1.1, "or stay at $z$", "ink"),
            "next": (9.4, 0.0, "next place", "ink"),
        },
        "z>roll kick>roll force>roll roll>accept accept>next accept>stay",
    ),
    "importance": Drawing(
        {
            "balls": _BALLS,
            "noise": (0.0, -1.1, r"noise $\epsilon$", "prior"),
            "propose": (2.6, 0.0, r"draws $z_j$ of $\psi$", "posterior"),
            "weigh": (5.3, 0.0, r"weights $W_j$", "ink"),
            "metric": (2.6, -1.1, r"volume element at $z_j$", "posterior"),
            "volume": (5.3, -1.1, r"volume: mean $W_j$", "ink"),
            "resample": (7.6, 0.0, "resample", "ink"),
            "z": (9.6, 0.0, "draws $z$", "ink"),
        },
        "balls>propose noise>propose propose>weigh metric>weigh weigh>volume weigh>resample resample>z",
    ),
    "smc": Drawing(
        {
            "balls": _BALLS,
            "noise": (0.0, -1.1, r"noise $\epsilon$", "prior"),
            "start": (2.6, 0.0, r"particles of $\psi$", "posterior"),
            "weigh": (5.1, 0.0, r"weigh to $\zeta'$", "ink"),
            "volume": (5.1, 1.1, "volume: product of means", "ink"),
            "resample": (7.3, 0.0, "resample", "ink"),
            "move": (6.2, -1.1, r"move at $\zeta'$ by HMC", "posterior"),
            "z": (9.6, -1.1, r"at $\zeta'=1$: draws $z$", "ink"),
        },
        "balls>start noise>start start>weigh weigh>volume weigh>resample resample>move move>weigh move>z",
    ),
    "released": Drawing(
        {
            "code": (0.0, 0.0, "a training code", "data"),
            "kick": (0.0, -1.1, r"noise $\xi/2$", "prior"),
            "roll": (3.2, 0.0, "10 steps of 0.01", "ink"),
            "force": (3.2, -1.1, r"slope of $\log\det(G+(n-1)\lambda I)$", "posterior"),
            "accept": (6.5, 0.0, "accept, or stay", "ink"),
            "price": (7.3, -1.1, r"accepted as if $\xi$", "prior"),
            "z": (9.5, 0.0, "100 times: $z$", "ink"),
        },
        "code>roll kick>roll force>roll roll>accept price>accept accept>z",
    ),
}


def draw_sampler(ax: Axes, name: str) -> None:
    """Draw one of ``SAMPLERS`` as boxes and arrows, on a frame that all of them share from left to right.

    Orange: what comes from the balls; blue: from noise; gray: from codes alone. Raises ValueError for an
    unknown name. Used in chapters 6 and 7.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from riemvae_core.figures import sampler_drawings
        >>> ax = Figure().subplots()
        >>> sampler_drawings.draw_sampler(ax, "hmc")
        >>> [text.get_text() for text in ax.texts if "$" not in text.get_text()][:2]
        ['leapfrog steps', 'slope of log volume']
    """
    if name not in SAMPLERS:
        raise ValueError(f"name must be one of {', '.join(SAMPLERS)}, got {name!r}")
    boxes, arrows = SAMPLERS[name]
    draw_flow(ax, boxes, [tuple(arrow.split(">")) for arrow in arrows.split()])
    ax.set_xlim(-0.9, 10.6)
