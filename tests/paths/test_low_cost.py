"""Shortest and low-cost paths among posterior balls: the half ring."""

import properties
import pytest
import torch
from path_cases import half_plane_distance, half_ring, pairs

from riemvae_core.metrics import (
    PosteriorMetric,
)
from riemvae_core.paths import curves, geodesics


def share_near(curve, mu, radius):
    """Share of a curve's plain length that lies within a radius of one of the centers."""
    dense = curves.respaced(curve, curve.diff(dim=-2).norm(dim=-1), 2000)
    return (torch.cdist(dense, mu).amin(-1) < radius).double().mean().item()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_geodesic_flees_the_data_and_the_low_cost_path_stays(dtype):
    mu, metric = half_ring(sigma=0.05, dtype=dtype)
    metric = PosteriorMetric(mu, metric.log_var, rho=2.0, lam=1e-2, tau=1e-3)
    path = geodesics.geodesic(metric, mu[0], mu[-1])
    cheap = geodesics.low_cost_path(metric, mu[0], mu[-1], nodes=mu, max_steps=200)
    assert path.converged
    assert cheap.converged
    # five sigma about the ends take a quarter of a chord of length 2: no other ball is met
    assert share_near(path.curve, mu, 0.25) < 0.3
    assert path.curve[:, 1].max() < 0.05
    assert share_near(cheap.curve, mu, 0.25) == 1.0
    assert cheap.curve[:, 1].max() > 0.9
    assert path.length < 0.1 * curves.curve_length(metric, cheap.curve)
    line = curves.straight_line(mu[0], mu[-1], 64)
    assert path.length < curves.curve_length(metric, line)


def test_low_cost_is_the_integral_of_v_along_the_curve():
    mu, metric = half_ring()
    path = geodesics.low_cost_path(metric, mu[3], mu[20], nodes=mu, max_steps=200)
    dense = curves.respaced(path.curve, path.curve.diff(dim=-2).norm(dim=-1), 20_000)
    middle = 0.5 * (dense[1:] + dense[:-1])
    cost = (torch.exp(-metric.log_volume(middle)) * dense.diff(dim=0).norm(dim=-1)).sum()
    properties.close(path.length, cost, rtol=1e-4)
    properties.close(path.energy, path.length.square(), rtol=1e-2)


def test_low_cost_path_where_the_closed_form_is_known():
    """Where G = y I the volume element is y, so V^2 I is the half-plane's metric."""

    def metric(z):
        return z[..., 1, None, None] * torch.eye(2, dtype=z.dtype)

    a, b = pairs()
    path = geodesics.low_cost_path(metric, a, b)
    assert path.converged.all()
    properties.close(path.length, half_plane_distance(a, b), rtol=2e-4)


@pytest.mark.filterwarnings("ignore::riemvae_core.PathWarning")
def test_the_path_is_never_longer_than_the_straight_line():
    mu, metric = half_ring(sigma=0.02)
    a, b = mu[[0, 2, 5, 12]], mu[[24, 9, 23, 13]]
    for steps in (3, 40):
        path = geodesics.geodesic(metric, a, b, max_steps=steps)
        assert (path.length <= curves.curve_length(metric, curves.straight_line(a, b, 64)) * (1 + 1e-5)).all()
