"""Weighted sums over balls against scipy's Mahalanobis distances; more of them in test_metric.py."""

import math

import numpy as np
import properties
import pytest
import torch
from scipy.spatial.distance import cdist

from riemvae_core.metrics import ball_sums
from riemvae_core.metrics.ball_sums import BallSums

RHO = 1.7


@pytest.fixture(params=[0.0, math.log(1e-6)], ids=["expanded", "some by difference"])
def world(request):
    """Points, and balls of which the first three may be so small that they are measured by differences."""
    mu, log_var = properties.random_tensors(2, (7, 3))
    log_var[:3] += 2 * request.param
    z = torch.cat([properties.random_tensors(1, (5, 3), seed=1)[0], mu + 1e-6])
    order = list(range(7)) if request.param == 0.0 else [3, 4, 5, 6, 0, 1, 2]
    return z, mu[order], log_var[order], BallSums(mu, log_var, RHO)


@pytest.mark.parametrize("block", [1, 2, 1024])
def test_sums_and_pull_are_those_of_scipys_distances(world, block, monkeypatch):
    z, mu, log_var, balls = world
    properties.close(balls.precision, torch.exp(-log_var))
    monkeypatch.setattr(ball_sums, "BLOCK", block)
    monkeypatch.setattr(ball_sums, "CACHE_BYTES", 1)
    log_background = torch.full((len(z), 1), -2.0).double()
    precision, gap = torch.exp(-log_var), z[:, None] - mu
    pairs = zip(mu.numpy(), log_var.numpy(), strict=True)
    columns = [cdist(z, m[None], "mahalanobis", VI=np.diag(np.exp(-v))) for m, v in pairs]
    weights = torch.from_numpy(np.exp(-(np.hstack(columns) ** 2) / RHO**2))
    expected = weights @ precision + math.exp(-2.0)
    share = weights * ((1 / expected) @ precision.T)
    diagonal, shift, pull = balls.sums_and_pull(z, log_background, torch.empty(7 * len(z)).double())
    properties.close(diagonal * shift.exp(), expected, rtol=1e-8)
    properties.close(pull, (share[:, :, None] * precision * gap).sum(1), rtol=1e-8, atol=1e-8)
    diagonal, shift = balls.sums(z, log_background)
    properties.close(diagonal * shift.exp(), expected, rtol=1e-8)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [1.0, 3.0, 10.0, 100.0])
def test_sums_are_shifted_only_where_they_would_drown(dtype, distance):
    """One far point among near ones: every digit of the pull is kept, and the background may be nothing."""
    mu, log_var = (t.to(dtype) for t in properties.random_tensors(2, (7, 3)))
    balls = BallSums(mu, log_var, RHO)
    z = torch.cat([mu, mu[:1] + distance]).to(balls.dtype)
    nothing = torch.full((len(z), 1), -torch.inf, dtype=balls.dtype)
    diagonal, shift, pull = balls.sums_and_pull(z, nothing, z.new_empty(7 * len(z)))
    assert bool((shift == 0).all()) == (distance < (10 if dtype == torch.float32 else 100))
    precision, gap = torch.exp(-log_var.double()), z[:, None].double() - mu.double()
    logs = -(precision * gap.square()).sum(-1) / RHO**2
    weights = torch.exp(logs - logs.amax(1, keepdim=True))
    expected = weights @ precision
    share = weights * ((1 / expected) @ precision.T)
    tolerance = 1e-4 if dtype == torch.float32 else 1e-9
    properties.close(
        diagonal.log() + shift, (expected.log() + logs.amax(1, keepdim=True)).to(balls.dtype), tolerance
    )
    properties.close(pull, (share[:, :, None] * precision * gap).sum(1).to(balls.dtype), tolerance, tolerance)


@pytest.mark.parametrize(
    ("dtype", "radius", "works_in", "differences"),
    [
        (torch.float32, 1.0, torch.float32, False),
        (torch.float32, 1e-3, torch.float64, False),
        (torch.float32, 1e-7, torch.float64, True),
        (torch.float64, 1e-2, torch.float64, False),
        (torch.float64, 1e-6, torch.float64, True),
    ],
)
def test_precision_is_as_high_as_the_balls_need(dtype, radius, works_in, differences):
    mu = properties.random_tensors(1, (9, 4), dtype=dtype)[0]
    balls = BallSums(mu, torch.full_like(mu, 2 * math.log(radius)), 2.0)
    assert balls.dtype == works_in
    assert (balls.n_expanded == 0) == differences
    assert balls.n == 9
