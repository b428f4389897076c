"""The health report against latent spaces whose state is known in closed form."""

import math
import re

import numpy as np
import properties
import pytest
import torch
from scipy.stats import norm

from riemvae_core.balls import bhattacharyya, kl_to_standard_normal
from riemvae_core.metrics import ConstantMetric, PosteriorMetric
from riemvae_core.numerics import make_generator
from riemvae_core.space import health
from riemvae_core.space.health import HealthReport, MetricHealth, _kl_by_axis, latent_health


def full(value, n, d):
    return torch.full((n, d), float(value), dtype=torch.float64, device="cpu")


def covers(interval, value, widths=2.0):
    """The true value lies within so many half-widths: 4 deviations, unless told."""
    return abs(interval.mean - value) <= widths * (interval.high - interval.mean) + 1e-9


def channel(variance, n=20_000, seed=0):
    """Balls of one radius whose centers make their aggregate N(0, 1) on each axis: a Gaussian channel."""
    (eps,) = properties.random_tensors(1, (n, len(variance)), seed)
    var = torch.tensor(variance, dtype=torch.float64, device="cpu")
    return eps * (1 - var).sqrt(), var.log().expand(n, -1).contiguous()


def test_a_healthy_space_is_a_gaussian_channel():
    """I(x; z) = -1/2 sum log sigma^2; the aggregate is the prior."""
    mu, log_var = channel([0.3, 0.1])
    report = latent_health(mu, log_var)
    assert isinstance(report, HealthReport)
    information = -0.5 * math.log(0.3 * 0.1)
    assert covers(report.information, information)
    assert report.prior_gap.mean == pytest.approx(0.0, abs=0.02)
    assert report.kl.sum().item() == pytest.approx(information, abs=0.03)
    properties.close(
        report.second_moment, torch.ones(2, dtype=torch.float64, device="cpu"), atol=0.03, rtol=0.0
    )
    assert report.active.all()
    assert not report.dead.any()
    assert report.warnings == ()
    assert str(report).endswith("Nothing to warn of.")


def test_information_and_gap_are_the_integrals_of_a_mixture_in_one_dimension():
    mu = torch.tensor([[-2.0], [-0.5], [0.0], [3.0]], dtype=torch.float64, device="cpu")
    log_var = torch.tensor([[-1.0], [0.2], [-3.0], [0.5]], dtype=torch.float64, device="cpu")
    z = np.linspace(-20, 20, 200_001)
    each = norm.pdf(z[:, None], mu[:, 0].numpy(), torch.exp(0.5 * log_var[:, 0]).numpy())
    mixture = each.mean(1)
    information = np.trapezoid((each * np.log((each + 1e-300) / mixture[:, None])).mean(1), z)
    gap = np.trapezoid(mixture * (np.log(mixture) - norm.logpdf(z)), z)
    share = np.trapezoid((each**2 / each.sum(1, keepdims=True)).mean(1), z)
    report = latent_health(mu, log_var)
    assert covers(report.information, information)
    assert covers(report.prior_gap, gap)
    assert covers(report.own_share, share)
    assert information + gap == pytest.approx(report.kl.sum().item(), rel=1e-6)
    assert 0.2 < information < math.log(4)


def test_values_along_the_axes_are_those_of_the_formulas():
    mu, log_var = properties.random_tensors(2, (101, 3))
    report = latent_health(mu, log_var)
    properties.close(report.kl.sum(), kl_to_standard_normal(mu, log_var).mean())
    sigma = torch.exp(0.5 * log_var)
    properties.close(report.second_moment, (mu.square() + sigma.square()).mean(0))
    properties.close(report.center_variance, mu.var(0))
    properties.close(report.radii, torch.from_numpy(np.quantile(sigma.numpy(), health.QUANTILES, axis=0)))


def test_collapsed_balls_are_the_prior():
    report = latent_health(full(0, 500, 2), full(0, 500, 2))
    assert report.dead.all()
    assert not report.active.any()
    for interval, value in (
        (report.information, 0.0), (report.prior_gap, 0.0), (report.overlap, 1.0), (report.own_share, 1 / 500)
    ):  # fmt: skip
        assert interval.mean == pytest.approx(value, abs=1e-9)
    assert report.warnings == (
        "Every axis is dead: the posterior has collapsed, and all images decode to one.",
    )


def test_balls_that_are_apart_are_a_list_of_points():
    n = 300
    mu = torch.arange(n, dtype=torch.float64, device="cpu")[:, None] * torch.tensor([[1.0, 0.0]]).double()
    report = latent_health(mu, full(-10, n, 2))
    assert report.information.mean == pytest.approx(math.log(n), abs=1e-6)
    assert report.own_share.mean == pytest.approx(1.0)
    assert report.overlap.mean == pytest.approx(0.0, abs=1e-6)
    assert sum("hardly touch" in w for w in report.warnings) == 1
    assert sum("nats from the prior" in w for w in report.warnings) == 1


def test_overlap_is_that_of_the_balls_whose_centers_are_nearest():
    """Pairs at distance 2, the pairs far apart: exp(-2^2 / 8) for unit balls."""
    mu = torch.cat([full(0, 40, 3), full(2, 40, 3) * torch.eye(3)[0].double()])
    mu[:, 1] += 1000.0 * torch.arange(40, device="cpu").repeat(2)
    report = latent_health(mu, full(0, 80, 3))
    assert report.overlap.mean == pytest.approx(math.exp(-0.5), rel=1e-9)
    mu, log_var = properties.random_tensors(2, (60, 2))
    distance = torch.cdist(mu, mu).fill_diagonal_(torch.inf)
    other = distance.argmin(1)
    exact = torch.exp(-bhattacharyya(mu, log_var, mu[other], log_var[other])).mean()
    assert covers(latent_health(mu, log_var).overlap, exact.item())


def test_twins_are_each_others_neighbors():
    mu = properties.random_tensors(1, (50, 2))[0].repeat(2, 1)
    assert latent_health(mu, full(-8, 100, 2)).overlap.mean == pytest.approx(1.0)


def test_the_axes_shares_of_kl_add_up_to_the_mean_of_all_balls():
    mu, log_var = channel([0.3, 0.1, 0.9], 500)
    assert _kl_by_axis(mu, log_var).sum().item() == pytest.approx(
        kl_to_standard_normal(mu, log_var).mean().item()
    )


def test_dead_axes_and_crooked_moments_are_named():
    mu, log_var = channel([0.3, 1.0, 0.1, 1.0])
    mu[:, 2] *= 3.0
    report = latent_health(mu, log_var)
    assert report.dead.tolist() == [False, True, False, True]
    assert report.active.tolist() == [True, False, True, False]
    assert report.warnings[0].startswith("2 of 4 axes are dead (1, 3)")
    assert "on axes 2:" in report.warnings[1]
    many = latent_health(*(t.repeat(1, 6) for t in (mu[:100], log_var[:100])))
    assert "(1, 3, 5, 7, 9, 11, 13, 15 and 4 more)" in many.warnings[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_metrics_background_is_what_it_was_fitted_for(dtype):
    """Derived in the book: (lambda / (tau rho^2))^(d/2) / N is the background over the balls."""
    mu, log_var = (t.to(dtype) for t in channel([0.2, 0.2, 0.2], n=400))
    metric = PosteriorMetric.fit(mu, log_var, background=0.02)
    found = latent_health(mu, log_var, metric).metric
    assert found[:4] == MetricHealth(400, metric.rho, metric.lam, metric.tau, 0.0)[:4]
    assert found.background_share == pytest.approx(0.02 / 1.02, rel=1e-5)
    wide = PosteriorMetric(mu, log_var, rho=1.0, lam=1.0, tau=1e-6)
    report = latent_health(mu, log_var, wide)
    assert report.metric.background_share > 0.99
    assert "100% of the uniform law lies in the empty background" in report.warnings[-1]
    assert re.search(r"centroids of the metric +400\n  rho, lambda, tau +1, 1, 1e-06\n", str(report))


@pytest.mark.parametrize(("lam", "tau", "share"), [(0.0, 1.0, 0.0), (0.0, 0.0, 0.0), (1.0, 0.0, 1.0)])
def test_a_background_without_end_is_everything_and_none_is_nothing(lam, tau, share):
    mu, log_var = channel([0.2, 0.2], n=50)
    metric = PosteriorMetric(mu, log_var, rho=1.0, lam=lam, tau=tau)
    assert latent_health(mu, log_var, metric).metric.background_share == share


def test_a_metric_without_balls_has_no_background():
    mu, log_var = channel([0.2, 0.2], n=50)
    assert latent_health(mu, log_var, ConstantMetric(torch.eye(2, dtype=torch.float64))).metric is None


def test_the_table_is_short_and_tells_the_numbers():
    mu, log_var = channel([0.3] * 16, n=3000)
    report = latent_health(mu, log_var, PosteriorMetric.fit(mu, log_var))
    lines = str(report).splitlines()
    assert lines[0] == "3,000 balls in 16 dimensions"
    assert len(lines) <= 16
    assert max(map(len, lines)) <= 80  # a terminal's columns, and a page's
    properties.message_names(
        ValueError(str(report)), "16 of 16", "0 of 16", f"{report.kl.sum().item():.2f} nats"
    )
    properties.message_names(ValueError(str(report)), f"{report.information:.2f}", f"{report.overlap:.3f}")
    assert "in 1 dimension\n" in str(latent_health(mu[:, :1].contiguous(), log_var[:, :1].contiguous()))


def test_a_report_is_the_same_each_time_and_leaves_torchs_generator_alone():
    mu, log_var = (t.float() for t in channel([0.3, 0.1], n=200))
    before = torch.random.get_rng_state()
    first, again, other = (
        latent_health(mu, log_var, generator=g) for g in (None, make_generator(0), make_generator(1))
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert first.information == again.information != other.information
    assert {t.dtype for t in (first.kl, first.radii, first.second_moment)} == {torch.float32}
    properties.leaves_inputs_alone(latent_health, mu, log_var)


@pytest.mark.usefixtures("meta_by_default")
def test_nothing_is_made_on_a_default_device():
    mu, log_var = channel([0.3, 0.1], n=200)
    report = latent_health(mu, log_var, PosteriorMetric(mu, log_var, 1.0, 0.1, 0.1))
    assert {t.device.type for t in report[1:7]} == {"cpu"}


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("mu", "log_var", "words"),
    [
        (full(0, 5, 2), full(0, 5, 3), ("log_var", "mu's shape (5, 2)", "(5, 3)")),
        (full(0, 0, 2), full(0, 0, 2), ("mu", "n and d at least 1", "[0, 2]")),
        (full(0, 5, 2)[0], full(0, 5, 2)[0], ("mu", "[n, d]", "[2]")),
        (full(math.nan, 5, 2), full(0, 5, 2), ("mu", "finite", "got nan in row 0")),
        (full(0, 5, 2), full(math.inf, 5, 2), ("log_var", "finite", "got inf in row 0")),
    ],
)
def test_what_does_not_fit_is_named(mu, log_var, words):
    with pytest.raises(ValueError, match="must") as caught:
        latent_health(mu, log_var)
    properties.message_names(caught.value, *words)
