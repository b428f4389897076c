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
from riemvae_core.paths.curves import gauss_rule
from riemvae_core.paths.forms import applied, form_of, over

MEMORY = 20  # pairs of step and change of gradient that L-BFGS keeps
LEAST_LIFT, FIRMER, LOOSER = 1e-7, 10.0, 3.0  # how P is lifted after a refusal, and comes down again
STEP_CAP = 0.5  # no point moves further in one step than this share of the curve's length


class _History:
    """The last steps of every curve and their changes of gradient, each curve's in a ring of its own."""

    def __init__(self, curve: Tensor) -> None:
        shape = (len(curve), MEMORY, curve.shape[1] - 2, curve.shape[2])
        self.steps, self.changes = curve.new_zeros(shape), curve.new_zeros(shape)
        self.curvatures = curve.new_zeros(shape[:2])  # 1/(step . change), or 0 where the pair is not used
        self.count = torch.zeros(len(curve), dtype=torch.long, device=curve.device)

    def add(self, rows: Tensor, step: Tensor, change: Tensor) -> None:
        curvature = _dot(step, change)
        useful = curvature > torch.finfo(step.dtype).eps * (_dot(step, step) * _dot(change, change)).sqrt()
        slots = self.count[rows] % MEMORY
        self.steps[rows, slots], self.changes[rows, slots] = step, change
        self.curvatures[rows, slots] = torch.where(useful, curvature, torch.inf).reciprocal()
        self.count[rows] += 1

    def direction(self, rows: Tensor, grad: Tensor, stiffness: Tensor) -> Tensor:
        """L-BFGS's two loops around the frozen solve."""
        q, done = grad, []
        for k in range(min(MEMORY, int(self.count[rows].amax()))):
            slots = (self.count[rows] - 1 - k) % MEMORY
            step, change = self.steps[rows, slots], self.changes[rows, slots]
            curvature = self.curvatures[rows, slots] * (k < self.count[rows])
            weight = curvature * _dot(step, q)
            q = q - weight[:, None, None] * change
            done.append((step, change, curvature, weight))
        r, _ = solve_frozen(stiffness, q)
        for step, change, curvature, weight in reversed(done):
            r = r + (weight - curvature * _dot(change, r))[:, None, None] * step
        return r


class _State(NamedTuple):
    """One row for each curve that is still worked on."""

    curve: Tensor  # [b, t, d]
    energy: Tensor  # [b]
    grad: Tensor  # [b, i, d]
    stiffness: Tensor  # [b, s, ...], the pieces' mean metrics over their times
    direction: Tensor  # [b, i, d]
    slope: Tensor  # [b], of the energy along the direction
    size: Tensor  # [b], share of the direction to try next
    decrement: Tensor  # [b], grad . P^-1 grad
    times: Tensor  # [b, s], the time that each piece takes
    row: Tensor  # [b], place in the whole batch
    lift: Tensor  # [b], share of the stiffest piece that every piece gets on top


def minimize_energy(
    metric,
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
    history = _History(curve)
    state = _aim(
        history, _State(curve.clone(), energy, grad, stiffness, *[energy] * 4, times, row, 0.0 * times[:, 0])
    )
    while len(state.row):
        done[state.row] = state.decrement <= tol * state.energy
        going = (
            ~done[state.row]
            & (steps[state.row] < budget[state.row])
            & (state.size > 1e-12)
            & torch.isfinite(state.energy)
        )
        if not going.all():
            out[state.row] = state.curve
            state = _State(*(part[going] for part in state))
        steps[state.row] += 1
        state = _try(metric, history, state, order) if len(state.row) else state
    return out, done, steps


def energy_and_gradient(
    metric, curve: Float[Tensor, "b t d"], times: Float[Tensor, "b s"], order: int
) -> tuple[Float[Tensor, " b"], Float[Tensor, "b i d"], Tensor]:
    """Energy of each curve, its gradient in the inner points, and each piece's mean metric over its time.

    The metric's graph is built and dropped chunk by chunk, so memory stays bounded for any number of curves.
    """
    c, m, d, form = len(curve), curve.shape[1] - 1, curve.shape[2], form_of(metric)
    points, weights = gauss_rule(order, curve)
    step = curve.diff(dim=1).reshape(-1, d)
    left = curve[:, :-1].reshape(-1, d)
    weight = weights / times.reshape(-1, 1)
    energy, pull, push, means = [], [], [], []
    for s in chunks(c * m, order * max(2 * form.numbers(d), 1024) * curve.element_size()):
        z = left[s, None] + points[:, None] * step[s, None]
        g, moved, square, slope = form.parts(z, step[s, None].expand_as(z))
        slope, by_step = slope * weight[s, :, None], 2.0 * (weight[s, :, None] * moved).sum(1)
        energy.append((square * weight[s]).sum(-1))
        pull.append((slope * (1.0 - points[:, None])).sum(1) - by_step)
        push.append((slope * points[:, None]).sum(1) + by_step)
        means.append((over(g, weight[s]) * g).sum(1))
    energy, pull, push, means = (
        torch.cat(v).reshape(c, m, *v[0].shape[1:]) for v in (energy, pull, push, means)
    )
    return energy.sum(1), pull[:, 1:] + push[:, :-1], means


def solve_frozen(
    stiffness: Tensor, right: Float[Tensor, "b i d"]
) -> tuple[Float[Tensor, "b i d"], Float[Tensor, " b"]]:
    r"""$y = P^{-1}Y$ and $Y\cdot y$ for $P = 2C^\top\mathrm{diag}(\bar G_j/h_j)C$, Y = ``right``, ends fixed.

    ``stiffness`` is ``[b, s, d, d]``, ``[b, s, d]`` for a diagonal or ``[b, s, 1]``. A singular one is lifted
    by rounding's share of its trace: P steers the search, no more.
    """
    d, info = right.shape[-1], torch.finfo(right.dtype)
    source = torch.cat([torch.zeros_like(right[:, :1]), right.cumsum(1)], 1)
    if stiffness.ndim == 3:
        compliance = 0.5 / lifted(stiffness, 4.0 * info.eps * stiffness.amax(-1) + info.tiny**0.5)
        flux = (compliance * source).sum(1, keepdim=True) / compliance.sum(1, keepdim=True) - source
    else:
        lift = 4.0 * d * info.eps * stiffness.diagonal(dim1=-2, dim2=-1).sum(-1) + info.tiny**0.5
        factor, failed = torch.linalg.cholesky_ex(2.0 * lifted(stiffness, lift))
        eye = torch.eye(d, dtype=right.dtype, device=right.device)
        compliance = torch.cholesky_inverse(torch.where((failed > 0)[..., None, None], eye, factor))
        total, pulled = compliance.sum(1), (compliance @ source.unsqueeze(-1)).sum(1)
        flux = torch.linalg.solve_ex(total, pulled)[0].squeeze(-1).unsqueeze(1) - source
    pieces = applied(compliance, flux)
    return pieces[:, :-1].cumsum(1), (flux * pieces).sum((-2, -1))


def lifted(stiffness: Tensor, lift: Float[Tensor, "b #s"]) -> Tensor:
    """Stiffness plus ``lift`` times I."""
    if stiffness.ndim == 3:
        return stiffness + lift.unsqueeze(-1)
    eye = torch.eye(stiffness.shape[-1], dtype=stiffness.dtype, device=stiffness.device)
    return stiffness + lift[..., None, None] * eye


def _aim(history: _History, state: _State) -> _State:
    """The next direction."""
    lift = state.lift * state.stiffness.flatten(1).amax(-1)
    r = history.direction(state.row, state.grad, lifted(state.stiffness, lift[:, None]))
    _, decrement = solve_frozen(state.stiffness, state.grad)
    size = capped(state.energy, state.stiffness, state.times, r)
    return state._replace(direction=-r, slope=-_dot(r, state.grad), size=size, decrement=decrement)


def capped(
    energy: Float[Tensor, " b"], stiffness: Tensor, times: Float[Tensor, "b s"], step: Float[Tensor, "b i d"]
) -> Float[Tensor, " b"]:
    """The share of each step, at most 1, by which no point moves too far (``STEP_CAP``) in the metric."""
    metric = stiffness * over(stiffness, times)
    around = 0.5 * (metric[:, :-1] + metric[:, 1:])
    reach = (applied(around, step) * step).sum(-1).amax(-1).clamp_min(0.0).sqrt()
    return (STEP_CAP * energy.clamp_min(0.0).sqrt() / reach).nan_to_num(1.0).clamp_max(1.0)


def _try(metric, history: _History, state: _State, order: int) -> _State:
    """One evaluation for each curve: accepted curves move, the others take shorter steps.

    A refused curve also gets a firmer P: cheap stretches, where the metric changes most along a step, then
    move less, and dear ones go on as before.
    """
    step = state.size[:, None, None] * state.direction
    trial = torch.cat([state.curve[:, :1], state.curve[:, 1:-1] + step, state.curve[:, -1:]], 1)
    energy, grad, stiffness = energy_and_gradient(metric, trial, state.times, order)
    finite = torch.isfinite(energy) & torch.isfinite(grad).flatten(1).all(-1)
    finite &= torch.isfinite(stiffness).flatten(1).all(-1)
    falls = energy <= state.energy + 1e-4 * state.size * state.slope
    # where rounding hides the fall of the energy, its slope still tells (Hager and Zhang, 2005)
    blurred = energy <= state.energy * (1.0 + 64 * torch.finfo(energy.dtype).eps)
    accept = finite & (falls | (blurred & (_dot(grad, state.direction) <= 0.8 * state.slope.abs())))
    new = []
    if accept.any():
        history.add(state.row[accept], step[accept], (grad - state.grad)[accept])
        looser = torch.where(state.lift > LEAST_LIFT, state.lift / LOOSER, 0.0)
        moved = state._replace(curve=trial, energy=energy, grad=grad, stiffness=stiffness, lift=looser)
        new.append(_aim(history, _State(*(part[accept] for part in moved))))
    if not accept.all():
        lift = (FIRMER * state.lift).clamp_min(LEAST_LIFT)
        refused = _State(*(part[~accept] for part in state._replace(lift=lift)))
        firmer = _aim(history, refused)
        new.append(firmer._replace(size=torch.minimum(firmer.size, 0.7 * refused.size)))
    return _State(*(torch.cat(parts) for parts in zip(*new, strict=True)))


def _dot(x: Tensor, y: Tensor) -> Tensor:
    return (x * y).flatten(1).sum(-1)
