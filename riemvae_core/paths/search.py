"""The search for shortest paths in one form of a metric: descent, between new spacings of the points."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemvae_core.numerics import chunks
from riemvae_core.paths.curves import (
    ORDER,
    at_constant_speed,
    at_mixed_spacing,
    energy_of,
    gauss_rule,
    length_of,
    piece_squares,
    spaced,
    straight_line,
)
from riemvae_core.paths.descent import MEMORY, minimize_energy
from riemvae_core.paths.forms import Conformal, Dense
from riemvae_core.paths.newton import newton
from riemvae_core.paths.starts import first_curves

POLISH, FIRM = 60, 150  # evaluations for the points at constant speed, at most: of all, of those left over
LAST = 5e-3  # share of the length, at most, that the points at constant speed may add
SEARCH = 64  # points of a curve in the search, at least
SHORT, LONGER = 12, 100  # evaluations between two spacings
ROUNDS = 3  # of the longer ones at each number of points
FEW = 3  # dimensions, at most, in which no round is rough
KEPT = 150  # evaluations for points at constant speed that don't follow the curve yet
BYTES = 2**30  # for the steps that are remembered, by groups of pairs


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


def search_paths(
    form: Dense,
    coarse: Dense,
    a: Tensor,
    b: Tensor,
    n: int,
    nodes: Tensor | None,
    max_steps: int,
    tol: float,
) -> Geodesic:
    """The shortest curves found from all starts, and never longer than the straight lines.

    Beyond ``FEW`` dimensions the first rounds see the metric in its ``coarse`` form.
    """
    search = max(n, SEARCH)
    parts = []
    for s in chunks(len(a), 4 * MEMORY * search * a.shape[1] * a.element_size(), BYTES):
        line = straight_line(a[s], b[s], n)
        starts = first_curves(form, a[s], b[s], 4 * search, nodes)
        found = [_descend(form, coarse, start, n, search, max_steps, tol) for start in starts]
        none = torch.zeros_like(found[0].converged)
        found.append(Geodesic(line, length_of(form, line), energy_of(form, line), none, none.long()))
        parts.append(_shortest([certified(form, f) for f in found]))
    return Geodesic(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _shortest(found: list[Geodesic]) -> Geodesic:
    """For each pair the shortest curve; of curves equally long to rounding's order, one that converged."""
    lengths = torch.stack([f.length.nan_to_num(torch.inf, torch.inf) for f in found])
    converged = torch.stack([f.converged for f in found])
    near = lengths <= lengths.amin(0) * (1.0 + 1e-5)
    choice = (near.int() + (near & converged).int()).argmax(0)
    rows = torch.arange(len(choice), device=choice.device)
    return Geodesic(*(torch.stack(parts)[choice, rows] for parts in zip(*found, strict=True)))


def fine_length(form: Dense, curve: Float[Tensor, "n t d"]) -> Float[Tensor, " n"]:
    """Length at four times the points, half of them even along the curve: a descent hides dear places within
    long pieces, between the few points where it looks.
    """
    plain = curve.diff(dim=1).norm(dim=-1)
    share = plain / plain.sum(-1, keepdim=True).clamp_min(torch.finfo(plain.dtype).tiny)
    return length_of(form, spaced(curve, share + 1.0 / plain.shape[1], 4 * curve.shape[1]), 4)


class _Search:
    """The curves of one start on their way down, with what each has spent."""

    def __init__(self, form: Dense, curve: Tensor, max_steps: int, tol: float) -> None:
        self.form, self.curve, self.tol = form, curve, tol
        self.budget = torch.full(curve.shape[:1], max_steps, device=curve.device)
        self.steps, self.done = torch.zeros_like(self.budget), torch.zeros_like(self.budget, dtype=torch.bool)

    def open(self) -> Tensor:
        return (~self.done & (self.steps < self.budget)).nonzero().flatten()

    def space(self, points: int) -> None:
        self.curve = at_mixed_spacing(self.form, self.curve, points)[0]

    def descend(self, rows: Tensor, cap: int, goal: float) -> Tensor:
        """Space the points of some curves anew and bend them; whether each reached the goal."""
        points, times = at_mixed_spacing(self.form, self.curve[rows], self.curve.shape[1])
        left = (self.budget - self.steps)[rows].clamp_max(cap)
        self.curve[rows], reached, more = _minimizer(points)(self.form, points, times, 2, left, goal)
        self.steps[rows] += more
        return reached

    def settle(self, cap: int, goal: float, fall: float) -> None:
        """Short rounds until the length falls by no more than a share from one to the next."""
        rows, last = self.open(), length_of(self.form, self.curve, 2)
        while len(rows):
            self.descend(rows, cap, goal)
            length = length_of(self.form, self.curve[rows], 2)
            settled = ~(length < (1.0 - fall) * last[rows])
            last[rows] = length
            rows = rows[~settled & (self.steps < self.budget)[rows]]

    def finish(self, cap: int = LONGER, rounds: int = ROUNDS) -> None:
        """Longer rounds to the goal itself, where finer integration agrees.

        A round whose curve is longer than before, seen finely, is taken back: it hid dear places.
        """
        for _ in range(rounds):
            if len(rows := self.open()) == 0:
                return
            before = self.curve[rows]
            reached = self.descend(rows, cap, self.tol)
            length, fine = length_of(self.form, self.curve[rows], 2), fine_length(self.form, self.curve[rows])
            worse = fine > (1.0 + 1e-3) * fine_length(self.form, before)
            self.curve[rows[worse]] = before[worse]
            reached &= ~worse
            self.done[rows] = reached & ((length - fine).abs() <= 1e-3 * fine)


def _descend(
    form: Dense, coarse: Dense, curve: Tensor, n: int, search: int, max_steps: int, tol: float
) -> Geodesic:
    """Descend by a rough way or a careful one, then put the points at constant speed."""
    way = _Search(coarse, curve, max_steps, tol)
    if curve.shape[2] <= FEW:
        _careful(way, form, n, search, max_steps)
    else:
        _rough(way, form, search)
    return _at_constant_speed(form, way, n, max_steps)


def _at_constant_speed(form: Dense, way: _Search, n: int, max_steps: int) -> Geodesic:
    """The curves with n points at constant speed, bent anew where these cut corners.

    A cheap stretch has long pieces at constant speed, and they may run through dear places. Where no bending
    helps, the points stay as the search spaced them if that is shorter, and the path has not converged.
    """
    mesh, steps = fine_length(form, way.curve), way.steps
    curve = at_constant_speed(form, way.curve, n)
    length, least = length_of(form, curve), 1e-4
    for order, cap in ((4, POLISH), (ORDER, FIRM)):
        rows = ((steps < max_steps) & (length > (1.0 + least) * mesh)).nonzero().flatten()
        if len(rows):
            spare = (max_steps - steps)[rows].clamp_max(cap)
            curve[rows], more = _polished(form, curve[rows], spare, order)
            steps[rows] += more
        length, least = length_of(form, curve), LAST
    done = way.done & ((length - mesh).abs() <= LAST * mesh)
    own = at_mixed_spacing(form, way.curve, n)[0]
    plain, fine = length_of(form, own), fine_length(form, own)
    keep = (length > (1.0 + LAST) * mesh) & (plain < length) & ((plain - fine).abs() <= 1e-2 * fine)
    curve = torch.where(keep[:, None, None], own, curve)
    length = torch.where(keep, plain, length)
    return Geodesic(curve, length, energy_of(form, curve), done, steps)


def _rough(way: _Search, form: Dense, search: int) -> None:
    """Few points first, then more, and twice as many for the curves that have not come to rest by then."""
    way.space(search // 2)
    way.settle(SHORT, 1e-4, 1e-3)
    way.space(search)
    way.settle(LONGER, 1e-5, 1e-4)
    way.form = form
    way.finish()
    way.space(2 * search)
    way.finish()


def _careful(way: _Search, form: Dense, n: int, search: int, max_steps: int) -> None:
    """All points and the metric itself from the first round on, and no round cut short.

    In few dimensions balls are crowded and a curve winds between them: few points would cut its bends, and
    it would end in another, longer minimum. A curve that n points at constant speed don't follow keeps
    evaluations for these.
    """
    kept = KEPT if max_steps >= 3 * KEPT else 0
    way.form, way.budget = form, way.budget - kept
    way.space(search)
    way.finish()
    way.space(2 * search)
    way.finish()
    if kept:
        fits = length_of(form, at_constant_speed(form, way.curve, n)) <= 1.005 * fine_length(form, way.curve)
        way.budget += kept * fits
        way.finish()


def _minimizer(curve: Tensor) -> Callable:
    return newton if curve.shape[2] <= FEW else minimize_energy


def _polished(form: Dense, curve: Tensor, budget: Tensor, order: int) -> tuple[Tensor, Tensor]:
    """Curves minimized at equal times where that shortens them and they still resolve the metric; steps."""
    times = torch.full_like(curve[:, 1:, 0], 1.0 / (curve.shape[1] - 1))
    polished, _, steps = _minimizer(curve)(form, curve, times, order, budget, 1e-7)
    length, fine = length_of(form, polished), fine_length(form, polished)
    better = (length < length_of(form, curve)) & ((length - fine).abs() <= 1e-3 * fine)
    return torch.where(better[:, None, None], polished, curve), steps


# --- balls that fall between the points where the metric is looked at


def certified(form: Dense, found: Geodesic) -> Geodesic:
    """The same, with length and energy integrated around the balls that are narrower than a piece.

    For metrics made of balls alone (``mu``, ``log_var`` and ``rho``). Where this changes a length by more
    than 0.1%, the curve was found in a metric that was not seen, and has not converged. A low-cost path is
    cheaper in a ball: one that isn't seen leaves its length an upper bound.
    """
    if isinstance(form, Conformal) or not all(
        hasattr(form.metric, name) for name in ("mu", "log_var", "rho")
    ):
        return found
    length, energy, converged = found.length.clone(), found.energy.clone(), found.converged.clone()
    for row, curve in enumerate(found.curve):
        gain = _unseen(form, curve, length[row])
        if gain[0].abs() > 1e-3 * length[row]:
            length[row] += gain[0]
            energy[row] += gain[1]
            converged[row] = False
    return found._replace(length=length, energy=energy, converged=converged)


def _unseen(form: Dense, curve: Float[Tensor, "t d"], length: Tensor) -> tuple[Tensor, Tensor]:
    r"""What length and energy gain where each narrow ball near the curve gets points of its own.

    Along a piece a ball's part of the speed is $\rho\,e^{-m^2/2\rho^2}$ in sum, however narrow it is.
    """
    mu, precision = form.metric.mu.to(curve), torch.exp(-form.metric.log_var.to(curve))
    rho, step, start = float(form.metric.rho), curve.diff(dim=0), curve[:-1]
    along = precision @ step.square().T  # [n, s], squared Mahalanobis lengths of the pieces
    if not bool((along > (4.0 * rho) ** 2).any()):
        return length.new_zeros(()), length.new_zeros(())
    toward = (precision * mu) @ step.T - precision @ (start * step).T
    narrow = (along.sqrt() > 4.0 * rho) & (toward > 0.0) & (toward < along)
    ball, piece = narrow.nonzero(as_tuple=True)
    time = toward[ball, piece] / along[ball, piece]
    nearest = start[piece] + time[:, None] * step[piece]
    distance = (precision[ball] * (nearest - mu[ball]).square()).sum(1)
    counts = rho * torch.exp(-0.5 * distance / rho**2) > 1e-4 * length / math.sqrt(2.0 * math.pi)
    gain = [curve.new_zeros(()), curve.new_zeros(())]
    around = curve.new_tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.5, 8.0])
    around = torch.cat([-around.flip(0), around[1:]])
    _, weights = gauss_rule(ORDER, curve)
    for k in piece[counts].unique().tolist():
        mine = counts & (piece == k)
        width = rho / along[ball[mine], k].sqrt()
        cuts = (time[mine, None] + width[:, None] * around).flatten().clamp(0.0, 1.0)
        cuts = torch.cat([cuts, cuts.new_tensor([0.0, 1.0])]).unique()
        fine = piece_squares(form, start[k] + cuts[:, None] * step[k], ORDER)
        coarse = piece_squares(form, curve[k : k + 2], ORDER)
        gain[0] = gain[0] + ((fine.sqrt().sum(0) - coarse.sqrt().sum(0)) * weights).sum()
        inside = (fine / cuts.diff()[:, None]).sum(0)
        gain[1] = gain[1] + len(step) * ((inside - coarse.sum(0)) * weights).sum()
    return gain[0], gain[1]
