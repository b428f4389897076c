"""Chapter 11's live figure: the field of a reader's own latents, their health, draws of their uniform law."""

import torch
import traitlets
from torch import Tensor

from riemvae_core.figures.widgets import stills
from riemvae_core.figures.widgets.assets import FIELD_COLORS, field_colors
from riemvae_core.figures.widgets.checks import one_of, pair, within
from riemvae_core.figures.widgets.host import LiveFigure, figure, notebook_module
from riemvae_core.figures.widgets.metric_figure import MODEL, field_balls
from riemvae_core.figures.widgets.reader_latents import (
    LIMIT,
    MOST_BALLS,
    checked_array,
    checked_latents,
    color_range,
    in_view,
    own_metric,
    packed_latents,
    slice_through,
    unpacked_array,
    unpacked_latents,
    widest_axes,
)
from riemvae_core.laws import UniformDraws, sample_by_importance
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator
from riemvae_core.space import latent_health

NAMES = {"example": f"the example, {MODEL}", "own": "your own latents"}
STOPS = (100, 200, 500, 1000)  # numbers of draws
START = {"seed": 0, "n_draws": 500}
STILL_GRID = 140


def own_latents(see: str = "", try_this: str = "", *, mu=None, log_var=None):
    r"""A reader's own balls: the field $\log\sqrt{\det G}$ along two axes, uniform draws, the health report.

    ``see`` and ``try_this`` are the two sentences of the caption, plain text. ``mu`` and ``log_var`` are
    tensors or arrays of floats ``[n, d]``, both or neither; without them the figure begins with 240 balls of
    a shipped model. In the page a reader gives a .npz or a .json with the two, which is read there and sent
    nowhere. The metric is ``PosteriorMetric.fit`` of all balls or, of more than 2,000, of a random subset
    (``metric_balls``); draws are those of ``sample_by_importance`` with the figure's ``seed``.

    In a notebook the result is a widget: ``mu`` and ``log_var`` (also what a reader drops in), ``axes``,
    ``ball`` (through whose center the plane is a slice), ``z`` (in the plane), ``seed`` and ``n_draws`` are
    read, set and observed; ``metric`` and ``draws`` are read. Raises ValueError for arrays that don't suit.
    Stands in chapter 11.

    Example:
        >>> from riemvae_core.figures import widgets
        >>> mu = torch.randn(50, 3, generator=rc.make_generator(0))
        >>> shown = widgets.own_latents(mu=mu, log_var=torch.full_like(mu, -2.0))
        >>> shown.metric.mu.shape, len(shown.axes)
        (torch.Size([50, 3]), 2)
    """
    if (mu is None) != (log_var is None):
        raise ValueError("mu and log_var must be given together, got one of them")
    given = None if mu is None else packed_latents(NAMES["own"], *checked_latents(mu, log_var))
    props = _props() | {"latents": given}
    return figure("own_latents", OwnLatents, props, lambda: _still(props), see, try_this)


def _props() -> dict:
    mu = field_balls().mu
    return {
        "example": {"asset": MODEL, "name": NAMES["example"], "shape": list(mu.shape)},
        "colors": FIELD_COLORS,
        "limit": LIMIT,
        "most": MOST_BALLS,
        "stops": list(STOPS),
        "start": START,
    }


def _first_view(mu: Tensor, log_var: Tensor) -> dict:
    """Of new latents: the axes that carry most, a slice through the first ball, its center in hand."""
    axes = widest_axes(mu, log_var)
    return {"axes": axes, "ball": 0, "z": in_view(mu[:1], axes)[0].tolist()}


class OwnLatents(LiveFigure):
    """The figure in a notebook; its traits are described in ``own_latents``."""

    _esm = notebook_module("own_latents")
    mu = traitlets.Any(help="centers of the balls [n, d]")
    log_var = traitlets.Any(help="logs of their squared radii [n, d]")
    axes = traitlets.List(help="the two in view, counted from 0").tag(sync=True)
    ball = traitlets.Int(help="through whose center the plane is a slice").tag(sync=True)
    z = traitlets.List(help="the point in hand, in the plane").tag(sync=True)
    seed = traitlets.Int(help="of the draws").tag(sync=True)
    n_draws = traitlets.Int().tag(sync=True)
    _latents = traitlets.Dict().tag(sync=True)
    _draws = traitlets.Dict().tag(sync=True)

    def __init__(self, props: dict) -> None:
        given = props["latents"] or packed_latents(NAMES["example"], *field_balls())
        mu, log_var = unpacked_latents(given)
        start = START | _first_view(mu, log_var) | {"mu": mu, "log_var": log_var, "_latents": given}
        super().__init__(props | {"latents": None}, [MODEL, FIELD_COLORS], **start)

    @property
    def metric(self) -> PosteriorMetric:
        """The core's metric for the balls of the moment."""
        return own_metric(*checked_latents(self.mu, self.log_var))

    @property
    def draws(self) -> UniformDraws | None:
        """The page's draws from the uniform law, float64, once it has made them."""
        if not self._draws:
            return None
        facts = dict(self._draws)
        z = unpacked_array(facts.pop("z"), "f8", facts.pop("shape"))
        return UniformDraws(z=z, r_hat=1.0, method="importance", **facts)

    @traitlets.validate("mu", "log_var")
    def _check_balls(self, proposal) -> Tensor:
        return checked_array(proposal["trait"].name, proposal["value"])

    @traitlets.validate("axes")
    def _check_axes(self, proposal) -> list[int]:
        axes = [int(v) for v in pair("axes", proposal["value"])]
        _, d = self._latents["shape"]
        fits = axes[0] != axes[1] and all(0 <= axis < d for axis in axes)
        if not fits and (d, axes) != (1, [0, -1]):
            raise ValueError(f"axes must be two different ones from 0 to {d - 1}, got {axes}")
        return axes

    @traitlets.validate("ball")
    def _check_ball(self, proposal) -> int:
        return within("ball", proposal["value"], 0, self._latents["shape"][0] - 1)

    @traitlets.validate("z")
    def _check_z(self, proposal) -> list[float]:
        return pair("z", proposal["value"])

    @traitlets.validate("seed")
    def _check_seed(self, proposal) -> int:
        return within("seed", proposal["value"], 0, 2**32 - 1)

    @traitlets.validate("n_draws")
    def _check_count(self, proposal) -> int:
        return one_of("n_draws", proposal["value"], STOPS)

    @traitlets.observe("mu", "log_var")
    def _show_new(self, _change) -> None:
        """Show new balls once the two arrays fit each other."""
        if self.mu.shape != self.log_var.shape:
            return
        latents = packed_latents(NAMES["own"], *checked_latents(self.mu, self.log_var))
        if all(latents[part] == self._latents[part] for part in ("mu", "log_var")):
            return
        with self.hold_trait_notifications():
            for name, value in _first_view(self.mu, self.log_var).items():
                setattr(self, name, value)
            self._draws, self._latents = {}, latents

    @traitlets.observe("_latents")
    def _take_dropped(self, change) -> None:
        """What a reader dropped in becomes the kernel's mu and log_var."""
        dropped = unpacked_latents(change["new"])
        known = zip(dropped, (self.mu, self.log_var), strict=True)
        if all(torch.equal(new, old.to(new)) for new, old in known):
            return
        with self.hold_trait_notifications():
            self.mu, self.log_var = dropped


def _still(props: dict) -> str:
    given = props["latents"]
    mu, log_var = field_balls() if given is None else unpacked_latents(given)
    metric, d = own_metric(mu, log_var), mu.shape[1]
    draws = sample_by_importance(metric, START["n_draws"], make_generator(START["seed"]))
    shown = slice_through(metric, widest_axes(mu, log_var), mu[0])
    values = metric.log_volume(shown.points(STILL_GRID).to(mu.dtype))
    low, high = color_range(values)
    report = latent_health(mu, log_var, metric)
    plane = stills.Plane(40.0, 10.0, 400.0, shown.center, shown.half)
    where = f"axes {shown.axes[0]} and {shown.axes[1]}" if d > 1 else "the only axis"
    lines = [
        f"{len(mu):,} balls, {where} of {d}",
        f"ρ = {metric.rho:.3g}, λ = {metric.lam:.3g}, τ = {metric.tau:.3g}",
        f"colors: log √det G from {stills.number(low, 1)} to {stills.number(high, 1)}",
        f"{len(draws.z)} uniform draws, effective size {int(draws.ess):,}",
        f"{int(report.active.sum())} of {d} axes active, {int(report.dead.sum())} dead",
        f"KL of a ball {report.kl.sum().item():.2f} nats, information {report.information.mean:.2f}",
        f"overlap with the nearest ball {report.overlap.mean:.3f}",
    ]
    label = f"The field log √det G of a latent space's balls with uniform draws: {'; '.join(lines)}"
    return stills.still(
        760, 440, label, plane.frame().replace("z₁", f"z[{shown.axes[0]}]"),
        plane.field(values, low, high, field_colors()), plane.walkers(in_view(draws.z, shown.axes)),
        plane.handle(shown.start),
        *(stills.text(470, 40 + 24 * i, line) for i, line in enumerate(lines)),
    )  # fmt: skip
