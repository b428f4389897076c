"""Baselines: moments, distribution functions, and mixtures that are known."""

import math

import properties
import pytest
import torch
from scipy.stats import kstest, norm

from riemvae_core.balls import kl_to_standard_normal, log_prob
from riemvae_core.laws import baselines
from riemvae_core.models import ModelConfig, make_model
from riemvae_core.numerics import make_generator

N = 20_000


def codes(m=400, d=3, dtype=torch.float64):
    mu, log_var = properties.random_tensors(2, (m, d), dtype=dtype)
    stretch = mu.new_tensor([[2.0, 0.0, 0.0], [1.0, 0.5, 0.0], [0.0, 0.3, 1.0]])[:d, :d]
    return mu @ stretch + 1.0, 0.3 * log_var - 1.0


def has_moments(z, mean, covariance):
    """Sample mean and covariance within five of their deviations."""
    n, variance = len(z), covariance.diagonal()
    assert ((z.mean(0) - mean).abs() < 5 * (variance / n).sqrt()).all()
    # fourth moments of a mixture: up to three times those of a normal law
    bound = 5 * (3 * (variance[:, None] * variance + covariance.square()) / n).sqrt()
    assert ((torch.cov(z.T) - covariance).abs() < bound).all()


def test_the_prior_is_standard_normal():
    z = baselines.sample_prior(codes()[0], N, make_generator(0))
    has_moments(z, torch.zeros(3).double(), torch.eye(3).double())
    assert kstest(z[:, 0], "norm").pvalue > 1e-3


def test_the_gaussian_has_the_moments_of_the_codes_or_of_the_balls():
    mu, log_var = codes()
    covariance = torch.cov(mu.T, correction=0)
    z = baselines.sample_gaussian(mu, N, generator=make_generator(1))
    has_moments(z, mu.mean(0), covariance)
    assert kstest((z[:, 1] - mu[:, 1].mean()) / covariance[1, 1].sqrt(), "norm").pvalue > 1e-3
    wide = baselines.sample_gaussian(mu, N, log_var, make_generator(1))
    has_moments(wide, mu.mean(0), covariance + torch.diag(torch.exp(log_var).mean(0)))


def test_the_aggregate_posterior_has_its_distribution_function_and_moments():
    mu, log_var = codes(m=5)
    z = baselines.sample_aggregate_posterior(mu, log_var, N, make_generator(2))
    has_moments(z, mu.mean(0), torch.cov(mu.T, correction=0) + torch.diag(torch.exp(log_var).mean(0)))

    def cdf(t):
        return norm.cdf(t[:, None], mu[:, 0], torch.exp(0.5 * log_var[:, 0])).mean(-1)

    assert kstest(z[:, 0].numpy(), cdf).pvalue > 1e-3


@pytest.mark.parametrize("with_balls", [False, True])
def test_the_mixture_finds_groups_that_are_apart(with_balls):
    (eps,) = properties.random_tensors(1, (900, 2))
    centers = torch.tensor([[0.0, 0.0], [30.0, 0.0], [0.0, 30.0]], dtype=torch.float64)
    label = torch.tensor([0, 0, 0, 1, 1, 2], device="cpu").repeat(150)
    mu = centers[label] + eps
    log_var = torch.full_like(mu, math.log(3.0)) if with_balls else None
    z = baselines.sample_mixture(mu, N, 3, log_var, make_generator(3))
    found = torch.cdist(z, centers).argmin(-1)
    share = label.bincount(minlength=3) / 900
    # the weights are the codes' own shares, each draw then falls by chance
    assert (
        (found.bincount(minlength=3) / N - share).abs() < 5 * (share * (1 - share) / N).sqrt() + 1e-3
    ).all()
    for k in range(3):
        # the spread is that of the 150 codes or more of the group, known to 1/sqrt(2 * 150) = 6%
        spread = z[found == k].std(0)
        assert ((spread / (2.0 if with_balls else 1.0) - 1).abs() < 0.25).all()


# --- the second stage


def test_the_second_stages_losses_are_the_evidence_bound():
    model = baselines.SecondStage(
        make_model("vae", ModelConfig((3, 1, 1), 3, width=8, linear_output=True), 0)
    )
    with torch.no_grad():
        model.log_std.fill_(-0.7)
    x, eps = properties.random_tensors(2, (5, 3), dtype=torch.float32)
    losses = model.losses(x.reshape(5, 3, 1, 1), eps)
    assert isinstance(losses, baselines.SecondStageLosses)
    mu, log_var = model.vae.encode(x.reshape(5, 3, 1, 1))
    decoded = model.vae.decode(mu + torch.exp(0.5 * log_var) * eps).reshape(5, 3)
    density = log_prob(x, decoded, torch.full_like(x, -1.4))
    properties.close(losses.reconstruction, -density, rtol=1e-5, atol=1e-5)
    properties.close(losses.kl, kl_to_standard_normal(mu, log_var))
    properties.close(losses.total, losses.reconstruction + losses.kl)
    # a decoder of weight zero: its bias plus noise of deviation gamma
    with torch.no_grad():
        for parameter in model.vae.decoder.parameters():
            parameter.zero_()
    z = model.sample(N, make_generator(0))
    assert kstest(z.flatten() / math.exp(-0.7), "norm").pvalue > 1e-3


def test_two_stages_learn_a_law_that_is_not_normal():
    # two groups, 85% and 15%, at 3 and -3 on the first axis
    (eps,) = properties.random_tensors(1, (2000, 2))
    mu = 0.3 * eps
    mu[:, 0] += torch.where(torch.arange(2000, device="cpu") % 20 < 17, 3.0, -3.0)
    log_var = torch.full_like(mu, -4.0)
    z = baselines.sample_two_stage(mu, log_var, 4000, make_generator(5), epochs=150, width=64, lr=3e-3)
    assert z.dtype == torch.float64
    left = z[:, 0] < 0
    # trained for a few seconds: near the truth, where a Gaussian would put 17% left and 37% into the void
    assert abs(left.double().mean().item() - 0.15) < 0.05
    assert (z[:, 0].abs() < 1.5).double().mean() < 0.1
    assert abs(z[~left, 0].mean().item() - 3.0) < 0.2
    assert abs(z[:, 1].std().item() - math.sqrt(0.09 + math.exp(-4))) < 0.12


# --- degenerate codes


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_codes_in_a_subspace_are_refused_whatever_rounding_does(dtype, offset):
    for seed in range(60):
        (eps,) = properties.random_tensors(1, (23, 5), seed=seed)
        flat = (eps[:20, :3] @ eps[20:] + offset).to(dtype)  # three dimensions, up to the dtype's rounding
        with pytest.raises(ValueError, match=r"mu must span all 5 dimensions, got 20 codes whose axis \d"):
            baselines.sample_gaussian(flat, 3)
    line = (eps[:2, :3] + offset).to(dtype)
    with pytest.raises(ValueError, match=r"mu must span all 3 dimensions, got 2 codes whose axis [12]"):
        baselines.sample_gaussian(line, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_narrow_codes_are_not_flat(dtype):
    (eps,) = properties.random_tensors(1, (500, 2))
    narrow = torch.stack([eps[:, 0], eps[:, 0] + 1e-4 * eps[:, 1]], 1).to(dtype)
    z = baselines.sample_gaussian(narrow, N, generator=make_generator(0)).double()
    assert (z[:, 1] - z[:, 0]).std().item() == pytest.approx(1e-4 * eps[:, 1].std().item(), rel=0.05)
    units = eps * torch.tensor([1e-9, 1e6], dtype=torch.float64, device="cpu")
    z = baselines.sample_gaussian(units.to(dtype), N, generator=make_generator(0)).double()
    assert (z.std(0) / units.std(0) - 1).abs().max() < 0.05
    still = torch.full_like(narrow, 5.0)
    z = baselines.sample_gaussian(still, N, torch.zeros_like(still), make_generator(0))
    assert ((z - 5.0).std(0) - 1).abs().max() < 0.05


def test_a_mixture_knows_no_unit_and_no_more_components_than_codes():
    (eps,) = properties.random_tensors(1, (300, 2))
    z = baselines.sample_mixture(1e-5 * eps, N, 1, generator=make_generator(0))
    assert (z.std(0) / (1e-5 * eps.std(0)) - 1).abs().max() < 0.05
    with pytest.raises(ValueError, match="mu must hold at least 3 different codes, one a component, got 2"):
        baselines.sample_mixture(eps[:2].repeat(9, 1), N, 3)


@pytest.mark.parametrize("seed", range(8))
def test_components_of_fewer_codes_than_axes_are_drawn_in_single_precision(seed):
    """Their covariance is flat but for a floor of a millionth, which single precision loses beside 1e3."""
    g = make_generator(seed)
    mu = 30.0 * torch.randn(40, 16, generator=g)
    z = baselines.sample_mixture(mu, 200, 8, generator=g)
    assert z.dtype == torch.float32
    assert z.isfinite().all()
    assert torch.cdist(z, mu).amin(1).max() < 300.0


# --- manners


@pytest.mark.usefixtures("no_hook")
def test_bad_input_is_named():
    mu, log_var = codes()
    with pytest.raises(ValueError, match="n must be a whole number of at least 1, got 0"):
        baselines.sample_prior(mu, 0)
    with pytest.raises(ValueError, match="mu must be") as error:
        baselines.sample_gaussian(mu[:1], 3)
    properties.message_names(error.value, "at least 2", [1, 3])
    with pytest.raises(ValueError, match="mu must span all 3 dimensions"):
        baselines.sample_gaussian(mu[:2], 3)
    bad, wide = mu.clone(), log_var.clone()
    bad[7, 1], wide[9, 2] = torch.nan, 800.0
    for function in (
        lambda mu, log_var: baselines.sample_gaussian(mu, 3, log_var),
        lambda mu, log_var: baselines.sample_aggregate_posterior(mu, log_var, 3),
        lambda mu, log_var: baselines.sample_mixture(mu, 3, 2, log_var),
        lambda mu, log_var: baselines.sample_two_stage(mu, log_var, 3),
    ):
        with pytest.raises(ValueError, match="mu must be finite, got nan in row 7"):
            function(bad, log_var)
        with pytest.raises(ValueError, match="log_var must be finite, got nan in row 7"):
            function(mu, bad)
        with pytest.raises(ValueError, match=r"log_var must be at most 709.8, .* got 800 in row 9"):
            function(mu, wide)
    with pytest.raises(ValueError, match=r"log_var must have mu's shape \(400, 3\), got \(400, 2\)"):
        baselines.sample_aggregate_posterior(mu, log_var[:, :2], 3)
    with pytest.raises(ValueError, match="components must be from 1 to the number of codes, 400, got 401"):
        baselines.sample_mixture(mu, 3, 401)
    with pytest.raises(ValueError, match="mu must be"):
        baselines.sample_two_stage(mu[0], log_var[0], 3)


@pytest.mark.usefixtures("meta_while_training")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_live_where_the_codes_do(dtype):
    mu, log_var = codes(40, dtype=dtype)
    for z in (
        baselines.sample_prior(mu, 7, make_generator(0)),
        baselines.sample_gaussian(mu, 7, log_var, make_generator(0)),
        baselines.sample_aggregate_posterior(mu, log_var, 7, make_generator(0)),
        baselines.sample_mixture(mu, 7, 2, generator=make_generator(0)),
        baselines.sample_two_stage(mu, log_var, 7, make_generator(0), epochs=1, width=4),
    ):
        assert z.shape == (7, 3)
        assert z.device.type == "cpu"
        assert z.dtype == dtype
        assert torch.isfinite(z).all()
