"""The three samplers of the uniform law against each other, and their parts."""

import math
from types import SimpleNamespace

import properties
import pytest
import torch
from scipy.stats import kstest
from scipy.stats import t as student
from uniform_cases import METHODS, metric_of, random_metric

from riemvae_core.laws import hmc, samplers, smc, uniform
from riemvae_core.laws.crowds import proposal_of_metric
from riemvae_core.metrics import ConstantMetric, PosteriorMetric
from riemvae_core.numerics import make_generator

# --- samplers against each other


@pytest.mark.usefixtures("no_hook")
def test_all_methods_agree_in_sixteen_dimensions():
    metric = random_metric(40, 16, 12.0, seed=11, background=1e-3)
    draws = {}
    for method in METHODS:
        size = {"draws": 250, "warm_up": 120} if method == "hmc" else {}
        draws[method] = uniform.sample_uniform(metric, 1500, make_generator(12), method, **size)
        assert draws[method].converged
        assert draws[method].z.shape == (1500, 16)
    first = draws["importance"]
    for method in METHODS[1:]:
        other = draws[method]
        error = math.hypot(first.log_volume_error, other.log_volume_error)
        assert abs(first.log_volume - other.log_volume) < 5 * error
        effective = 1 / (1 / 1500 + 1 / min(other.ess, 1500))
        bound = 5 * first.z.std(0) / math.sqrt(effective)
        assert ((first.z.mean(0) - other.z.mean(0)).abs() < bound).all()
        values = [metric.log_volume(d.z) for d in (first, other)]
        assert abs(values[0].mean() - values[1].mean()) < 5 * values[0].std() / math.sqrt(effective)
        ratio = torch.log(first.z.var(0) / other.z.var(0))
        assert (ratio.abs() < 5 * 2 / math.sqrt(effective)).all()


def test_auto_takes_the_first_that_holds():
    easy = uniform.sample_uniform(random_metric(10, 2, 1.0), 100, make_generator(0))
    assert (easy.method, easy.converged, easy.r_hat) == ("importance", True, 1.0)
    assert 0 < easy.acceptance <= 1
    # 300 balls on top of each other in 12 dimensions: the law is a small part of where the balls are
    mu, log_var = properties.random_tensors(2, (300, 12))
    crowd = metric_of(0.7 * mu, 0.5 * log_var - 1.5, 2.0, 0.1, 1e-3)
    alone = samplers.sample_by_importance(crowd, 100, make_generator(0), most=2)
    assert not alone.converged
    hard = uniform.sample_uniform(crowd, 100, make_generator(0), "smc")
    assert hard.converged
    assert abs(hard.log_volume - alone.log_volume) < 1.5


@pytest.mark.usefixtures("no_hook")
def test_chains_that_cannot_mix_are_found_out():
    # two groups of balls so far apart that no chain ever changes sides
    mu = torch.cat([torch.full((5, 2), -50.0), torch.full((5, 2), 50.0)]).double()
    metric = PosteriorMetric(mu, torch.zeros_like(mu), rho=1.0, lam=1e-8, tau=1e-6)
    with pytest.warns(uniform.SamplingWarning, match="did not converge"):
        draws = uniform.sample_uniform(metric, 100, make_generator(0), "hmc", draws=60, warm_up=40)
    assert draws.r_hat > 2
    assert not draws.converged
    assert draws.ess < 100


def test_smc_knows_when_its_islands_disagree():
    metric = random_metric(40, 6, 1.0, seed=13)
    draws = smc.sample_by_smc(metric, 20, make_generator(0), islands=2, particles=8, sweeps=1)
    assert not draws.converged


# --- the parts


def test_temperatures_leave_half_of_the_particles_effective():
    (log_ratio,) = properties.random_tensors(1, (50_000,))
    # normal log ratios of deviation s: the weights' effective share is exp(-t^2 s^2)
    t = smc.next_temperature(10 * log_ratio, 0.0)
    assert t == pytest.approx(math.sqrt(math.log(2)) / 10, rel=0.02)
    assert smc.next_temperature(0.1 * log_ratio, 0.3) == 1.0


def test_the_tempered_law_is_the_geometric_mean_with_its_gradient():
    metric = random_metric(5, 3, 1.0)
    mixture = proposal_of_metric(metric)
    (z,) = properties.random_tensors(1, (9, 3), seed=1)
    for t in (0.3, 1.0):
        value, gradient = smc.tempered(mixture, metric.log_volume_and_grad, t)(z)
        properties.close(value, (1 - t) * mixture.log_density(z) + t * metric.log_volume(z))
        step = 1e-5 * torch.ones(3, dtype=torch.float64, device="cpu")
        law = smc.tempered(mixture, metric.log_volume_and_grad, t)
        slope = (law(z + step)[0] - law(z - step)[0]) / 2e-5
        properties.close(gradient.sum(-1), slope, rtol=1e-6, atol=1e-6)


def test_resampling_keeps_expectations_and_repeats_no_small_weight():
    (logits,) = properties.random_tensors(1, (50,))
    weights = torch.softmax(logits, 0)
    counts = torch.zeros(50, dtype=torch.float64, device="cpu")
    for seed in range(400):
        index = samplers.resample(weights, 20, make_generator(seed))
        each = index.bincount(minlength=50)
        assert ((each - 20 * weights).abs() < 1).all()
        counts += each
    # a count is the floor of its mean or one more: variance at most 1/4
    assert ((counts / 400 - 20 * weights).abs() < 5 * 0.5 / 20).all()
    even = samplers.resample(torch.full((1000,), 1e-3).double(), 500, make_generator(0))
    assert even.unique().numel() == 500
    assert not torch.equal(even, even.sort().values)


def test_background_share_is_the_weighted_mean():
    weights, shares = torch.tensor([0.25, 0.75]).double(), torch.tensor([1.0, 0.2])
    assert samplers.background_share(random_metric(3, 2, 1.0), weights, shares) == pytest.approx(0.4)
    none = PosteriorMetric(torch.zeros(1, 2), torch.zeros(1, 2), 1.0, 0.0, 0.0)
    assert samplers.background_share(none, weights, shares) == 0.0


def test_the_local_scale_is_a_balls_radius():
    mu, log_var = properties.random_tensors(2, (1, 3))
    metric = PosteriorMetric(mu, log_var, 1.5, 0.1, 0.1)
    properties.close(samplers.local_scale(metric), 1.5 / math.sqrt(3) * torch.exp(0.5 * log_var[0]))


class Hill:
    """A metric without balls or log_volume: G = diag (1 + z_k^2 / (9 s_k^2))^-10, s = (1, 0.2)."""

    def __call__(self, z):
        return torch.diag_embed((1.0 + (z / z.new_tensor([1.0, 0.2])).square() / 9.0) ** -10)


@pytest.mark.usefixtures("no_hook")
def test_any_metric_of_finite_volume_can_be_sampled_by_chains():
    # sqrt det G is, in each coordinate, the density of Student's t with 9 degrees of freedom and scale s
    (start,) = properties.random_tensors(1, (32, 2))
    draws = uniform.sample_uniform(Hill(), 2000, make_generator(0), start=start, draws=200, warm_up=100)
    assert draws.method == "hmc"
    assert draws.converged
    assert draws.background_share == 0.0
    assert abs(draws.log_volume - math.log(0.2) + 2 * student.logpdf(0, 9)) < 5 * draws.log_volume_error
    for k, scale in enumerate((1.0, 0.2)):
        assert kstest(draws.z[:, k] / scale, student(9).cdf).pvalue > 1e-3


def test_a_metric_without_a_gradient_of_its_own_gets_autograds():
    metric = random_metric(4, 3, 1.0)
    (z,) = properties.random_tensors(1, (6, 3), seed=2)
    value, gradient = hmc.target_of(metric.__call__)(z)
    expected, slope = metric.log_volume_and_grad(z)
    properties.close(value, expected)
    properties.close(gradient, slope)


def test_a_metric_without_a_gradient_has_no_uniform_law():
    start = properties.random_tensors(1, (8, 2))[0]
    eye = torch.eye(2, dtype=torch.float64, device="cpu")
    weight = eye.clone().requires_grad_()
    for metric in (
        ConstantMetric(eye),
        lambda z: eye.expand(*z.shape, 2),
        lambda z: weight.expand(*z.shape, 2),
        lambda z: torch.diag_embed(torch.exp(-z.detach().square())),
    ):
        with pytest.raises(ValueError, match="metric must vary and be followed by autograd, got a volume"):
            uniform.sample_uniform(metric, 10, make_generator(0), start=start)


@pytest.mark.parametrize(("at", "low"), [(0.0, -40.0), (1.0, -34.0), (100.0, -24.0), (1e4, -14.0)])
def test_draws_that_are_copies_of_centers_are_not_vouched_for(at, low):
    mu = at + properties.random_tensors(1, (50, 2))[0]
    metric = PosteriorMetric.fit(mu.float(), torch.full((50, 2), low, device="cpu"))
    with pytest.warns(
        uniform.SamplingWarning, match=r"\d% of the balls' spreads are below the digits of torch"
    ):
        draws = uniform.sample_uniform(metric, 500, make_generator(0))
    assert not draws.converged
    assert len(draws.z.unique(dim=0)) < 400
    double = PosteriorMetric.fit(mu, torch.full_like(mu, low))
    fine = uniform.sample_uniform(double, 500, make_generator(0))  # a warning would be an error
    assert fine.converged
    assert len(fine.z.unique(dim=0)) == 500


def test_a_few_spreads_below_the_digits_and_wide_balls_are_let_pass():
    mu, log_var = properties.random_tensors(2, (200, 2), dtype=torch.float32)
    log_var[7] = -60.0
    assert uniform.coarse_share(PosteriorMetric(mu, log_var, 2**0.5, 0.0, 0.0)) == pytest.approx(0.005)
    assert uniform.sample_uniform(PosteriorMetric(mu, log_var, 2**0.5, 0.0, 0.0), 50).converged
    mu, low = mu + 1e4, torch.full_like(mu, -14.0)
    assert uniform.coarse_share(PosteriorMetric(mu, low, 2**0.5, 0.0, 0.0)) == 1.0
    assert uniform.coarse_share(PosteriorMetric(mu, low, 100.0, 0.0, 0.0)) == 0.0  # rho widens each ball
    assert uniform.coarse_share(PosteriorMetric(mu - mu.mean(0), low, 2**0.5, 0.0, 0.0)) == 0.0


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (
            SimpleNamespace(log_volume=lambda z: -0.5 * z**2),
            r"metric's log_volume .*\[8\].*got \[8, 1\]",
        ),
        (lambda z: torch.ones_like(z), r"metric must return .*\[8, 1, 1\].*got \[8, 1\]"),
        (lambda z: z.detach()[..., None].numpy(), r"metric must return a tensor .*got ndarray"),
    ],
)
def test_a_metric_of_a_wrong_shape_is_named(metric, message):
    """An axis that was kept would spread one chain's volume over all others, and memory with it."""
    start = torch.linspace(-3, 3, 8, dtype=torch.float64, device="cpu")[:, None]
    with pytest.raises(ValueError, match=message):
        uniform.sample_uniform(metric, 5, make_generator(0), start=start)
