r"""Crowds where no center is: places between balls that hold more of the volume than the balls around."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws.mixture import BallMixture, mixture_of_metric

STARTS, WIDTHS, KEPT, STEPS = 24, (1.0, 1.6, 2.6), 16, 6
# nats by which the volume element must exceed the mixture, and the least share of the mass, to count
EXCESS, LEAST_SHARE = 2.0, 1e-3
MOST_ODDS = math.log(9.0)  # of all crowds found to the mixture, which so keeps a tenth of the mass


def _kernel(metric, width: float) -> BallMixture:
    r"""$\sum_i|\Sigma_i|^{-1/d}e^{-m_i^2/(s\rho)^2}$: at width s = 1 a lower bound on $(\det G)^{1/d}$."""
    d, rho = metric.mu.shape[1], float(metric.rho)
    log_mass = (0.5 - 1.0 / d) * metric.log_var.sum(1)
    return BallMixture(metric.mu, metric.log_var + math.log(0.5 * (width * rho) ** 2), log_mass)


def local_means(metric, crowd: Float[Tensor, " n"]) -> Float[Tensor, "m d"]:
    r"""Where the balls around some centers average to, in wider and wider neighborhoods, and all do.

    Mean shift with the weights $e^{-m_i^2/(s\rho)^2}$ for widths s from 1 to 2.6, each from
    where the last one led, beginning at centers at ranks 1 to n,
    by ``crowd``, that grow geometrically: the greatest crowds, and some of everything.
    """
    n = len(metric.mu)
    ranks = (torch.logspace(0.0, math.log10(n), STARTS, dtype=torch.float64, device="cpu") - 0.5).long()
    z = metric.mu[crowd.cpu().argsort(descending=True)[ranks.unique()].to(metric.mu.device)]
    found = [metric.mu.mean(0, keepdim=True)]
    for width in WIDTHS:
        z = _kernel(metric, width).average(z)[0]
        found.append(z)
    return torch.cat(found)


def _ascend(metric, z: Tensor, log_volume: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Gradient steps as long as ``variance`` says, halved where they overshoot, and the log volume there."""
    share = torch.ones_like(log_volume)[:, None]
    for _ in range(STEPS):
        ahead = z + share * variance * metric.log_volume_and_grad(z)[1]
        value = metric.log_volume(ahead)
        better = value > log_volume
        z, log_volume = torch.where(better[:, None], ahead, z), torch.where(better, value, log_volume)
        share = torch.where(better[:, None], share, 0.5 * share)
    return z, log_volume


def _spread(metric, z: Tensor, variance: Tensor) -> Tensor:
    r"""Variance of the law about each mode, axis by axis, from second differences of the log volume."""
    step, d = 0.25 * variance.sqrt(), z.shape[1]
    bend = torch.zeros_like(z)
    for axis in range(d):
        shift = torch.zeros_like(z)
        shift[:, axis] = step[:, axis]
        ahead, behind = (metric.log_volume_and_grad(z + sign * shift)[1][:, axis] for sign in (1.0, -1.0))
        bend[:, axis] = (behind - ahead) / (2.0 * step[:, axis])
    return 1.0 / torch.minimum(torch.maximum(bend, 1.0 / (16.0 * variance)), 4.0 / variance)


def _apart(z: Tensor, rank: Tensor, variance: Tensor) -> Tensor:
    """Indices in order of ``rank``, greatest first, without those within half a spread of one before."""
    near = (((z[:, None] - z) ** 2 / variance).mean(-1) < 0.25).tolist()  # row i: whether j, kept, covers i
    kept: list[int] = []
    for i in rank.argsort(descending=True).tolist():
        if len(kept) < KEPT and not any(near[i][j] for j in kept):
            kept.append(i)
    return torch.tensor(kept, dtype=torch.long, device=z.device)


def proposal_of_metric(metric) -> BallMixture:
    r"""``mixture_of_metric`` with the mass of each ball as large as the crowd at its center makes it.

    Mass i is multiplied by $\sqrt{\det G(\mu_i)}/\psi(\mu_i)$, so that B balls in one place weigh $B^{d/2}$,
    as in the uniform law; costs one pass over all pairs of balls. Then ``crowds_between`` puts before the
    balls what it finds of places where no center is. A crowd may still be missed there: see ``UniformDraws``.
    Used in chapter 7.
    Raises FloatingPointError, with the ball's row, where the metric or the mixture gives at a center no
    finite number, or less than that ball has alone.

    Example:
        >>> from riemvae_core.laws import mixture_of_metric, proposal_of_metric
        >>> mu = torch.zeros(3, 8)
        >>> mu[2, 0] = 20.0  # two balls in one place, and one far away
        >>> metric = rc.PosteriorMetric(mu, torch.zeros(3, 8), rho=1.0, lam=0.0, tau=0.0)
        >>> masses = proposal_of_metric(metric).log_mass - mixture_of_metric(metric).log_mass
        >>> masses.exp()  # two weigh 2 ** 4 together
        tensor([8.0, 8.0, 1.0])
    """
    mixture, n = mixture_of_metric(metric), len(metric.mu)
    log_volume, log_density = metric.log_volume(metric.mu), mixture.log_density(metric.mu)
    alone = -0.5 * metric.log_var.sum(1)
    for name, value in (("log_volume", log_volume), ("the mixture's log density", log_density)):
        slack = 1e-3 + 2e-4 * metric.mu.shape[1] + 1e-5 * alone.abs()  # what rounding may cost in float32
        bad = ~(torch.isfinite(value) & (value >= alone - slack))
        if bad.any():
            i = int(bad.nonzero()[0])
            raise FloatingPointError(
                f"{name} is {value[i].item()} at the center of ball {i}, where this ball alone makes it "
                f"{alone[i].item():.6g} (log_var from {metric.log_var[i].min().item():.3g} to "
                f"{metric.log_var[i].max().item():.3g}): take float64, or leave this ball out"
            )
    crowd = log_volume - log_density
    masses = torch.cat([mixture.log_mass[:n] + crowd, mixture.log_mass[n:]])
    balls = BallMixture(mixture.mu, mixture.log_var, masses)
    found = crowds_between(metric, balls, crowd)
    if found is None:
        return balls
    pairs = zip((found.mu, found.log_var, found.log_mass), (balls.mu, balls.log_var, masses), strict=True)
    return BallMixture(*(torch.cat(pair) for pair in pairs))  # the background stays last


def crowds_between(metric, mixture: BallMixture, crowd: Float[Tensor, " n"]) -> BallMixture | None:
    r"""Gaussians at modes of $\sqrt{\det G}$ that ``mixture`` misses, each with its mass by Laplace's method.

    From ``local_means`` gradient steps lead to modes. One counts where the volume element exceeds the mixture
    by 2 nats and holds a thousandth of its mass or more; None where there is no such place. ``crowd`` is the
    log volume at the centers over what the balls have alone. Defined for this book; used in chapter 7.
    """
    z, narrow, d = local_means(metric, crowd), _kernel(metric, 1.0), metric.mu.shape[1]
    variance = 2.0 / (d * narrow.average(z)[1])
    log_volume = metric.log_volume(z)
    excess = log_volume - mixture.log_density(z)
    kept = _apart(z, excess, variance)
    kept = kept[excess[kept] > 0.5 * EXCESS]
    if len(kept) == 0:
        return None
    z, log_volume = _ascend(metric, z[kept], log_volume[kept], variance[kept])
    variance = 2.0 / (d * narrow.average(z)[1])
    missed = log_volume - mixture.log_density(z) > EXCESS
    z, log_volume, variance = z[missed], log_volume[missed], variance[missed]
    kept = _apart(z, log_volume, variance)
    if len(kept) == 0:
        return None
    z, log_volume, variance = z[kept], log_volume[kept], variance[kept]
    variance = _spread(metric, z, variance)
    log_mass = log_volume + 0.5 * (variance.log() + math.log(2.0 * math.pi)).sum(1)
    large = log_mass > mixture.log_total + math.log(LEAST_SHARE)
    if not large.any():
        return None
    log_mass = log_mass[large]
    excess = torch.logsumexp(log_mass, 0) - mixture.log_total - MOST_ODDS
    log_mass = log_mass - excess.clamp(min=0.0)
    # a quarter of each mass on twice the variance, for what the second differences did not see
    return BallMixture(
        torch.cat([z[large]] * 2),
        torch.cat([variance[large].log(), variance[large].log() + math.log(2.0)]),
        torch.cat([log_mass + math.log(0.75), log_mass + math.log(0.25)]),
    )
