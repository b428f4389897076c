"""Groups of many balls as a proposal: exact volumes of hostile sets, and the halving that makes groups."""

import itertools
import math

import properties
import pytest
import torch

from riemvae_core.laws import groups, uniform
from riemvae_core.laws.groups import halves, proposal_by_groups
from riemvae_core.laws.mixture import mixture_of_metric
from riemvae_core.laws.samplers import sample_by_importance
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator

N, D = 2100, 16
UNIT = 0.5 * D * math.log(2 * math.pi)  # log volume of a ball alone, where rho^2 is d


def normal(*shape, seed=41, dtype=torch.float32):
    return torch.randn(*shape, generator=make_generator(seed)).to(dtype)


def metric_of(mu, log_var=0.0, dtype=torch.float32):
    mu = mu.to(dtype)
    return PosteriorMetric(mu, torch.zeros_like(mu) + log_var, mu.shape[1] ** 0.5, 1e-6, 1e-3)


def apart():
    return 40.0 * normal(N, D)


def crowd_at(place, many=40):
    mu = apart()
    mu[:many] = place + 1e-3 * normal(many, D, seed=42)
    return mu


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("n", [5, 64, 100])
def test_halves_hold_every_row_once_and_the_rest_again(inside, n):
    features = normal(n, 3)
    levels = halves(features, 4, inside)
    assert [len(rows) for rows in levels] == [1, 2, 4, 8, 16]
    for rows in levels:
        assert rows.flatten().sort().values.tolist() == list(range(16 * math.ceil(n / 16)))
    for coarse, fine in itertools.pairwise(levels):
        assert torch.equal(fine.reshape(len(coarse), -1).sort(1).values, coarse.sort(1).values)


def test_halves_part_what_lies_apart():
    features = torch.cat([normal(32, 2) + 50.0 * torch.tensor(c) for c in ([0.0, 0], [1, 0], [0, 3], [1, 3])])
    for rows in halves(features, 2)[2]:
        assert len((rows // 32).unique()) == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("mu", "log_var", "log_volume"),
    [
        (apart(), 0.0, UNIT + math.log(N)),
        (apart(), -20.0, UNIT + math.log(N)),
        (crowd_at(apart()[0]), 0.0, UNIT + 0.5 * D * math.log(40)),
        (crowd_at(apart().median(0).values), 0.0, UNIT + 0.5 * D * math.log(40)),
        (1e4 * torch.arange(N)[:, None].expand(N, D) / N, 0.0, UNIT + math.log(N)),
        (crowd_at(1e6), 0.0, UNIT + 0.5 * D * math.log(40)),
    ],
    ids=["apart", "small", "a crowd", "a crowd in the middle", "a chain", "a crowd far away"],
)
def test_volumes_are_exact(mu, log_var, log_volume, dtype):
    """Balls apart have a unit each; k in one place have k^(d/2), which drowns what the others have."""
    metric = metric_of(mu, log_var, dtype)
    draws = sample_by_importance(metric, 100, make_generator(1), mixture=proposal_by_groups(metric))
    assert draws.converged
    # copies lie 1e-3 of a radius apart, and weights within 2,000 draws miss their mean by 2 percent at most
    assert draws.log_volume == pytest.approx(log_volume, abs=0.02 + 4 * draws.log_volume_error)


def test_a_crowd_where_no_center_is_is_found():
    """Balls on a sphere, most of whose law lies within it, and a crowd of copies far from it."""
    mu = normal(N, D)
    mu = 48**0.5 * mu / mu.norm(dim=1, keepdim=True)
    mu[:40] = 1e-3 * normal(40, D, seed=42)
    mu[:40, 0] += 60.0
    metric = metric_of(mu)
    draws = sample_by_importance(metric, 100, make_generator(1), mixture=proposal_by_groups(metric))
    assert draws.converged
    wide = torch.distributions.MultivariateNormal(torch.zeros(D), 1.4 * torch.eye(D))  # another proposal
    torch.manual_seed(3)
    z = wide.sample((20_000,))
    log_w = (metric.log_volume(z) - wide.log_prob(z)).double()
    error = (log_w - log_w.max()).exp().std() / (log_w - log_w.max()).exp().mean() / math.sqrt(len(z))
    expected = torch.logsumexp(log_w, 0).item() - math.log(len(z))
    assert draws.log_volume == pytest.approx(expected, abs=4 * (draws.log_volume_error + error.item()))


def test_heights_of_a_group_are_the_metrics_own():
    mu, log_var = normal(50, 4), 0.3 * normal(50, 4, seed=42)
    rows = torch.cat([torch.arange(50), torch.tensor([50, 51])])[None]  # rows 0 and 1 come again
    height, alone = groups._near(mu, log_var, 1.5, rows)
    metric = PosteriorMetric(mu, log_var, 1.5, 0.0, 0.0)
    properties.close(height, metric.log_volume(mu), rtol=1e-4, atol=1e-4)
    properties.close(alone, mixture_of_metric(metric).log_density(mu), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("log_var", [-30.0, -50.0])
def test_heights_keep_their_digits_however_small_the_balls(log_var):
    """Differences where products would not do: here every weight but the own is nothing."""
    mu = normal(50, 4)
    level = torch.full_like(mu, log_var)
    height, alone = groups._near(mu, level, 2.0, torch.arange(50)[None])
    properties.close(height, -0.5 * level.sum(1))
    properties.close(alone, -0.5 * level.sum(1))


def test_far_groups_add_what_gaussian_ones_would():
    """Two groups of many balls, each a Gaussian cloud: its sum over balls is the integral over the cloud."""
    mu = torch.cat([normal(4000, 2), normal(4000, 2, seed=42) + 4.0])
    rows = torch.arange(8000).reshape(2, 4000)
    center, spread = (torch.stack([f(m, 0) for m in mu.split(4000)]) for f in (torch.mean, torch.var))
    far = groups._far(mu, rows, center, torch.full((2, 2), 4.0), spread, 2.0)
    other = PosteriorMetric(mu[4000:], torch.zeros(4000, 2), 2.0, 0.0, 0.0)
    near = mu[:4000].sum(1) > 0  # not so far that the cloud's own few outliers are all there is
    properties.close(far[:4000][near], other.diagonal(mu[:4000][near]), rtol=0.15)


def test_few_balls_are_proposed_one_by_one_and_many_by_groups(monkeypatch):
    asked = []
    original = uniform.proposal_by_groups
    monkeypatch.setattr(uniform, "proposal_by_groups", lambda metric: (asked.append(1), original(metric))[1])
    few, many = (metric_of(normal(n, 2)) for n in (uniform.MANY - 1, uniform.MANY))
    a, b = (uniform.sample_uniform(metric, 100, make_generator(2)) for metric in (few, many))
    assert asked == [1]
    assert (a.method, b.method, b.converged) == ("importance", "importance", True)
