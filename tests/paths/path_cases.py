"""Metrics with known shortest paths, and pairs of points in them."""

import math

import properties
import torch

from riemvae_core.metrics import (
    HalfPlaneMetric,
    PosteriorMetric,
    SphereMetric,
)

HALF_PLANE, SPHERE = HalfPlaneMetric(), SphereMetric()
LEAN = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)


def points(*rows, dtype=torch.float64):
    return torch.tensor(rows, dtype=dtype, device="cpu")


def pairs(count=6, seed=0):
    """Pairs of points of the half-plane, at heights from e^-1 to e."""
    a, b = properties.random_tensors(2, (count, 2), seed=seed)
    return tuple(torch.stack([p[:, 0], torch.exp(torch.tanh(p[:, 1]))], -1) for p in (a, b))


def half_plane_distance(a, b):
    return torch.acosh(1.0 + (b - a).square().sum(-1) / (2.0 * a[..., 1] * b[..., 1]))


def on_sphere(z):
    theta, phi = z.unbind(-1)
    return torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1)


# --- posterior balls


def half_ring(sigma=0.1, dtype=torch.float64):
    """25 balls on the upper half of the unit circle, with the metric they draw."""
    t = torch.linspace(0.0, math.pi, 25, dtype=dtype, device="cpu")
    mu = torch.stack([t.cos(), t.sin()], -1)
    return mu, PosteriorMetric(mu, torch.full_like(mu, 2.0 * math.log(sigma)), rho=1.0, lam=1e-2, tau=1e-3)
