"""Newton's method for the energy of curves: its second derivative, its step, its budget, its minimum."""

import itertools
import math

import properties
import pytest
import torch
from path_cases import HALF_PLANE, LEAN, half_ring, pairs, points

from riemvae_core.metrics import ConstantMetric
from riemvae_core.paths import curves, descent, newton
from riemvae_core.paths.forms import Conformal

MU, RING = half_ring(sigma=0.3)
TIMES = torch.tensor([[0.1, 0.2, 0.3, 0.25, 0.15]], dtype=torch.float64)


def bent_line(a, b, n=6, size=0.1):
    curve = curves.straight_line(a, b, n).clone()
    curve[:, 1:-1] += size * properties.random_tensors(1, (len(a), n - 2, 2), seed=3)[0]
    return curve


def whole(own, beside):
    """Blocks as one symmetric matrix."""
    n, d = own.shape[:2]
    rows = torch.zeros(n, d, n, d, dtype=own.dtype)
    for k in range(n):
        rows[k, :, k] = own[k]
        if k + 1 < n:
            rows[k, :, k + 1], rows[k + 1, :, k] = beside[k], beside[k].mT
    return rows.reshape(n * d, n * d)


@pytest.mark.parametrize("metric", [HALF_PLANE, RING, Conformal(RING, 0.7)], ids=["any", "diagonal", "cost"])
def test_the_second_derivative_is_that_of_the_gradient(metric):
    curve = bent_line(points((-1.0, 1.0)), points((1.0, 1.5)))
    expected = []
    for shift in 1e-6 * torch.eye(8, dtype=torch.float64).reshape(8, 1, 4, 2):
        there, back = curve.clone(), curve.clone()
        there[:, 1:-1] += shift
        back[:, 1:-1] -= shift
        ends = [descent.energy_and_gradient(metric, c, TIMES, 3)[1].flatten() for c in (there, back)]
        expected.append((ends[0] - ends[1]) / 2e-6)
    expected = torch.stack(expected)
    found = whole(*(part[0] for part in newton.curvature(metric, curve, TIMES, 3)))
    properties.close(found, expected, rtol=0.0, atol=1e-4 * expected.abs().max().item())


def test_a_step_is_newtons_where_that_falls_and_firm_elsewhere():
    roots = properties.random_tensors(1, (2, 4, 2, 2))[0]
    own, beside = roots @ roots.mT + 2.0 * torch.eye(2).double(), 0.3 * roots[:, 1:]
    own[1] -= 4.0 * torch.eye(2).double()  # bends downwards somewhere
    grad, share = properties.random_tensors(1, (2, 4, 2), seed=1)[0], torch.zeros(2).double()
    stiffness = torch.ones(2, 5, 1).double()
    step, share = newton._step(own, beside, stiffness, grad, share)
    assert share[0] == 0 < share[1]
    firm = descent.solve_frozen  # P itself, as a matrix, by its inverse's columns
    eye = torch.eye(8).double().reshape(8, 4, 2)
    p = torch.linalg.inv(firm(stiffness[:1].expand(8, -1, -1), eye)[0].reshape(8, 8))
    for k in range(2):
        matrix = whole(own[k], beside[k]) + share[k] * p
        assert torch.linalg.eigvalsh(matrix)[0] > 0
        properties.close(step[k].flatten(), torch.linalg.solve(matrix, -grad[k].flatten()), rtol=1e-8)
    less = whole(own[1], beside[1]) + share[1] / newton.FIRMER * p
    assert torch.linalg.eigvalsh(less)[0] < 0
    properties.close(
        newton._times(own, beside, grad)[1].flatten(), whole(own[1], beside[1]) @ grad[1].flatten()
    )


def test_one_step_ends_at_the_minimum_of_a_constant_metric():
    a, b = points((0.0, 0.0)), points((1.0, 1.0))
    found, done, steps = newton.newton(
        ConstantMetric(LEAN), bent_line(a, b), TIMES, 2, torch.tensor([20]), 1e-10
    )
    assert done.all()
    along = torch.cat([TIMES.new_zeros(1, 1), TIMES.cumsum(1)], 1)
    properties.close(found, a[:, None] + along[..., None] * (b - a)[:, None], rtol=1e-6, atol=1e-6)
    assert steps.item() == 4  # where it starts, the second derivative by two more, where it ends


@pytest.mark.parametrize("metric", [RING, Conformal(RING, 0.7)], ids=["diagonal", "cost"])
def test_the_minimum_is_the_other_searchs(metric):
    line = curves.straight_line(MU[[2, 4]], MU[[6, 9]], 24)
    times = torch.full((2, 23), 1 / 23, dtype=torch.float64)
    ours, theirs = (
        search(metric, line, times, 2, torch.tensor([300, 300]), 1e-12)
        for search in (newton.newton, descent.minimize_energy)
    )
    assert ours[1].all()
    energies = [descent.energy_and_gradient(metric, c[0], times, 2)[0] for c in (ours, theirs)]
    properties.close(energies[0], energies[1], rtol=1e-6)
    assert (ours[2] < theirs[2] + 10).all()


def test_a_budget_is_kept_and_pairs_do_not_touch():
    a, b = pairs(3)
    line = curves.straight_line(a, b, 12)
    times = torch.full((3, 11), 1 / 11, dtype=torch.float64)
    spent = newton.newton(HALF_PLANE, line, times, 2, torch.tensor([1, 3, 9]), 1e-12)[2]
    assert (spent <= torch.tensor([1, 3, 9])).all()
    together = newton.newton(HALF_PLANE, line, times, 2, torch.tensor([50] * 3), 1e-8)
    alone = newton.newton(HALF_PLANE, line[1:2], times[1:2], 2, torch.tensor([50]), 1e-8)
    properties.close(together[0][1], alone[0][0], rtol=1e-7, atol=1e-7)
    assert together[2][1] == alone[2][0]


def test_a_metric_that_is_not_finite_ends_a_search():
    def wall(z):
        return torch.where(z[..., :1, None] > 0.5, torch.nan, 1.0 + z[..., :1, None] ** 2)

    line = curves.straight_line(points((0.0,)), points((1.0,)), 6)
    found, done, _ = newton.newton(wall, line, TIMES, 2, torch.tensor([30]), 1e-8)
    assert not done.any()
    properties.close(found, line)


def test_energies_fall_from_one_evaluation_to_the_next():
    """Narrow balls, so that some of Newton's steps are refused."""
    mu, metric = half_ring(sigma=0.05)
    line, times = curves.straight_line(mu[[2]], mu[[20]], 12), torch.full((1, 11), 1 / 11).double()
    kept = [newton.newton(metric, line, times, 2, torch.tensor([k]), 1e-12)[0] for k in range(1, 20)]
    energies = torch.cat([descent.energy_and_gradient(metric, curve, times, 2)[0] for curve in kept])
    assert (energies.diff() <= 1e-12 * energies[:-1]).all()
    assert energies[-1] < 0.8 * energies[0]
    moved = [bool((after != before).any()) for before, after in itertools.pairwise(kept)]
    assert 0 < sum(moved) < len(moved)


def test_blocks_that_hold_no_numbers_give_no_step():
    own = torch.eye(2).double().expand(3, 2, 2, 2).clone()
    own[1, 0, 0, 0], own[2, 1] = math.nan, -own[2, 1]
    right = torch.ones(3, 2, 2).double()
    step, failed = newton._solve(own, torch.zeros(3, 1, 2, 2).double(), right)
    assert failed.tolist() == [False, True, True]
    properties.close(step[0], right[0])
