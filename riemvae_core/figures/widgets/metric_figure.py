"""Chapter 5's live figure: the metric that a VAE's balls draw, under four sliders, and at a point to drag."""

import functools

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from riemvae_core.balls import Balls
from riemvae_core.data import class_names
from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.assets import (
    FIELD_COLORS,
    asset,
    field_colors,
    probes,
    probes_name,
    trained,
    unpack,
)
from riemvae_core.figures.widgets.checks import clipped_pair, one_of, within
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module
from riemvae_core.metrics import PosteriorMetric, choose_medoids
from riemvae_core.numerics import make_generator

MODEL = "fashion-vae-2d"
HALF = 3.5  # the plane shows [-3.5, 3.5] on both axes
RANGE = (-8.0, 8.0)  # of the colors
STOPS = (2, 5, 10, 20, 50, 100, 240)  # numbers of centroids
LIMITS = {"rho": (0.3, 30.0), "lam": (1e-4, 100.0), "tau": (1e-3, 3.0)}
START_Z = (-0.8, 1.0)  # between balls
START_BALLS = 240
STILL_GRID = 140


@functools.cache
def field_balls() -> Balls:
    """The balls that the figures of chapters 5 and 6 show, ``[240, 2]`` each, as the page has them."""
    arrays = unpack(asset(MODEL))
    return Balls(*(torch.from_numpy(arrays[part].copy()) for part in Balls._fields))


@functools.cache
def centroids(n: int) -> tuple[int, ...]:
    """Which balls are the n medoids, all of them for 240."""
    mu = field_balls().mu
    return tuple(choose_medoids(mu, n, make_generator(0)).tolist())


@functools.cache
def fitted(n: int) -> dict[str, float]:
    """rho, lam and tau by the rules of ``PosteriorMetric.fit`` for n centroids, kept within the sliders."""
    metric = PosteriorMetric.fit(*field_balls(), n_centroids=n, generator=make_generator(0))
    return {k: min(high, max(low, getattr(metric, k))) for k, (low, high) in LIMITS.items()}


def figure_metric(rho: float, lam: float, tau: float, n_centroids: int) -> PosteriorMetric:
    """The core's metric for the figure's four numbers."""
    keep = list(centroids(n_centroids))
    mu, log_var = field_balls()
    return PosteriorMetric(mu[keep].double(), log_var[keep].double(), rho, lam, tau)


def plane_grid(n: int) -> Float[Tensor, "n n d"]:
    """The midpoints of n x n cells of the figure's plane, row by row from the top."""
    ticks = ((torch.arange(n, dtype=torch.float64, device="cpu") + 0.5) / n * 2.0 - 1.0) * HALF
    return torch.stack(torch.meshgrid(ticks, -ticks, indexing="xy"), -1)


def metric_field(see: str = "", try_this: str = ""):
    r"""The field $\log\sqrt{\det G}$ of 240 balls of a trained VAE: four sliders, and a point to drag.

    ``see`` and ``try_this`` are the two sentences of the caption, plain text. In a notebook the result is a
    widget: ``rho``, ``lam``, ``tau``, ``n_centroids`` and ``z`` are read, set and observed; ``log_volume`` at
    z is read and observed; ``metric`` is the ``PosteriorMetric`` of the moment.
    Stands in chapter 5. A value out of range raises ValueError.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> shown = widgets.metric_field()
        >>> shown.rho, shown.z = 1.0, [0.5, 0.5]
        >>> shown.log_volume - shown.metric.log_volume(torch.tensor([[0.5, 0.5]]).double()).item()
        0.000
    """
    props = _props()
    return figure("metric_field", MetricField, props, lambda: _still(props), see, try_this)


def shared_props() -> dict:
    """What the figures of chapters 5 and 6 have in common: their balls, their plane and its colors."""
    return {
        "model": MODEL,
        "colors": FIELD_COLORS,
        "frame": {"center": [0.0, 0.0], "half": HALF},
        "range": list(RANGE),
    }


def _props() -> dict:
    return shared_props() | {
        "probes": probes_name("fashion"),
        "side": probes("fashion").images.shape[-1],
        "classes": list(class_names("fashion")),
        "limits": {name: list(bounds) for name, bounds in LIMITS.items()},
        "stops": list(STOPS),
        "centroids": [list(centroids(n)) for n in STOPS],
        "fits": [fitted(n) for n in STOPS],
        "start": fitted(START_BALLS) | {"n_centroids": START_BALLS, "z": list(START_Z)},
    }


class MetricField(LiveFigure):
    """The figure in a notebook; its traits are described in ``metric_field``."""

    _esm = notebook_module("metric_field")
    rho = traitlets.Float(help="the distance, in radii, at which a ball's weight is 1/e").tag(sync=True)
    lam = traitlets.Float(help="the metric of the empty space at the origin").tag(sync=True)
    tau = traitlets.Float(help="how fast that fades").tag(sync=True)
    n_centroids = traitlets.Int(help="how many balls draw the metric").tag(sync=True)
    z = traitlets.List(help="the point in hand").tag(sync=True)
    log_volume = traitlets.Float(help="log sqrt det G at z", read_only=True)

    def __init__(self, props: dict) -> None:
        names = [props["model"], props["probes"], props["colors"]]
        super().__init__(props, names, **props["start"])
        self._measure(None)

    @property
    def metric(self) -> PosteriorMetric:
        """The core's metric for the numbers of the moment."""
        return figure_metric(self.rho, self.lam, self.tau, self.n_centroids)

    @traitlets.validate("rho", "lam", "tau")
    def _check_number(self, proposal) -> float:
        name = proposal["trait"].name
        return within(name, proposal["value"], *LIMITS[name])

    @traitlets.validate("n_centroids")
    def _check_count(self, proposal) -> int:
        return one_of("n_centroids", proposal["value"], STOPS)

    @traitlets.validate("z")
    def _check_z(self, proposal) -> list[float]:
        return clipped_pair("z", proposal["value"], HALF)

    @traitlets.observe("rho", "lam", "tau", "n_centroids", "z")
    def _measure(self, _change) -> None:
        if self.z and self.n_centroids and min(self.rho, self.lam, self.tau) > 0:
            z = torch.tensor(self.z, dtype=torch.float64, device="cpu")
            self.set_trait("log_volume", float(self.metric.log_volume(z)))


def field_still(plane: stills.Plane, metric: PosteriorMetric) -> str:
    """The field and the outlines of its balls, in a still picture's plane."""
    values = metric.log_volume(plane_grid(STILL_GRID))
    sigma = torch.exp(0.5 * metric.log_var)
    outlines = [plane.ellipse(m, s, "rv-outlines") for m, s in zip(metric.mu, sigma, strict=True)]
    return plane.field(values, *RANGE, field_colors()) + "".join(outlines)


def _still(props: dict) -> str:
    start = dict(props["start"])
    z = torch.tensor(start.pop("z"), dtype=torch.float64, device="cpu")
    metric = figure_metric(**start)
    radii, volume = torch.exp(-0.5 * metric.log_diagonal(z)).tolist(), float(metric.log_volume(z))
    with torch.no_grad():
        decoded = trained(MODEL).decode(z.float()[None])[0]
    plane = stills.Plane(40.0, 10.0, 400.0, (0.0, 0.0), HALF)
    low, high = (stills.number(v, 0) for v in RANGE)
    lines = [
        f"z = ({', '.join(map(stills.number, z.tolist()))})",
        f"log √det G = {stills.number(volume, 3)}",
        f"unit ball of G: {stills.number(radii[0], 3)} × {stills.number(radii[1], 3)}",
        f"ρ = {start['rho']:.2f}, λ = {start['lam']:.3f}, τ = {start['tau']:.3f}",
        f"{start['n_centroids']} centroids; colors from {low} to {high}",
    ]
    label = (
        f"The field log √det G of {start['n_centroids']} balls, bright on the balls and dark far from them. "
    )
    return stills.still(
        740, 440, label + ", ".join(lines), plane.frame(), field_still(plane, metric),
        plane.ellipse(z, radii, "rv-unit"), plane.handle(z),
        stills.picture(470, 10, 120, decoded, "decoded"),
        *(stills.text(470, 190 + 24 * i, line) for i, line in enumerate(lines)),
    )  # fmt: skip
