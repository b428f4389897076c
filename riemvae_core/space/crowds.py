r"""What single rows do to a latent space: duplicates, crowds, rows of unusual leverage, radii read wrongly.

All in double precision, for balls mu, log_var ``[n, d]``.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemvae_core.neighbors import first_rows, nearest
from riemvae_core.numerics import chunks
from riemvae_core.space.overlaps import squares_of

#: share of the uniform law in one crowd of fewer than half of all balls above which the report warns
CROWD_SHARE = 0.5
#: share of balls that have another one as near as near duplicates are, by chance
NEAR_CHANCE = 1e-7
#: share of radii too small for a dtype above which the report warns
COARSE_SHARE = 0.01
#: how many of a row's neighbors tell how densely rows lie: more than there are copies of one
RING = 16
#: how many robust deviations, in root mean square over axes, make a row's center unusual
FAR = 10.0
#: how many nats from the middle, in the mean over axes, make a row's log variances unusual
SMALL_OR_LARGE = 8.0


class Crowd(NamedTuple):
    """The balls about one place that hold most of the uniform law: their share of it, and their rows.

    The share is from 0 to 1, of the volume that the balls take alone, without the background. The part
    ``crowd`` of a ``HealthReport`` (derived in chapter 6: copies of a ball at one place count
    $B^{d/2}$ times, not B times).

    Example:
        >>> mu = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [9.0, 0.0]])
        >>> metric = rc.PosteriorMetric(mu, torch.zeros(4, 2), rho=1.0, lam=1e-9, tau=1e-9)
        >>> crowd = rc.latent_health(mu, torch.zeros(4, 2), metric).crowd
        >>> crowd.share, crowd.rows  # 3^(2/2) of 3 + 1
        (0.75, tensor([0, 1, 2]))
    """

    share: float
    rows: Int[Tensor, " k"]


def duplicates(mu: Tensor, log_var: Tensor) -> Int[Tensor, " k"]:
    """Rows that repeat an earlier one, center and log variances."""
    first = first_rows(torch.cat([mu, log_var], 1))
    return (first != torch.arange(len(mu), device=mu.device)).nonzero().flatten()


def near_duplicates(mu: Tensor, same: Int[Tensor, " k"], axes: int) -> Int[Tensor, " c"]:
    """Rows whose center is next to another one, though not the same: much nearer than by chance.

    Of centers spread evenly over that many ``axes`` about one in 10^7 is so near another.
    """
    kept = torch.ones(len(mu), dtype=torch.bool, device=mu.device).index_fill(0, same, False)
    places = kept.nonzero().flatten()
    if len(places) < 3:
        return places[:0]
    distances = nearest(mu[places], mu[places], min(RING, len(places) - 1) + 1).distances
    scale, dimension = _spacing(distances, axes)
    return places[distances[:, 1] < min(0.1, NEAR_CHANCE ** (1.0 / dimension)) * scale]


def spacing(mu: Float[Tensor, "n d"], axes: int) -> float:
    """How far the nearest place is, in the median, were each place there once; 0 where there is only one.

    Copies don't count, exact or nearly so: where most rows have one, theirs is the nearest distance.
    """
    places = mu.unique(dim=0)
    if len(places) < 2:
        return 0.0
    return _spacing(nearest(places, places, min(RING, len(places) - 1) + 1).distances, axes)[0]


def known(codes: Float[Tensor, "m d"], mu: Float[Tensor, "n d"], axes: int) -> Bool[Tensor, " m"]:
    """Which codes are one of mu's: a model's rounding away at most, which differs from batch to batch."""
    if not len(codes):
        return torch.zeros(0, dtype=torch.bool, device=mu.device)
    usual, size = spacing(mu.double(), axes), mu.abs().amax(1)
    size = codes.abs().amax(1).maximum(size.median()).double()
    limit = (16.0 * torch.finfo(mu.dtype).eps * size).clamp(1e-5 * usual, 1e-2 * usual)
    return nearest(codes.double(), mu.double(), 1).distances[:, 0] <= limit


def _spacing(distances: Float[Tensor, "n k"], axes: int) -> tuple[float, float]:
    """``spacing`` by distances from each place to itself and the nearest, and how many dimensions they fill.

    Of points spread evenly over D dimensions the k-th is $k^{1/D}$ times as far as the nearest. D is read off
    how far twice as many neighbors reach, since places may fill a curve among many axes; they are at least 1,
    and at most the axes in use. It is the most of three readings: within a group of copies one sees theirs.
    """
    k, dimension = distances.shape[1] - 1, float(max(axes, 1))
    if k == RING:
        rings = distances[:, [2, 4, 8, 16]].clamp_min(torch.finfo(distances.dtype).tiny)
        growth = (rings[:, 1:] / rings[:, :-1]).log2().median(0).values
        dimension = min(dimension, max(1.0, (1.0 / growth).max().item()))
    return distances[:, k].median().item() * k ** (-1.0 / dimension), dimension


def unusual_rows(mu: Tensor, log_var: Tensor) -> Int[Tensor, " k"]:
    """Rows far from all others by center or by radii, measured by medians; the farthest first."""
    if len(mu) < 5:
        return torch.zeros(0, dtype=torch.long, device=mu.device)
    away = (mu - mu.median(0).values).abs()
    spread = 1.4826 * away.median(0).values
    spread = spread.maximum(0.1 * spread.square().mean().sqrt()).clamp_min(torch.finfo(mu.dtype).tiny)
    far = (away / spread).square().mean(1).sqrt() / FAR
    turn = (log_var - log_var.median(0).values).mean(1).abs()
    radii = turn / (SMALL_OR_LARGE + 10.0 * turn.median())
    score = far.maximum(radii)
    rows = (score > 1.0).nonzero().flatten()
    return rows[score[rows].argsort(descending=True)] if len(rows) <= 0.05 * len(mu) else rows[:0]


def read_wrongly(mu: Tensor, log_var: Tensor) -> str | None:
    """What the log variances look like instead, by their signs and the second moment each reading gives."""
    readings = {"log_var": log_var.exp(), "log sigma": (2.0 * log_var).exp()}
    if bool((log_var >= 0.0).all()):
        readings |= {"sigma": log_var.square(), "sigma^2": log_var}
    off = {k: (mu.square().mean(0) + v.mean(0) - 1.0).abs() for k, v in readings.items()}
    if len(readings) == 4 and bool((log_var > 0.0).any()):
        return min(("sigma", "sigma^2"), key=lambda k: off[k].median().item())
    if off["log_var"].median() > 0.15 and bool((off["log sigma"] < 0.05).all()):
        return "log sigma"
    return None


def warnings_of_digits(mu: Tensor, log_var: Tensor, dtype: torch.dtype) -> Iterator[str]:
    """What a dtype, in which these came, can't hold: radii of a few steps from one number to the next."""
    steps = 4.0 * torch.finfo(dtype).eps * mu.abs()
    share = (torch.exp(0.5 * log_var) <= steps).double().mean().item()
    if share > COARSE_SHARE:
        name = str(dtype).removeprefix("torch.")
        remedy = (
            "subtract their mean" if dtype == torch.float64 else "encode in float64, or subtract the mean"
        )
        yield (
            f"{share:.0%} of the radii are below the digits of {name} at these centers: a draw is one of few "
            f"points. Remedy: {remedy}."
        )


def largest_crowd(metric, mu: Tensor) -> Crowd | None:
    """The largest crowd of a metric made of balls; its rows are those of ``mu``.

    A ball's volume is that of the metric at its center, shared with the balls that lie there too; a crowd are
    the balls with at least half their weight at the center of one of them.
    """
    centers, log_var = metric.mu.to(mu), metric.log_var.to(mu)
    log_mass = []
    for s in chunks(len(centers), 8 * 8 * len(centers)):
        squares = squares_of(centers[s], centers, log_var, mu.new_tensor(80.0 * metric.rho**2))
        there = torch.exp(-squares / metric.rho**2) @ torch.exp(-log_var)  # the metric without its background
        relative = torch.log(there) + log_var[s]
        log_mass.append(0.5 * relative.sum(1) - torch.logsumexp(relative, 1))
    log_mass = torch.cat(log_mass)
    share = torch.softmax(log_mass, 0)
    best, rows = -1.0, None
    for k in share.topk(min(64, len(share))).indices.tolist():
        square = ((centers[k] - centers).square() * torch.exp(-log_var)).sum(1)
        members = square < math.log(2.0) * metric.rho**2
        if (held := share[members].sum().item()) > best + 1e-12:
            best, rows = held, members.nonzero().flatten()
    if len(centers) != len(mu):
        rows = nearest(centers[rows], mu, 1).indices[:, 0]
    return Crowd(best, rows)


def counted(n: int, noun: str) -> str:
    """A number and its noun, in the plural where there are several."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def numbers(rows: Tensor) -> str:
    """The first eight rows in words, and how many there are more."""
    found = [str(i) for i in rows.tolist()]
    return ", ".join(found) if len(found) <= 8 else f"{', '.join(found[:8])} and {len(found) - 8} more"


def warnings_of_rows(report) -> Iterator[str]:
    """What single rows do, and what so few can't tell."""
    n, d = report.n_balls, len(report.kl)
    if report.radii_look_like is not None:
        yield (
            f"log_var looks like {report.radii_look_like}, not log sigma^2: convert it, or every radius is "
            "wrong."
        )
    if len(report.unusual):
        yield (
            f"{counted(len(report.unusual), 'row')} of unusual leverage ({numbers(report.unusual)}): so far "
            "from all others that one may move every number here. Look at the images, and at their range."
        )
    if len(report.same) + len(report.close) and not report.dead.all():
        yield (
            f"{counted(len(report.same), 'ball')} repeat an earlier one ({numbers(report.same) or 'none'}), "
            f"{len(report.close)} lie next to another ({numbers(report.close) or 'none'}): the uniform law "
            f"counts B copies about B^{d / 2:g} times. Encode each image once."
        )
    if report.crowd is not None and report.crowd.share > CROWD_SHARE and len(report.crowd.rows) < 0.5 * n:
        yield (
            f"{report.crowd.share:.0%} of the uniform law lies in one crowd of {len(report.crowd.rows)} of "
            f"{n} balls ({numbers(report.crowd.rows)})."
        )
    if n <= d or n == 1:
        yield (
            f"{counted(n, 'ball')} in {counted(d, 'dimension')} can't tell axes in use from idle ones, nor "
            "how the balls are spread: encode more images than axes."
        )
