r"""Draws from the Gaussian of a curved space, whose density falls with the squared geodesic distance."""

import math
import warnings
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws.diagnostics import importance_ess, pareto_k
from riemvae_core.laws.samplers import PARETO_LIMIT, resample
from riemvae_core.laws.uniform import SamplingWarning
from riemvae_core.numerics import check_finite, check_number, standard_normal, with_own_gradients
from riemvae_core.paths import Metric, PathWarning, exponential_map, geodesic


class RiemannianDraws(NamedTuple):
    r"""Draws, and the log of $C=\int e^{-\mathrm{dist}_G(z,z_0)^2/(2\varsigma)}d\mathcal M$ with its error.

    ``ess`` is how many independent draws the whole pool is worth, ``cut`` the share of the pool's geodesics
    that were not shortest paths. ``converged`` is never False without a ``SamplingWarning``.

    Returned by ``sample_riemannian_gaussian``; ``z`` is ``[n, d]``.

    Example:
        >>> flat = lambda z: torch.eye(2).expand(*z.shape, 2)
        >>> draws = rc.sample_riemannian_gaussian(flat, torch.zeros(2), 1.0, 9, rc.make_generator(0), False)
        >>> draws.converged, draws.ess  # in the plane all weights are equal
        (True, 400.0)
    """

    z: Float[Tensor, "n d"]
    log_normalizer: float
    ess: float
    cut: float
    converged: bool
    log_normalizer_error: float


@with_own_gradients
def sample_riemannian_gaussian(
    metric: Metric,
    center: Float[Tensor, " d"],
    sigma: float,
    n: int,
    generator: torch.Generator | None = None,
    check_shortest: bool = True,
) -> RiemannianDraws:
    r"""Draw n points of density $\tfrac1Ce^{-\mathrm{dist}_G(z,z_0)^2/(2\varsigma)}$ against $d\mathcal M$.

    Chadebec and Allassonniere (2022), eq. (6): ``sigma`` is $\varsigma$, a squared length, ``center`` $z_0$.
    A velocity v from $N(0,\varsigma G(z_0)^{-1})$ is followed by the exponential map, where the distance is
    $\|v\|$ as long as the geodesic is a shortest path, and weighed by the volume's growth $|\det\partial
    z/\partial v|\sqrt{\det G(z)/\det G(z_0)}$, differences in every direction; n of 4 n (at least 400) are
    then resampled. ``check_shortest`` solves for the geodesic to each and leaves out those that another path
    reaches sooner; spaces without a cut locus don't need it.

    ``z`` is ``[n, d]`` with center's device and dtype. Converged: an effective sample size of n or more and
    a Pareto tail of the weights below 0.7. Raises ValueError for bad arguments, FloatingPointError where a
    geodesic leaves the space.

    Example:
        >>> flat = lambda z: torch.eye(2).expand(*z.shape, 2)
        >>> draws = rc.sample_riemannian_gaussian(flat, torch.zeros(2), 0.25, 9, rc.make_generator(0), False)
        >>> math.exp(draws.log_normalizer) / (2.0 * math.pi)  # the plane's own constant over 2 pi: sigma
        0.25
    """
    check_finite(center=center)
    if center.ndim != 1 or len(center) == 0:
        raise ValueError(f"center must be [d] with d at least 1, got {list(center.shape)}")
    if center.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"center must be float32 or float64, got {center.dtype}: take center.float()")
    check_number(positive=True, sigma=sigma)
    check_number(1, whole=True, n=n)
    d, count = len(center), max(4 * n, 400)
    root, failed = torch.linalg.cholesky_ex(_at_center(metric, center))
    if failed:
        raise ValueError(f"metric must be positive definite at center {center.tolist()}")
    # columns of an orthonormal frame of the tangent space at the center, times sqrt sigma
    frame = math.sqrt(sigma) * torch.linalg.inv(root).T
    eps = standard_normal((count, d), center, generator)
    z, log_growth = _follow(metric, center, frame, eps)
    shortest = _is_shortest(metric, center, z, math.sqrt(sigma) * eps.norm(dim=-1), check_shortest)
    kept = shortest & torch.isfinite(log_growth)
    if not kept.any():
        raise FloatingPointError(
            f"none of {count} geodesics from center is a shortest path: take a smaller sigma"
        )
    z, log_w = z[kept], log_growth[kept].cpu().double()
    ess = importance_ess(log_w)
    mean, square = (torch.logsumexp(k * log_w, 0).item() - math.log(count) for k in (1, 2))
    converged = ess >= n and (ess >= 0.9 * count or len(log_w) < 25 or pareto_k(log_w) < PARETO_LIMIT)
    if not converged:
        warnings.warn(
            f"sample_riemannian_gaussian did not converge: ess {ess:.0f} of {count} proposals",
            SamplingWarning,
            stacklevel=3,
        )
    return RiemannianDraws(
        z=z[resample(torch.softmax(log_w, 0), n, generator).to(z.device)],
        log_normalizer=0.5 * d * math.log(2.0 * math.pi * sigma) + mean,
        ess=ess,
        cut=1.0 - kept.double().mean().item(),
        converged=converged,
        log_normalizer_error=math.sqrt(max(math.expm1(square - 2.0 * mean), 0.0) / count),
    )


def _at_center(metric: Metric, center: Tensor) -> Tensor:
    matrix, d = metric(center[None]), len(center)
    if not isinstance(matrix, Tensor) or matrix.shape != (1, d, d) or matrix.dtype != center.dtype:
        came = f"{list(matrix.shape)} {matrix.dtype}" if isinstance(matrix, Tensor) else type(matrix).__name__
        raise ValueError(f"metric must map center [1, {d}] to [1, {d}, {d}] of {center.dtype}, got {came}")
    return matrix[0]


def _follow(metric: Metric, center: Tensor, frame: Tensor, eps: Tensor) -> tuple[Tensor, Tensor]:
    """Where the velocities ``frame eps`` lead, and the log growth of volume on the way, NaN past a fold."""
    d = eps.shape[1]
    h = 1e-3 if eps.dtype == torch.float64 else 3e-2
    shifts = torch.eye(d, dtype=eps.dtype, device=eps.device)
    around = [eps, *(eps + sign * h * axis for axis in shifts for sign in (1, -1))]
    velocities = torch.stack(around) @ frame.T
    ends = exponential_map(metric, center.expand_as(velocities), velocities)
    jacobian = (ends[1::2] - ends[2::2]).permute(1, 2, 0) / (2.0 * h)  # [count, d, d], column k of shift k
    sign, log_det = torch.linalg.slogdet(jacobian)
    frame_sign, frame_log_det = torch.linalg.slogdet(frame)
    here, there = (0.5 * torch.logdet(metric(z)) for z in (center[None], ends[0]))
    growth = log_det - frame_log_det + there - here
    return ends[0], torch.where(sign * frame_sign > 0, growth, torch.nan)


def _is_shortest(metric: Metric, center: Tensor, z: Tensor, length: Tensor, check: bool) -> Tensor:
    """Whether no path to z was found that is shorter, by more than 1%, than the geodesic that led there."""
    if not check:
        return torch.ones_like(length, dtype=torch.bool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PathWarning)  # a path that hasn't converged is an upper bound still
        return geodesic(metric, center.expand_as(z), z, n_points=32).length > 0.99 * length
