"""Mixtures with masses: torch.distributions, autograd, and the volumes of papers' balls."""

import math

import numpy as np
import properties
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import binom
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from riemvae_core.laws.crowds import proposal_of_metric
from riemvae_core.laws.mixture import BallMixture, MixtureValue, mixture_of_metric
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator


def random_mixture(k=5, d=3, seed=0):
    mu, log_var = properties.random_tensors(2, (k, d), seed=seed)
    (log_mass,) = properties.random_tensors(1, (k,), seed=seed + 1)
    return BallMixture(mu, log_var, log_mass)


def torchs(mixture):
    parts = Independent(Normal(mixture.mu, torch.exp(0.5 * mixture.log_var)), 1)
    return MixtureSameFamily(Categorical(logits=mixture.log_mass), parts)


def test_log_density_and_gradient_are_torchs():
    mixture = random_mixture()
    (z,) = properties.random_tensors(1, (40, 3), seed=3)
    z = (2 * z).requires_grad_()
    expected = torchs(mixture).log_prob(z) + torch.logsumexp(mixture.log_mass, 0)
    (gradient,) = torch.autograd.grad(expected.sum(), z)
    value = mixture.value_and_grad(z.detach())
    assert isinstance(value, MixtureValue)
    properties.close(value.log_density, expected.detach())
    properties.close(value.gradient, gradient)
    properties.close(mixture.log_density(z.detach()), expected.detach())
    assert mixture.log_total == pytest.approx(torch.logsumexp(mixture.log_mass, 0).item())


def test_the_last_share_is_the_last_balls_responsibility():
    mixture = random_mixture()
    (z,) = properties.random_tensors(1, (20, 3), seed=5)
    log_parts = torchs(mixture).component_distribution.log_prob(z[:, None]) + mixture.log_mass
    properties.close(mixture.value_and_grad(z).last_share, torch.softmax(log_parts, -1)[:, -1])
    log_density, share = mixture.log_density_and_last_share(z)
    properties.close(share, torch.softmax(log_parts, -1)[:, -1])
    properties.close(log_density, torch.logsumexp(log_parts, -1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("log_var", [-12.0, -28.0, -60.0])
@pytest.mark.parametrize("d", [2, 64])
def test_digits_are_kept_where_radii_are_tiny(dtype, log_var, d):
    # centers exact in both precisions, one far off, points some radii away as far as the dtype can say
    mu = (properties.random_tensors(1, (3, d))[0] * 4).round().to(dtype) / 4
    mu[2] += 256.0
    mixture = BallMixture(mu, torch.full_like(mu, log_var), torch.zeros(3, dtype=dtype, device="cpu"))
    z = mu + 0.5 * math.exp(0.5 * log_var)
    gap = z.double()[:, None] - mu.double()
    parts = -0.5 * (gap.square() * math.exp(-log_var) + log_var + math.log(2 * math.pi)).sum(-1)
    exact = torch.logsumexp(parts, 1)
    bound = {torch.float32: 2e-4, torch.float64: 2e-9}[dtype]
    # the answer itself is rounded to the dtype
    rounding = torch.finfo(dtype).eps
    properties.close(mixture.log_density(z).double(), exact, rtol=rounding, atol=bound)
    gradient = mixture.value_and_grad(z).gradient.double()
    expected = -math.exp(-log_var) * torch.einsum("mk,mkd->md", torch.softmax(parts, 1), gap)
    properties.close(gradient, expected, rtol=1e-5, atol=1e-5 * math.exp(-0.5 * log_var))


def test_a_far_ball_with_tiny_radii_pulls_at_nothing():
    mixture = random_mixture()
    (z,) = properties.random_tensors(1, (20, 3), seed=3)
    far = BallMixture(
        torch.cat([torch.full_like(mixture.mu[:1], 229.0), mixture.mu]),
        torch.cat([torch.full_like(mixture.mu[:1], -599.0), mixture.log_var]),
        torch.cat([mixture.log_mass[:1], mixture.log_mass]),
    )
    for found, expected in zip(far.value_and_grad(z), mixture.value_and_grad(z), strict=True):
        properties.close(found, expected)
    assert far.log_density(far.mu[:1]).item() > 1.5 * 599 - 10


def test_the_average_is_where_the_pulls_balance():
    mixture = random_mixture()
    (z,) = properties.random_tensors(1, (20, 3), seed=4)
    mean, precision = mixture.average(z)
    log_parts = torchs(mixture).component_distribution.log_prob(z[:, None]) + mixture.log_mass
    pull = torch.softmax(log_parts, -1)[..., None] * torch.exp(-mixture.log_var)
    properties.close(precision, pull.sum(1))
    properties.close(mean, (pull * mixture.mu).sum(1) / pull.sum(1))


def test_draws_come_from_the_components_as_their_masses_say():
    mixture = BallMixture(
        torch.tensor([[-5.0, 0.0], [5.0, 0.0]], dtype=torch.float64),
        torch.tensor([[0.0, -2.0], [1.0, 0.5]], dtype=torch.float64),
        torch.tensor([10.0, 11.0], dtype=torch.float64),
    )
    n = 20_000
    z, index = mixture.sample(n, make_generator(0))
    share = 1 / (1 + math.exp(1.0))
    assert 1e-4 < binom.cdf((index == 0).sum().item(), n, share) < 1 - 1e-4
    for i in range(2):
        standardized = (z[index == i] - mixture.mu[i]) / torch.exp(0.5 * mixture.log_var[i])
        count = len(standardized)
        assert (standardized.mean(0).abs() < 5 / math.sqrt(count)).all()
        assert ((standardized.var(0) - 1).abs() < 5 * math.sqrt(2 / count)).all()


# --- what a metric's balls weigh


def test_in_two_dimensions_with_isotropic_balls_the_mixture_is_the_volume_element():
    (mu,) = properties.random_tensors(1, (8, 2))
    log_var = properties.random_tensors(1, (8, 1), seed=1)[0].expand(8, 2)
    metric = PosteriorMetric(mu, log_var, rho=1.3, lam=0.2, tau=0.05)
    (z,) = properties.random_tensors(1, (100, 2), seed=2)
    properties.close(mixture_of_metric(metric).log_density(3 * z), metric.log_volume(3 * z))


@pytest.mark.parametrize("d", [2, 3, 16])
def test_the_volume_element_is_nowhere_below_the_mixture(d):
    mu, log_var, z = properties.random_tensors(3, (10, d), seed=d)
    metric = PosteriorMetric(mu, log_var, rho=2.0, lam=0.2, tau=0.05)
    assert (metric.log_volume(z) - mixture_of_metric(metric).log_density(z) > -1e-9).all()


def test_each_mass_is_the_volume_of_its_ball_alone():
    for lam, tau, log_var in ((0.0, 0.0, -1.3), (0.7, 0.03, -60.0)):
        ball = torch.tensor([[0.4]], dtype=torch.float64)
        metric = PosteriorMetric(ball, torch.full_like(ball, log_var), rho=1.7, lam=lam, tau=tau)
        mixture = mixture_of_metric(metric)

        def element(x, metric=metric):
            return math.exp(metric.log_volume(torch.tensor([[x]], dtype=torch.float64)).item())

        volume, _ = quad(element, -40, 40, points=[0.0, 0.4])
        # at radius exp(-30) the ball is too thin for the integral to see: what it sees is the background
        assert volume == pytest.approx(math.exp(mixture.log_mass[-1].item()), rel=1e-6)


def test_a_crowd_weighs_what_it_weighs_in_the_uniform_law():
    # 3 coinciding balls and one alone, in 4 dimensions: 3^2 to 1
    mu = torch.zeros(4, 4, dtype=torch.float64)
    mu[3] = 100.0
    metric = PosteriorMetric(mu, torch.zeros_like(mu), rho=1.0, lam=1e-12, tau=1e-6)
    log_mass = proposal_of_metric(metric).log_mass
    properties.close(
        torch.logsumexp(log_mass[:3], 0) - log_mass[3], torch.tensor(math.log(9.0)).double(), rtol=1e-6
    )
    properties.close(log_mass[4], mixture_of_metric(metric).log_mass[4])


# --- bad input


class Broken(PosteriorMetric):
    def log_volume(self, z):
        return torch.full_like(z[..., 0], torch.nan)


@pytest.mark.usefixtures("no_hook")
def test_bad_input_is_named():
    mu = torch.zeros(3, 2, device="cpu")
    with pytest.raises(ValueError, match="log_mass") as error:
        BallMixture(mu, mu, mu)
    properties.message_names(error.value, [3, 2])
    with pytest.raises(ValueError, match=r"z must be \[m, 2\], got \[5, 3\]"):
        BallMixture(mu, mu, mu[:, 0]).value_and_grad(torch.zeros(5, 3, device="cpu"))
    bad = mu.clone()
    bad[2, 1] = torch.nan
    with pytest.raises(ValueError, match="mu must be finite, got nan in row 2"):
        BallMixture(bad, mu, mu[:, 0])
    with pytest.raises(ValueError, match=r"log_var must be above -710.*got -800 in row 2"):
        BallMixture(mu, torch.where(bad.isnan(), -800.0, mu), mu[:, 0])
    with pytest.raises(FloatingPointError, match=r"no finite log density at z = .*row 1"):
        BallMixture(mu, mu, mu[:, 0]).log_density(torch.tensor([[0.0, 0.0], [1e30, 0.0]], device="cpu"))
    with pytest.raises(ValueError, match="metric must be made of balls"):
        mixture_of_metric(torch.nn.Identity())
    with pytest.raises(ValueError, match=r"tau must be positive .* lam is 0.5, got 0.0"):
        mixture_of_metric(PosteriorMetric(mu, mu, 1.0, 0.5, 0.0))
    with pytest.raises(FloatingPointError, match="log_volume is nan at the center of ball 0"):
        proposal_of_metric(Broken(mu, mu, 1.0, 0.5, 0.1))


@pytest.mark.usefixtures("meta_by_default")
def test_mixtures_make_nothing_on_a_default_device():
    mu, log_var = properties.random_tensors(2, (4, 3), dtype=torch.float32)
    mixture = proposal_of_metric(PosteriorMetric(mu, log_var, 1.0, 0.1, 0.1))
    z, index = mixture.sample(10, make_generator(0))
    assert z.device.type == index.device.type == "cpu"
    assert z.dtype == torch.float32
    assert np.isfinite(mixture.log_density(z).numpy()).all()
    assert mixture.log_density(z[:0]).shape == (0,)
