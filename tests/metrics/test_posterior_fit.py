"""Volumes of the metric of posterior balls against exact integrals, and what a fit chooses by them."""

import math

import properties
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from posterior_cases import LAM, RHO, TAU, balls, points
from scipy.integrate import quad
from torch.distributions import Independent, Normal

from riemvae_core.metrics.posterior import PosteriorMetric
from riemvae_core.numerics import make_generator

# --- volumes


def integral(metric, half_width, n, center=0.0):
    """The volume in a cube by the trapezoidal rule, whose error is exponentially small for smooth bumps."""
    d = metric.mu.shape[1]
    axis = torch.linspace(-half_width, half_width, n, dtype=torch.float64)
    z = torch.cartesian_prod(*[axis] * d).reshape(-1, d) + center
    return metric.log_volume(z).exp().sum().item() * (2 * half_width / (n - 1)) ** d


@pytest.mark.parametrize(("d", "n"), [(1, 2001), (2, 301), (3, 61)])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_ball_has_the_same_volume(d, n, seed):
    mu, log_var = balls(1, d, seed)
    metric = PosteriorMetric(mu, 0.5 * log_var, RHO, 0.0, 0.0)
    volume = integral(metric, 8 * RHO / d**0.5 * math.exp(0.25 * log_var.max().item()), n, mu)
    assert volume == pytest.approx((2 * math.pi * RHO**2 / d) ** (d / 2), rel=1e-6)


def test_the_volume_of_two_balls_in_one_dimension_is_scipys_integral():
    metric = PosteriorMetric(torch.tensor([[-1.0], [0.5]]).double(), torch.tensor([[-1.0], [1.0]]).double(),
                             RHO, LAM, TAU)  # fmt: skip

    def element(z):
        bumps = [math.exp(-((z - m) ** 2) / math.exp(v) / RHO**2 - v) for m, v in ((-1.0, -1.0), (0.5, 1.0))]
        return math.sqrt(sum(bumps) + LAM * math.exp(-TAU * z * z))

    expected, _ = quad(element, -60, 60, points=[-1.0, 0.5], limit=400)
    assert integral(metric, 60.0, 20_001) == pytest.approx(expected, rel=1e-8)


def test_in_the_plane_round_balls_make_a_mixture_of_gaussians():
    mu, z = points(5, 2, seed=1), 2 * points(200, 2)
    log_var = points(5, 1, seed=2).expand(5, 2)
    metric = PosteriorMetric(mu, log_var, RHO, LAM, TAU)
    bumps = Independent(Normal(mu, RHO / 2**0.5 * torch.exp(0.5 * log_var)), 1)
    wide = Independent(Normal(torch.zeros(2).double(), torch.full((2,), (2 * TAU) ** -0.5).double()), 1)
    ball = math.pi * RHO**2
    density = ball * bumps.log_prob(z[:, None]).exp().sum(-1) + math.pi * LAM / TAU * wide.log_prob(z).exp()
    properties.close(metric.log_volume(z), density.log())
    # the wide one's share relative to a ball's, from the exact volumes
    assert math.pi * LAM / TAU / ball == pytest.approx(LAM / (TAU * RHO**2))


@pytest.mark.parametrize("d", [1, 2, 3, 16])
def test_balls_that_coincide_weigh_k_to_the_half_d(d):
    mu, log_var = balls(1, d)
    one, five = (PosteriorMetric(mu.expand(k, d), log_var.expand(k, d), RHO, 0.0, 0.0) for k in (1, 5))
    gain = five.log_volume(points(3, d)) - one.log_volume(points(3, d))
    properties.close(gain, torch.full((3,), 0.5 * d * math.log(5), dtype=torch.float64))


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 10**6))
def test_overlap_pays_at_least_its_share(d, n, seed):
    """Minkowski: the volume element of all is at least the sum of those of each, if d is 2 or more."""
    mu, log_var = balls(n, d, seed)
    z = points(4, d, seed=seed + 1)
    singles = [PosteriorMetric(m[None], v[None], RHO, 0.0, 0.0) for m, v in zip(mu, log_var, strict=True)]
    alone = [single.log_volume(z) for single in singles]
    together = PosteriorMetric(mu, log_var, RHO, 0.0, 0.0).log_volume(z)
    assert (together >= torch.logsumexp(torch.stack(alone), 0) - 1e-10).all()


# --- fit


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("background", [1e-3, 0.2])
def test_fit_gives_the_background_the_share_asked_for(d, background):
    """Balls far apart; what the whole volume holds more than the balls is the background."""
    n = 4
    mu = (40.0 * torch.arange(n, dtype=torch.float64) - 60.0)[:, None].expand(n, d) / d
    metric = PosteriorMetric.fit(mu, torch.full((n, d), -4.0).double(), background=background, lam=1e-9)
    ball = n * (2 * math.pi * metric.rho**2 / d) ** (d / 2)
    empty = PosteriorMetric(mu + 1e9, metric.log_var, metric.rho, metric.lam, metric.tau)
    width = 8 / math.sqrt(2 * metric.tau * d / 2)
    share = integral(empty, width, {1: 20_001, 2: 401}[d]) / ball
    assert share == pytest.approx(background, rel=1e-6)


def test_fit_to_balls_apart_makes_the_uniform_law_the_aggregate_posterior():
    mu, log_var = 50 * points(5, 3), points(5, 3, seed=3) - 2
    metric = PosteriorMetric.fit(mu, log_var, lam=1e-12)
    z = mu + torch.exp(0.5 * log_var) * points(5, 3, seed=4)
    posterior = Independent(Normal(mu, torch.exp(0.5 * log_var)), 1).log_prob(z)
    ratio = metric.log_volume(z) - posterior
    properties.close(ratio, ratio.mean().expand(5), rtol=1e-8)


@pytest.mark.parametrize("n_centroids", [None, 10])
def test_fit_does_not_depend_on_the_unit_of_z(n_centroids):
    mu, log_var = points(60, 3), points(60, 3, seed=3) - 3
    c = 1000.0
    small, large = (
        PosteriorMetric.fit(mu * s, log_var + 2 * math.log(s), n_centroids, generator=make_generator(0))
        for s in (1.0, c)
    )
    assert len(small.mu) == (n_centroids or 60)
    assert large.rho == pytest.approx(small.rho)
    assert large.lam * c**2 == pytest.approx(small.lam)
    assert large.tau * c**2 == pytest.approx(small.tau)
    z = points(5, 3, seed=7)
    properties.close(large.log_volume(c * z), small.log_volume(z) - 3 * math.log(c), rtol=1e-8)
    paper = [PosteriorMetric.fit(mu * s, log_var, rho="paper").rho for s in (1.0, c)]
    assert paper[1] == pytest.approx(c * paper[0])  # the paper's rule does


def test_fit_keeps_medoids_and_the_numbers_it_is_given():
    mu, log_var = points(60, 3), points(60, 3, seed=3) - 3
    metric = PosteriorMetric.fit(mu, log_var, 10, 0.01, make_generator(0), rho=2.5, lam=0.3)
    rows = [int((mu == m).all(1).nonzero()) for m in metric.mu]
    assert rows == sorted(set(rows))
    assert torch.equal(metric.log_var, log_var[rows])
    assert (metric.rho, metric.lam) == (2.5, 0.3)
    assert metric.tau == pytest.approx(0.3 / 2.5**2 * (0.01 * 10) ** (-2 / 3))


def test_fit_chooses_a_background_that_leaves_the_balls_alone():
    """With a share large enough that it is wide: 0.02/2 on average over the balls."""
    mu, log_var = 10 * points(60, 3), 0.1 * points(60, 3, seed=3) - 3
    metric = PosteriorMetric.fit(mu, log_var, background=1e6)
    without = PosteriorMetric(mu, log_var, metric.rho, 0.0, 0.0)
    assert metric.tau < 0.01 / mu.square().sum(1).mean()
    added = (metric.log_volume(mu) - without.log_volume(mu)).mean().item()
    assert added == pytest.approx(0.01, rel=0.05)


def test_fit_chooses_a_background_as_wide_as_the_codes():
    mu, log_var = 10 * points(60, 3), points(60, 3, seed=3) - 3
    metric = PosteriorMetric.fit(mu, log_var)
    draws = mu + torch.exp(0.5 * log_var) * points(2000, 60, 3, seed=5)
    # a background alone is N(0, I/(tau d)), for which E |z|^2 = 1/tau; the draws miss theirs by far less
    assert 1 / metric.tau == pytest.approx(draws.square().sum(-1).mean().item(), rel=0.01)
