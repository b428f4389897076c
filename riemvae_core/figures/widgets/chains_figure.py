"""Chapter 6's live figure: Hamiltonian chains that walk on a metric's field, and what they have visited."""

import functools
from typing import NamedTuple

import torch
import traitlets
from jaxtyping import Float
from torch import Tensor

from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.checks import clipped_pair, one_of, within
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module
from riemvae_core.figures.widgets.metric_figure import (
    HALF,
    RANGE,
    START_BALLS,
    field_balls,
    field_still,
    figure_metric,
    fitted,
    plane_grid,
    shared_props,
)
from riemvae_core.laws import hmc, released_log_density
from riemvae_core.numerics import make_generator

CELLS, FINE = 24, 20  # cells of the histogram on each axis, midpoints of the quadrature in each
STEPS = (0.005, 0.3)
STOPS = {"n_leapfrog": (1, 2, 5, 10, 20, 40), "n_chains": (50, 100, 200, 500, 1000)}
RULES = ("exact", "released")
START = {"step": 0.05, "n_leapfrog": 10, "n_chains": 500, "rules": "exact", "start": [], "seed": 0}
STILL_CHAINS, STILL_MOVES = 200, 20


@functools.cache
def law_masses(rules: str) -> Float[Tensor, " k"]:
    r"""The mass of each of 24 x 24 cells of the plane under the law that the rules leave invariant.

    Row by row from the top, and last the mass outside; by midpoints, 20 x 20 in a cell, coarser ones outside.
    "exact": $\sqrt{\det G}$; "released": ``released_log_density``, which has a finite integral only in a
    bounded space, here the square of twice the plane's side.
    """
    if rules not in RULES:
        raise ValueError(f"rules must be one of {', '.join(RULES)}, got {rules!r}")
    metric = figure_metric(**fitted(START_BALLS), n_centroids=START_BALLS)

    def log_density(z: Tensor) -> Tensor:
        return metric.log_volume(z) if rules == "exact" else released_log_density(metric, z)

    n = CELLS * FINE
    inside = log_density(plane_grid(n))
    around = log_density(2.0 * plane_grid(n // 2))
    around[n // 8 : 3 * n // 8, n // 8 : 3 * n // 8] = -torch.inf
    shift = torch.maximum(inside.amax(), around.amax())
    cells = torch.exp(inside - shift).reshape(CELLS, FINE, CELLS, FINE).sum((1, 3)).flatten()
    masses = torch.cat([cells, 16.0 * torch.exp(around - shift).sum()[None]])
    return masses / masses.sum()


def walking_chains(see: str = "", try_this: str = ""):
    r"""Many chains of Hamiltonian Monte Carlo on $\sqrt{\det G}$ of 240 balls, exact or as released.

    ``see`` and ``try_this`` are the two sentences of the caption, plain text. In a notebook the result is a
    widget: ``step``, ``n_leapfrog``, ``n_chains``, ``rules``, ``start`` (a point, or nothing for random
    codes) and ``seed`` are read, set and observed; ``moves``, ``acceptance``, ``total_variation`` to the
    uniform law, ``to_released`` law, the ``noise`` that independent draws would show, and where the chains
    are when they rest, ``z``, are read and observed.
    Stands in chapters 6 and 7. A value out of range raises ValueError.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> shown = widgets.walking_chains()
        >>> shown.rules, shown.n_leapfrog, shown.moves
        ('exact', 10, 0)
    """
    return figure("walking_chains", WalkingChains, _props(), _still, see, try_this)


def _props() -> dict:
    return shared_props() | {
        "fit": fitted(START_BALLS),
        "limits": {"step": list(STEPS)},
        "stops": {name: list(stops) for name, stops in STOPS.items()},
        "start": START,
    }


class WalkingChains(LiveFigure):
    """The figure in a notebook; its traits are described in ``walking_chains``."""

    _esm = notebook_module("walking_chains")
    step = traitlets.Float(help="of the leapfrog").tag(sync=True)
    n_leapfrog = traitlets.Int(help="its steps in a move").tag(sync=True)
    n_chains = traitlets.Int().tag(sync=True)
    rules = traitlets.Enum(RULES).tag(sync=True)
    start = traitlets.List(help="where all chains start; nothing for random codes").tag(sync=True)
    seed = traitlets.Int().tag(sync=True)
    moves = traitlets.Int(help="since the last change").tag(sync=True)
    acceptance = traitlets.Float(help="mean share of accepted moves").tag(sync=True)
    total_variation = traitlets.Float(None, allow_none=True).tag(sync=True)
    to_released = traitlets.Float(None, allow_none=True).tag(sync=True)
    noise = traitlets.Float(None, allow_none=True).tag(sync=True)
    z = traitlets.List(help="the chains, x and y in turn").tag(sync=True)

    def __init__(self, props: dict) -> None:
        super().__init__(props, [props["model"], props["colors"]], **props["start"])

    @traitlets.validate("step")
    def _check_step(self, proposal) -> float:
        return within("step", proposal["value"], *STEPS)

    @traitlets.validate("n_leapfrog", "n_chains")
    def _check_count(self, proposal) -> int:
        name = proposal["trait"].name
        return one_of(name, proposal["value"], STOPS[name])

    @traitlets.validate("start")
    def _check_start(self, proposal) -> list[float]:
        return clipped_pair("start", proposal["value"], HALF) if proposal["value"] else []


class Walk(NamedTuple):
    """Where chains stand, and the mean acceptance of their moves."""

    z: Float[Tensor, "n d"]
    acceptance: float


def walk(n: int, moves: int) -> Walk:
    """n chains of the core's sampler from random codes, with the figure's own settings."""
    metric, generator = figure_metric(**fitted(START_BALLS), n_centroids=START_BALLS), make_generator(0)
    start = field_balls().mu.double()[torch.randint(START_BALLS, (n,), generator=generator, device="cpu")]
    state, accepted = hmc.evaluate_target(metric.log_volume_and_grad, start), 0.0
    for _ in range(moves):
        state, probability = hmc.hmc_step(
            metric.log_volume_and_grad, state, START["step"], START["n_leapfrog"], generator=generator
        )
        accepted += probability.mean().item() / moves
    return Walk(state.z, accepted)


def _still() -> str:
    z, acceptance = walk(STILL_CHAINS, STILL_MOVES)
    metric = figure_metric(**fitted(START_BALLS), n_centroids=START_BALLS)
    plane = stills.Plane(40.0, 10.0, 400.0, (0.0, 0.0), HALF)
    low, high = (stills.number(v, 0) for v in RANGE)
    lines = [
        f"{STILL_CHAINS} chains after {STILL_MOVES} moves",
        f"of {START['n_leapfrog']} leapfrog steps of {START['step']:g}",
        f"{100 * acceptance:.0f}% accepted",
        f"colors: log √det G from {low} to {high}",
    ]
    return stills.still(
        740, 440, f"Chains on the field log √det G of {START_BALLS} balls: {', '.join(lines)}", plane.frame(),
        field_still(plane, metric), plane.walkers(z),
        *(stills.text(470, 40 + 24 * i, line) for i, line in enumerate(lines)),
    )  # fmt: skip
