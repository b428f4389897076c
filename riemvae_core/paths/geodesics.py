"""Shortest paths on a latent space in any metric, a callable from ``z [*batch, d]`` to ``[*batch, d, d]``."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemvae_core.paths.curves import (
    ORDER,
    Metric,
    at_constant_speed,
    at_mixed_spacing,
    curve_energy,
    curve_length,
    straight_line,
)
from riemvae_core.paths.descent import minimize_energy
from riemvae_core.paths.starts import first_curves
from riemvae_core.paths.flow import exponential_map

__all__ = ["Geodesic", "curve_energy", "curve_length", "exponential_map", "geodesic", "low_cost_path"]

POLISH = 60  # evaluations for the points at constant speed, at most
SEARCH = 64  # points of a curve in the search, at least


class Geodesic(NamedTuple):
    """A shortest path for each pair of ends.

    ``curve [*batch, t, d]`` at constant speed; ``length`` and ``energy [*batch]`` as ``curve_length`` and
    ``curve_energy`` measure them; ``converged [*batch]``, true only where the search ended at a minimum and
    the points resolve the metric; ``steps [*batch]``, the evaluations of energy and gradient spent on it.
    Lengths are in the metric's units, energies in their squares.

    Example:
        >>> from riemvae_core.metrics import ConstantMetric
        >>> path = rc.geodesic(ConstantMetric(torch.eye(1)), torch.zeros(1), torch.tensor([3.0]))
        >>> path.converged, path.length, path.energy
        (tensor(True), tensor(3.00), tensor(9.00))
    """

    curve: Float[Tensor, "*batch t d"]
    length: Float[Tensor, "*batch"]
    energy: Float[Tensor, "*batch"]
    converged: Bool[Tensor, "*batch"]
    steps: Int[Tensor, "*batch"]


def geodesic(
    metric: Metric,
    a: Float[Tensor, "*batch d"],
    b: Float[Tensor, "*batch d"],
    n_points: int = 64,
    *,
    nodes: Float[Tensor, "m d"] | None = None,
    max_steps: int = 500,
    tol: float | None = None,
) -> Geodesic:
    r"""Shortest path of each pair, $\inf_\gamma\int_0^1\sqrt{\dot\gamma^\top G\,\dot\gamma}\,dt$ from a to b.

    ``metric`` is any callable from ``[*batch, d]`` to ``[*batch, d, d]`` that autograd can differentiate. The
    energy is minimized from several starts, and of the curves found the shortest is returned: the straight
    line; in two and three dimensions a shortest path over a grid around a and b; with ``nodes`` (the centers
    of balls, say) a shortest path over these. A minimum is a local one, the shortest of all only as far as
    one of the starts leads to it.

    The search spaces its points evenly in the mean of plain length and length in the metric, so that
    neither cheap nor dear stretches are left without; the curve comes back at constant speed. It has
    converged when the decrement $\nabla E^\top P^{-1}\nabla E$ of the energy in the frozen metric P (see
    ``descent``) is at most ``tol`` times the energy, 1e-8 by default and 1e-6 in single precision, and
    when finer integration and the last spacing change the length by at most 0.1% and 0.5%. Each start
    spends at most ``max_steps`` evaluations. The result is never longer than the straight line of
    ``n_points`` points: where the search ends so, this line comes back, not converged.

    Chadebec and Allassonniere (2022), eq. (4). Raises ValueError for ends of different
    shapes, dtypes or with numbers that aren't finite, a metric of a wrong shape or one that autograd can't
    follow, and bad settings; FloatingPointError where no start has a finite energy.

    Example:
        >>> from riemvae_core.metrics import HalfPlaneMetric
        >>> a, b = torch.tensor([[-1.0, 1.0], [1.0, 1.0]])
        >>> rc.geodesic(HalfPlaneMetric(), a, b).length, math.acosh(1 + 2**2 / 2)
        (tensor(1.763), 1.763)
    """
    _check(a, b, n_points, nodes, max_steps, tol)
    flat_a, flat_b = (end.detach().reshape(-1, a.shape[-1]) for end in (a, b))
    if len(flat_a) == 0:
        none = a.new_zeros(a.shape[:-1])
        return Geodesic(straight_line(a, b, n_points), none, none, none.bool(), none.long())
    with torch.no_grad():
        search = max(n_points, SEARCH)
        line = straight_line(flat_a, flat_b, n_points)
        starts = first_curves(metric, flat_a, flat_b, 4 * search, nodes)
        tol = tol if tol is not None else (1e-8 if a.dtype == torch.float64 else 1e-6)
        found = [_descend(metric, start, n_points, search, max_steps, tol) for start in starts]
        straight = (line, curve_length(metric, line), curve_energy(metric, line))
        found.append(
            Geodesic(*straight, torch.zeros_like(found[0].converged), torch.zeros_like(found[0].steps))
        )
        best = _shortest(found)
    if not torch.isfinite(best.length).all():
        pair = int((~torch.isfinite(best.length)).nonzero()[0])
        raise FloatingPointError(
            f"the metric isn't finite along any start of pair {pair}: a or b lies outside it"
        )
    return Geodesic(*(part.reshape(a.shape[:-1] + part.shape[1:]) for part in best))


def _check(a, b, n_points, nodes, max_steps, tol) -> None:
    if a.shape != b.shape or a.ndim < 1 or a.shape[-1] < 1:
        raise ValueError(f"b must have a's shape [*batch, d], {tuple(a.shape)}, got {tuple(b.shape)}")
    if a.dtype != b.dtype or not a.is_floating_point():
        raise ValueError(f"a and b must have the same floating dtype, got {a.dtype} and {b.dtype}")
    for name, end in (("a", a), ("b", b)):
        if not torch.isfinite(end).all():
            raise ValueError(f"{name} must be finite, got {end}")
    if nodes is not None and (nodes.ndim != 2 or len(nodes) == 0 or nodes.shape[1] != a.shape[-1]):
        raise ValueError(f"nodes must be [m, {a.shape[-1]}] with m at least 1, got {tuple(nodes.shape)}")
    if n_points < 3 or max_steps < 1 or (tol is not None and not tol > 0):
        raise ValueError(
            "n_points must be at least 3, max_steps at least 1 and tol positive, "
            f"got {n_points}, {max_steps}, {tol}"
        )


def _shortest(found: list[Geodesic]) -> Geodesic:
    """For each pair the shortest curve; of curves equally long to rounding's order, one that converged."""
    lengths = torch.stack([f.length.nan_to_num(torch.inf, torch.inf) for f in found])
    converged = torch.stack([f.converged for f in found])
    near = lengths <= lengths.amin(0) * (1.0 + 1e-5)
    choice = (near.int() + (near & converged).int()).argmax(0)
    rows = torch.arange(len(choice), device=choice.device)
    return Geodesic(*(torch.stack(parts)[choice, rows] for parts in zip(*found, strict=True)))


def _descend(metric: Metric, curve: Tensor, n: int, search: int, max_steps: int, tol: float) -> Geodesic:
    """Minimize, spacing the points anew between rounds; integrate finer where that was too coarse."""
    budget = torch.full(curve.shape[:1], max_steps, device=curve.device)
    done, steps = torch.zeros_like(budget, dtype=torch.bool), torch.zeros_like(budget)
    rows = torch.arange(len(curve), device=curve.device)
    curve = at_mixed_spacing(metric, curve, search)[0]
    for order, goal in ((2, 1e-3), (2, 1e-5), (2, tol), (ORDER, tol)):
        points, times = at_mixed_spacing(metric, curve[rows], search)
        curve[rows], reached, more = minimize_energy(
            metric, points, times, order, (budget - steps)[rows], goal
        )
        steps[rows] += more
        length, fine = (curve_length(metric, curve, order=q) for q in (order, 2 * ORDER))
        if goal == tol:
            done[rows] = reached & ((length - fine).abs() <= 1e-3 * fine)[rows]
        rows = rows[~done[rows] & (steps < budget)[rows]]
        if len(rows) == 0:
            break
    mesh = curve_length(metric, curve, order=2 * ORDER)
    curve = at_constant_speed(metric, curve, n)
    rows = (steps < budget).nonzero().flatten()
    if len(rows):
        spare = (budget - steps)[rows].clamp_max(POLISH)
        curve[rows], more = _polished(metric, curve[rows], spare, tol)
        steps[rows] += more
    length = curve_length(metric, curve)
    done &= (length - mesh).abs() <= 5e-3 * mesh
    return Geodesic(curve, length, curve_energy(metric, curve), done, steps)


def _polished(metric: Metric, curve: Tensor, budget: Tensor, tol: float) -> tuple[Tensor, Tensor]:
    """Curves minimized at equal times where that shortens them and they still resolve the metric; steps."""
    times = torch.full_like(curve[:, 1:, 0], 1.0 / (curve.shape[1] - 1))
    polished, _, steps = minimize_energy(metric, curve, times, ORDER, budget, tol)
    length, fine = (curve_length(metric, polished, order=q) for q in (ORDER, 2 * ORDER))
    better = (length < curve_length(metric, curve)) & ((length - fine).abs() <= 1e-3 * fine)
    return torch.where(better[:, None, None], polished, curve), steps


def low_cost_path(
    metric: Metric,
    a: Float[Tensor, "*batch d"],
    b: Float[Tensor, "*batch d"],
    n_points: int = 64,
    **settings: Any,
) -> Geodesic:
    r"""The path of least cost where space is dear: $\inf_\gamma\int_0^1 V(\gamma)\,\|\dot\gamma\|\,dt$ with
    $V = 1/\sqrt{\det G}$.

    Chadebec and Allassonniere (2022), eq. (12), with the speed $\|\dot\gamma\|$ that it leaves out, and
    without which a curve may leap to where V is least and wait there. So it is the shortest path in the
    metric $V^2 I$, found as ``geodesic`` finds its own, with the same settings; ``length`` is the
    integral above, ``energy`` that of its square. In the metric itself, measure with ``curve_length``.

    ``metric`` gives log V by its ``log_volume`` where it has one, else by a Cholesky factor. Costs are taken
    relative to the middle of their range on the straight lines, and ratios of V beyond e^35 (e^300 in double
    precision) from there count as that. Derived in chapter 7. Raises what ``geodesic`` raises.

    Example:
        >>> from riemvae_core.metrics import ConstantMetric
        >>> metric = ConstantMetric(4.0 * torch.eye(2))  # V = 1/4
        >>> rc.low_cost_path(metric, torch.zeros(2), torch.tensor([3.0, 4.0])).length
        tensor(1.25)
    """
    _check(a, b, n_points, settings.get("nodes"), 1, None)
    with torch.no_grad():
        log_v = -_log_volume(metric, straight_line(a.detach(), b.detach(), n_points))
        middle = 0.5 * (log_v.amax() + log_v.amin()) if log_v.numel() else a.new_zeros(())
    limit = 300.0 if a.dtype == torch.float64 else 35.0

    def cost(z: Tensor) -> Tensor:
        log_v = (-_log_volume(metric, z) - middle).clamp(-limit, limit)
        eye = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        return torch.exp(2.0 * log_v)[..., None, None] * eye

    path, scale = geodesic(cost, a, b, n_points, **settings), middle.exp()
    return path._replace(length=path.length * scale, energy=path.energy * scale**2)


def _log_volume(metric: Metric, z: Tensor) -> Tensor:
    if hasattr(metric, "log_volume"):
        return metric.log_volume(z)
    from riemvae_core.paths.forms import call_metric
    factor, _ = torch.linalg.cholesky_ex(call_metric(metric, z))
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
