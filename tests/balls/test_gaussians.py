"""Balls: oracles from torch.distributions, scipy, closed forms, and the laws of tests/properties.py."""

import functools
import math

import hypothesis.extra.numpy as hnp
import numpy as np
import properties
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal, norm
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal, kl_divergence

from riemvae_core.balls import gaussians
from riemvae_core.numerics import chunks

# how many [*batch, d] tensors each function takes
SCALAR_FUNCTIONS = {
    gaussians.kl_pull: 1,
    gaussians.kl_barrier: 1,
    gaussians.kl_to_standard_normal: 2,
    gaussians.log_prob: 3,
    gaussians.entropy: 1,
    gaussians.log_volume: 1,
    gaussians.bhattacharyya: 4,
}
BALL_FUNCTIONS = SCALAR_FUNCTIONS | {gaussians.reparameterize: 3}


def by_name(functions):
    return [pytest.param(f, k, id=f.__name__) for f, k in functions.items()]


def torch_normal(mu, log_var):
    return Independent(Normal(mu, torch.exp(0.5 * log_var)), 1)


# --- laws that every function obeys


@pytest.mark.parametrize(("function", "count"), by_name(BALL_FUNCTIONS))
@pytest.mark.parametrize("shape", [(3,), (5, 2), (2, 3, 1)])
def test_every_function_obeys_the_general_laws(function, count, shape):
    inputs = properties.random_tensors(count, shape)
    properties.follows_dtype(function, *inputs)
    properties.acts_on_each_ball(function, *inputs)
    properties.has_right_gradient(function, *inputs)
    properties.leaves_inputs_alone(function, *inputs)


@pytest.mark.parametrize(("function", "count"), by_name(SCALAR_FUNCTIONS))
@given(data=st.data())
def test_axes_have_no_order(function, count, data):
    properties.ignores_axis_order(function, *data.draw(properties.tensors(count)))


# --- reparameterize


@given(properties.tensors(3))
def test_reparameterize_undoes_standardization(triple):
    z, mu, log_var = triple
    eps = (z - mu) / torch.exp(0.5 * log_var)
    properties.close(gaussians.reparameterize(mu, log_var, eps), z)


def test_reparameterized_draws_have_the_mean_and_covariance_of_the_ball():
    n, mu, log_var = 200_000, torch.tensor([1.0, -2.0, 0.5]).double(), torch.tensor([0.0, -3.0, 1.0]).double()
    (eps,) = properties.random_tensors(1, (n, 3), seed=1)
    z = gaussians.reparameterize(mu.expand(n, 3), log_var.expand(n, 3), eps)
    sigma = torch.exp(0.5 * log_var)
    # a sample mean has standard deviation sigma/sqrt n, an entry of a sample covariance
    # sqrt((s_i^2 s_j^2 + C_ij^2)/n); five of them are exceeded once in 1.7 million
    assert ((z.mean(0) - mu).abs() < 5 * sigma / n**0.5).all()
    exact = torch.diag(sigma.square())
    bound = 5 * ((sigma.square()[:, None] * sigma.square() + exact.square()) / n).sqrt()
    assert ((torch.cov(z.T) - exact).abs() < bound).all()


# --- the two halves of KL


@given(properties.tensors(2))
def test_kl_is_torchs_kl_and_the_sum_of_its_halves(pair):
    mu, log_var = pair
    kl = gaussians.kl_to_standard_normal(mu, log_var)
    prior = torch_normal(torch.zeros_like(mu), torch.zeros_like(mu))
    properties.close(kl, kl_divergence(torch_normal(mu, log_var), prior))
    properties.close(kl, gaussians.kl_pull(mu) + gaussians.kl_barrier(log_var))


@given(properties.tensors(1))
def test_pull_is_half_the_squared_distance_to_the_origin(single):
    properties.close(gaussians.kl_pull(single[0]), 0.5 * torch.linalg.vector_norm(single[0], dim=-1) ** 2)


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=2, max_side=4), elements=st.floats(-50, 50)))
def test_barrier_is_never_negative(values):
    assert (gaussians.kl_barrier(torch.from_numpy(values)) >= 0).all()


@given(st.floats(-50, 50).filter(lambda v: abs(v) > 1e-7))
def test_barrier_is_zero_only_at_radius_one(value):
    assert gaussians.kl_barrier(torch.zeros(4, dtype=torch.float64)).item() == 0.0
    assert gaussians.kl_barrier(torch.tensor([0.0, value], dtype=torch.float64)).item() > 0.0


def test_barrier_keeps_its_digits_near_radius_one():
    x = torch.tensor([[1e-6], [-1e-6]], dtype=torch.float64)
    series = (x**2 / 4 + x**3 / 12).squeeze(-1)
    properties.close(gaussians.kl_barrier(x), series, rtol=1e-8, atol=0.0)


def test_barrier_grows_without_bound_as_a_radius_vanishes():
    log_var = -torch.logspace(0, 4, 5, dtype=torch.float64)[:, None]
    price = gaussians.kl_barrier(log_var)
    properties.close(price[-1], torch.tensor(0.5 * (1e4 - 1), dtype=torch.float64))
    assert (price.diff() > 0).all()


# --- density, entropy, volume


@given(properties.tensors(3))
def test_log_prob_is_torchs(triple):
    z, mu, log_var = triple
    properties.close(gaussians.log_prob(z, mu, log_var), torch_normal(mu, log_var).log_prob(z), rtol=1e-9)


def test_log_prob_broadcasts_points_against_balls():
    z, mu, log_var = (
        properties.random_tensors(1, (5, 1, 2))[0],
        *properties.random_tensors(2, (3, 2), seed=1),
    )
    table = gaussians.log_prob(z, mu, log_var)
    assert table.shape == (5, 3)
    properties.close(table[4, 1], gaussians.log_prob(z[4, 0], mu[1], log_var[1]))


@given(properties.tensors(1))
def test_entropy_is_torchs_and_minus_the_mean_log_density(single):
    (log_var,) = single
    entropy, mu = gaussians.entropy(log_var), torch.zeros_like(log_var)
    properties.close(entropy, torch_normal(mu, log_var).entropy())
    # -E log q(z) = -log q(mu) + d/2, since the mean squared Mahalanobis distance is d
    properties.close(entropy, -gaussians.log_prob(mu, mu, log_var) + 0.5 * log_var.shape[-1])


@pytest.mark.parametrize(
    ("radii", "volume"),
    [
        ([0.7], 2 * 0.7),
        ([2.0, 0.5], math.pi),
        ([1.0, 2.0, 3.0], 8 * math.pi),
        ([2.0] * 4, 16 * math.pi**2 / 2),
    ],
)
def test_volume_of_ellipsoids_known_from_school(radii, volume):
    log_var = 2 * torch.tensor(radii, dtype=torch.float64).log()
    assert gaussians.log_volume(log_var).exp().item() == pytest.approx(volume, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 7, 30, 200])
def test_unit_balls_obey_the_two_step_recursion(d):
    """V_{d+2} = V_d 2 pi / (d + 2)."""
    here, there = (gaussians.log_volume(torch.zeros(k, dtype=torch.float64)).item() for k in (d, d + 2))
    assert there - here == pytest.approx(math.log(2 * math.pi / (d + 2)), rel=1e-10)


# --- overlap


@pytest.mark.parametrize(
    ("mu_a", "sigma_a", "mu_b", "sigma_b"), [(0, 1, 0, 1), (0, 1, 2, 1), (-1, 0.3, 1, 2), (0, 0.1, 0, 3)]
)
def test_overlap_is_the_integral_of_the_root_of_the_product(mu_a, sigma_a, mu_b, sigma_b):
    def root(z):
        return math.sqrt(norm.pdf(z, mu_a, sigma_a) * norm.pdf(z, mu_b, sigma_b))

    integral, error = quad(root, -20, 20, points=[mu_a, mu_b], limit=200, epsabs=1e-12)
    a, b = (torch.tensor([float(m)], dtype=torch.float64) for m in (mu_a, mu_b))
    va, vb = (torch.tensor([2 * math.log(s)], dtype=torch.float64) for s in (sigma_a, sigma_b))
    assert error < 1e-7
    assert math.exp(-gaussians.bhattacharyya(a, va, b, vb).item()) == pytest.approx(integral, abs=1e-7)


@given(properties.tensors(4))
def test_bhattacharyya_is_a_symmetric_divergence(four):
    mu_a, log_var_a, mu_b, log_var_b = four
    forth = gaussians.bhattacharyya(mu_a, log_var_a, mu_b, log_var_b)
    properties.close(forth, gaussians.bhattacharyya(mu_b, log_var_b, mu_a, log_var_a))
    assert (forth >= -1e-12).all()
    properties.close(gaussians.bhattacharyya(mu_a, log_var_a, mu_a, log_var_a), torch.zeros_like(forth))
    # axes are independent, so the distance adds up over them
    one_by_one = gaussians.bhattacharyya(*(t.unsqueeze(-1) for t in four)).sum(-1)
    properties.close(forth, one_by_one)


def test_bhattacharyya_of_all_pairs():
    mu, log_var = properties.random_tensors(2, (4, 3))
    table = gaussians.bhattacharyya(mu[:, None], log_var[:, None], mu, log_var)
    assert table.shape == (4, 4)
    properties.close(table, table.T)
    properties.close(table[1, 3], gaussians.bhattacharyya(mu[1], log_var[1], mu[3], log_var[3]))


# --- many balls


@pytest.fixture
def world():
    """Seven points and four balls in three dimensions."""
    return *properties.random_tensors(1, (7, 3), seed=2), *properties.random_tensors(2, (4, 3), seed=3)


def test_mixture_is_torchs(world):
    z, mu, log_var = world
    oracle = MixtureSameFamily(Categorical(torch.ones(4).double()), torch_normal(mu, log_var))
    properties.close(gaussians.log_prob_mixture(z, mu, log_var), oracle.log_prob(z))


def test_mixture_of_one_ball_is_that_ball(world):
    z, mu, log_var = world
    properties.close(
        gaussians.log_prob_mixture(z, mu[:1], log_var[:1]), gaussians.log_prob(z, mu[0], log_var[0])
    )


@pytest.mark.parametrize("budget", [1, 300, 1000])
def test_chunks_do_not_change_the_mixture(world, monkeypatch, budget):
    whole = gaussians.log_prob_mixture(*world)
    monkeypatch.setattr(gaussians, "chunks", functools.partial(chunks, budget=budget))
    properties.close(gaussians.log_prob_mixture(*world), whole)


@pytest.mark.parametrize("batch", [(), (0,), (2, 3), (2, 0, 3)])
def test_many_ball_functions_take_any_batch_of_points(world, batch):
    _, mu, log_var = world
    (z,) = properties.random_tensors(1, (*batch, 3))
    assert gaussians.log_prob_mixture(z, mu, log_var).shape == batch
    assert gaussians.responsibilities(z, mu, log_var).shape == (*batch, 4)


def test_responsibilities_are_bayes_rule(world):
    z, mu, log_var = world
    weights = gaussians.responsibilities(z, mu, log_var)
    pairs = zip(mu.numpy(), log_var.exp().numpy(), strict=True)
    densities = np.stack([multivariate_normal(m, np.diag(v)).pdf(z) for m, v in pairs], axis=-1)
    properties.close(weights, torch.from_numpy(densities / densities.sum(-1, keepdims=True)))
    properties.close(weights.sum(-1), torch.ones(7, dtype=torch.float64))


def test_far_points_still_belong_somewhere():
    mu, log_var = torch.tensor([[0.0, 0.0], [1.0, 0.0]]), torch.full((2, 2), -6.0)
    z = torch.tensor([[1000.0, 0.0]])
    properties.close(gaussians.responsibilities(z, mu, log_var), torch.tensor([[0.0, 1.0]]))
    expected = norm.logpdf(1000, 1, math.exp(-3)) + norm.logpdf(0, 0, math.exp(-3)) - math.log(2)
    assert gaussians.log_prob_mixture(z, mu, log_var).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("function", [gaussians.log_prob_mixture, gaussians.responsibilities])
def test_many_ball_functions_obey_the_general_laws(function, world):
    properties.follows_dtype(function, *world)
    properties.has_right_gradient(function, *world)
    properties.leaves_inputs_alone(function, *world)
    properties.ignores_axis_order(function, *world)


# --- errors

ONE, TWO = torch.zeros(5, 1), torch.zeros(5, 2)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gaussians.reparameterize(TWO, TWO, ONE), ("eps", "mu's shape (5, 2)", "(5, 1)")),
        (lambda: gaussians.reparameterize(TWO, ONE, TWO), ("log_var", "mu's shape (5, 2)", "(5, 1)")),
        (lambda: gaussians.kl_to_standard_normal(TWO, ONE), ("log_var", "mu's shape (5, 2)", "(5, 1)")),
        (lambda: gaussians.log_prob(TWO, TWO, ONE), ("z, mu, log_var", "same d", "(5, 1)")),
        (lambda: gaussians.log_prob(TWO, TWO[:3], TWO[:3]), ("z, mu, log_var", "broadcast", "(3, 2)")),
        (lambda: gaussians.bhattacharyya(TWO, ONE, TWO, TWO), ("log_var_a", "mu_a's shape (5, 2)", "(5, 1)")),
        (lambda: gaussians.bhattacharyya(TWO, TWO, TWO, ONE), ("log_var_b", "mu_b's shape (5, 2)", "(5, 1)")),
        (lambda: gaussians.bhattacharyya(TWO, TWO, ONE, ONE), ("mu_a, mu_b", "same d", "(5, 1)")),
        (lambda: gaussians.log_prob_mixture(TWO, ONE, ONE), ("mu", "[n, d]", "(5, 1)", "(5, 2)")),
        (lambda: gaussians.log_prob_mixture(TWO, TWO[:0], TWO[:0]), ("mu", "at least 1", "(0, 2)")),
        (lambda: gaussians.log_prob_mixture(TWO, TWO, TWO[:3]), ("log_var", "mu's shape (5, 2)", "(3, 2)")),
        (lambda: gaussians.responsibilities(TWO, TWO[0], TWO[0]), ("mu", "[n, d]", "(2,)")),
    ],
)
def test_wrong_shapes_are_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)
