"""How far draws can be trusted: r-hat, effective sample sizes, tails of weights, ratios of normalizers."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.numerics import check_finite


class LogRatio(NamedTuple):
    """Log of a ratio of two integrals and the standard error of that log."""

    value: float
    error: float


def _on_cpu(values: Tensor) -> Tensor:
    return values.detach().to("cpu", torch.float64)


def _check_chains(chains: Tensor) -> None:
    if chains.ndim < 2 or len(chains) == 0 or chains.shape[1] < 4:
        raise ValueError(
            f"chains must be [chains, draws, ...] with 4 draws or more, got {list(chains.shape)}"
        )
    check_finite(chains=chains)


def _halves(chains: Tensor) -> Tensor:
    """Each chain as two, the first half of its draws and the second; an odd middle draw is left out."""
    half = chains.shape[1] // 2
    return torch.cat([chains[:, :half], chains[:, -half:]])


def _within_and_total(chains: Tensor) -> tuple[Tensor, Tensor]:
    """W, the mean variance inside chains, and the variance of a draw as all chains estimate it."""
    draws = chains.shape[1]
    within = chains.var(1).mean(0)
    rounding = 4.0 * torch.finfo(chains.dtype).eps * chains.abs().amax((0, 1))
    within = torch.where(within > rounding.square(), within, torch.zeros_like(within))
    between = chains.mean(1).var(0) if len(chains) > 1 else torch.zeros_like(within)
    return within, within * (draws - 1) / draws + between


def split_r_hat(chains: Float[Tensor, "chains draws *features"]) -> Float[Tensor, "*features"]:
    r"""Split r-hat of each feature: 1 where chains agree with each other and with their own other half.

    $\hat R$ is the root of $1-\tfrac1n$ plus the variance of the half chains' means over the mean variance
    inside a half chain, of $n$ draws; infinite where nothing moves inside the halves.
    Float64 on the CPU. Gelman et al., Bayesian Data Analysis (2013), section 11.4. Raises ValueError for
    fewer than 4 draws and numbers that are not finite.
    Chapter 6 shows what it can't see.

    Example:
        >>> from riemvae_core.laws import split_r_hat
        >>> chains = torch.randn(4, 1000, generator=rc.make_generator(0))
        >>> split_r_hat(chains).item()
        1.0
        >>> chains[3] += 3.0  # one of four stands elsewhere
        >>> split_r_hat(chains).item()
        1.7
    """
    _check_chains(chains)
    within, total = _within_and_total(_halves(_on_cpu(chains)))
    return torch.where(within > 0, total / within, torch.full_like(within, torch.inf)).sqrt()


def effective_sample_size(chains: Float[Tensor, "chains draws *features"]) -> Float[Tensor, "*features"]:
    r"""How many independent draws would give the mean of a feature as well as these chains do.

    All draws over $1+2\sum_j\mathrm{corr}_j$ of half chains, autocorrelations combined over chains so that
    chains that disagree count for little, summed up by Geyer's initial monotone sequence. Float64 on the CPU.
    1 where nothing moves inside the halves. Vehtari et al. (2021), section 3, without ranks. Raises
    ValueError for fewer than 4 draws and numbers that are not finite. Used in chapter 6.

    Example:
        >>> from riemvae_core.laws import effective_sample_size
        >>> chains = torch.randn(4, 1000, generator=rc.make_generator(0))
        >>> effective_sample_size(chains).item() / 4000
        1.0
        >>> effective_sample_size(chains.repeat_interleave(4, dim=1)).item() / 16_000  # each draw four times
        0.2
    """
    _check_chains(chains)
    x = _halves(_on_cpu(chains))
    m, n = x.shape[:2]
    centered = x - x.mean(1, keepdim=True)
    spectrum = torch.fft.rfft(centered, n=2 * n, dim=1)
    covariance = torch.fft.irfft(spectrum.abs().square(), n=2 * n, dim=1)[:, :n].mean(0) / n
    within, total = _within_and_total(x)
    correlation = 1.0 - (within - covariance * n / (n - 1)) / total.clamp_min(torch.finfo(x.dtype).tiny)
    correlation[0] = 1.0
    pairs = correlation[: n // 2 * 2].unflatten(0, (-1, 2)).sum(1)
    positive = (pairs > 0).long().cumprod(0)
    time = 2.0 * (pairs.cummin(0).values * positive).sum(0) - 1.0
    ess = m * n / time.clamp_min(1.0 / math.log10(m * n))
    return torch.where(within > 0, ess, torch.ones_like(ess))


def importance_ess(log_weights: Float[Tensor, " n"]) -> float:
    r"""Effective sample size of weighted draws, $(\sum W)^2/\sum W^2$: n for equal weights, 1 for one giant.

    Kish (1965). Raises ValueError unless every weight is finite.
    """
    w = _on_cpu(log_weights)
    if w.numel() == 0:
        raise ValueError("log_weights must hold at least one weight, got none")
    check_finite(log_weights=w)
    return torch.exp(2.0 * torch.logsumexp(w, 0) - torch.logsumexp(2.0 * w, 0)).item()


def pareto_k(log_weights: Float[Tensor, " n"]) -> float:
    r"""Shape $\hat k$ of the Pareto tail of weights: below 0.7 an estimate can be trusted, above it can't.

    Fitted to the largest $\min(n/5, 3\sqrt n)$ weights by the method of Zhang and Stephens (2009) with the
    weak prior of Vehtari et al. (2024), which pulls it to 1/2. It is 0 where these weights agree to 1%.
    Raises ValueError for fewer than 25 weights and for weights that are not finite.
    """
    w = _on_cpu(log_weights)
    n = w.numel()
    if n < 25:
        raise ValueError(f"log_weights must hold 25 weights or more, got {n}")
    check_finite(log_weights=w)
    tail = math.ceil(min(0.2 * n, 3.0 * math.sqrt(n)))
    top = torch.exp(w - w.max()).sort().values[-tail - 1 :]
    x = top[1:] - top[0]
    if x[-1] <= 0.01 * top[-1]:
        return 0.0
    x = x.clamp_min(1e-30)
    grid = 30 + int(math.sqrt(tail))
    steps = torch.arange(1, grid + 1, dtype=x.dtype, device="cpu")
    b = 1.0 / x[-1] + (1.0 - (grid / (steps - 0.5)).sqrt()) / (3.0 * x[int(tail / 4 + 0.5) - 1])
    k = torch.log1p(-b[:, None] * x).mean(1)
    profile = tail * (torch.log(-b / k) - k - 1.0)
    b_mean = (torch.softmax(profile, 0) * b).sum()
    shape = torch.log1p(-b_mean * x).mean().item()
    return (tail * shape + 5.0) / (tail + 10.0)


def bridge_log_ratio(
    at_target: Float[Tensor, " n"], at_proposal: Float[Tensor, " m"], ess: float
) -> LogRatio:
    r"""Log of the target's integral over the proposal's, from draws of both: bridge sampling.

    ``at_target`` and ``at_proposal`` hold log target minus log proposal at draws of either; ``ess`` is how
    many independent draws those of the target are worth. The error is the delta method's. Meng and Wong
    (1996), optimal bridge; Fruhwirth-Schnatter (2004) for the error, which is infinite where the equation
    for the value was not solved. Raises ValueError for an empty side, an ess below 1 and numbers that are not
    finite.
    """
    p, q = _on_cpu(at_target), _on_cpu(at_proposal)
    if p.numel() == 0 or q.numel() == 0 or not ess >= 1:
        raise ValueError(
            "at_target and at_proposal must not be empty and ess at least 1, "
            f"got {p.numel()}, {q.numel()}, {ess}"
        )
    check_finite(at_target=p, at_proposal=q)
    log_odds = math.log(min(ess, p.numel())) - math.log(q.numel())

    def parts(value: float) -> tuple[Tensor, Tensor]:
        log_s = math.log1p(math.exp(-abs(log_odds))) + max(log_odds, 0.0)
        share_p, level = log_odds - log_s, q.new_tensor(value - log_s)
        return q - torch.logaddexp(share_p + q, level), -torch.logaddexp(share_p + p, level)

    value = torch.logsumexp(q, 0).item() - math.log(q.numel())
    for _ in range(1000):
        upper, lower = parts(value)
        last, value = (
            value,
            (
                torch.logsumexp(upper, 0)
                - math.log(q.numel())
                - torch.logsumexp(lower, 0)
                + math.log(p.numel())
            ).item(),
        )
        if abs(value - last) < 1e-10:
            break
    else:
        return LogRatio(value, math.inf)
    upper, lower = (torch.softmax(part, 0) * part.numel() for part in parts(value))
    variance = (upper - 1).square().mean() / q.numel() + (lower - 1).square().mean() / min(ess, p.numel())
    return LogRatio(value, variance.sqrt().item())
