r"""Laws that the balls' metric gives: its volume, a power of it, the volume of an averaged metric."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.balls import LOG_2PI
from riemvae_core.laws.kernels import SWELLED, first_width
from riemvae_core.laws.law import Choice, Codes, Family, Parts, Widths, best_of, best_width, score
from riemvae_core.laws.mixture import BallMixture
from riemvae_core.laws.samplers import sample_by_importance
from riemvae_core.laws.uniform import sample_uniform
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator, standard_uniform

#: shares of the log volume in the averaged law, and the least share of proposals that it may keep
ALPHAS, KEPT = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0), 0.005
# numbers worked on to know a normalizer, and the draws that this may come to
WORK, FEW, MANY = 2**28, 2048, 2**17
# proposals for each draw and one more, after which rejection is given up
PATIENCE = 2**18


def enough(codes: Codes) -> int:
    """How many draws tell a normalizer: the more, the less each of them costs."""
    return max(FEW, min(MANY, WORK // (2 * codes.mu.numel())))


class Thinned(NamedTuple):
    r"""The law whose density is a proposal's times a weight, over its normalizer; draws by rejection.

    Exact where no weight is above ``log_bound``; else the bound is the largest of ``enough`` draws (Caffo,
    Booth and Davis, 2002).
    """

    proposal: Parts
    log_weight: Callable[[Tensor], Tensor]
    log_bound: float
    log_mean: float

    def sample(self, n: int, generator: torch.Generator | None) -> Float[Tensor, "n d"]:
        """n draws: proposals, each kept with its weight over the bound. ValueError where next to none is."""
        kept, count, proposed = [], 0, 0
        while count < n:
            if proposed > PATIENCE * (count + 1):
                raise ValueError(
                    f"kind must be one whose proposals are kept, got {count} kept of {proposed}: take widths "
                    "nearer to those that fit_law chooses, or another kind"
                )
            z = self.proposal.sample(max(64, 2 * (n - count)), generator)
            proposed += len(z)
            chance = torch.exp(self.log_weight(z) - self.log_bound)
            z = z[standard_uniform((len(z),), chance, generator) < chance]
            kept.append(z)
            count += len(z)
        return torch.cat(kept)[:n]

    def log_prob(self, z: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
        """Log density in nats, as well as the normalizer is known."""
        return self.proposal.log_prob(z).double() + self.log_weight(z) - self.log_mean


def thinned(
    proposal: Parts, log_weight: Callable[[Tensor], Tensor], draws: int, log_bound: float | None = None
) -> Thinned:
    """A thinned law whose normalizer is the mean weight of so many draws, from a seed of its own."""
    logs = log_weight(proposal.sample(draws, make_generator(0))).double()
    log_mean = (torch.logsumexp(logs, 0) - math.log(draws)).item()
    return Thinned(proposal, log_weight, logs.max().item() if log_bound is None else log_bound, log_mean)


def _mixture(codes: Codes, h: float, log_mass: Tensor) -> tuple[BallMixture, Parts]:
    law = BallMixture(codes.mu, codes.log_var + 2.0 * math.log(h), log_mass)
    total = law.log_total
    return law, Parts(lambda n, generator: law.sample(n, generator)[0], lambda z: law.log_density(z) - total)


def _metric(codes: Codes, rho: float) -> PosteriorMetric:
    return PosteriorMetric(codes.mu, codes.log_var, rho=rho, lam=0.0, tau=0.0)


# --- the uniform law of the metric


def _fitted(codes: Codes, h: float) -> PosteriorMetric:
    return PosteriorMetric.fit(codes.mu, codes.log_var, rho=h * math.sqrt(codes.mu.shape[1]))


def _uniform(codes: Codes, widths: Widths) -> Parts:
    metric = _fitted(codes, float(widths["h"]))
    found = sample_uniform(metric, enough(codes) // 4, make_generator(0))

    def density(z: Tensor) -> Tensor:
        return metric.log_volume(z.to(metric.mu.dtype)) - found.log_volume

    return Parts(
        lambda n, generator: sample_uniform(metric, n, generator).z, density if found.converged else None
    )


def _choose_uniform(codes: Codes, held: Tensor) -> Choice:
    """h by held-out likelihood where importance sampling knows the volume; h = 1 where it never does."""

    def value(h: float) -> float:
        metric = _fitted(codes, h)
        found = sample_by_importance(metric, FEW // 2, make_generator(0))
        if not found.converged:
            return -math.inf
        return (metric.log_volume(held).double() - found.log_volume).mean().item()

    h, tried = best_width(value, _start(codes, held), 6.0, coarse=7, close=0.1)
    rows = tuple(({"h": w}, v) for w, v in tried)
    best = dict(tried)[h]
    return Choice({"h": 1.0}, math.nan, rows) if best == -math.inf else Choice({"h": h}, best, rows)


def _start(codes: Codes, held: Tensor) -> float:
    return first_width(codes, held) / torch.exp(0.5 * codes.log_var).median().item()


# --- the power of the volume at which copies count as often as they come


def _power(codes: Codes, widths: Widths, draws: int | None = None) -> Thinned:
    r"""$(\det G)^{\gamma/2}$ with $\gamma=2/d$ and $\rho^2=2h^2$: the geometric mean of the diagonal of G.

    It is at most the arithmetic mean, which is a mixture of balls: proposals come from that mixture. Each
    axis is taken in a unit of its own, all of product 1, which leaves the determinant alone: else one narrow
    axis would own the arithmetic mean, and next to no proposal be kept.
    """
    h, d = float(widths["h"]), codes.mu.shape[1]
    spread = codes.log_var.double() + 2.0 * math.log(h)
    unit = codes.log_var.double().mean(0)
    unit = unit - unit.mean()
    log_mean = torch.logsumexp(unit - codes.log_var.double(), 1) - math.log(d)
    law, parts = _mixture(codes, h, (log_mean + 0.5 * (spread + LOG_2PI).sum(1)).to(codes.mu))
    metric = _metric(codes, math.sqrt(2.0) * h)

    def log_weight(z: Tensor) -> Tensor:
        return 2.0 / d * metric.log_volume(z.to(codes.mu)).double() - law.log_density(z).double()

    return thinned(parts, log_weight, enough(codes) if draws is None else draws, log_bound=0.0)


# --- the averaged metric


def log_averaged(codes: Codes, h: float) -> Callable[[Tensor], Tensor]:
    r"""Log volume of $\bar G=\sum_iw_i\Sigma_i^{-1}$, $w_i=\omega_i/\sum_j\omega_j$, $\rho=h\sqrt d$."""
    d = codes.mu.shape[1]
    rho = h * math.sqrt(d)
    spread = codes.log_var.double() + math.log(0.5 * rho * rho)
    sums = BallMixture(
        codes.mu,
        codes.log_var + math.log(0.5 * rho * rho),
        (0.5 * (spread + LOG_2PI).sum(1)).to(codes.mu),
    )
    metric = _metric(codes, rho)
    return lambda z: metric.log_volume(z.to(codes.mu)).double() - 0.5 * d * sums.log_density(z).double()


def _averaged(codes: Codes, widths: Widths, draws: int | None = None) -> Thinned:
    r"""$q^{1-\alpha}(\sqrt{\det\bar G})^\alpha$ where q, the law of swelled balls, is above a floor."""
    h, alpha, floor = (float(widths[name]) for name in ("h", "alpha", "floor"))
    q, log_volume = SWELLED.make(codes, {"h": h}), log_averaged(codes, h)

    def log_weight(z: Tensor) -> Tensor:
        at = q.log_prob(z).double()
        logs = alpha * (log_volume(z) - at) if alpha > 0.0 else torch.zeros_like(at)
        return torch.where(at >= floor, logs, torch.full_like(logs, -math.inf))

    law = thinned(q, log_weight, enough(codes) if draws is None else draws)
    if not math.isfinite(law.log_mean):
        raise ValueError(
            f"floor must leave a part of the law, got {floor:g}, above its log density at all draws: a floor "
            "belongs to codes in their own unit"
        )
    return law


def _choose_averaged(codes: Codes, held: Tensor) -> Choice:
    """h as for swelled balls, the floor at the least of q that a code held out has, alpha by likelihood."""
    h = SWELLED.choose(codes, held).widths["h"]
    floor, rows = SWELLED.make(codes, {"h": h}).log_prob(held).min().item(), []
    floor -= 1e-4 * max(1.0, abs(floor))  # so that rounding leaves that code in
    for alpha in ALPHAS:
        widths = {"h": h, "alpha": alpha, "floor": floor}
        law = _averaged(codes, widths, FEW)
        if alpha == 0.0 or law.log_mean - law.log_bound > math.log(KEPT):
            rows.append((widths, score(Parts(law.sample, law.log_prob), held)))
    return best_of(rows)


def _parts(law: Thinned) -> Parts:
    return Parts(law.sample, law.log_prob)


def _choose_power(codes: Codes, held: Tensor) -> Choice:
    def value(h: float) -> float:
        return score(_parts(_power(codes, {"h": h}, 2 * FEW)), held)

    h, tried = best_width(value, _start(codes, held), 6.0, coarse=7, close=0.05)
    return Choice({"h": h}, dict(tried)[h], tuple(({"h": w}, v) for w, v in tried))


VOLUMES = {
    "uniform": Family(("h",), _uniform, _choose_uniform, "log_var"),
    "power": Family(("h",), lambda codes, w: _parts(_power(codes, w)), _choose_power, "log_var"),
    "averaged": Family(
        ("h", "alpha", "floor"),
        lambda codes, w: _parts(_averaged(codes, w)),
        _choose_averaged,
        "log_var",
    ),
}
