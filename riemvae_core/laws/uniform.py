r"""The uniform law of a latent space, $u(z)\propto\sqrt{\det G(z)}$: one function before three samplers."""

import math
import warnings
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws.crowds import proposal_of_metric
from riemvae_core.laws.groups import proposal_by_groups
from riemvae_core.laws.samplers import UniformDraws, same_means, sample_by_hmc, sample_by_importance
from riemvae_core.laws.smc import sample_by_smc
from riemvae_core.numerics import check_number, source_of, with_own_gradients

# from so many balls on, importance proposes from groups of them first
MANY = 2000
# the least spread of a ball, in roundings of its center, and the share of spreads that may be below it
ROUNDINGS, BELOW = 4.0, 0.01
METHODS = {"importance": sample_by_importance, "smc": sample_by_smc, "hmc": sample_by_hmc}


class SamplingWarning(UserWarning):
    """Draws whose law is not to be trusted: a sampler's own diagnostics say so.

    Example:
        >>> import warnings
        >>> mu, log_var = torch.tensor([[0.0, 0.0], [4.0, 0.0]]), torch.zeros(2, 2)
        >>> metric = rc.PosteriorMetric(mu, log_var, rho=1.0, lam=1.0, tau=1.0)
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always", rc.SamplingWarning)
        ...     draws = rc.sample_uniform(
        ...         metric, 8, rc.make_generator(0), "hmc", chains=2, draws=4, warm_up=1
        ...     )
        >>> draws.converged, caught[-1].category is rc.SamplingWarning
        (False, True)
    """


def agree(first: UniformDraws, second: UniformDraws) -> bool:
    """Whether two samplers found the same volume, known to half a nat, and the same means of coordinates."""
    error = math.hypot(first.log_volume_error, second.log_volume_error)
    if not (error < 0.5 and abs(first.log_volume - second.log_volume) < 4.0 * error + 0.05):
        return False
    even = torch.full((len(first.z),), 1.0 / len(first.z), dtype=torch.float64, device="cpu")
    worth = tuple(max(min(draws.ess, float(len(draws.z))), 1.0) for draws in (first, second))
    return same_means(first.z, even, second.z, worth)


def coarse_share(metric) -> float:
    """The share of a metric's balls, axis by axis, whose spread the digits of their centers can't hold."""
    spread = 0.5 * metric.log_var + math.log(float(metric.rho)) - 0.5 * math.log(metric.mu.shape[1])
    rounding = math.log(ROUNDINGS * torch.finfo(metric.mu.dtype).eps) + metric.mu.abs().log()
    return (spread <= rounding).double().mean().item()


@with_own_gradients
def sample_uniform(
    metric,
    n: int,
    generator: torch.Generator | None = None,
    method: str = "auto",
    start: Float[Tensor, "chains d"] | None = None,
    **settings: Any,
) -> UniformDraws:
    r"""Draw n points from the uniform law of a metric, $u(z)=\sqrt{\det G(z)}/\mathcal V$.

    Chadebec and Allassonniere (2022), section 4.5. ``importance`` weighs draws from the mixture of the
    balls, ``smc`` tempers from that mixture to the law, ``hmc`` runs chains; ``auto`` takes the first of
    the three whose diagnostics hold. It comes to chains only after smc has failed, and these don't overrule
    it: they count as converged only where smc's volume and draws agree with theirs. If none holds, ``auto``
    returns smc's draws or, where the two agree, those with the least r-hat, as not converged.
    From 2,000 balls on, importance first tries a mixture of groups of them, which costs far less.
    Importance and smc need a metric made of balls; any other metric goes to hmc and needs ``start``, one
    row a chain. ``settings`` go to the sampler that ``method`` names (``sample_by_importance`` and so
    on).

    ``z`` is ``[n, d]`` with the metric's device and dtype. Where more than 1% of the balls' spreads are below
    four roundings of their centers in that dtype, draws are copies of centers and count as not converged:
    take the balls in float64, or subtract their mean. Warns (``SamplingWarning``) where ``converged`` is
    False. Raises ValueError for bad arguments and a metric that is constant or that autograd can't follow,
    FloatingPointError where the metric gives no finite number.
    Derived in chapters 6 and 7.

    Example:
        >>> mu, log_var = torch.tensor([[0.0, 0.0], [4.0, 0.0]]), torch.zeros(2, 2)
        >>> metric = rc.PosteriorMetric(mu, log_var, rho=1.0, lam=1.0, tau=1.0)
        >>> draws = rc.sample_uniform(metric, 1000, rc.make_generator(0))
        >>> math.exp(draws.log_volume) / math.pi  # pi for each ball and for the background
        3.0
        >>> draws.background_share
        0.3
    """
    check_number(1, whole=True, n=n)
    source_of(generator)
    if not callable(metric) and not hasattr(metric, "log_volume"):
        raise ValueError(
            f"metric must map points [*batch, d] to matrices or have log_volume, got {type(metric).__name__}"
        )
    if method not in ("auto", *METHODS):
        raise ValueError(f"method must be one of auto, {', '.join(METHODS)}, got {method!r}")
    balls = hasattr(metric, "rho")
    if method == "auto" and not balls:
        method = "hmc"
    if method == "auto" and settings:
        raise ValueError(f"settings need a method other than auto, got {', '.join(settings)}")
    draws = _drawn(metric, n, generator, method, start, settings)
    if not draws.converged:
        warnings.warn(
            f"sample_uniform ({draws.method}) did not converge: ess {draws.ess:.0f}, r-hat "
            f"{draws.r_hat:.3f}, acceptance {draws.acceptance:.2f}, error of log_volume "
            f"{draws.log_volume_error:.2f}; do not trust these draws as they are",
            SamplingWarning,
            stacklevel=3,
        )
    if balls and (coarse := coarse_share(metric)) > BELOW:
        warnings.warn(
            f"sample_uniform ({draws.method}) can't tell draws from centers: {coarse:.0%} of the balls' "
            f"spreads are below the digits of {metric.mu.dtype} at their centers; take the balls in float64, "
            "or subtract their mean",
            SamplingWarning,
            stacklevel=3,
        )
        draws = draws._replace(converged=False)
    return draws


def _drawn(
    metric,
    n: int,
    generator: torch.Generator | None,
    method: str,
    start: Float[Tensor, "chains d"] | None,
    settings: dict[str, Any],
) -> UniformDraws:
    """The draws of the first sampler whose diagnostics hold, or of the best of those that don't."""
    balls = hasattr(metric, "rho")
    if balls and len(metric.mu) >= MANY and method in ("auto", "importance"):
        draws = sample_by_importance(metric, n, generator, mixture=proposal_by_groups(metric), **settings)
        if draws.converged:
            return draws
    tried, shared = [], {"mixture": proposal_of_metric(metric)} if balls else {}
    for name in METHODS if method == "auto" else (method,):
        options = shared | ({"start": start} if name == "hmc" else {})
        tried.append(METHODS[name](metric, n, generator, **options, **settings))
        if tried[-1].converged and (len(tried) < 3 or agree(*tried[1:])):
            return tried[-1]
    draws = tried[-1]
    if len(tried) == 3:
        draws = min(tried[1:], key=lambda t: t.r_hat) if agree(*tried[1:]) else tried[1]
    return draws
