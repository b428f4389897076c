"""What noise asks of a decoder: gradients, expansion and optimal radius against closed forms."""

import math

import numpy as np
import properties
import pytest
import torch
from scipy.optimize import minimize_scalar

from riemvae_core.balls.contract import (
    AxisTerms,
    BallGradient,
    axis_terms,
    errors_off_center,
    optimal_log_var,
    pathwise_gradient,
    score_gradient,
)
from riemvae_core.balls.gaussians import kl_barrier
from riemvae_core.models import ModelConfig, make_model

DOUBLE = torch.float64


def quadrature(n):
    """Nodes and weights under which sums over draws are expectations over eps of N(0, 1)."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(n)
    return torch.tensor(nodes)[:, None], torch.tensor(weights / weights.sum())


def mean_and_variance(values, weights):
    mean = (weights * values).sum()
    return mean.item(), (weights * (values - mean).square()).sum().item()


# ---- two ways to a gradient


SQUARE = lambda z: (z - 3.0).square().sum(-1)  # noqa: E731
MU, LOG_VAR = torch.tensor([1.0], dtype=DOUBLE), torch.tensor([-1.0], dtype=DOUBLE)


def test_both_ways_are_unbiased_whatever_the_baseline():
    """E (z-3)^2 = (mu-3)^2 + sigma^2: gradients 2(mu-3) and sigma^2."""
    eps, weights = quadrature(12)
    expected = 2 * (1.0 - 3.0), math.exp(-1.0)
    ways = [pathwise_gradient(SQUARE, MU, LOG_VAR, eps)]
    ways += [score_gradient(SQUARE, MU, LOG_VAR, eps, baseline=b) for b in (0.0, 5.0)]
    for found in ways:
        assert isinstance(found, BallGradient)
        for part, value in zip(found, expected, strict=True):
            assert part.shape == eps.shape
            assert mean_and_variance(part[:, 0], weights)[0] == pytest.approx(value, abs=1e-10)


def test_variances_of_the_square():
    """4 s^2 by the path; m^4/s^2 + 14 m^2 + 15 s^2 by the score, 8 m^2 + 6 s^2 with the best baseline."""
    eps, weights = quadrature(12)
    m2, s2 = 4.0, math.exp(-1.0)
    path = pathwise_gradient(SQUARE, MU, LOG_VAR, eps).mu[:, 0]
    assert mean_and_variance(path, weights)[1] == pytest.approx(4 * s2, rel=1e-10)
    for baseline, expected in ((0.0, m2**2 / s2 + 14 * m2 + 15 * s2), (m2 + 3 * s2, 8 * m2 + 6 * s2)):
        score = score_gradient(SQUARE, MU, LOG_VAR, eps, baseline).mu[:, 0]
        assert mean_and_variance(score, weights)[1] == pytest.approx(expected, rel=1e-10)


def test_the_path_is_what_autograd_makes_of_each_draw():
    mu, log_var = properties.random_tensors(2, (3,))
    eps = properties.random_tensors(1, (5, 3), seed=1)[0]
    found = pathwise_gradient(lambda z: z.sin().prod(-1), mu, log_var, eps)
    for i, one in enumerate(eps):
        a, b = mu.clone().requires_grad_(), log_var.clone().requires_grad_()
        (a + torch.exp(0.5 * b) * one).sin().prod().backward()
        properties.close(found.mu[i], a.grad)
        properties.close(found.log_var[i], b.grad)


@pytest.mark.parametrize("way", [pathwise_gradient, score_gradient])
def test_a_price_is_one_number_a_point(way):
    with pytest.raises(ValueError, match=r"price must return one number a point, \[4\], got \[4, 2\]"):
        way(lambda z: z.square(), torch.zeros(2), torch.zeros(2), torch.ones(4, 2))


# ---- the second-order expansion


def bent(z):
    """An image of two pixels: (z_1^2, z_1 z_2)."""
    return torch.stack([z[:, 0].square(), z[:, 0] * z[:, 1]], -1).reshape(-1, 1, 1, 2)


def test_axis_terms_of_a_decoder_known_by_heart():
    z = torch.tensor([[2.0, 3.0]], dtype=DOUBLE)
    x = torch.tensor([10.0, 7.0], dtype=DOUBLE).reshape(1, 1, 1, 2)
    found = axis_terms(bent, x, z)
    assert isinstance(found, AxisTerms)
    assert found.speed.tolist() == [[2 * 2.0 * 2 * 2.0 + 9.0, 4.0]]
    assert found.bend.tolist() == [[(10.0 - 4.0) * 2.0, 0.0]]


def test_speed_minus_bend_is_half_the_second_derivative():
    model = make_model("vae", ModelConfig((1, 4, 4), latent_dim=3, width=8), seed=0).double()
    x, z = torch.rand(6, 1, 4, 4, dtype=DOUBLE), properties.random_tensors(1, (6, 3))[0]
    found, h = axis_terms(model.decode, x, z), 1e-4

    def error(at):
        return (x - model.decode(at)).square().flatten(1).sum(-1)

    for k, axis in enumerate(torch.eye(3, dtype=DOUBLE)):
        second = (error(z + h * axis) - 2 * error(z) + error(z - h * axis)) / h**2
        properties.close((found.speed - found.bend)[:, k], 0.5 * second, rtol=1e-4, atol=1e-6)


def test_a_decoder_of_other_images_is_named():
    with pytest.raises(ValueError, match=r"images of x's shape \[2, 1, 1, 3\], got \[2, 1, 1, 2\]"):
        axis_terms(bent, torch.zeros(2, 1, 1, 3), torch.zeros(2, 2))


def test_the_expansion_is_of_fourth_order_off():
    """E|x - g|^2 by quadrature minus its expansion falls by 16 when the radius is halved."""
    x = torch.tensor([1.0, -2.0], dtype=DOUBLE).reshape(1, 1, 1, 2)
    mu, step = torch.tensor([[0.5, -1.0]], dtype=DOUBLE), torch.tensor([[0.3, 0.2]], dtype=DOUBLE)
    nodes, weights = quadrature(8)
    eps = torch.cartesian_prod(nodes[:, 0], nodes[:, 0])
    weight = torch.cartesian_prod(weights, weights).prod(-1)
    terms, gaps = axis_terms(bent, x, mu), []
    at_center = errors_off_center(bent, x, mu, step, [0.0])[0]
    for t in (1.0, 0.5):
        exact = (weight * (bent(mu + t * step * eps) - x).square().flatten(1).sum(-1)).sum()
        second = ((t * step).square() * (terms.speed - terms.bend)).sum(-1)
        gaps.append((exact - at_center - second).abs().item())
    assert gaps[0] / gaps[1] == pytest.approx(16.0, rel=1e-6)


# ---- the radius that pays best


@pytest.mark.parametrize(("speed", "beta"), [(0.0, 1.0), (0.3, 1.0), (50.0, 0.1)])
def test_the_optimal_radius_is_the_minimum(speed, beta):
    def price(log_var):
        value = torch.tensor([log_var], dtype=DOUBLE)
        return speed * math.exp(log_var) + beta * kl_barrier(value).item()

    best = minimize_scalar(price, bounds=(-12.0, 2.0), method="bounded", options={"xatol": 1e-9}).x
    found = optimal_log_var(torch.tensor([speed], dtype=DOUBLE), beta)
    assert found.item() == pytest.approx(best, abs=1e-4)


@pytest.mark.parametrize("beta", [0.0, -1.0, math.nan])
def test_a_price_of_kl_is_positive(beta):
    with pytest.raises(ValueError, match="beta must be positive, got"):
        optimal_log_var(torch.ones(2), beta)


# ---- errors off the center, and other noise


def test_errors_off_the_center_of_a_linear_decoder():
    """With g(z) = z as two pixels and x = mu the error is t^2 |step|^2."""
    mu, step = properties.random_tensors(2, (5, 2))
    found = errors_off_center(
        lambda z: z.reshape(-1, 1, 1, 2), mu.reshape(-1, 1, 1, 2), mu, step, (0.0, 0.5, 2.0)
    )
    assert found.shape == (3, 5)
    properties.close(found, torch.tensor([0.0, 0.25, 4.0])[:, None] * step.square().sum(-1))
