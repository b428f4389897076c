"""Digits that the metric of posterior balls keeps: small balls, single precision, far away."""

import math

import numpy as np
import properties
import pytest
import torch
from posterior_cases import LAM, RHO, TAU, balls, make, points

from riemvae_core.metrics import ball_sums
from riemvae_core.metrics.ball_sums import TOLERANCE
from riemvae_core.metrics.posterior import PosteriorMetric


def exact(z, metric):
    """Log volume and gradient by differences in numpy's longest floats: what a computer can know of them."""
    z, mu, log_var = (np.asarray(t, dtype=np.longdouble) for t in (z, metric.mu, metric.log_var))
    gap, rho_squared = z[:, None] - mu, np.longdouble(metric.rho) ** 2
    logs = -(gap**2 * np.exp(-log_var)).sum(-1)[:, :, None] / rho_squared - log_var  # [m, n, d]
    background = np.log(np.longdouble(metric.lam)) - metric.tau * (z**2).sum(-1)
    total = np.logaddexp(np.logaddexp.reduce(logs, axis=1), background[:, None])
    share, empty = np.exp(logs - total[:, None]).sum(-1), np.exp(background[:, None] - total).sum(-1)
    pull = (share[:, :, None] * gap * np.exp(-log_var)).sum(1) / rho_squared
    gradient = -pull - metric.tau * empty[:, None] * z
    return tuple(torch.from_numpy(a.astype(np.float64)) for a in (0.5 * total.sum(-1), gradient))


# --- digits


@pytest.mark.parametrize("d", [2, 16, 512])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("radius", [1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-6])
def test_digits_are_kept_for_small_balls(radius, dtype, d):
    mu, spread, noise = properties.random_tensors(3, (40, d), seed=5, dtype=dtype)
    metric = PosteriorMetric(3 * mu + 1, 0.3 * spread + 2 * math.log(radius), 0.7 * d**0.5, LAM, 1e-4)
    sigma = torch.exp(0.5 * metric.log_var)
    z = metric.mu + metric.rho / d**0.5 * sigma * noise
    value, gradient = metric.log_volume_and_grad(z)
    exact_value, exact_gradient = exact(z, metric)
    bound = TOLERANCE[dtype] + torch.finfo(dtype).eps * exact_value.abs().max()  # and the result's rounding
    assert (value.double() - exact_value).abs().max() < bound
    error = torch.linalg.vector_norm(gradient.double() - exact_gradient, dim=1)
    relative = error / torch.linalg.vector_norm(exact_gradient, dim=1).median()
    assert relative.max() < (1e-5 if dtype == torch.float32 else 1e-9)


@pytest.mark.parametrize("d", [2, 32, 512])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_var", [-50.0, -20.0, 0.0, 20.0, "both"])
@pytest.mark.parametrize("scale", [1.0, 1e5])
def test_digits_are_kept_beside_one_unusual_row(scale, log_var, dtype, d):
    """At the centers, where a ball's own term is exactly 1, and in the balls; "both" mixes all radii."""
    mu, spread, noise = properties.random_tensors(3, (30, d), seed=6, dtype=dtype)
    mu[7] *= scale
    level = torch.linspace(-50.0, 20.0, 30, dtype=dtype)[:, None] if log_var == "both" else log_var
    metric = PosteriorMetric(3 * mu, 0.3 * spread + level, 0.7 * d**0.5, LAM, 1e-4)
    z = torch.cat([metric.mu, metric.mu + 0.7 * torch.exp(0.5 * metric.log_var) * noise])
    value, (exact_value, _) = metric.log_volume(z), exact(z, metric)
    error = (value.double() - exact_value).abs()
    assert (error <= TOLERANCE[dtype] + torch.finfo(dtype).eps * exact_value.abs()).all()
    own = -0.5 * metric.log_var.double().sum(1)
    assert (value[:30].double() >= own - TOLERANCE[dtype] - torch.finfo(dtype).eps * own.abs()).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_ball_at_the_middle_keeps_its_digits_however_small(dtype):
    """Its distance to the middle of all balls is zero, and its precision is no number in float32."""
    metric = PosteriorMetric(
        torch.ones(1, 2, dtype=dtype), torch.full((1, 2), -100.0, dtype=dtype), 1.0, 0.0, 0.0
    )
    properties.close(metric.log_volume(metric.mu), torch.full((1,), 100.0, dtype=dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_var", [-30.0, -60.0, -90.0, -599.0])
def test_a_wide_ball_does_not_feel_small_ones_far_away(log_var, dtype):
    """Their weights are below exp(-10,000), their precisions up to exp(599): no floor may tell."""
    mu = torch.cat([torch.zeros(1, 3), torch.full((50, 3), 1e4)]).to(dtype)
    level = torch.full((51, 1), log_var).index_fill(0, torch.tensor([0]), 20.0).expand(51, 3).to(dtype)
    metric, z = PosteriorMetric(mu, level, RHO, 1e-300, 0.0), torch.full((1, 3), 100.0, dtype=dtype)
    value, gradient = metric.log_volume_and_grad(z)
    exact_value, exact_gradient = exact(z, metric)
    properties.close(value.double(), exact_value, rtol=1e-6)
    properties.close(metric.log_volume(z).double(), exact_value, rtol=1e-6)
    properties.close(gradient.double(), exact_gradient, rtol=1e-5, atol=1e-12)


def test_without_care_the_expanded_square_loses_every_digit():
    """What the metric guards against: the same product in float32 is off by whole units, not by digits."""
    mu, noise = properties.random_tensors(2, (40, 16), seed=5, dtype=torch.float32)
    precision, z = 1e6, mu + 1e-3 * noise
    expanded = precision * (z.square().sum(1) - 2 * (z * mu).sum(1) + mu.square().sum(1))
    true = precision * (z.double() - mu.double()).square().sum(1)
    assert (expanded.double() - true).abs().max() > 0.5
    metric = PosteriorMetric(mu, torch.full_like(mu, -math.log(precision)), 4.0, LAM, TAU)
    assert (metric.log_volume(z).double() - exact(z, metric)[0]).abs().max() < 1e-4


@pytest.mark.parametrize("radius", [0.5, 1e-2, 1e-6])
def test_a_device_without_float64_measures_by_differences(radius, monkeypatch):
    monkeypatch.setattr(ball_sums, "_has_float64", lambda device: False)
    mu, spread, noise = properties.random_tensors(3, (40, 16), seed=5, dtype=torch.float32)
    metric = PosteriorMetric(mu, 0.3 * spread + 2 * math.log(radius), 3.0, LAM, TAU)
    z = mu + torch.exp(0.5 * metric.log_var) * noise
    value, gradient = metric.log_volume_and_grad(z)
    exact_value, exact_gradient = exact(z, metric)
    properties.close(value.double(), exact_value, rtol=1e-6, atol=8 * 1e-4)
    scale = torch.linalg.vector_norm(exact_gradient, dim=1, keepdim=True)
    properties.close(gradient.double() / scale, exact_gradient / scale, rtol=0.0, atol=1e-4)


def test_only_the_balls_that_need_it_are_measured_by_differences():
    mu, log_var = balls(8, 3)
    log_var[[1, 6]] = 2 * math.log(1e-6)
    metric, z = PosteriorMetric(mu, log_var, RHO, LAM, TAU), torch.cat([mu + 1e-6, points(5, 3)])
    assert metric._balls.n_expanded == 6
    value, gradient = exact(z, metric)
    properties.close(metric.log_volume(z), value, rtol=1e-8)
    properties.close(metric.log_volume_and_grad(z)[1], gradient, rtol=1e-8, atol=1e-8)


# --- far away


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [1e2, 1e4, 1e6])
def test_far_from_all_balls_the_background_remains(dtype, distance):
    metric = make(dtype=dtype)
    z = distance * torch.tensor([[1.0, -1.0, 0.5]], dtype=dtype)
    value, gradient = metric.log_volume_and_grad(z)
    properties.close(value, 1.5 * (math.log(LAM) - TAU * z.square().sum(-1)), rtol=1e-5)
    properties.close(gradient, -3 * TAU * z, rtol=1e-5)
    assert torch.isfinite(metric.log_diagonal(z)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_a_background_the_nearest_ball_reaches_everywhere(dtype):
    metric = PosteriorMetric(*(t.to(dtype) for t in balls(1)), RHO, 0.0, 0.0)
    z = torch.tensor([[300.0, -200.0, 100.0]], dtype=dtype)
    squared = ((z - metric.mu).square() * torch.exp(-metric.log_var)).sum(-1)
    value, gradient = metric.log_volume_and_grad(z)
    properties.close(value, -1.5 * squared / RHO**2 - 0.5 * metric.log_var.sum(), rtol=1e-5)
    properties.close(gradient, -3 / RHO**2 * (z - metric.mu) * torch.exp(-metric.log_var), rtol=1e-5)


def test_a_fading_background_can_be_less_than_a_far_ball():
    """Both logs are below -1e4, where exp of either is 0: the larger one decides."""
    mu, log_var = torch.tensor([[100.0]]).double(), torch.zeros(1, 1).double()
    metric = PosteriorMetric(mu, log_var, 1.0, LAM, 2.0)
    properties.close(
        metric.log_volume(torch.tensor([[210.0]]).double()), torch.tensor([-0.5 * 110.0**2]).double()
    )
    far = metric.log_volume(torch.tensor([[-250.0]]).double())
    properties.close(far, torch.tensor([-0.5 * 350.0**2]).double())


# --- the slope of a squared speed


@pytest.mark.parametrize("lam", [0.0, LAM])
@pytest.mark.parametrize(("log_var", "rows"), [(0.0, []), (-60.0, [1, 6]), (-600.0, [3])])
def test_the_slope_of_a_squared_speed_is_the_sum_written_out(log_var, rows, lam, monkeypatch):
    """Expanded, by differences and in logs; several chunks, each with its own velocities."""
    monkeypatch.setattr(ball_sums, "CACHE_BYTES", 512)
    mu, spread = balls(8, 3)
    spread[rows] = log_var
    metric = PosteriorMetric(mu, spread, RHO, lam, TAU)
    assert metric._balls._uneven == (log_var == -600.0)
    z, v = points(24, 3).reshape(4, 6, 3), points(24, 3).flip(0).reshape(4, 6, 3).clone()
    z[0, :2], v[1, 2, 1] = mu[rows[0] if rows else 0], 0.0
    z[0, 1] += 0.3 * torch.exp(0.5 * spread[rows[0] if rows else 0])
    gap, precision = z[..., None, :] - mu, torch.exp(-spread)
    weights = torch.exp(-(precision * gap.square()).sum(-1) / RHO**2)
    share = weights * (v.square()[..., None, :] * precision).sum(-1)
    fade = lam * torch.exp(-TAU * z.square().sum(-1, keepdim=True)) * v.square().sum(-1, keepdim=True)
    expected = -2.0 * ((share[..., None] * (precision * gap)).sum(-2) / RHO**2 + TAU * fade * z)
    logs, slope = metric.log_diagonal_and_slope(z, v)
    properties.close(logs, metric.log_diagonal(z), rtol=1e-8, atol=1e-8)
    properties.close(slope, expected, rtol=1e-7, atol=1e-9)
