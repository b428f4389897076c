"""The released sampler: the law it really has, the clamp, the short chains, and each rule mended."""

import math

import numpy as np
import properties
import pytest
import torch
from scipy.stats import kstest

from riemvae_core.laws.released import (
    ReleasedDraws,
    ReleasedRules,
    released_log_density,
    sample_as_released,
)
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator, standard_normal, standard_uniform

MENDED = ReleasedRules(1.0, half_gradient=True, lam_once=True, max_det=None, background_fades=True)


def line_metric(lam, rho=1.0, tau=1e-8):
    mu = torch.tensor([[-0.7], [0.1], [0.6]], dtype=torch.float64)
    return PosteriorMetric(mu, torch.tensor([[0.4], [0.15], [0.3]]).double().log(), rho, lam, tau)


def line_cdf(log_density, half_width=4.0):
    """The distribution function on [-w, w] of a density given by its log, by the trapezoidal rule."""
    x = torch.linspace(-half_width, half_width, 20_001, dtype=torch.float64, device="cpu")
    density = torch.softmax(log_density(x[:, None]), 0).numpy()
    cdf = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]))])
    return lambda t: np.interp(t, x.numpy(), cdf / cdf[-1])


def distance(z, cdf):
    return kstest(z[:, 0], cdf).statistic


def det(metric, z, lam):
    """det G without tau, from the full matrix."""
    precision = torch.exp(-metric.log_var)
    m2 = ((z[:, None] - metric.mu).square() * precision).sum(-1)
    g = torch.diag_embed((torch.exp(-m2 / metric.rho**2)[..., None] * precision).sum(1))
    return torch.linalg.det(g + lam * torch.eye(z.shape[1], dtype=z.dtype, device="cpu"))


# --- the law


def test_the_log_density_is_the_formula_of_the_derivation():
    mu, log_var, z = properties.random_tensors(3, (5, 3))
    metric = PosteriorMetric(mu, log_var, 1.3, 0.2, 0.4)
    plain, force = det(metric, z, 0.2), det(metric, z, 5 * 0.2)
    properties.close(released_log_density(metric, z), torch.log(plain.sqrt() * force**3))
    low = ReleasedRules(max_det=float(plain.median()))
    clamped = plain.clamp(max=float(plain.median()))
    properties.close(released_log_density(metric, z, low), torch.log(clamped.sqrt() * force**3))
    # momenta of deviation 2 and the half mended: the power of sqrt det G' is 1 (1/4 - 1)
    wide = ReleasedRules(momentum_std=2.0, half_gradient=True)
    properties.close(released_log_density(metric, z, wide), torch.log(plain.sqrt() * force**-0.375))
    properties.close(released_log_density(metric, z, MENDED), metric.log_volume(z))


@pytest.mark.parametrize("lam", [0.02, 0.2])
def test_on_a_line_long_chains_have_the_sharpened_law_and_not_the_uniform_one(lam):
    metric, n = line_metric(lam), 6000
    draws = sample_as_released(metric, metric.mu, n, make_generator(0), steps=40, step=0.07)
    inside = draws.z[draws.z[:, 0].abs() < 4]
    assert len(inside) > 0.995 * n
    # independent chains: the distance of exact draws exceeds 1.95/sqrt(n) = 0.025 once in a thousand
    assert distance(inside, line_cdf(lambda x: released_log_density(metric, x))) < 1.95 / math.sqrt(n)
    assert distance(inside, line_cdf(metric.log_volume)) > 0.2


@pytest.mark.parametrize(("rules", "lam", "factor"), [(ReleasedRules(), 1.0, 1.0), (MENDED, 0.2, 0.5)])
def test_the_force_is_the_gradient_that_the_rules_say(rules, lam, factor):
    # one leapfrog step from a known start with a known momentum, so short that it is always accepted
    mu, log_var = properties.random_tensors(2, (5, 3))
    metric, step = PosteriorMetric(mu, log_var, 1.3, 0.2, 0.0), 1e-3
    draws = sample_as_released(metric, mu, 8, make_generator(7), 1, 1, step, rules)
    generator = make_generator(7)
    start = mu[(standard_uniform((8,), mu, generator) * 5).long()].requires_grad_()
    momentum = rules.momentum_std * standard_normal((8, 3), mu, generator)
    (force,) = torch.autograd.grad(torch.log(det(metric, start, lam)).sum(), start)
    properties.close(draws.start, start.detach())
    moved = (draws.z != draws.start).any(-1)
    assert moved.sum() >= 7
    expected = (momentum + 0.5 * step * factor * force) * step
    properties.close((draws.z - draws.start)[moved], expected[moved], rtol=1e-9, atol=1e-15)


def test_in_the_plane_long_chains_have_the_sharpened_law():
    mu = torch.tensor([[-0.5, 0.0], [0.4, 0.3], [0.2, -0.4]], dtype=torch.float64)
    log_var = torch.tensor([[0.4, 0.3], [0.3, 0.5], [0.5, 0.4]]).double().log()
    metric, n = PosteriorMetric(mu, log_var, 1.2, 0.05, 1e-8), 5000
    draws = sample_as_released(metric, mu, n, make_generator(1), steps=40, step=0.07)
    axis = (torch.arange(400, dtype=torch.float64, device="cpu") + 0.5) / 100 - 2.0
    points = torch.cartesian_prod(axis, axis)
    for k in range(2):
        for power, low, high in ((1, 0.0, 0.025), (0, 0.15, 1.0)):
            log_law = released_log_density(metric, points) if power else metric.log_volume(points)
            marginal = torch.softmax(log_law, 0).reshape(400, 400).sum(1 - k)
            cdf = np.concatenate([[0.0], marginal.cumsum(0).numpy()])
            edges = np.linspace(-2, 2, 401)
            found = kstest(draws.z[:, k], lambda t, e=edges, c=cdf: np.interp(t, e, c)).statistic
            # the law's mass beyond the grid is below 1e-3; 1.95/sqrt(n) = 0.0276 once in a thousand
            assert low <= found < high + 3e-3


def test_the_clamp_flattens_the_law():
    # a clamp within reach: det G lies between 0.2 and 9 here
    rules, metric, n = ReleasedRules(max_det=2.0), line_metric(0.2), 6000
    draws = sample_as_released(metric, metric.mu, n, make_generator(2), steps=40, step=0.07, rules=rules)
    inside = draws.z[draws.z[:, 0].abs() < 4]
    assert distance(inside, line_cdf(lambda x: released_log_density(metric, x, rules))) < 0.025
    assert distance(inside, line_cdf(lambda x: released_log_density(metric, x))) > 0.025


def test_a_mended_sampler_has_the_uniform_law():
    metric, n = line_metric(0.2, tau=0.3), 6000
    draws = sample_as_released(metric, metric.mu, n, make_generator(3), steps=40, step=0.15, rules=MENDED)
    assert distance(draws.z, line_cdf(metric.log_volume, 12.0)) < 0.025


# --- the short chains


@pytest.mark.usefixtures("no_hook")
def test_short_chains_stay_near_the_codes_they_started_from():
    mu, log_var = properties.random_tensors(2, (20, 16), dtype=torch.float32)
    metric = PosteriorMetric(3 * mu, 0.1 * log_var - 1.2, 6.0, 0.01, 1e-10)
    draws = sample_as_released(metric, metric.mu, 60, make_generator(4))
    assert isinstance(draws, ReleasedDraws)
    moved = (draws.z - draws.start).norm(dim=-1)
    assert (draws.start[:, None] == metric.mu).all(-1).any(-1).all()
    # free flight is 0.5 sqrt(16) 0.1 sqrt(100) = 2; another code is 3 sqrt(2 * 16) = 17 away on average
    assert 0.1 < moved.mean() < 3.0
    assert torch.equal(
        torch.cdist(draws.z, metric.mu).argmin(-1), torch.cdist(draws.start, metric.mu).argmin(-1)
    )
    assert 0.0 < draws.acceptance <= 1.0
    shorter = sample_as_released(metric, metric.mu, 60, make_generator(4), step=0.001)
    assert (shorter.z - shorter.start).norm(dim=-1).mean() < 0.5 * moved.mean()


def test_zero_steps_return_the_codes():
    metric = line_metric(0.1)
    draws = sample_as_released(metric, metric.mu, 10, make_generator(5), steps=0)
    assert torch.equal(draws.z, draws.start)
    assert set(draws.z.flatten().tolist()) <= set(metric.mu.flatten().tolist())
    assert draws.acceptance == 0.0


# --- manners


@pytest.mark.usefixtures("no_hook")
def test_bad_input_is_named():
    metric = line_metric(0.1)
    with pytest.raises(ValueError, match=r"mu must be \[m, 1\], got \[3, 2\]"):
        sample_as_released(metric, torch.zeros(3, 2, dtype=torch.float64), 1)
    with pytest.raises(ValueError, match="mu must be finite, got nan in row 1"):
        sample_as_released(metric, torch.tensor([[0.0], [torch.nan]], dtype=torch.float64), 1)
    with pytest.raises(ValueError, match="steps must be a whole number of at least 0") as error:
        sample_as_released(metric, metric.mu, 1, steps=-1)
    properties.message_names(error.value, -1)
    with pytest.raises(ValueError, match=r"momentum_std must be positive .* got 0.0, None"):
        ReleasedRules(momentum_std=0.0, max_det=None)


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_live_where_the_codes_do(dtype):
    mu, log_var = properties.random_tensors(2, (5, 2), dtype=dtype)
    draws = sample_as_released(PosteriorMetric(mu, log_var, 1.0, 0.1, 0.1), mu, 7, make_generator(0), steps=3)
    assert draws.z.device.type == "cpu"
    assert draws.z.dtype == dtype
