"""The uniform law: closed forms, quadrature and grids, and what its samplers refuse."""

import math

import numpy as np
import properties
import pytest
import torch
from scipy.stats import binom, chi2, chisquare, kstest
from uniform_cases import METHODS, metric_of, random_metric

from riemvae_core.data import load_images
from riemvae_core.laws import samplers, smc, uniform
from riemvae_core.metrics import ConstantMetric, PosteriorMetric
from riemvae_core.models import zoo
from riemvae_core.numerics import make_generator


def grid_law(metric, half_width, cells, fine=4):
    """Mass of each cell of a square grid, cells x cells, and log of their sum: midpoints, fine^2 a cell."""
    m = cells * fine
    axis = (torch.arange(m, dtype=torch.float64, device="cpu") + 0.5) / m * 2 * half_width - half_width
    points = torch.cartesian_prod(axis, axis)
    mass = torch.exp(metric.log_volume(points.to(metric.mu))).double() * (2 * half_width / m) ** 2
    mass = mass.reshape(cells, fine, cells, fine).sum((1, 3))
    return mass / mass.sum(), math.log(mass.sum().item())


def total_variation(z, law, half_width):
    """Between draws and the law on its grid, and what exact draws would give: mean and four deviations."""
    cells, n = len(law), len(z)
    index = ((z.double() + half_width) / (2 * half_width) * cells).floor().long()
    inside = ((index >= 0) & (index < cells)).all(-1)
    counts = torch.zeros(cells * cells, dtype=torch.float64, device="cpu")
    counts.index_add_(0, index[inside] @ index.new_tensor([cells, 1]), torch.ones(int(inside.sum())).double())
    found = 0.5 * ((counts.reshape(cells, cells) / n - law).abs().sum() + (~inside).sum() / n).item()
    exact = np.random.default_rng(0).multinomial(n, law.flatten().numpy(), size=200) / n
    floor = 0.5 * np.abs(exact - law.flatten().numpy()).sum(1)
    return found, floor.mean() + 4 * floor.std()


# --- laws in closed form


@pytest.mark.parametrize("method", ["importance", "smc"])
def test_isotropic_balls_in_the_plane_are_a_mixture_of_equal_parts(method):
    (mu,) = properties.random_tensors(1, (6, 2), seed=3)
    log_var = properties.random_tensors(1, (6, 1), seed=4)[0].expand(6, 2) - 3.0
    metric = metric_of(20 * mu, log_var, rho=1.5, lam=1e-3, background=0.2)
    draws = uniform.sample_uniform(metric, 4000, make_generator(0), method)
    # balls lie so far apart that each draw belongs to one, or to the background
    scale = 1.5 / math.sqrt(2) * torch.exp(0.5 * log_var)
    m2 = ((draws.z[:, None] - metric.mu) / scale).square().sum(-1)
    nearest, ball = m2.min(-1)
    in_ball = nearest < 30
    counts = [(in_ball & (ball == i)).sum().item() for i in range(6)]
    counts.append(4000 - sum(counts))
    expected = 4000 * np.array([1.0] * 6 + [6 * 0.2]) / (6 * 1.2)
    assert chisquare(counts, expected).pvalue > 1e-3
    # inside a ball the squared radius, in its own unit, is chi-squared with 2 degrees of freedom
    assert kstest(nearest[in_ball], chi2(2).cdf).pvalue > 1e-3
    exact = math.log(6 * 1.2 * math.pi * 1.5**2)
    assert draws.log_volume == pytest.approx(exact, abs=max(1e-3, 4 * draws.log_volume_error))
    assert abs(draws.background_share - 0.2 / 1.2) < 5 * math.sqrt(0.14 / draws.ess)
    assert draws.converged
    assert draws.method == method


@pytest.mark.usefixtures(
    "no_hook"
)  # as of all chains that are long: annotations are checked in the short ones
@pytest.mark.parametrize("method", METHODS)
def test_on_a_line_draws_have_the_integrated_distribution(method):
    mu = torch.tensor([[-0.6], [0.0], [0.9]], dtype=torch.float64)
    log_var = torch.log(torch.tensor([[0.3], [0.05], [0.2]], dtype=torch.float64))
    metric = PosteriorMetric(mu, log_var, rho=1.2, lam=0.5, tau=0.05)
    x = torch.linspace(-60, 60, 240_001, dtype=torch.float64, device="cpu")
    density = torch.exp(metric.log_volume(x[:, None])).numpy()
    cdf = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * 5e-4)])
    size = {"draws": 250, "warm_up": 100} if method == "hmc" else {}
    draws = uniform.sample_uniform(metric, 1500, make_generator(1), method, **size)
    assert kstest(draws.z[:, 0], lambda t: np.interp(t, x.numpy(), cdf / cdf[-1])).pvalue > 1e-3
    # the error of smc and hmc is itself an estimate, good to about a third
    assert abs(draws.log_volume - math.log(cdf[-1])) < 6 * draws.log_volume_error
    assert draws.log_volume_error < 0.05


def test_every_ball_has_the_same_volume():
    mu = 50.0 * torch.eye(4, 3, dtype=torch.float64)
    (log_var,) = properties.random_tensors(1, (4, 3), seed=2)
    metric = PosteriorMetric(mu, 2 * log_var - 2.0, rho=1.0, lam=1e-9, tau=1e-4)
    draws = uniform.sample_uniform(metric, 4000, make_generator(3))
    counts = torch.cdist(draws.z, mu).argmin(-1).bincount(minlength=4)
    assert chisquare(counts.numpy()).pvalue > 1e-3
    exact = math.log(4 * (2 * math.pi / 3) ** 1.5 + (2 * math.pi * 1e-9 / (1e-4 * 3)) ** 1.5)
    assert draws.log_volume == pytest.approx(exact, abs=1e-3)


@pytest.mark.parametrize("method", ["importance", "smc"])
@pytest.mark.parametrize("d", [4, 16])
def test_balls_that_coincide_weigh_more_than_their_share(method, d):
    mu = torch.zeros(12, d, dtype=torch.float64)
    mu[2:, 0] = 40.0 * torch.arange(1, 11, device="cpu")
    metric = metric_of(mu, torch.zeros_like(mu), 1.0, 1e-4, 1e-3)
    draws = uniform.sample_uniform(metric, 2000, make_generator(4), method)
    weight = 2 ** (d / 2)
    share = weight / (weight + 10 * (1 + 1e-3 * 1.2))
    crowded = (draws.z[:, 0].abs() < 20).sum().item()
    # counts of independent draws vary more than these
    assert 1e-4 < binom.cdf(crowded, 2000, share) < 1 - 1e-4
    exact = (2 * math.pi / d) ** (d / 2) * (weight + 10.01)
    assert math.exp(draws.log_volume) == pytest.approx(exact, rel=0.01)


@pytest.mark.parametrize("background", [0.01, 0.5])
def test_the_backgrounds_share_is_as_predicted(background):
    mu = 30.0 * torch.eye(8, dtype=torch.float64)[:, :5]
    mu[5:] = -mu[:3]
    metric = metric_of(mu, torch.zeros_like(mu), 1.0, 1e-3, background)
    draws = uniform.sample_uniform(metric, 3000, make_generator(5))
    exact = background / (1 + background)
    assert abs(draws.background_share - exact) < 5 * math.sqrt(exact / draws.ess)
    far = (torch.cdist(draws.z, mu).amin(-1) > 7).sum().item()
    assert 1e-4 < binom.cdf(far, 3000, exact) < 1 - 1e-4


# --- laws on a grid


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("method", METHODS)
def test_overlapping_anisotropic_balls_against_the_grid(method):
    metric = random_metric(15, 2, 1.5, seed=7)
    law, log_volume = grid_law(metric, 8.0, 20, fine=8)
    size = {"draws": 200, "warm_up": 100} if method == "hmc" else {}
    draws = uniform.sample_uniform(metric, 3000, make_generator(6), method, **size)
    found, floor = total_variation(draws.z, law, 8.0)
    # chains' draws are worth fewer: the floor of as many independent ones
    if method == "hmc":
        _, floor = total_variation(draws.z[: int(min(draws.ess, 3000))], law, 8.0)
    assert found < floor
    assert abs(draws.log_volume - log_volume) < max(5 * draws.log_volume_error, 1e-3)


def test_a_trained_models_law_against_the_grid():
    model = zoo.load("fashion-vae-2d")
    with torch.no_grad():
        mu, log_var = model.encode(load_images("fashion", "test").images[:300])
    metric = metric_of(mu.double(), log_var.double(), math.sqrt(2), 1.0, 0.01)
    half_width = 1.2 * mu.abs().max().item() + 1.0
    law, log_volume = grid_law(metric, half_width, 40, fine=20)
    draws = uniform.sample_uniform(metric, 4000, make_generator(7))
    inside = (draws.z.abs() < half_width).all(-1).double().mean().item()
    assert inside > 0.95
    found, floor = total_variation(draws.z[(draws.z.abs() < half_width).all(-1)], law, half_width)
    assert found < floor
    # the grid ends where some of the background still is
    assert draws.log_volume + math.log(inside) == pytest.approx(log_volume, abs=0.02)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("method", METHODS)
def test_the_error_of_the_log_volume_is_honest(method):
    metric = random_metric(12, 2, 1.5, seed=9)
    _, exact = grid_law(metric, 12.0, 60, fine=8)
    sampler, size = (
        uniform.METHODS[method],
        {"hmc": {"draws": 30, "warm_up": 15, "chains": 64}}.get(method, {}),
    )
    errors = []
    for seed in range(8):
        draws = sampler(metric, 50, make_generator(seed), **size)
        errors.append((draws.log_volume - exact) / draws.log_volume_error)
    # the sum of 8 squared standard errors; an error estimated from 16 islands is itself Student's, which
    # widens it by 15/13; chi-squared with 8 degrees of freedom exceeds 31.8 once in 10,000, and is below
    # 0.86 once in 1,000
    assert 0.86 < np.square(errors).sum() < 31.8 * 15 / 13


# --- manners


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_fixes_the_draws(method):
    metric = random_metric(5, 2, 1.0)
    sampler, size = uniform.METHODS[method], {"hmc": {"draws": 8, "warm_up": 4}}.get(method, {})
    first, second, other = (sampler(metric, 20, make_generator(seed), **size) for seed in (0, 0, 1))
    assert torch.equal(first.z, second.z)
    assert first[1:] == second[1:]
    assert not torch.equal(first.z, other.z)


class Broken(PosteriorMetric):
    """Gives no number on the right half of the plane."""

    def log_volume(self, z):
        return torch.where(z[..., 0] > 0.5, torch.nan, super().log_volume(z))

    def log_volume_and_grad(self, z):
        return self.log_volume(z), super().log_volume_and_grad(z)[1]


@pytest.mark.parametrize("method", ["auto", *METHODS])
def test_a_metric_that_gives_no_number_is_an_error_with_a_name(method):
    mu = torch.zeros(3, 2, dtype=torch.float64)
    metric = Broken(mu, mu, 2.0, 0.1, 0.1)
    with pytest.raises(FloatingPointError, match="log_volume is nan at z = "):
        uniform.sample_uniform(metric, 50, make_generator(0), method)


def test_an_underflow_names_what_helps():
    class Tiny:
        """The determinant of 1e-200 I in four dimensions is no float64."""

        def log_volume(self, z):
            return 0.5 * torch.log(torch.linalg.det(torch.diag_embed(1e-200 / (1.0 + z.square()))))

    start = torch.zeros(3, 4, dtype=torch.float64, device="cpu")
    with pytest.raises(
        FloatingPointError, match=r"log_volume is .*: take float64, or give .* log_volume\(z\)"
    ):
        uniform.sample_uniform(Tiny(), 3, start=start)


def test_weights_of_the_first_particles_may_speak_against_smc(monkeypatch):
    draws = [smc.sample_by_smc(random_metric(5, 2, 1.0), 100, make_generator(0))]
    monkeypatch.setattr(smc, "contradicted", lambda *_: True)
    draws.append(smc.sample_by_smc(random_metric(5, 2, 1.0), 100, make_generator(0)))
    assert [d.converged for d in draws] == [True, False]


@pytest.mark.usefixtures("no_hook")
def test_bad_input_is_named():
    metric = random_metric(3, 2, 1.0)
    with pytest.raises(ValueError, match="settings need a method other than auto, got chains"):
        uniform.sample_uniform(metric, 1, chains=3)
    with pytest.raises(ValueError, match="n must be a whole number of at least 1, got 0"):
        uniform.sample_uniform(metric, 0)
    with pytest.raises(ValueError, match="method must be one of auto, importance, smc, hmc, got 'exact'"):
        uniform.sample_uniform(metric, 1, method="exact")
    flat = ConstantMetric(torch.eye(2, dtype=torch.float64))
    with pytest.raises(ValueError, match="start must hold one row a chain"):
        uniform.sample_uniform(flat, 1)
    with pytest.raises(ValueError, match="metric must be made of balls"):
        uniform.sample_uniform(flat, 1, method="smc")
    with pytest.raises(ValueError, match=r"start must be \[chains, d\], got \[2\]"):
        samplers.sample_by_hmc(metric, 1, start=torch.zeros(2))
    with pytest.raises(ValueError, match="start must be finite, got nan in row 3"):
        samplers.sample_by_hmc(
            metric, 1, start=torch.tensor([0.0, 0.0, 0.0, torch.nan])[:, None].expand(4, 2)
        )
    with pytest.raises(ValueError, match="islands must be a whole number of at least 2, got 1"):
        smc.sample_by_smc(metric, 1, islands=1)


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_live_where_the_metric_does(method, dtype):
    metric = random_metric(6, 3, 3.0, spread=0.5, dtype=dtype)
    size = {"hmc": {"draws": 8, "warm_up": 4}}.get(method, {})
    draws = uniform.METHODS[method](metric, 30, make_generator(0), **size)
    assert isinstance(draws, samplers.UniformDraws)
    assert draws.z.device.type == "cpu"
    assert draws.z.dtype == dtype
    assert torch.isfinite(draws.z).all()
    assert all(math.isfinite(v) for v in draws[1:7])
    assert isinstance(draws.converged, bool)
