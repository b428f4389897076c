"""Crowds where no center is, and what must not be certified without having seen them."""

import math

import properties
import pytest
import torch
from torch import Tensor
from torch.distributions import Normal

from riemvae_core.laws import SamplingWarning, UniformDraws, crowds, samplers, smc, uniform
from riemvae_core.laws.mixture import mixture_of_metric
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator


def sphere(n: int, d: int, radius: float, twins: int, dtype=torch.float64) -> PosteriorMetric:
    """n unit balls with centers on a sphere, and near-copies of one ball 60 away."""
    u, v = (properties.random_tensors(1, (m, d), seed=m)[0] for m in (n, twins + 1))
    far = 1e-3 * v[:twins]
    far[:, 0] += 60.0
    mu = torch.cat([radius * u / u.norm(dim=1, keepdim=True), far]).to(dtype)
    return PosteriorMetric(mu, torch.zeros_like(mu), math.sqrt(d), 0.0, 0.0)


def around_the_middle(metric: PosteriorMetric, twins: int) -> Tensor:
    """Log volume of the balls but the near-copies, from normal points about the origin and nothing of ours.

    Their weight falls off as exp(-|z|^2 / d) and the sphere's curvature widens the law: by Jensen's and the
    cumulants' second terms to a variance of 1 / (1 - 2 |mu|^2 / d^2).
    """
    mu = metric.mu[: len(metric.mu) - twins].double()
    d = mu.shape[1]
    std = (1.0 - 2.0 * mu[0].square().sum().item() / d**2) ** -0.5
    z = std * properties.random_tensors(1, (4000, d), seed=99)[0]
    log_weights = -torch.cdist(z, mu).square() / d
    log_w = 0.5 * d * torch.logsumexp(log_weights, 1) - Normal(0.0, std).log_prob(z).sum(1)
    assert log_w.std() < 1.5  # the points are where the law is
    return torch.logsumexp(log_w, 0) - math.log(len(z))


@pytest.mark.parametrize(
    ("n", "d", "radius", "twins", "dtype"),
    [
        (1000, 16, math.sqrt(48.0), 40, torch.float64),
        (1000, 16, math.sqrt(48.0), 40, torch.float32),
        (1000, 64, 19.0, 2, torch.float64),
    ],
)
def test_a_crowd_where_no_center_is_gets_its_share(n, d, radius, twins, dtype):
    metric = sphere(n, d, radius, twins, dtype)
    middle = around_the_middle(metric, twins).item()
    far = 0.5 * d * math.log(2 * math.pi * twins)
    draws = uniform.sample_uniform(metric, 500, make_generator(0))
    assert draws.converged
    exact = math.log(math.exp(middle - far) + 1.0) + far
    assert abs(draws.log_volume - exact) < 4 * math.hypot(draws.log_volume_error, 0.05)
    share = 1.0 / (1.0 + math.exp(far - middle))
    found = (draws.z[:, 0] < 30).double().mean().item()
    assert abs(found - share) < 5 * math.sqrt(share * (1 - share) / 500) + 2e-3


@pytest.mark.usefixtures("no_hook")
def test_chains_that_missed_the_crowd_are_not_vouched_for(monkeypatch):
    monkeypatch.setattr(crowds, "crowds_between", lambda *_: None)
    metric = sphere(300, 16, math.sqrt(28.0), 40)
    draws = samplers.sample_by_hmc(metric, 100, make_generator(0), chains=32, draws=160, warm_up=40)
    # by their own word all is well, and no chain has ever been near the middle
    assert draws.r_hat < samplers.R_HAT_LIMIT
    assert draws.ess > samplers.LEAST_ESS
    assert draws.z[:, 0].min() > 30
    assert not draws.converged


def test_healthy_balls_need_no_more_than_balls():
    mu, log_var = properties.random_tensors(2, (40, 4))
    metric = PosteriorMetric(mu, 0.3 * log_var - 2.0, 2.0, 0.01, 0.01)
    proposal, plain = crowds.proposal_of_metric(metric), mixture_of_metric(metric)
    assert torch.equal(proposal.mu, plain.mu)
    assert proposal.log_mass[-1] == plain.log_mass[-1]


def test_local_means_are_weighted_means():
    metric = sphere(50, 3, 2.0, 3)
    means = crowds.local_means(metric, -torch.arange(53.0, dtype=torch.float64, device="cpu"))
    properties.close(means[0], metric.mu.mean(0))
    start = metric.mu[0]
    weights = torch.softmax(-(start - metric.mu).square().sum(-1) / 3.0, 0)
    expected = weights @ metric.mu
    assert (means - expected).norm(dim=1).min() < 1e-9


# --- nobody overrules on his own word


def draws_of(method, log_volume, converged, shift=0.0, error=0.05, r_hat=1.01) -> UniformDraws:
    (z,) = properties.random_tensors(1, (400, 3), seed=len(method))
    return UniformDraws(z + shift, log_volume, 2000.0, 0.8, r_hat, 0.0, converged, method, error)


@pytest.mark.parametrize(
    ("hmc", "believed"),
    [
        (draws_of("hmc", 10.03, True), True),
        (draws_of("hmc", 9.0, True), False),  # another volume
        (draws_of("hmc", 10.03, True, shift=1.0), False),  # other places
        (draws_of("hmc", 10.03, True, error=3.0), False),  # a volume that nobody knows
        (draws_of("hmc", 10.03, False), False),
    ],
)
def test_after_a_failed_smc_chains_count_only_where_both_agree(monkeypatch, hmc, believed):
    failed = {m: draws_of(m, 10.0, False, r_hat=1.2) for m in ("importance", "smc")}
    given = {m: lambda *_, m=m, **__: (failed | {"hmc": hmc})[m] for m in uniform.METHODS}
    monkeypatch.setattr(uniform, "METHODS", given)
    metric = sphere(5, 3, 2.0, 2)
    if believed:
        assert uniform.sample_uniform(metric, 400) is hmc
        return
    with pytest.warns(SamplingWarning, match="did not converge"):
        draws = uniform.sample_uniform(metric, 400)
    assert not draws.converged
    assert draws.method == ("hmc" if not hmc.converged else "smc")


def test_weights_contradict_what_missed_a_part():
    (x,) = properties.random_tensors(1, (4000,))
    log_w = 0.5 * x - 0.125  # mean 1
    assert not samplers.contradicted(log_w, 0.0, 0.01)
    assert samplers.contradicted(log_w, -0.3, 0.01)
    assert samplers.contradicted(log_w, 0.3, 0.01)
    heavy = log_w.clone()
    heavy[7] = math.log(4000 * 30.0)  # one draw of a part that 4000 have missed
    assert samplers.contradicted(heavy, 0.0, 0.01)
    assert not samplers.contradicted(heavy, 5.0, 0.01)  # and worth too little to speak of less


@pytest.mark.parametrize("nats", [0.05, 9.0])
def test_a_ball_is_never_less_than_it_is_alone(nats):
    class Drowned(PosteriorMetric):
        def log_volume(self, z):
            value = super().log_volume(z)
            return torch.where((z[..., 0] > 2.5) & (z[..., 0] < 3.5), value - nats, value)

    mu = torch.arange(5.0, dtype=torch.float64, device="cpu")[:, None].expand(5, 2)
    with pytest.raises(FloatingPointError, match=r"log_volume is .* at the center of ball 3, where") as error:
        crowds.proposal_of_metric(Drowned(mu, torch.full_like(mu, -3.0), 1.0, 0.0, 0.0))
    properties.message_names(error.value, "3 ", "float64", "log_var from -3 to -3")


def test_nor_less_in_the_mixture_that_proposes(monkeypatch):
    mu = torch.arange(5.0, dtype=torch.float64, device="cpu")[:, None].expand(5, 2)
    metric = PosteriorMetric(mu, torch.full_like(mu, -3.0), 1.0, 0.0, 0.0)
    own = crowds.BallMixture.log_density
    monkeypatch.setattr(
        crowds.BallMixture, "log_density", lambda self, z: own(self, z) - (z[:, 0] == 2.0).double()
    )
    with pytest.raises(FloatingPointError, match=r"the mixture's log density is .* at the center of ball 2"):
        crowds.proposal_of_metric(metric)


def test_the_middle_of_a_sphere_and_the_copies_are_found_where_masses_know_of_neither():
    metric = sphere(1000, 16, math.sqrt(48.0), 40)
    plain = mixture_of_metric(metric)
    found = crowds.crowds_between(metric, plain, metric.log_volume(metric.mu))
    from_origin = found.mu[:2].norm(dim=1).sort().values
    assert len(found.mu) == 4
    assert from_origin[0] < 1.0
    assert abs(from_origin[1] - 60.0) < 0.1
    assert torch.equal(found.mu[:2], found.mu[2:])  # once as wide as it is bent there, once wider
    assert found.log_total <= plain.log_total + math.log(9.0) + 1e-9


def test_means_are_compared_by_what_draws_are_worth():
    x, y = properties.random_tensors(2, (2000, 2))
    weights = torch.full((2000,), 1 / 2000).double()
    assert samplers.same_means(x, weights, y, (2000.0, 2000.0))
    assert not samplers.same_means(x, weights, y + 0.3, (2000.0, 2000.0))
    assert samplers.same_means(x, weights, y + 0.3, (50.0, 2000.0))
    aside = y + torch.tensor([0.0, 0.3], dtype=y.dtype, device=y.device)
    assert not samplers.same_means(x, weights, aside, (2000.0, 2000.0))  # each coordinate counts
    assert uniform.agree(draws_of("smc", 10.0, False), draws_of("hmc", 10.1, True))
    assert not uniform.agree(draws_of("smc", 10.0, False), draws_of("hmc", 10.4, True))


# --- what each of the conditions is good for


@pytest.mark.parametrize(
    ("name", "answer"),
    [("contradicted", True), ("same_means", False), ("importance_ess", samplers.LEAST_WITNESSES - 0.5)],
)
def test_one_witness_against_chains_is_enough(monkeypatch, name, answer):
    mu = torch.tensor([[0.0], [1.5]], dtype=torch.float64, device="cpu")
    metric = PosteriorMetric(mu, torch.zeros_like(mu), 1.0, 0.0, 0.0)
    settings = {"chains": 32, "draws": 60, "warm_up": 20}
    if name == "contradicted":
        assert samplers.sample_by_hmc(metric, 50, make_generator(0), **settings).converged
    monkeypatch.setattr(samplers, name, lambda *_: answer)
    assert not samplers.sample_by_hmc(metric, 50, make_generator(0), **settings).converged


def test_weights_with_a_heavy_tail_or_too_few_draws_are_not_vouched_for(monkeypatch):
    mu = torch.tensor([[0.0] * 4, [1.0] * 4], dtype=torch.float64, device="cpu")
    metric = PosteriorMetric(mu, torch.zeros_like(mu), 2.0, 0.0, 0.0)
    wide = mixture_of_metric(PosteriorMetric(mu, torch.ones_like(mu), 2.0, 0.0, 0.0))

    def drawn(most):
        return samplers.sample_by_importance(metric, 100, make_generator(0), most=most, mixture=wide)

    draws = drawn(64)
    assert draws.converged
    assert draws.acceptance < 0.9
    few = drawn(1)
    assert few.ess < 2000
    assert not few.converged
    monkeypatch.setattr(samplers, "pareto_k", lambda _: 0.71)
    assert not drawn(64).converged


def islands_of(per, log_z, shift=0.0, axes=7):
    """Populations of the same points, but that one of them is shifted along the first axis."""
    (half,) = properties.random_tensors(1, (per // 2, axes))
    z = torch.cat([half, half]).repeat(len(log_z), 1).unflatten(0, (len(log_z), -1)).clone()
    z[0, :, 0] += shift
    flat = z.flatten(0, 1)
    metric = sphere(5, axes, 2.0, 2)
    log_density = -0.5 * flat[:, 1:].square().sum(1)
    return smc._summary(
        metric, mixture_of_metric(metric), log_density, flat, log_z, 50, 0.8, make_generator(0)
    )


def test_what_populations_say_of_themselves():
    even = torch.zeros(16, dtype=torch.float64, device="cpu")
    draws = islands_of(128, even)
    assert draws.converged
    assert draws.ess == pytest.approx(16 * 128)  # never more than there are
    assert draws.log_volume_error == 0.0
    uneven = 0.6 * torch.linspace(-1.6, 1.6, 16).double()
    other = islands_of(128, uneven)
    share = 16 * torch.softmax(uneven, 0)
    assert other.log_volume_error == pytest.approx(share.std().item() / 4.0)
    assert other.ess == pytest.approx(128 * 256 / share.square().sum().item())
    assert other.ess > samplers.LEAST_ESS
    assert other.r_hat < samplers.R_HAT_LIMIT
    assert not other.converged  # the error alone is too large
    apart = islands_of(512, even, shift=1.7)
    assert apart.ess > samplers.LEAST_ESS
    assert apart.r_hat > samplers.R_HAT_LIMIT
    assert not apart.converged
    few = islands_of(16, even)
    assert few.r_hat < samplers.R_HAT_LIMIT
    assert not few.converged
