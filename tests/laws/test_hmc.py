"""Hamiltonian Monte Carlo: reversible, volume preserving, second order, right about laws that are known."""

import math
from itertools import pairwise

import properties
import pytest
import torch
from scipy.stats import chi2, kstest

from riemvae_core.laws import hmc
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator, standard_normal


def posterior_metric(n=6, d=3, seed=0, dtype=torch.float64):
    mu, log_var = properties.random_tensors(2, (n, d), seed=seed, dtype=dtype)
    return PosteriorMetric(mu, 0.5 * log_var - 1.0, rho=1.5, lam=0.3, tau=0.1)


def gaussian(variance):
    """The target N(0, diag variance) up to a constant."""

    def target(z):
        return -0.5 * (z.square() / variance).sum(-1), -z / variance

    return target


def energy(state, momentum):
    return -state.log_density + 0.5 * momentum.square().sum(-1)


def test_the_force_is_autograds_and_that_of_finite_differences():
    metric = posterior_metric()
    (z,) = properties.random_tensors(1, (5, 3), seed=3)
    state = hmc.evaluate_target(metric.log_volume_and_grad, z)
    leaf = z.clone().requires_grad_()
    (by_autograd,) = torch.autograd.grad(metric.log_volume(leaf).sum(), leaf)
    properties.close(state.gradient, by_autograd)
    h = 1e-5
    for k in range(3):
        e = torch.zeros(3, dtype=torch.float64, device="cpu")
        e[k] = h
        slope = (metric.log_volume(z + e) - metric.log_volume(z - e)) / (2 * h)
        properties.close(state.gradient[:, k], slope, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("scale", [1.0, torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)])
def test_leapfrog_there_and_back_ends_at_the_start(scale):
    target = posterior_metric().log_volume_and_grad
    z, momentum = properties.random_tensors(2, (7, 3), seed=1)
    start = hmc.evaluate_target(target, z)
    there, end = hmc.leapfrog(target, start, momentum, 0.1, 20, scale)
    assert ((there.z - z).abs() > 0.1).any()
    back, last = hmc.leapfrog(target, there, -end, 0.1, 20, scale)
    properties.close(back.z, z)
    properties.close(-last, momentum)


def test_leapfrog_keeps_volume():
    target = posterior_metric(d=2).log_volume_and_grad
    (x,) = properties.random_tensors(1, (4,), seed=2)

    def flow(x):
        state = hmc.evaluate_target(target, x[None, :2])
        there, end = hmc.leapfrog(target, state, x[None, 2:], 0.2, 5)
        return torch.cat([there.z, end], -1)[0]

    h, eye = 1e-5, torch.eye(4, dtype=torch.float64, device="cpu")
    columns = [(flow(x + h * e) - flow(x - h * e)) / (2 * h) for e in eye]
    properties.close(torch.linalg.det(torch.stack(columns)).abs(), torch.tensor(1.0).double(), rtol=1e-7)


def test_energy_error_is_of_second_order():
    target = posterior_metric().log_volume_and_grad
    z, momentum = properties.random_tensors(2, (50, 3), seed=4)
    start = hmc.evaluate_target(target, z)
    errors = []
    for n_steps in (8, 16, 32, 64):
        there, end = hmc.leapfrog(target, start, momentum, 1.0 / n_steps, n_steps)
        errors.append((energy(there, end) - energy(start, momentum)).abs().mean().item())
    orders = [math.log2(a / b) for a, b in pairwise(errors)]
    assert orders[-1] == pytest.approx(2.0, abs=0.05)
    assert errors[-1] < 1e-3


def test_a_path_that_explodes_is_given_up_and_rejected():
    target = gaussian(torch.full((2,), 1e-8, dtype=torch.float64))
    z, momentum = properties.random_tensors(2, (3, 2))
    start = hmc.evaluate_target(target, 1e-4 * z)
    there, _ = hmc.leapfrog(target, start, momentum, 1.0, 10)
    assert torch.isneginf(there.log_density).all()
    assert torch.isfinite(there.z).all()
    moved, probability = hmc.hmc_step(target, start, 1.0, 10, generator=make_generator(0))
    assert (probability == 0).all()
    assert torch.equal(moved.z, start.z)


def test_moves_leave_the_law_invariant_from_exact_starts():
    # starts from N(0, diag variance), then few coarse moves, many rejected: what comes out has the same law
    variance = torch.tensor([0.2, 1.0, 5.0], dtype=torch.float64)
    (eps,) = properties.random_tensors(1, (20_000, 3), seed=5)
    target, generator = gaussian(variance), make_generator(6)
    state = hmc.evaluate_target(target, eps * variance.sqrt())
    rejected = 0.0
    for _ in range(3):
        state, probability = hmc.hmc_step(target, state, 0.75, 3, generator=generator)
        rejected += 1 - probability.mean().item()
    assert rejected > 0.3
    for k in range(3):
        # 7 comparisons in all: below 1e-4 once in 1,400 seeds
        assert kstest(state.z[:, k] / variance[k].sqrt(), "norm").pvalue > 1e-4
    radius = (state.z.square() / variance).sum(-1)
    assert kstest(radius, chi2(3).cdf).pvalue > 1e-4
    # neither did the moves just stay
    assert (torch.corrcoef(torch.stack([state.z[:, 0], eps[:, 0]]))[0, 1]).abs() < 0.9


def test_dual_averaging_finds_the_step_that_is_accepted_as_wanted():
    # acceptance falls as exp(-step): 0.8 at step 0.2231
    size = hmc.StepSize.start(1.0)
    for _ in range(2000):
        size = size.updated(math.exp(-math.exp(size.log_step)))
    assert math.exp(size.log_mean) == pytest.approx(-math.log(0.8), rel=0.02)


def test_chains_have_the_moments_of_the_law_and_say_what_they_accepted():
    variance = torch.tensor([0.01, 1.0], dtype=torch.float64)
    (start,) = properties.random_tensors(1, (16, 2), seed=7)
    chains = hmc.run_chains(
        gaussian(variance), start, 400, warm_up=200, scale=variance.sqrt(), generator=make_generator(8)
    )
    assert chains.z.shape == (16, 400, 2)
    assert chains.log_density.shape == (16, 400)
    assert 0.7 < chains.acceptance < 0.9
    flat = chains.z.flatten(0, 1) / variance.sqrt()
    # at worst every third draw is worth one: the mean's deviation is below sqrt(3/6400) = 0.022, that of the
    # variance below sqrt(2) times as much
    assert (flat.mean(0).abs() < 5 * 0.022).all()
    assert ((flat.var(0) - 1).abs() < 5 * 0.031).all()
    properties.close(chains.log_density, gaussian(variance)(chains.z)[0])


def test_a_value_that_is_not_finite_is_an_error_that_says_where():
    def broken(z):
        return torch.full_like(z[:, 0], torch.nan), z

    (start,) = properties.random_tensors(1, (4, 2))
    with pytest.raises(FloatingPointError, match="log_volume is nan") as error:
        hmc.run_chains(broken, start, 10, name="log_volume")
    properties.message_names(error.value, start[0].tolist())


@pytest.mark.usefixtures("no_hook")
def test_bad_input_is_named():
    (start,) = properties.random_tensors(1, (4, 2))
    with pytest.raises(ValueError, match="draws must be a whole number of at least 1") as error:
        hmc.run_chains(gaussian(1.0), start, 0)
    properties.message_names(error.value, 0)
    with pytest.raises(ValueError, match="step must be positive and finite, got 0"):
        hmc.StepSize.start(0.0)


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_chains_live_where_they_start(dtype):
    metric = posterior_metric(dtype=dtype)
    (start,) = properties.random_tensors(1, (4, 3), dtype=dtype)
    chains = hmc.run_chains(metric.log_volume_and_grad, start, 5, 5, generator=make_generator(0))
    assert isinstance(chains, hmc.Chains)
    assert chains.z.device.type == "cpu"
    assert chains.z.dtype == chains.log_density.dtype == dtype
    assert isinstance(hmc.State(*[start] * 3), hmc.State)


def test_each_chain_has_a_step_of_its_own():
    """On a flat law a path is straight, as long as its momentum times its step, a draw from U(0.8, 1.2)."""

    def flat(z):
        return z.new_zeros(len(z)), torch.zeros_like(z)

    start = hmc.evaluate_target(flat, torch.zeros(2000, 1).double())
    moved, _ = hmc.hmc_step(flat, start, 0.1, 5, generator=make_generator(3))
    factor = moved.z / (0.5 * standard_normal((2000, 1), moved.z, make_generator(3)))
    assert kstest(factor[:, 0].numpy(), "uniform", args=(0.8, 0.4)).pvalue > 1e-3
