r"""Newton's method for the energy of many curves at once, in few dimensions.

A metric that changes within a piece bends the energy as much as its own stiffness does, and L-BFGS learns
such bends one evaluation after the other. Here they are measured: the second derivative joins neighbors only,
in blocks of d x d, whose parts are differences of the metric's slope, d evaluations in all. It is made
positive definite by a share of P, its part in a frozen metric (``descent``), as much as Cholesky factors and
falling energies ask for.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemvae_core.numerics import chunks
from riemvae_core.paths.curves import gauss_rule
from riemvae_core.paths.descent import capped, energy_and_gradient, solve_frozen
from riemvae_core.paths.forms import form_of

LEAST, MOST = 1e-3, 1e6  # the share of P: where it begins, and where a search gives up
FIRMER, LOOSER = 4.0, 5.0  # how it rises, and comes down again


def newton(
    metric,
    curve: Float[Tensor, "b t d"],
    times: Float[Tensor, "b s"],
    order: int,
    budget: Int[Tensor, " b"],
    tol: float,
) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, " b"], Int[Tensor, " b"]]:
    """What ``descent.minimize_energy`` gives, with d + 1 evaluations a step."""
    d, curve = curve.shape[2], curve.clone()
    energy, grad, stiffness = energy_and_gradient(metric, curve, times, order)
    own = curve.new_zeros(len(curve), curve.shape[1] - 2, d, d)
    next_, stale = own[:, 1:].clone(), torch.ones_like(budget, dtype=torch.bool)
    steps, share = torch.ones_like(budget), torch.zeros_like(energy)
    while True:
        done = solve_frozen(stiffness, grad)[1] <= tol * energy
        going = ~done & (steps + d * stale < budget) & (share < MOST) & torch.isfinite(energy)
        rows = going.nonzero().flatten()
        if len(rows) == 0:
            return curve, done, steps
        if len(new := rows[stale[rows]]):
            own[new], next_[new] = curvature(metric, curve[new], times[new], order)
            steps[new] += d
            stale[new] = False
        step, share[rows] = _step(own[rows], next_[rows], stiffness[rows], grad[rows], share[rows])
        kept = share[rows] < MOST
        rows, step = rows[kept], step[kept]
        if len(rows) == 0:
            continue
        step = step * capped(energy[rows], stiffness[rows], times[rows], step)[:, None, None]
        slope = (grad[rows] * step).sum((1, 2))
        bend = (_times(own[rows], next_[rows], step) * step).sum((1, 2))
        trial = curve[rows].clone()
        trial[:, 1:-1] += step
        new = energy_and_gradient(metric, trial, times[rows], order)
        steps[rows] += 1
        fall, expected = new[0] - energy[rows], slope + 0.5 * bend
        finite = torch.isfinite(new[0]) & torch.isfinite(new[1]).flatten(1).all(-1)
        finite &= torch.isfinite(new[2]).flatten(1).all(-1)
        blurred = new[0] <= energy[rows] * (1.0 + 64 * torch.finfo(curve.dtype).eps)
        blurred &= (new[1] * step).sum((1, 2)).abs() <= 0.8 * slope.abs()
        accept = finite & ((fall <= 1e-4 * slope) | blurred)
        good = accept & ((fall <= 0.7 * expected) | blurred)  # the energy falls as its second derivative says
        poor = ~accept | ~((fall <= 0.2 * expected) | blurred)
        share[rows[good]] = torch.where(share[rows[good]] > LEAST, share[rows[good]] / LOOSER, 0.0)
        share[rows[poor]] = (FIRMER * share[rows[poor]]).clamp_min(LEAST)
        kept = rows[accept]
        if len(kept):
            curve[kept] = trial[accept]
            energy[kept], grad[kept], stiffness[kept] = (part[accept] for part in new)
            stale[kept] = True


def curvature(
    metric, curve: Float[Tensor, "b t d"], times: Float[Tensor, "b s"], order: int
) -> tuple[Float[Tensor, "b i d d"], Float[Tensor, "b j d d"]]:
    """Second derivative of each curve's energy: in each inner point, and between it and the next one."""
    c, m, d, form = len(curve), curve.shape[1] - 1, curve.shape[2], form_of(metric)
    points, weights = gauss_rule(order, curve)
    step, left = curve.diff(dim=1).reshape(-1, d), curve[:, :-1].reshape(-1, d)
    longest = curve.diff(dim=1).norm(dim=-1).amax(1)
    shift = (torch.finfo(curve.dtype).eps ** (1 / 3) * longest).repeat_interleave(m)
    weight = weights / times.reshape(-1, 1)
    t = points[:, None, None]
    parts = []
    for s in chunks(c * m, (d + 1) * order * max(2 * form.numbers(d), 1024) * curve.element_size()):
        z = left[s, None] + points[:, None] * step[s, None]
        eye = torch.eye(d, dtype=curve.dtype, device=curve.device)
        moved_by = shift[s, None, None, None] * torch.cat([torch.zeros_like(eye[:1]), eye])
        v = step[s, None, None].expand(*z.shape[:2], d + 1, d)
        g, moved, _, slope = form.parts(z[:, :, None] + moved_by, v)
        g = _matrix(g[:, :, 0], d)
        by_place = ((slope[:, :, 1:] - slope[:, :, :1]) / shift[s, None, None, None]).mT
        mixed = ((moved[:, :, 1:] - moved[:, :, :1]) / shift[s, None, None, None]).mT
        by_place = 0.5 * (by_place + by_place.mT)
        both, w = mixed + mixed.mT, weight[s, :, None, None]
        first = w * ((1 - t) ** 2 * by_place - 2 * (1 - t) * both + 2 * g)
        last = w * (t**2 * by_place + 2 * t * both + 2 * g)
        between = w * (t * (1 - t) * by_place + 2 * (1 - t) * mixed.mT - 2 * t * mixed - 2 * g)
        parts.append(torch.stack([first.sum(1), last.sum(1), between.sum(1)], 1))
    blocks = torch.cat(parts).reshape(c, m, 3, d, d)
    return blocks[:, 1:, 0] + blocks[:, :-1, 1], blocks[:, 1:-1, 2]


def _matrix(g: Tensor, d: int) -> Float[Tensor, "b s d d"]:
    """G ``[b, s, d, d]``, ``[b, s, d]`` or ``[b, s, 1]`` as matrices."""
    return g if g.ndim == 4 else torch.diag_embed(g.expand(*g.shape[:-1], d))


def _times(own: Tensor, next_: Tensor, v: Float[Tensor, "b i d"]) -> Float[Tensor, "b i d"]:
    """The second derivative times v."""
    out = (own @ v.unsqueeze(-1)).squeeze(-1)
    out[:, :-1] += (next_ @ v[:, 1:].unsqueeze(-1)).squeeze(-1)
    out[:, 1:] += (next_.mT @ v[:, :-1].unsqueeze(-1)).squeeze(-1)
    return out


def _step(
    own: Tensor, next_: Tensor, stiffness: Tensor, grad: Tensor, share: Tensor
) -> tuple[Float[Tensor, "b i d"], Float[Tensor, " b"]]:
    """Newton's step with the least share of P, from ``share`` up, that makes the blocks positive definite."""
    d = grad.shape[-1]
    p = 2.0 * _matrix(stiffness, d)
    step, open_, share = torch.zeros_like(grad), torch.arange(len(grad), device=grad.device), share.clone()
    while len(open_):
        k = share[open_, None, None, None]
        q = p[open_]
        solved, failed = _solve(
            own[open_] + k * (q[:, :-1] + q[:, 1:]), next_[open_] - k * q[:, 1:-1], -grad[open_]
        )
        step[open_[~failed]] = solved[~failed]
        open_ = open_[failed]
        share[open_] = (FIRMER * share[open_]).clamp_min(LEAST)
        open_ = open_[share[open_] < MOST]
    return step, share


def _solve(own: Tensor, next_: Tensor, right: Tensor) -> tuple[Float[Tensor, "b i d"], Bool[Tensor, " b"]]:
    """What the blocks take to ``right``, by Cholesky factors of a band; where there are none."""
    from scipy.linalg import LinAlgError, solveh_banded  # slow to import, so only when asked for

    (b, n, d), below = right.shape, next_.mT
    band = right.new_zeros(b, 2 * d, n, d)
    for column in range(d):
        for row in range(d):
            if row >= column:
                band[:, row - column, :, column] = own[:, :, row, column]
            band[:, d + row - column, :-1, column] = below[:, :, row, column]
    solved, failed = np.zeros((b, n * d)), torch.zeros_like(right[:, 0, 0], dtype=torch.bool)
    pairs = zip(band.flatten(2).cpu().numpy(), right.flatten(1).cpu().numpy(), strict=True)
    for k, (matrix, y) in enumerate(pairs):
        try:
            solved[k] = solveh_banded(matrix, y, lower=True, check_finite=False)
        except LinAlgError:
            failed[k] = True
    step = torch.as_tensor(solved, dtype=right.dtype, device=right.device).reshape(right.shape)
    return step, failed | ~torch.isfinite(step).flatten(1).all(1)
