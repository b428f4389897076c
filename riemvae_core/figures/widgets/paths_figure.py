"""Chapter 8's live figure: two ends to drag, three paths between them, and the images along each."""

import functools

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.assets import trained
from riemvae_core.figures.widgets.checks import clipped_pair
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module
from riemvae_core.figures.widgets.metric_figure import HALF, MODEL, field_balls
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.models import zoo
from riemvae_core.paths import (
    curve_length,
    decoded_steps,
    geodesic,
    low_cost_path,
    respaced,
    straight_line,
)

START = {"a": (-1.6, 1.5), "b": (1.9, 0.4)}
IMAGES = 9  # along each path, at equal steps
WAYS = {"straight": "straight", "geodesic": "geodesic", "low_cost": "low cost"}


@functools.cache
def paths_metric() -> PosteriorMetric:
    """The metric that all 240 probe balls draw, with a background that doesn't fade, so that paths exist."""
    mu, log_var = field_balls()
    fitted = PosteriorMetric.fit(mu, log_var)
    return PosteriorMetric(mu.double(), log_var.double(), fitted.rho, fitted.lam, tau=0.0)


@functools.cache
def core_paths(a: tuple[float, float], b: tuple[float, float]) -> dict[str, Float[Tensor, "t d"]]:
    """The core's own three paths between two points of the plane, by name: as short as its searches get."""
    ends = [torch.tensor(z, dtype=torch.float64, device="cpu") for z in (a, b)]
    return {
        "straight": straight_line(*ends, 64),
        "geodesic": geodesic(paths_metric(), *ends).curve,
        "low_cost": low_cost_path(paths_metric(), *ends).curve,
    }


def path_numbers(curve: Float[Tensor, "t d"]) -> dict[str, float]:
    """What the figure says of a path: its length in G, its cost, the steps between its images added."""

    def cheap(z: Tensor) -> Tensor:
        eye = torch.eye(2, dtype=z.dtype, device=z.device)
        return torch.exp(-2.0 * paths_metric().log_volume(z))[..., None, None] * eye

    with torch.no_grad():
        steps = decoded_steps(trained(MODEL).decode, shown_points(curve))
    return {
        "length": float(curve_length(paths_metric(), curve)),
        "cost": float(curve_length(cheap, curve)),
        "steps": float(steps.sum()),
    }


def shown_points(curve: Float[Tensor, "t d"]) -> Float[Tensor, "m d"]:
    """The points of a path that are decoded."""
    return respaced(curve, curve.diff(dim=0).norm(dim=-1), IMAGES).float()


def three_paths(see: str = "", try_this: str = ""):
    r"""Straight line, geodesic and low-cost path between two points of a VAE's plane, and their images.

    ``see`` and ``try_this`` are the two sentences of the caption, plain text. In a notebook the result is a
    widget: the ends ``a`` and ``b`` are read, set and observed; ``metric`` is the core's metric.
    Stands in chapter 8. An end that is no pair of numbers raises ValueError.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> shown = widgets.three_paths()
        >>> shown.a = [9.0, 0.0]  # the plane ends at 3.5
        >>> shown.a, shown.metric.log_volume(torch.zeros(1, 2).double()).shape
        ([3.5, 0.0], torch.Size([1]))
    """
    return figure("three_paths", ThreePaths, _props(), _still, see, try_this)


def _props() -> dict:
    metric = paths_metric()
    return {
        "model": MODEL,
        "side": zoo.recipe(MODEL).config.image_shape[-1],
        "frame": {"center": [0.0, 0.0], "half": HALF},
        "balls": {"rho": metric.rho, "lam": metric.lam, "tau": metric.tau},
        "start": {end: list(z) for end, z in START.items()},
    }


class ThreePaths(LiveFigure):
    """The figure in a notebook; its traits are described in ``three_paths``."""

    _esm = notebook_module("three_paths")
    a = traitlets.List(help="one end").tag(sync=True)
    b = traitlets.List(help="the other end").tag(sync=True)

    def __init__(self, props: dict) -> None:
        super().__init__(props, [props["model"]], **props["start"])

    @property
    def metric(self) -> PosteriorMetric:
        """The core's metric."""
        return paths_metric()

    @traitlets.validate("a", "b")
    def _check_end(self, proposal) -> list[float]:
        return clipped_pair(proposal["trait"].name, proposal["value"], HALF)


def _still() -> str:
    plane = stills.Plane(40.0, 10.0, 300.0, (0.0, 0.0), HALF)
    curves, parts, told = core_paths(**START), [], []
    for i, (way, curve) in enumerate(curves.items()):
        numbers, top = path_numbers(curve), 20.0 + 105.0 * i
        told.append(f"{WAYS[way]}: length {numbers['length']:.3g}, cost {numbers['cost']:.3g}")
        with torch.no_grad():
            images = trained(MODEL).decode(shown_points(curve)).squeeze(1)
        parts += [
            plane.path(curve, way.replace("_", "-")),
            stills.picture(370.0, top, 38, torch.cat(list(images), -1), told[-1]),
        ]
    label = (
        f"Three paths between two points of a latent plane, with nine images along each. {'; '.join(told)}."
    )
    return stills.still(
        730, 345, label, plane.frame(), plane.balls(*field_balls()), *parts,
        *(plane.handle(z) for z in START.values()),
    )  # fmt: skip
