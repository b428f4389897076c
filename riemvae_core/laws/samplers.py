r"""Two ways to the uniform law $\sqrt{\det G}$: importance weights on a mixture, and chains of HMC."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.laws.crowds import proposal_of_metric
from riemvae_core.laws.diagnostics import (
    bridge_log_ratio,
    effective_sample_size,
    importance_ess,
    pareto_k,
    split_r_hat,
)
from riemvae_core.laws.hmc import REMEDY, evaluate_target, run_chains, target_of
from riemvae_core.laws.mixture import BallMixture
from riemvae_core.numerics import check_finite, check_number, standard_uniform

#: largest split r-hat of draws that count as converged: chains and their halves agree to 5% (chapter 6)
R_HAT_LIMIT = 1.05
PARETO_LIMIT, LEAST_ESS, LEAST_WITNESSES = 0.7, 400.0, 25
NAME = "log_volume"


class UniformDraws(NamedTuple):
    r"""Draws from $\sqrt{\det G}$, and what their sampler knows of them.

    ``log_volume`` estimates $\log\int\sqrt{\det G}\,dz$ (nats), ``log_volume_error`` is its standard error.
    ``ess``: how many independent draws everything computed is worth; ``z`` is a part of it. ``acceptance``:
    of HMC moves; for importance, ess over proposals. ``r_hat``: the worst over coordinates and log volume,
    of chains or of independent populations; 1 for importance, which has no chains. ``background_share``: the
    part of the law that belongs to the background. ``sample_uniform`` warns where ``converged`` is False.

    ``converged`` says that no check found a fault: weights without a heavy tail, populations that agree,
    (``sample_uniform``) balls that the dtype's digits can hold, and
    for chains, which know only where they have been, weighted draws of the mixture of the balls that give
    the same volume and the same means. What no draw has met stays unknown. Balls alone don't lead to a crowd
    where no center is: of a thousand unit balls on a sphere of radius $\sqrt{48}$ in 16 dimensions, .99 of
    the volume lies around the middle, and chains from 40 near-copies far away once passed for the whole law.
    Such places are looked for first, by mean shift from 24 centers and all balls' mean; one that has no
    slope toward it from any of these is missed. So is, with a metric without balls, whatever lies far from
    each row of ``start``.

    Example:
        >>> mu, log_var = torch.tensor([[0.0, 0.0], [4.0, 0.0]]), torch.zeros(2, 2)
        >>> metric = rc.PosteriorMetric(mu, log_var, rho=1.0, lam=1.0, tau=1.0)
        >>> draws = rc.sample_uniform(metric, 100, rc.make_generator(0))
        >>> draws.method, draws.converged
        ('importance', True)
    """

    z: Float[Tensor, "n d"]
    log_volume: float
    ess: float
    acceptance: float
    r_hat: float
    background_share: float
    converged: bool
    method: str
    log_volume_error: float


def resample(
    weights: Float[Tensor, " m"], n: int, generator: torch.Generator | None = None
) -> Int[Tensor, " n"]:
    """Systematic resampling in random order: index i comes n times its weight, rounded up or down.

    So no index comes twice while no weight (they sum to 1) exceeds 1/n. Carpenter, Clifford and Fearnhead
    (1999).
    """
    order = standard_uniform(weights.shape, weights, generator).argsort()
    ends = torch.cumsum(weights[order].double().cpu(), 0)
    marks = (torch.arange(n, device="cpu") + standard_uniform((), ends, generator)) / n * ends[-1]
    index = order[torch.searchsorted(ends, marks).clamp_(max=len(ends) - 1).to(order.device)]
    return index[standard_uniform((n,), weights, generator).argsort()]


def sample_by_importance(
    metric,
    n: int,
    generator: torch.Generator | None = None,
    most: int = 64,
    mixture: BallMixture | None = None,
) -> UniformDraws:
    r"""Propose from the mixture of the balls, weigh by $\sqrt{\det G}/\psi$, resample n.

    As many proposals are drawn as bring an effective sample size of 4 n (at least 2,000), at most ``most``
    times that number. Converged: that size reached, and either it is 0.9 of the proposals or the weights'
    Pareto tail is below 0.7. The draws are
    distinct unless a weight exceeds 1/n. The volume's estimate is unbiased. ``mixture`` is
    ``proposal_of_metric(metric)`` where that is known already.

    ``z`` is ``[n, d]``, ``log_volume`` in nats. Derived in chapter 7. Raises ValueError for a metric without
    balls, FloatingPointError where it gives no finite number.

    Example:
        >>> from riemvae_core.laws import sample_by_importance
        >>> mu, log_var = torch.tensor([[0.0, 0.0], [4.0, 0.0]]), torch.zeros(2, 2)
        >>> metric = rc.PosteriorMetric(mu, log_var, rho=1.0, lam=1.0, tau=1.0)
        >>> draws = sample_by_importance(metric, 100, rc.make_generator(0))
        >>> math.exp(draws.log_volume) / math.pi  # pi for each ball and for the background
        3.0
    """
    check_number(1, whole=True, n=n, most=most)
    mixture = mixture or proposal_of_metric(metric)
    wanted = max(4 * n, 2000)
    z, log_w, shares = _weighed(metric, mixture, wanted, generator)
    ess = importance_ess(log_w)
    while ess < wanted and len(z) < most * wanted and (1.2 * wanted / ess) * len(z) <= most * wanted:
        more = _weighed(metric, mixture, math.ceil((1.2 * wanted / ess - 1) * len(z)), generator)
        z, log_w, shares = (torch.cat(pair) for pair in zip((z, log_w, shares), more, strict=True))
        ess = importance_ess(log_w)
    weights = torch.softmax(log_w.cpu().double(), 0)
    log_mean = torch.logsumexp(log_w.cpu().double(), 0).item() - math.log(len(z))
    return UniformDraws(
        z=z[resample(weights, n, generator).to(z.device)],
        log_volume=mixture.log_total + log_mean,
        ess=ess,
        acceptance=ess / len(z),
        r_hat=1.0,
        background_share=background_share(metric, weights, shares),
        converged=ess >= wanted and (ess >= 0.9 * len(z) or pareto_k(log_w) < PARETO_LIMIT),
        method="importance",
        log_volume_error=math.sqrt(max(1.0 / ess - 1.0 / len(z), 0.0)),
    )


def contradicted(log_weights: Float[Tensor, " m"], value: float, error: float) -> bool:
    r"""Whether weights of independent proposals speak against another's estimate of their log mean.

    Their own mean is unbiased: by Markov's inequality it exceeds 20 times the truth once in 20 at most, so a
    larger one says that the other has missed a part. Where the weights are worth 25 draws or more, four
    standard errors decide, and below the estimate only if their Pareto tail is below 0.7.
    """
    ess, n = importance_ess(log_weights), len(log_weights)
    gap = torch.logsumexp(log_weights.cpu().double(), 0).item() - math.log(n) - value
    if ess < LEAST_WITNESSES or n < LEAST_WITNESSES:
        return gap > math.log(20.0)
    bound = 4.0 * math.hypot(error, math.sqrt(max(1.0 / ess - 1.0 / n, 0.0))) + 0.05
    return gap > bound or (gap < -bound and pareto_k(log_weights) < PARETO_LIMIT)


def same_means(
    first: Float[Tensor, "m e"],
    weights: Float[Tensor, " m"],
    second: Float[Tensor, "n e"],
    worth: tuple[float, float],
) -> bool:
    """Whether weighted rows and plain ones have the same means, within 5 standard errors of so many draws."""
    first, second, weights = (t.cpu().double() for t in (first, second, weights))
    mean = weights @ first
    variance = weights @ (first - mean).square() + second.var(0, correction=0)
    bound = 5.0 * (variance * (1.0 / worth[0] + 1.0 / worth[1])).sqrt() + 1e-6 * mean.abs()
    return bool(((mean - second.mean(0)).abs() <= bound).all())


def _weighed(metric, mixture: BallMixture, count: int, generator) -> tuple[Tensor, Tensor, Tensor]:
    """Proposals, their log weights against the normalized mixture, the background's share at each."""
    z, _ = mixture.sample(count, generator)
    log_volume, (base, share) = metric.log_volume(z), mixture.log_density_and_last_share(z)
    if not torch.isfinite(log_volume).all():
        i = int((~torch.isfinite(log_volume)).nonzero()[0])
        raise FloatingPointError(f"{NAME} is {log_volume[i].item()} at z = {z[i].tolist()}: {REMEDY}")
    return z, log_volume - base, share


def background_share(metric, weights: Float[Tensor, " m"], shares: Float[Tensor, " m"]) -> float:
    """Mean, with weights that sum to 1, of the background's share at each point; 0 without a background."""
    return (weights * shares.to(weights)).sum().item() if float(metric.lam) > 0 else 0.0


def sample_by_hmc(
    metric,
    n: int,
    generator: torch.Generator | None = None,
    start: Float[Tensor, "chains d"] | None = None,
    chains: int = 32,
    warm_up: int = 200,
    draws: int | None = None,
    mixture: BallMixture | None = None,
) -> UniformDraws:
    r"""Run chains of Hamiltonian Monte Carlo on $\sqrt{\det G}$ and spread n draws over all of them.

    Chains begin at ``start``, for a metric of balls at draws from the mixture of its balls. ``draws`` are
    kept of each chain, by default 500 or what n takes. The volume comes from bridge sampling between the
    second half of the chains and that mixture or, for another metric, a Gaussian fitted to the first half.
    ``mixture`` is ``proposal_of_metric(metric)`` where that is known already. Converged: r-hat at most 1.05,
    an effective sample size of 400 or more in the worst coordinate, and for a metric of balls the word of
    weighted draws from that mixture, worth 25 or more, for the same volume and means: a chain knows nothing
    of where it has not been.
    """
    check_number(1, whole=True, n=n, chains=chains, warm_up=warm_up)
    if draws is not None:
        check_number(4, whole=True, draws=draws)
    if mixture is None and hasattr(metric, "rho"):
        mixture = proposal_of_metric(metric)
    witnessed = mixture is not None
    if start is None:
        if mixture is None:
            raise ValueError("start must hold one row a chain for a metric without balls, got None")
        start = mixture.sample(chains, generator)[0]
    check_finite(start=start)
    if start.ndim != 2 or len(start) == 0:
        raise ValueError(f"start must be [chains, d], got {list(start.shape)}")
    draws = max(500, math.ceil(n / len(start))) if draws is None else draws
    target = target_of(metric)
    if mixture is None:
        first = run_chains(target, start, 100, warm_up, 8, 1.0, generator, NAME)
        start, scale = first.z[:, -1], first.z.std(1).mean(0).clamp_min(torch.finfo(start.dtype).tiny)
    else:
        scale = local_scale(metric)
    done = run_chains(target, start, draws, warm_up, 8, scale, generator, NAME)
    features = torch.cat([done.z, done.log_density[..., None]], -1)
    ess, r_hat = effective_sample_size(features).min().item(), split_r_hat(features).max().item()
    flat, half = done.z.flatten(0, 1), draws // 2
    mixture = mixture or _fitted(done.z[:, :half].flatten(0, 1))
    proposals = mixture.sample(len(start) * (draws - half), generator)[0]
    value = evaluate_target(target, proposals, NAME).log_density
    log_w = value - mixture.log_density(proposals)
    late, last_share = mixture.log_density_and_last_share(done.z[:, half:].flatten(0, 1))
    at_chains = done.log_density[:, half:].flatten() - late
    bridge = bridge_log_ratio(at_chains, log_w, max(0.5 * ess, 1.0))
    converged = r_hat <= R_HAT_LIMIT and ess >= LEAST_ESS
    if witnessed and converged:
        witnesses = torch.cat([proposals, value[:, None]], 1)
        worth = importance_ess(log_w)
        converged = (
            worth >= LEAST_WITNESSES
            and not contradicted(log_w, *bridge)
            and same_means(witnesses, torch.softmax(log_w, 0), features.flatten(0, 1), (worth, ess))
        )
    even = torch.full((len(flat),), 1.0 / len(flat), dtype=torch.float64, device="cpu")
    return UniformDraws(
        z=flat[resample(even, n, generator).to(flat.device)],
        log_volume=mixture.log_total + bridge.value,
        ess=ess,
        acceptance=done.acceptance,
        r_hat=r_hat,
        background_share=last_share.mean().item() if float(getattr(metric, "lam", 0.0)) > 0 else 0.0,
        converged=converged,
        method="hmc",
        log_volume_error=bridge.error,
    )


def local_scale(metric) -> Float[Tensor, " d"]:
    r"""A length for each coordinate of a step, $\rho/\sqrt d$ times the geometric mean of the radii.

    In units of z, for a metric made of balls. Defined for this book; used in chapter 6.

    Example:
        >>> from riemvae_core.laws import local_scale
        >>> log_var = torch.tensor([[0.0] * 4, [math.log(16.0)] * 4])  # radii 1 and 4
        >>> local_scale(rc.PosteriorMetric(torch.zeros(2, 4), log_var, rho=1.0, lam=0.0, tau=0.0))
        tensor([1.0, 1.0, 1.0, 1.0])
    """
    return float(metric.rho) * metric.mu.shape[1] ** -0.5 * torch.exp(0.5 * metric.log_var.mean(0))


def _fitted(z: Tensor) -> BallMixture:
    """One Gaussian with the mean and the variances of draws, of mass 1."""
    log_var = z.var(0).clamp_min(torch.finfo(z.dtype).tiny).log()
    return BallMixture(z.mean(0)[None], log_var[None], z.new_zeros(1))
