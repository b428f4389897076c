"""Chapter 7's live figure: particles that are tempered from a mixture of balls to the volume element."""

import functools
import math
from typing import NamedTuple

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from riemvae_core.balls import Balls
from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.assets import FIELD_COLORS, field_colors
from riemvae_core.figures.widgets.checks import clipped_pair, one_of, within
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module
from riemvae_core.figures.widgets.metric_figure import HALF, figure_metric, fitted, plane_grid
from riemvae_core.laws import BallMixture, local_scale, mixture_of_metric, proposal_of_metric
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator

WORLDS = ("balls", "ring")
STARTS = ("alone", "crowded", "between")
AXES = (2, 4, 8, 16, 32, 64, 128)
SWEEPS = (0, 1, 2, 4, 8)
ISLANDS, PARTICLES = 16, 128  # as ``sample_by_smc`` of the core has them
MEDOIDS = 50
RING, COPIES = 60, 32
# the circle's radius and middle, the copies' place, the radius of every ball
RADIUS, MIDDLE, FAR, SIGMA = 1.0, -1.8, 2.6, 0.2
RANGE = (-10.0, 0.0)  # of the colors: nats below the peak
SAME = {"sweeps": 4, "seed": 0, "frame": 0, "probe": []}
FIRST = {
    "balls": {"world": "balls", "axes": 16, "start": "alone"} | SAME,
    "ring": {"world": "ring", "axes": 128, "start": "crowded"} | SAME,
}
STILL_GRID, EXACT_GRID = 140, 200


class World(NamedTuple):
    """Balls that differ on two axes, and their reach."""

    balls: Balls
    rho: float


@functools.cache
def world_of(name: str) -> World:
    r"""The balls of one of the figure's worlds, float64.

    "balls": fifty medoids of a trained VAE. "ring": sixty balls on a circle with none inside, of radius
    $\sqrt{0.6}\,\rho\sigma$, so that its middle is the more crowded place, and 32 copies of one ball apart.
    """
    if name == "balls":
        metric = figure_metric(**fitted(MEDOIDS), n_centroids=MEDOIDS)
        return World(Balls(metric.mu, metric.log_var), metric.rho)
    angle = torch.arange(RING, dtype=torch.float64, device="cpu") * (2 * math.pi / RING)
    ring = torch.stack([MIDDLE + RADIUS * angle.cos(), RADIUS * angle.sin()], 1)
    mu = torch.cat([ring, ring.new_tensor([[FAR, 0.0]]).expand(COPIES, 2)])
    return World(Balls(mu, torch.full_like(mu, 2 * math.log(SIGMA))), RADIUS / (SIGMA * math.sqrt(0.6)))


def in_all_axes(z: Float[Tensor, "*n 2"], axes: int) -> Float[Tensor, "*n d"]:
    """Points of the plane, or log radii, with 0 on every axis that isn't seen."""
    return torch.cat([z, z.new_zeros(*z.shape[:-1], axes - 2)], -1)


def metric_of(world: str, axes: int) -> PosteriorMetric:
    """The core's metric in all axes, without background."""
    (mu, log_var), rho = world_of(world)
    return PosteriorMetric(in_all_axes(mu, axes), in_all_axes(log_var, axes), rho, lam=0.0, tau=0.0)


def mixture_of(world: str, axes: int, start: str) -> BallMixture:
    """Where particles begin, as seen in the plane: the core's mixture or its proposal, masses and all."""
    metric = metric_of(world, axes)
    whole = mixture_of_metric(metric) if start == "alone" else proposal_of_metric(metric)
    first = len(whole.mu) - len(metric.mu) if start == "crowded" else 0
    return BallMixture(whole.mu[first:, :2], whole.log_var[first:, :2], whole.log_mass[first:])


def log_volume_seen(world: str, axes: int, z: Float[Tensor, "n 2"]) -> Float[Tensor, " n"]:
    r"""Log of $\sqrt{\det G}$, integrated over the axes that are not seen, on which it is a Gaussian."""
    metric = metric_of(world, axes)
    unseen = 0.5 * math.log(2 * math.pi * metric.rho**2 / axes)
    return metric.log_volume(in_all_axes(z, axes)) + (axes - 2) * unseen


@functools.cache
def exact_log_volume(world: str, axes: int) -> float:
    """The log of the whole volume, in nats: a sum over the midpoints of a grid of twice the figure's side."""
    values = log_volume_seen(world, axes, 2 * plane_grid(EXACT_GRID).reshape(-1, 2))
    return float(torch.logsumexp(values, 0)) + 2 * math.log(4 * HALF / EXACT_GRID)


def particles(see: str = "", try_this: str = "", world: str = "balls"):
    r"""Particles of sequential Monte Carlo, frame by frame from a mixture of balls to $\sqrt{\det G}$.

    ``see`` and ``try_this`` are the two sentences of the caption, plain text; ``world`` is the one that the
    figure begins in. In a notebook the result is a
    widget: ``world`` ("balls" or "ring"), ``axes``, ``start`` ("alone", "crowded" or "between"), ``sweeps``
    (moves at each temperature), ``seed``, ``frame`` and ``probe`` (a point whose nearest particle's ancestors
    are shown, or nothing) are read, set and observed; ``temperature``, ``log_volume``, its ``error`` and what
    is ``exact`` at that temperature, and the particles ``z`` are read and observed.
    Stands in chapter 7. A value out of range raises ValueError.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> shown = widgets.particles()
        >>> shown.world, shown.axes, shown.start
        ('balls', 16, 'alone')
    """
    first = FIRST[one_of("world", world, WORLDS)]
    return figure("particles", Particles, _props(first), lambda: _still(first), see, try_this)


def _places(world: str, axes: int) -> dict:
    """What the core's proposal puts before the balls: nothing, or Gaussians where no center is."""
    whole = mixture_of(world, axes, "between")
    n = len(whole.mu) - len(world_of(world).balls.mu)
    numbers = whole.mu[:n], whole.log_var[:n], whole.log_mass[:n]
    return dict(zip(("mu", "logVar", "logMass"), (t.flatten().tolist() for t in numbers), strict=True))


@functools.cache
def _worlds() -> dict:
    found = {}
    for name in WORLDS:
        (mu, log_var), rho = world_of(name)
        balls = {"mu": mu.flatten().tolist(), "logVar": log_var.flatten().tolist(), "rho": rho}
        scales = {axes: local_scale(metric_of(name, axes))[:2].tolist() for axes in AXES}
        found[name] = balls | {"places": {axes: _places(name, axes) for axes in AXES}, "scales": scales}
    return found


def _props(first: dict) -> dict:
    return {
        "colors": FIELD_COLORS,
        "frame": {"center": [0.0, 0.0], "half": HALF},
        "range": list(RANGE),
        "stops": {"axes": list(AXES), "sweeps": list(SWEEPS)},
        "islands": ISLANDS,
        "per": PARTICLES,
        "worlds": _worlds(),
        "start": first,
    }


class Particles(LiveFigure):
    """The figure in a notebook; its traits are described in ``particles``."""

    _esm = notebook_module("particles")
    world = traitlets.Enum(WORLDS).tag(sync=True)
    axes = traitlets.Int(help="of the space; two are seen").tag(sync=True)
    start = traitlets.Enum(STARTS).tag(sync=True)
    sweeps = traitlets.Int(help="moves of HMC at each temperature").tag(sync=True)
    seed = traitlets.Int().tag(sync=True)
    frame = traitlets.Int(help="0 before anything happened; at most the last one").tag(sync=True)
    probe = traitlets.List(help="a point near the particle in hand, or nothing").tag(sync=True)
    temperature = traitlets.Float().tag(sync=True)
    log_volume = traitlets.Float(None, allow_none=True, help="as the particles have it").tag(sync=True)
    error = traitlets.Float(None, allow_none=True, help="its standard error").tag(sync=True)
    exact = traitlets.Float(None, allow_none=True, help="at that temperature").tag(sync=True)
    z = traitlets.List(help="the particles, x and y in turn").tag(sync=True)

    def __init__(self, props: dict) -> None:
        super().__init__(props, [props["colors"]], **props["start"])

    @traitlets.validate("axes", "sweeps")
    def _check_stop(self, proposal) -> int:
        name = proposal["trait"].name
        return one_of(name, proposal["value"], {"axes": AXES, "sweeps": SWEEPS}[name])

    @traitlets.validate("seed", "frame")
    def _check_count(self, proposal) -> int:
        return within(proposal["trait"].name, proposal["value"], 0, 2**31 - 1)

    @traitlets.validate("probe")
    def _check_probe(self, proposal) -> list[float]:
        return clipped_pair("probe", proposal["value"], HALF) if proposal["value"] else []


def _still(first: dict) -> str:
    world, axes = first["world"], first["axes"]
    (mu, log_var), _ = world_of(world)
    mixture, exact = mixture_of(world, axes, first["start"]), exact_log_volume(world, axes)
    z, _ = mixture.sample(ISLANDS * PARTICLES, make_generator(first["seed"]))
    weights = torch.softmax(log_volume_seen(world, axes, z) - mixture.log_density(z), 0)
    field = mixture.log_density(plane_grid(STILL_GRID).reshape(-1, 2)).reshape(STILL_GRID, STILL_GRID)
    plane = stills.Plane(40.0, 10.0, 400.0, (0.0, 0.0), HALF)
    lines = [
        f"{len(z):,} particles drawn from {len(mu)} balls in",
        f"{axes} axes, before any step (each fourth shown)",
        f"weighed at once they are worth {1 / float(weights.square().sum()):,.0f}",
        f"log volume of what they are drawn from: {stills.number(mixture.log_total)}",
        f"log volume of the balls’ metric: {stills.number(exact)}",
    ]
    outlines = [plane.ellipse(m, s, "rv-outlines") for m, s in zip(mu, (0.5 * log_var).exp(), strict=True)]
    return stills.still(
        820, 440, f"Particles at the start of sequential Monte Carlo: {'; '.join(lines)}", plane.frame(),
        plane.field(field - field.max(), *RANGE, field_colors()), *outlines, plane.walkers(z[::4]),
        *(stills.text(470, 40 + 24 * i, line) for i, line in enumerate(lines)),
    )  # fmt: skip
