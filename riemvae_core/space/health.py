"""The state of a latent space in numbers and in words: what its balls do, and what a sampler will meet."""

import math
import textwrap
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemvae_core.intervals import Interval
from riemvae_core.laws import mixture_of_metric
from riemvae_core.numerics import check_finite, check_floats, make_generator, standard_normal
from riemvae_core.space.crowds import (
    Crowd,
    counted,
    duplicates,
    largest_crowd,
    near_duplicates,
    numbers,
    read_wrongly,
    unusual_rows,
    warnings_of_digits,
    warnings_of_rows,
)
from riemvae_core.space.overlaps import at_draws, overlap, probes

#: variance of the centers along an axis above which it is active (Burda et al., 2016)
ACTIVE_VARIANCE = 0.01
#: mean KL, nats, below which an axis is dead: what one of that variance pays where its second moment is 1
DEAD_NATS = 0.005
#: how far an axis's second moment may be from 1 before the report warns
MOMENT_TOLERANCE = 0.1
#: share of its own ball in the density at a draw above which the report calls the balls a list of points
LONELY_SHARE = 0.9
#: KL of the aggregate posterior to the prior, nats, above which the report warns
PRIOR_GAP_NATS = 1.0
#: share of the uniform law in the empty background above which the report warns
BACKGROUND_SHARE = 0.05
#: the quantiles over balls that are the rows of ``HealthReport.radii``
QUANTILES = (0.0, 0.05, 0.5, 0.95, 1.0)
#: width of the printed report, characters
COLUMNS = 80


class MetricHealth(NamedTuple):
    """A posterior metric's parameters, and the share of its uniform law in the empty background.

    The part ``metric`` of a ``HealthReport``; the share is from 0 to 1 (derived in chapter 5).

    Example:
        >>> mu, log_var = torch.tensor([[0.0, 0.0], [4.0, 0.0]]), torch.zeros(2, 2)
        >>> metric = rc.PosteriorMetric(mu, log_var, rho=1.0, lam=1.0, tau=1.0)
        >>> rc.latent_health(mu, log_var, metric).metric.background_share  # one of three equal parts
        0.33
    """

    n_centroids: int
    rho: float
    lam: float
    tau: float
    background_share: float


class HealthReport(NamedTuple):
    r"""What ``latent_health`` finds; ``str(report)`` is a table to read.

    One value an axis: ``kl`` in nats, ``center_variance``, ``second_moment``
    ($\mathbb E\,\mu_k^2+\mathbb E\,\sigma_k^2$, 1 at rest), ``dead``, ``active``, and ``radii``, whose rows
    are the smallest, the 5%, 50% and 95% quantile and the largest. Over random balls, with 95% intervals:
    ``overlap`` (of a ball with the one whose center is nearest, from 0 to 1), ``own_share`` (of a ball in all
    balls' density at its own draws, from 1 over their number to 1), ``information`` ($I(x;z)$) and
    ``prior_gap`` ($\mathrm{KL}(q(z)\|p(z))$), both in nats; their sum is the mean KL. ``metric`` is None
    without a metric that is made of balls. ``warnings`` says in words what is wrong.

    Rows by number: ``same`` repeat an earlier ball exactly, ``close`` have a center next to another one, much
    nearer than by chance, ``unusual`` lie far from all others by center or radii, farthest first. ``crowd``,
    with ``metric`` only, is the place that holds most of the uniform law. ``radii_look_like`` is None, or
    what ``log_var`` seems to hold instead: "sigma", "sigma^2" or "log sigma".

    Used in chapter 11.

    Example:
        >>> mu = 100.0 * torch.randn(64, 2, generator=rc.make_generator(0))
        >>> report = rc.latent_health(mu, torch.zeros(64, 2))
        >>> math.exp(report.information.mean), report.own_share.mean  # each of 64 balls stands alone
        (64.0, 1.0)
    """

    n_balls: int
    kl: Float[Tensor, " d"]
    center_variance: Float[Tensor, " d"]
    second_moment: Float[Tensor, " d"]
    dead: Bool[Tensor, " d"]
    active: Bool[Tensor, " d"]
    radii: Float[Tensor, "5 d"]
    overlap: Interval
    own_share: Interval
    information: Interval
    prior_gap: Interval
    metric: MetricHealth | None
    warnings: tuple[str, ...]
    same: Int[Tensor, " k"]
    close: Int[Tensor, " m"]
    unusual: Int[Tensor, " e"]
    crowd: Crowd | None
    radii_look_like: str | None

    def __str__(self) -> str:
        """A table of one line a fact, then the warnings."""
        rows = list(_rows(self))
        width = max(len(name) for name, _ in rows)
        head = f"{counted(self.n_balls, 'ball')} in {counted(len(self.kl), 'dimension')}"
        notes = [textwrap.fill(f"! {w}", COLUMNS, subsequent_indent="  ") for w in self.warnings]
        notes = notes or ["Nothing to warn of."]
        return "\n".join([head, *(f"  {name:<{width}}  {value}" for name, value in rows), *notes])


def _rows(report: HealthReport) -> Iterator[tuple[str, str]]:
    d, moment = len(report.kl), report.second_moment
    _, low, middle, high, _ = report.radii.median(1).values.tolist()
    yield f"active axes (centers vary > {ACTIVE_VARIANCE})", f"{int(report.active.sum())} of {d}"
    yield f"dead axes (KL < {DEAD_NATS} nats)", f"{int(report.dead.sum())} of {d}"
    yield "KL of a ball, mean", f"{report.kl.sum().item():.2f} nats"
    yield (
        "  = information I(x; z)",
        f"{report.information:.2f} nats, at most {math.log(report.n_balls):.2f}",
    )
    yield "  + aggregate to prior", f"{report.prior_gap:.2f} nats"
    yield "second moment of an axis (1 at rest)", f"{moment.min().item():.2f} to {moment.max().item():.2f}"
    yield "radius 5/50/95%, of the median axis", f"{low:.3g} / {middle:.3g} / {high:.3g}"
    yield "overlap with the nearest ball", "no other" if report.n_balls == 1 else f"{report.overlap:.3f}"
    yield "own share of density in a ball", f"{report.own_share:.3g}"
    if len(report.same) + len(report.close):
        yield "balls that repeat another, nearly", f"{len(report.same):,}, {len(report.close):,}"
    if report.metric is not None:
        n, rho, lam, tau, share = report.metric
        yield "centroids of the metric", f"{n:,}"
        yield "rho, lambda, tau", f"{rho:.3g}, {lam:.3g}, {tau:.3g}"
        yield "background of its uniform law", f"{share:.2%}"
    if report.crowd is not None:
        share, rows = report.crowd
        yield "largest crowd of its uniform law", f"{share:.2%} in {counted(len(rows), 'ball')}"


def _check(mu: Tensor, log_var: Tensor) -> None:
    check_floats(mu=mu, log_var=log_var)
    if mu.ndim != 2 or len(mu) < 1 or mu.shape[1] < 1:
        raise ValueError(f"mu must be [n, d] with n and d at least 1, got {list(mu.shape)}")
    if log_var.shape != mu.shape:
        raise ValueError(f"log_var must have mu's shape {tuple(mu.shape)}, got {tuple(log_var.shape)}")
    check_finite(mu=mu, log_var=log_var)
    for name, values, most in (("mu", mu, 1e15), ("log_var", log_var, 600.0)):
        if bool((values.abs() > most).any()):
            row = int((values.abs() > most).any(1).nonzero()[0])
            raise ValueError(
                f"{name} must lie within {most:g} of 0, got {values[row].abs().max():g} in row {row}"
            )


@torch.no_grad()
def latent_health(
    mu: Float[Tensor, "n d"],
    log_var: Float[Tensor, "n d"],
    metric=None,
    generator: torch.Generator | None = None,
) -> HealthReport:
    r"""Examine the balls of a data set, and the metric that is made of them.

    An axis is active where its centers vary by more than 0.01 (Burda et al., 2016), dead where its mean KL is
    below 0.005 nats, the price of such centers where the second moment is 1. At 2048 draws z of random balls,
    with $q(z)$ the average density of all n: $I(x;z)=\mathbb E\log q(z\mid x)/q(z)$, at most $\log n$, and
    the rest of the mean KL, $\mathbb E\log q(z)/p(z)$ (Hoffman and Johnson, 2016). The overlap of two balls
    is the Bhattacharyya coefficient. The background's share is that of a ``PosteriorMetric`` whose balls are
    apart (derived in chapter 5): overlap makes it smaller in three dimensions or more.

    All is computed in float64 (on the CPU, where the device has none). One ball, or fewer than there are
    axes, are reported with what they can't tell. B copies of a ball count $B^{d/2}$ times in the uniform law,
    and so in the crowd's share. Radii that the dtype of mu can't hold at its centers are told.

    Without a generator the draws come from seed 0, and a report is the same each time. Raises ValueError for
    shapes, or numbers that are not finite or beyond what a variance can be.

    Example:
        >>> report = rc.latent_health(torch.zeros(100, 2), torch.zeros(100, 2))  # balls the size of the world
        >>> report.dead, report.kl.sum().item()
        (tensor([True, True]), 0.0)
        >>> print(report.warnings[0])
        Every axis is dead: the posterior has collapsed, and all images decode to one.
    """
    _check(mu, log_var)
    generator = generator if generator is not None else make_generator(0)
    dtype, device = mu.dtype, mu.device
    i = probes(mu, generator)
    eps = standard_normal((len(i), mu.shape[1]), mu, generator)
    mu, log_var, i, eps = (t.cpu() if device.type == "mps" else t for t in (mu, log_var, i, eps))
    mu, log_var, eps = mu.double(), log_var.double(), eps.double()
    kl = _kl_by_axis(mu, log_var)
    rows = [round(q * (len(mu) - 1)) for q in QUANTILES]
    information, own_share, prior_gap = at_draws(mu, log_var, i, eps)
    variance, same = mu.var(0, correction=min(1, len(mu) - 1)), duplicates(mu, log_var)
    by_axis = {
        "kl": kl,
        "center_variance": variance,
        "second_moment": mu.square().mean(0) + torch.exp(log_var).mean(0),
        "radii": torch.exp(0.5 * log_var.sort(0).values[rows]),
    }
    found = _of_metric(metric)
    report = HealthReport(
        n_balls=len(mu),
        **{name: values.to(dtype) for name, values in by_axis.items()},
        dead=kl < DEAD_NATS,
        active=variance > ACTIVE_VARIANCE,
        overlap=overlap(mu, log_var, probes(mu, generator)),
        own_share=own_share,
        information=information,
        prior_gap=prior_gap,
        metric=found,
        warnings=(),
        same=same,
        close=near_duplicates(mu, same, int((variance > ACTIVE_VARIANCE).sum())),
        unusual=unusual_rows(mu, log_var),
        crowd=largest_crowd(metric, mu) if found and hasattr(metric, "log_diagonal") else None,
        radii_look_like=read_wrongly(mu, log_var),
    )
    return report._replace(warnings=(*_warnings(report), *warnings_of_digits(mu, log_var, dtype)))


def _kl_by_axis(mu: Float[Tensor, "n d"], log_var: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """The mean KL of each axis, nats: an axis with less than ``DEAD_NATS`` is dead.

    Example:
        >>> from riemvae_core.space.health import _kl_by_axis
        >>> _kl_by_axis(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), torch.zeros(2, 2))
        tensor([0.5000, 0.0000])
    """
    return 0.5 * (mu.square() + torch.expm1(log_var) - log_var).mean(0)


def _of_metric(metric) -> MetricHealth | None:
    if not all(hasattr(metric, name) for name in ("mu", "log_var", "rho", "lam", "tau")):
        return None
    rho, lam, tau = float(metric.rho), float(metric.lam), float(metric.tau)
    if lam == 0.0 or tau == 0.0:
        share = float(lam > 0.0)
    else:
        mixture = mixture_of_metric(metric)
        share = math.exp(mixture.log_mass[-1].item() - mixture.log_total)
    return MetricHealth(len(metric.mu), rho, lam, tau, share)


def _axes(mask: Tensor) -> str:
    return numbers(mask.nonzero().flatten())


def _warnings(report: HealthReport) -> Iterator[str]:
    d, off = len(report.kl), (report.second_moment - 1.0).abs() > MOMENT_TOLERANCE
    if report.dead.all():
        yield "Every axis is dead: the posterior has collapsed, and all images decode to one."
    elif report.dead.any():
        n = int(report.dead.sum())
        yield f"{n} of {d} axes are dead ({_axes(report.dead)}): they bring the decoder nothing but noise."
    if off.any():
        yield (
            f"E mu^2 + E sigma^2 is off 1 by more than {MOMENT_TOLERANCE} on axes {_axes(off)}: draws of the "
            "prior are spread otherwise than what the decoder was trained on."
        )
    if report.n_balls > 1 and report.own_share.mean > LONELY_SHARE:
        yield (
            "The balls hardly touch: each image has a place of its own, and between them the decoder was "
            "never trained. The latent space is a list of points."
        )
    if report.prior_gap.low > PRIOR_GAP_NATS:
        yield (
            f"The aggregate posterior is {report.prior_gap.mean:.1f} nats from the prior: draws of the prior "
            "often fall where no image is."
        )
    if report.metric is not None and report.metric.background_share > BACKGROUND_SHARE:
        yield (
            f"{report.metric.background_share:.0%} of the uniform law lies in the empty background: "
            "raise tau, or fit the metric with a smaller background."
        )
    yield from warnings_of_rows(report)
