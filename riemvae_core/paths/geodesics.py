"""Shortest paths on a latent space in any metric, a callable from ``z [*batch, d]`` to ``[*batch, d, d]``."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.numerics import check_finite, check_number, with_own_gradients
from riemvae_core.paths.curves import Metric, curve_energy, curve_length, straight_line
from riemvae_core.paths.descent import minimize_energy
from riemvae_core.paths.flow import exponential_map
from riemvae_core.paths.forms import Conformal, Dense, Rounded, form_of
from riemvae_core.paths.notices import Clock, check_form, tell
from riemvae_core.paths.search import SEARCH, Geodesic, search_paths

__all__ = ["Geodesic", "curve_energy", "curve_length", "exponential_map", "geodesic", "low_cost_path"]

LIMIT = {torch.float64: 300.0, torch.float32: 35.0}  # logs of costs, from the middle of their range


@with_own_gradients
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
    neither cheap nor dear stretches are left without; the curve comes back at constant speed (or, where
    ``n_points`` at constant speed would cut its corners, spaced as in the search and not converged). In up to
    three dimensions the search is Newton's method, beyond them L-BFGS. A curve has converged when the
    decrement $\nabla E^\top P^{-1}\nabla E$ of the energy in the frozen metric P (see ``descent``) is at
    most ``tol`` times the energy, 1e-8 by default and 1e-6 in single precision, and when finer integration
    and the last spacing change the length by at most 0.1% and 0.5%. Each start spends at most ``max_steps``
    evaluations. The result is never longer than the straight line of
    ``n_points`` points: where the search ends so, this line comes back, not converged. Paths that have not
    converged are told by a ``PathWarning``, as is a search that may take minutes.

    A metric is seen at up to 16 points a piece, and what is narrower may be missed. Of a metric made of balls
    (``mu``, ``log_var``, ``rho``) narrow balls are integrated one by one, and a path that met one unseen has
    not converged. A metric with a ``log_diagonal`` is worked on as d numbers a point, not d x d; one with an
    ``in_double`` is searched in float64 for ends in float32.

    Chadebec and Allassonniere (2022), eq. (4). Raises ValueError for ends of different shapes, dtypes or with
    numbers that aren't finite, a metric of a wrong shape, one that isn't symmetric and positive semidefinite
    at the ends or that autograd can't follow, dense matrices beyond 8 GiB a pair, and bad settings;
    FloatingPointError where no start has a finite energy.

    Example:
        >>> from riemvae_core.metrics import HalfPlaneMetric
        >>> a, b = torch.tensor([[-1.0, 1.0], [1.0, 1.0]])
        >>> rc.geodesic(HalfPlaneMetric(), a, b).length, math.acosh(1 + 2**2 / 2)
        (tensor(1.763), 1.763)
    """
    _check(a, b, n_points, nodes, max_steps, tol)
    own, *ends = _in_double(metric, a, b)
    coarse = form_of(_rough(metric, own, "log_diagonal", "log_diagonal_and_slope"))
    path = _solve(form_of(own), coarse, a, ends, n_points, nodes, max_steps, tol)
    tell(
        "geodesic",
        path.converged,
        path.steps >= max_steps,
        "Raise max_steps or n_points or give nodes; where a path runs far out there may be none (chapter 8).",
    )
    return path


def _check(a, b, n_points, nodes, max_steps, tol) -> None:
    check_finite(a=a, b=b)
    if a.shape != b.shape or a.ndim < 1 or a.shape[-1] < 1:
        raise ValueError(f"b must have a's shape [*batch, d], {tuple(a.shape)}, got {tuple(b.shape)}")
    if a.dtype != b.dtype or a.dtype not in LIMIT:
        raise ValueError(f"a and b must have the same dtype, float32 or float64, got {a.dtype} and {b.dtype}")
    if nodes is not None:
        check_finite(nodes=nodes)
        if nodes.ndim != 2 or len(nodes) == 0 or nodes.shape[1] != a.shape[-1]:
            raise ValueError(f"nodes must be [m, {a.shape[-1]}] with m at least 1, got {tuple(nodes.shape)}")
    check_number(3, whole=True, n_points=n_points)
    check_number(1, whole=True, max_steps=max_steps)
    if tol is not None:
        check_number(positive=True, tol=tol)


def _in_double(metric: Metric, *ends: Tensor) -> tuple:
    """Metric and ends ``[pairs, d]``, in float64 if the metric has an ``in_double`` and the device that."""
    ends = tuple(end.detach().reshape(-1, end.shape[-1]) for end in ends)
    if ends[0].dtype == torch.float64 or ends[0].device.type == "mps" or not hasattr(metric, "in_double"):
        return metric, *ends
    return metric.in_double(), *(end.double() for end in ends)


def _rough(metric: Metric, own: Metric, *asked: str) -> Metric | Rounded:
    """A metric for the first rounds: in single precision where it came so and has all that is asked of it."""
    slim = own is not metric and all(callable(getattr(metric, name, None)) for name in asked)
    return Rounded(metric) if slim else own


def _solve(
    form: Dense,
    coarse: Dense,
    like: Tensor,
    ends: list[Tensor],
    n: int,
    nodes: Tensor | None,
    max_steps: int,
    tol: float | None,
) -> Geodesic:
    """Search, and give the result the shape and dtype of ``like``."""
    a, b = ends
    if len(a) == 0:
        none = like.new_zeros(like.shape[:-1])
        return Geodesic(
            like.new_zeros((*none.shape, n, like.shape[-1])), none, none, none.bool(), none.long()
        )
    with torch.no_grad():
        points = max(n, SEARCH)
        check_form(form, a, b, points)
        tol = tol if tol is not None else (1e-8 if a.dtype == torch.float64 else 1e-6)
        clock = Clock(
            form, len(a), a.shape[1], points, max_steps, 1 + (nodes is not None) + (a.shape[1] in (2, 3))
        )
        line, one = straight_line(a, b, points), torch.ones_like(a[:, 0], dtype=torch.long)
        times = torch.full_like(line[:, 1:, 0], 1.0 / (points - 1))
        clock(lambda: minimize_energy(form, line, times, 2, one, tol))
        best = search_paths(form, coarse, a, b, n, nodes if nodes is None else nodes.to(a), max_steps, tol)
    if not torch.isfinite(best.length).all():
        pair = int((~torch.isfinite(best.length)).nonzero()[0])
        raise FloatingPointError(
            f"the metric isn't finite along any start of pair {pair}: a or b lies outside it"
        )
    return _shaped(best, like)


def _shaped(found: Geodesic, like: Tensor) -> Geodesic:
    parts = (part.to(like.dtype) if part.is_floating_point() else part for part in found)
    return Geodesic(*(part.reshape(like.shape[:-1] + part.shape[1:]) for part in parts))


@with_own_gradients
def low_cost_path(
    metric: Metric,
    a: Float[Tensor, "*batch d"],
    b: Float[Tensor, "*batch d"],
    n_points: int = 64,
    *,
    power: float = 1.0,
    nodes: Float[Tensor, "m d"] | None = None,
    max_steps: int = 500,
    tol: float | None = None,
) -> Geodesic:
    r"""The path of least cost where space is dear, $\inf_\gamma\int_0^1 V(\gamma)^{\text{power}}\,
    \|\dot\gamma\|\,dt$ with $V = 1/\sqrt{\det G}$.

    Chadebec and Allassonniere (2022), eq. (12), with the speed $\|\dot\gamma\|$ that it leaves out, and
    without which a curve may leap to where V is least and wait there. So it is the shortest path in the
    metric $V^{2\,\text{power}}I$, found as ``geodesic`` finds its own, with the same settings; ``length`` is
    the integral above, ``energy`` that of its square. In the metric itself, measure with ``curve_length``.

    ``power``, at least 0: 1 is the paper's cost; a metric stretched by c has a cost of $c^{-d}$ then, so that
    costs in many dimensions span dozens of orders of magnitude, and a path is all but given by its dearest
    place. 1/d keeps the contrast of a length: $c^{-1}$. At 0 paths are straight.

    ``metric`` gives log V by its ``log_volume`` where it has one (``log_volume_and_grad`` spares autograd),
    else by its ``log_diagonal`` or a Cholesky factor; d numbers a point are kept, not d x d. Costs are taken
    relative to the middle of their range on the straight lines; a path that comes to ratios beyond e^35 from
    there (e^300 in double precision) has not converged, nor one whose cost is beyond the dtype's numbers.
    Derived in chapter 8. Warns (``PathWarning``) and raises as ``geodesic`` does.

    Example:
        >>> from riemvae_core.metrics import ConstantMetric
        >>> metric = ConstantMetric(4.0 * torch.eye(2))  # V = 1/4
        >>> rc.low_cost_path(metric, torch.zeros(2), torch.tensor([3.0, 4.0])).length
        tensor(1.25)
        >>> rc.low_cost_path(metric, torch.zeros(2), torch.tensor([3.0, 4.0]), power=0.5).length
        tensor(2.50)
    """
    _check(a, b, n_points, nodes, max_steps, tol)
    if isinstance(power, bool) or not isinstance(power, int | float) or not 0 <= power < math.inf:
        raise ValueError(f"power must be a finite number of at least 0, got {power!r}")
    own, *ends = _in_double(metric, a, b)
    limit, middle = LIMIT[ends[0].dtype], 0.0
    with torch.no_grad():
        if len(ends[0]):
            costs = Conformal(own, power).log_cost(straight_line(*ends, n_points))
            fit = costs[torch.isfinite(costs)]
            middle = 0.5 * (fit.amax() + fit.amin()).item() if len(fit) else 0.0
        form = Conformal(own, power, middle, limit)
        rough = _rough(metric, own, "log_volume", "log_volume_and_grad")
        coarse = Conformal(rough, power, middle, limit)
        path = _solve(form, coarse, a, ends, n_points, nodes, max_steps, tol)
        held = (
            form.log_cost(path.curve.to(ends[0])).abs().amax(-1) < limit if len(ends[0]) else path.converged
        )
    logs = [part.double().log() + k * middle for k, part in ((1, path.length), (2, path.energy))]
    scaled = [part.exp().to(a.dtype) for part in logs]
    fits = torch.isfinite(scaled[0]) & ((scaled[0] > 0) | (path.length == 0))
    path = path._replace(length=scaled[0], energy=scaled[1], converged=path.converged & held & fits)
    steep = (
        ""
        if bool((held & fits).all())
        else f"Costs lie beyond e^{limit:.0f} from each other: take power=1/d. "
    )
    tell(
        "low_cost_path",
        path.converged,
        path.steps >= max_steps,
        f"{steep}Raise max_steps or n_points, give nodes (centers of balls), or take a smaller power.",
    )
    return path
