r"""L-BFGS for the energy of many curves at once, started from its second derivative in a frozen metric.

For straight pieces $\Delta_j$ that take the times $h_j$ the energy is $\sum_j\Delta_j^\top\bar
G_j\Delta_j/h_j$, with $\bar G_j$ the metric's mean along a piece. With these means frozen, its second
derivative is $P = 2C^\top\mathrm{diag}(\bar G_j/h_j)C$, C the differences between neighbors. P makes the
number of steps nearly independent of the number of points, and it is solved in closed form: the flux $2\bar
G_j(Cy)_j/h_j$ changes from piece to piece by the right-hand side alone, and its one unknown constant
follows from the fixed ends.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemvae_core.numerics import chunks
from riemvae_core.paths.curves import Metric, call_metric, gauss_rule

MEMORY = 20  # pairs of step and change of gradient that L-BFGS keeps
STEP_CAP = 0.5  # no point moves further in one step than this share of the curve's length


class _State(NamedTuple):
    """One row for each curve that is still worked on."""

    curve: Tensor  # [b, t, d]
    energy: Tensor  # [b]
    grad: Tensor  # [b, i, d]
    stiffness: Tensor  # [b, s, d, d], the pieces' mean metrics over their times
    steps_taken: Tensor  # [b, MEMORY, i, d], newest last
    grad_changes: Tensor  # [b, MEMORY, i, d]
    curvatures: Tensor  # [b, MEMORY], 1/(step . change), or 0 where the pair is not used
    direction: Tensor  # [b, i, d]
    slope: Tensor  # [b], of the energy along the direction
    size: Tensor  # [b], share of the direction to try next
    decrement: Tensor  # [b], grad . P^-1 grad
    times: Tensor  # [b, s], the time that each piece takes
    row: Tensor  # [b], place in the whole batch


def minimize_energy(
    metric: Metric,
    curve: Float[Tensor, "b t d"],
    times: Float[Tensor, "b s"],
    order: int,
    budget: Int[Tensor, " b"],
    tol: float,
) -> tuple[Float[Tensor, "b t d"], Bool[Tensor, " b"], Int[Tensor, " b"]]:
    """Curves of least energy near the given ones, with their ends; whether each converged; evaluations spent.

    ``times`` of the pieces, 1 in sum; ``order`` Gauss points on each; at most ``budget`` evaluations.
    A curve has converged when its ``decrement`` is at most ``tol`` times its energy. Curves don't touch each
    other: each one's result is what it would be alone, up to rounding.
    """
    out, done = curve.clone(), torch.zeros(len(curve), dtype=torch.bool, device=curve.device)
    steps, row = torch.ones_like(budget), torch.arange(len(curve), device=curve.device)
    energy, grad, stiffness = energy_and_gradient(metric, curve, times, order)
    blank = curve.new_zeros(len(curve), MEMORY, curve.shape[1] - 2, curve.shape[2])
    lbfgs = (blank, blank, blank[..., 0, 0])
    state = _aim(_State(curve, energy, grad, stiffness, *lbfgs, grad, energy, energy, energy, times, row))
    while len(state.row):
        done[state.row] = state.decrement <= tol * state.energy
        going = (
            ~done[state.row]
            & (steps[state.row] < budget[state.row])
            & (state.size > 1e-12)
            & torch.isfinite(state.energy)
        )
        out[state.row] = state.curve
        state = _State(*(part[going] for part in state)) if not going.all() else state
        steps[state.row] += 1
        state = _try(metric, state, order) if len(state.row) else state
    return out, done, steps


def energy_and_gradient(
    metric: Metric, curve: Float[Tensor, "b t d"], times: Float[Tensor, "b s"], order: int
) -> tuple[Float[Tensor, " b"], Float[Tensor, "b i d"], Float[Tensor, "b s d d"]]:
    """Energy of each curve, its gradient in the inner points, and each piece's mean metric over its time.

    The metric's graph is built and dropped chunk by chunk, so memory stays bounded for any number of curves.
    """
    c, m, d = len(curve), curve.shape[1] - 1, curve.shape[2]
    points, weights = gauss_rule(order, curve)
    step = curve.diff(dim=1).reshape(-1, d)
    left = curve[:, :-1].reshape(-1, d)
    rate = times.reshape(-1).reciprocal()
    energy, pull, push, means = [], [], [], []
    for s in chunks(c * m, order * max(2 * d * d, 1024) * curve.element_size()):
        with torch.enable_grad():
            z = (left[s, None] + points[:, None] * step[s, None]).detach().requires_grad_()
            g = call_metric(metric, z)
            moved = (g @ step[s, None, :, None]).squeeze(-1)
            cost = (moved * step[s, None]).sum(-1) * weights * rate[s, None]
            by_place = _gradient(cost.sum(), z, g)
        by_step = 2.0 * rate[s, None] * (weights[:, None] * moved.detach()).sum(1)
        energy.append(cost.detach().sum(-1))
        pull.append((by_place * (1.0 - points[:, None])).sum(1) - by_step)
        push.append((by_place * points[:, None]).sum(1) + by_step)
        means.append(rate[s, None, None] * (weights[:, None, None] * g.detach()).sum(1))
    energy, pull, push, means = (
        torch.cat(v).reshape(c, m, *v[0].shape[1:]) for v in (energy, pull, push, means)
    )
    return energy.sum(1), pull[:, 1:] + push[:, :-1], means


def _gradient(total: Tensor, z: Tensor, g: Tensor) -> Tensor:
    if total.requires_grad:
        (grad,) = torch.autograd.grad(total, z, allow_unused=True)
        return grad if grad is not None else torch.zeros_like(z)
    rows = g.reshape(-1, g.shape[-1], g.shape[-1])
    if not torch.equal(rows, rows[:1].expand_as(rows)):
        raise ValueError("metric must be differentiable by autograd, got one that it can't follow")
    return torch.zeros_like(z)


def solve_frozen(
    stiffness: Float[Tensor, "b s d d"], right: Float[Tensor, "b i d"]
) -> tuple[Float[Tensor, "b i d"], Float[Tensor, " b"]]:
    r"""$y = P^{-1}Y$ and $Y\cdot y$ for $P = 2C^\top\mathrm{diag}(\bar G_j/h_j)C$, Y = ``right``, ends fixed.

    A singular stiffness is lifted by rounding's share of its trace: P steers the search, no more.
    """
    d = stiffness.shape[-1]
    info = torch.finfo(right.dtype)
    lift = 4.0 * d * info.eps * stiffness.diagonal(dim1=-2, dim2=-1).sum(-1) + info.tiny**0.5
    eye = torch.eye(d, dtype=right.dtype, device=right.device)
    factor, failed = torch.linalg.cholesky_ex(2.0 * (stiffness + lift[..., None, None] * eye))
    factor = torch.where((failed > 0)[..., None, None], eye, factor)
    source = torch.cat([torch.zeros_like(right[:, :1]), right.cumsum(1)], 1)
    compliance = torch.cholesky_inverse(factor)
    total, pulled = compliance.sum(1), (compliance @ source.unsqueeze(-1)).sum(1)
    flux = torch.linalg.solve_ex(total, pulled)[0].squeeze(-1).unsqueeze(1) - source
    pieces = (compliance @ flux.unsqueeze(-1)).squeeze(-1)
    return pieces[:, :-1].cumsum(1), (flux * pieces).sum((-2, -1))


def _aim(state: _State) -> _State:
    """The next direction: L-BFGS's two loops around the frozen solve."""
    q, weights = state.grad, []
    for k in reversed(range(MEMORY)):
        weights.append(state.curvatures[:, k] * _dot(state.steps_taken[:, k], q))
        q = q - weights[-1][:, None, None] * state.grad_changes[:, k]
    r, _ = solve_frozen(state.stiffness, q)
    for k, weight in enumerate(reversed(weights)):
        gain = weight - state.curvatures[:, k] * _dot(state.grad_changes[:, k], r)
        r = r + gain[:, None, None] * state.steps_taken[:, k]
    _, decrement = solve_frozen(state.stiffness, state.grad)
    metric = state.stiffness * state.times[..., None, None]
    around = 0.5 * (metric[:, :-1] + metric[:, 1:])
    reach = (r.unsqueeze(-2) @ around @ r.unsqueeze(-1)).flatten(1).amax(-1).clamp_min(0.0).sqrt()
    cap = STEP_CAP * state.energy.clamp_min(0.0).sqrt() / reach
    return state._replace(
        direction=-r, slope=-_dot(r, state.grad), size=cap.nan_to_num(1.0).clamp_max(1.0), decrement=decrement
    )


def _try(metric: Metric, state: _State, order: int) -> _State:
    """One evaluation for each curve: accepted curves move and aim anew, the others halve their step."""
    step = state.size[:, None, None] * state.direction
    trial = torch.cat([state.curve[:, :1], state.curve[:, 1:-1] + step, state.curve[:, -1:]], 1)
    energy, grad, stiffness = energy_and_gradient(metric, trial, state.times, order)
    finite = torch.isfinite(energy) & torch.isfinite(grad).flatten(1).all(-1)
    finite &= torch.isfinite(stiffness).flatten(1).all(-1)
    falls = energy <= state.energy + 1e-4 * state.size * state.slope
    # where rounding hides the fall of the energy, its slope still tells (Hager and Zhang, 2005)
    blurred = energy <= state.energy * (1.0 + 64 * torch.finfo(energy.dtype).eps)
    accept = finite & (falls | (blurred & (_dot(grad, state.direction) <= 0.8 * state.slope.abs())))
    change = grad - state.grad
    curvature = _dot(step, change)
    useful = curvature > torch.finfo(energy.dtype).eps * (_dot(step, step) * _dot(change, change)).sqrt()
    curvature = torch.where(useful, curvature, torch.ones_like(curvature)).reciprocal() * useful
    moved = state._replace(
        curve=trial,
        energy=energy,
        grad=grad,
        stiffness=stiffness,
        steps_taken=torch.cat([state.steps_taken[:, 1:], step[:, None]], 1),
        grad_changes=torch.cat([state.grad_changes[:, 1:], change[:, None]], 1),
        curvatures=torch.cat([state.curvatures[:, 1:], curvature[:, None]], 1),
    )
    halved = state._replace(size=0.5 * state.size)
    return _State(
        *(
            torch.where(accept.reshape(-1, *[1] * (new.ndim - 1)), new, old)
            for new, old in zip(_aim(moved), halved, strict=True)
        )
    )


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).flatten(1).sum(-1)
