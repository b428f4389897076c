"""The search for a shortest path, step by step."""

import properties
import torch
from path_cases import HALF_PLANE, LEAN, pairs, points

from riemvae_core.metrics import (
    ConstantMetric,
)
from riemvae_core.paths import curves, descent

# --- the search itself


def test_frozen_solve_is_a_dense_solve():
    (root,) = properties.random_tensors(1, (3, 5, 2, 2))
    stiffness = root @ root.mT + 0.1 * torch.eye(2, dtype=torch.float64)
    (right,) = properties.random_tensors(1, (3, 4, 2), seed=1)
    y, product = descent.solve_frozen(stiffness, right)
    for c in range(3):
        rows = torch.eye(6, dtype=torch.float64)[:, 1:-1].diff(dim=0)
        differences = torch.kron(rows, torch.eye(2, dtype=torch.float64))
        dense = 2.0 * differences.T @ torch.block_diag(*stiffness[c]) @ differences
        properties.close(y[c].flatten(), torch.linalg.solve(dense, right[c].flatten()), rtol=1e-9)
    properties.close(product, (right * y).sum((1, 2)), rtol=1e-9)


def test_gradient_of_the_energy_is_autograds():
    a, b = pairs(3)
    curve = curves.straight_line(a, b, 6)
    times = torch.full((3, 5), 0.2, dtype=torch.float64)
    energy, grad, stiffness = descent.energy_and_gradient(HALF_PLANE, curve, times, 8)
    properties.close(energy, curves.curve_energy(HALF_PLANE, curve))
    leaf = curve.clone().requires_grad_()
    (expected,) = torch.autograd.grad(curves.curve_energy(HALF_PLANE, leaf).sum(), leaf)
    properties.close(grad, expected[:, 1:-1])
    step = curve.diff(dim=1).unsqueeze(-1)
    properties.close((step.mT @ stiffness @ step).sum((1, 2, 3)), energy)


def test_one_step_solves_a_constant_metric():
    bow = curves.straight_line(points(0.0, 0.0), points(1.0, 1.0), 12)[None].clone()
    bow[:, 1:-1] += properties.random_tensors(1, (1, 10, 2))[0]
    times, budget = torch.full((1, 11), 1 / 11, dtype=torch.float64), torch.tensor([20])
    found, done, steps = descent.minimize_energy(ConstantMetric(LEAN), bow, times, 2, budget, 1e-10)
    assert done.all()
    properties.close(found, curves.straight_line(points(0.0, 0.0), points(1.0, 1.0), 12)[None])
    # one step, or a few where the cap on a step's length cuts it
    assert steps.item() <= 12


def test_no_point_moves_further_than_half_a_length():
    energy, step = torch.tensor([4.0, 4.0]).double(), torch.zeros(2, 3, 2).double()
    step[0, 1] = torch.tensor([3.0, 4.0])  # 10 in a metric of 4 I, where the curve's length is 2
    step[1, 1, 0] = 0.1
    times = torch.full((2, 4), 0.25, dtype=torch.float64)
    stiffness = torch.full((2, 4, 1), 16.0, dtype=torch.float64)
    properties.close(
        descent.capped(energy, stiffness, times, step), torch.tensor([0.1, 1.0], dtype=torch.float64)
    )
