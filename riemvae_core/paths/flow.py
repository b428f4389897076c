"""Straight ahead on a latent space: the geodesic with a given start and velocity, in any metric."""

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.numerics import check_finite, check_number, with_own_gradients
from riemvae_core.paths.curves import Metric
from riemvae_core.paths.forms import applied, form_of

# Dormand and Prince (1980): stages, the fifth-order solution (the last row), and its error's weights
STAGES = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


@with_own_gradients
def exponential_map(
    metric: Metric,
    z: Float[Tensor, "*batch d"],
    v: Float[Tensor, "*batch d"],
    *,
    tol: float | None = None,
    max_steps: int = 10_000,
) -> Float[Tensor, "*batch d"]:
    r"""The point that a geodesic from z with velocity v reaches at time 1.

    Solves Hamilton's equations $\dot z = G^{-1}\xi$, $\dot\xi_k = \tfrac12\dot z^\top\partial_kG\,\dot z$
    from $\xi = G(z)v$ by Dormand and Prince's pair of orders 5 and 4. Each point has steps of its own, with
    errors of at most ``tol`` a step, relative to the distance moved so far and to the momentum: 1e-9 by
    default, 1e-5 in single precision. The speed $\sqrt{v^\top Gv}$ is conserved, and is the geodesic's
    length.

    ``metric`` is any callable that autograd can differentiate. Raises ValueError for v of another shape or
    dtype than z, numbers that aren't finite, or a metric of a wrong shape or that autograd can't follow;
    FloatingPointError where G stops being finite and positive definite or ``max_steps`` steps don't reach
    time 1 (as where a geodesic leaves the space). Derived in chapter 8, after do Carmo (1992).

    Example:
        >>> from riemvae_core.metrics import HalfPlaneMetric
        >>> up = torch.tensor([0.0, 1.0])
        >>> rc.exponential_map(HalfPlaneMetric(), up, up)  # a unit of way from height 1 to height e
        tensor([0.000, 2.718])
    """
    check_finite(z=z, v=v)
    if v.shape != z.shape or z.ndim < 1 or z.shape[-1] < 1:
        raise ValueError(f"v must have z's shape [*batch, d], {tuple(z.shape)}, got {tuple(v.shape)}")
    if v.dtype != z.dtype or z.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"z and v must have the same dtype, float32 or float64, got {z.dtype} and {v.dtype}")
    check_number(1, whole=True, max_steps=max_steps)
    if tol is not None:
        check_number(positive=True, tol=tol)
    tol = tol if tol is not None else (1e-9 if z.dtype == torch.float64 else 1e-5)
    with torch.no_grad():
        start, velocity = (part.detach().reshape(-1, z.shape[-1]) for part in (z, v))
        metric = form_of(metric)
        _check_followed(metric, start, velocity)
        p = applied(metric.at(start), velocity)
        end = _travel(metric, start, torch.cat([start, p], -1), velocity.norm(dim=-1), tol, max_steps)
    return end.reshape(z.shape)


def _check_followed(metric, start: Tensor, velocity: Tensor) -> None:
    """Raise ValueError where autograd loses a metric that isn't constant: there is no force to be had."""
    with torch.enable_grad():
        followed = metric.at(start.clone().requires_grad_()).requires_grad
    if not followed:
        aside = start + velocity.norm(dim=-1, keepdim=True)  # on every axis: some metrics vary on one alone
        metric.parts(torch.cat([start, aside]), torch.cat([velocity, velocity]))


def _travel(metric, start: Tensor, y: Tensor, speed: Tensor, tol: float, max_steps: int) -> Tensor:
    """Carry the states ``y [n, 2d]`` (z and p) from time 0 to time 1."""
    n, d = start.shape
    time, step = y.new_zeros(n), y.new_full((n,), 0.02)
    rows = (speed > 0).nonzero().flatten()
    slope = _slope(metric, y)
    for _ in range(max_steps):
        if len(rows) == 0:
            break
        h = torch.minimum(step[rows], 1.0 - time[rows])[:, None]
        slopes = [slope[rows]]
        for stage in STAGES:
            new = y[rows] + h * sum(w * k for w, k in zip(stage, slopes, strict=True))
            slopes.append(_slope(metric, new))
        error = h * sum(w * k for w, k in zip(ERROR, slopes, strict=True))
        moved = (speed[rows] * h[:, 0]).maximum((new[:, :d] - start[rows]).norm(dim=-1))
        share = error[:, :d].norm(dim=-1) / moved + error[:, d:].norm(dim=-1) / y[rows, d:].norm(dim=-1)
        finite = torch.isfinite(share) & torch.isfinite(slopes[-1]).all(-1)
        good, ratio = finite & (share <= tol), torch.where(finite, share / tol, torch.inf)
        step[rows] = h[:, 0] * (0.9 * ratio.clamp_min(1e-10) ** -0.2).clamp(0.2, 5.0)
        kept = rows[good]
        y[kept], slope[kept] = new[good], slopes[-1][good]
        time[kept] += h[good, 0]
        rows = rows[~good | (time[rows] < 1.0 - 1e-12) & (step[rows] > 0)] if len(rows) else rows
        if (step[rows] < 1e-13).any():
            break
    if len(rows):
        at, reached = y[rows[0], :d].tolist(), time[rows[0]].item()
        raise FloatingPointError(
            f"the geodesic of point {int(rows[0])} got to time {reached:.3g} of 1, at {at}: the metric isn't "
            f"finite and positive definite beyond, or changes too fast for {max_steps} steps"
        )
    return y[:, :d]


def _slope(metric, y: Tensor) -> Tensor:
    """Hamilton's equations; NaN where the metric isn't positive definite or y isn't finite."""
    z, p = y.nan_to_num(1.0, 1.0, 1.0).chunk(2, dim=-1)
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        g = metric.at(z)
        if g.ndim == z.ndim:
            velocity, failed = p / g.detach(), ~(g.detach() > 0.0).all(-1)
        else:
            factor, failed = torch.linalg.cholesky_ex(g.detach())
            velocity = torch.cholesky_solve(p.unsqueeze(-1), factor).squeeze(-1)
        kinetic = 0.5 * (applied(g, velocity) * velocity).sum()
        force = None
        if kinetic.requires_grad:
            (force,) = torch.autograd.grad(kinetic, z, allow_unused=True)
    force = force if force is not None else torch.zeros_like(p)
    failed = (failed > 0) | ~torch.isfinite(y).all(-1)
    return torch.where(failed[:, None], torch.nan, torch.cat([velocity.detach(), force], -1))
