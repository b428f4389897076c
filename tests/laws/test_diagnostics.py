"""Diagnostics: processes whose autocorrelation is known, weights whose tail is, ratios that are."""

import math

import numpy as np
import properties
import pytest
import torch
from scipy.signal import lfilter

from riemvae_core.laws import diagnostics


def autoregressive(chains, draws, phi, seed=0):
    """Stationary chains x_t = phi x_(t-1) + noise with variance 1."""
    noise = np.random.default_rng(seed).standard_normal((chains, draws + 1))
    noise[:, 1:] *= math.sqrt(1 - phi**2)
    return torch.from_numpy(lfilter([1.0], [1.0, -phi], noise, axis=1)[:, 1:].copy())


# --- r-hat


def test_r_hat_is_its_formula():
    x = autoregressive(3, 20, 0.5)
    halves = np.concatenate([x[:, :10], x[:, 10:]])
    within, between = halves.var(axis=1, ddof=1).mean(), 10 * halves.mean(axis=1).var(ddof=1)
    expected = math.sqrt((0.9 * within + between / 10) / within)
    properties.close(diagnostics.split_r_hat(x), torch.tensor(expected, dtype=torch.float64))


def test_r_hat_is_one_where_chains_agree_and_large_where_they_do_not():
    x = autoregressive(8, 4000, 0.0)
    # r-hat squared exceeds 1 by about the variance of 16 means of 2000 draws, 1/2000
    assert abs(diagnostics.split_r_hat(x).item() - 1.0) < 1e-3
    apart = x + 3.0 * torch.arange(8, device="cpu")[:, None]
    exact = math.sqrt(1.0 + 9.0 * 2.0 * np.var(np.arange(8)) * 8 / 15)
    assert diagnostics.split_r_hat(apart).item() == pytest.approx(exact, rel=0.01)
    drifting = x + torch.linspace(0, 4, 4000, dtype=torch.float64, device="cpu")
    assert diagnostics.split_r_hat(drifting).item() > 1.2


def test_r_hat_of_chains_that_stand_still_is_infinite():
    still = torch.ones(4, 10, 2, device="cpu")
    assert torch.isinf(diagnostics.split_r_hat(still)).all()
    assert (diagnostics.effective_sample_size(still) < 40).all()


@pytest.mark.parametrize("value", [0.1, -3e5])
def test_rounding_is_no_movement(value):
    # the mean of equal numbers is not always that number
    still = torch.full((4, 37), value, dtype=torch.float64, device="cpu")
    assert torch.isinf(diagnostics.split_r_hat(still))
    assert diagnostics.effective_sample_size(still) == 1.0
    trembling = still * (1 + 1e-16 * autoregressive(4, 37, 0.0))
    assert torch.isinf(diagnostics.split_r_hat(trembling))


# --- effective sample size


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9, -0.5])
def test_ess_of_an_autoregressive_process(phi):
    chains, draws = 8, 5000
    x = torch.stack([autoregressive(chains, draws, phi, seed) for seed in range(2)], -1)
    exact = chains * draws * (1 - phi) / (1 + phi)
    ess = diagnostics.effective_sample_size(x)
    assert ess.shape == (2,)
    # the sum of autocorrelations has a relative error of about 2 sqrt(lags/draws): 60 lags of 40000 at worst
    assert ((ess / exact - 1).abs() < 0.15).all()


def test_ess_counts_little_where_chains_disagree():
    apart = autoregressive(4, 1000, 0.0) + 10.0 * torch.arange(4, device="cpu")[:, None]
    assert diagnostics.effective_sample_size(apart).item() < 10


# --- weights


def test_importance_ess_of_known_weights():
    log_w = torch.log(torch.tensor([1.0, 1.0, 2.0], device="cpu"))
    assert diagnostics.importance_ess(log_w) == pytest.approx(16 / 6, rel=1e-6)
    assert diagnostics.importance_ess(log_w + 500) == pytest.approx(16 / 6, rel=1e-4)


def test_importance_ess_of_a_shifted_normal():
    # from N(0, 1) to N(s, 1): E w^2 = exp(s^2)
    (x,) = properties.random_tensors(1, (200_000,))
    assert diagnostics.importance_ess(0.5 * x) / len(x) == pytest.approx(math.exp(-0.25), rel=0.02)


@pytest.mark.parametrize("k", [0.2, 0.5, 0.9])
def test_pareto_k_finds_the_tail(k):
    u = np.random.default_rng(0).random(100_000)
    found = diagnostics.pareto_k(torch.from_numpy(-k * np.log(u)))
    # 949 weights in the tail: the estimate's deviation is (1 + k)/sqrt(949), its prior pulls by 0.5%
    assert abs(found - k) < 3 * (1 + k) / math.sqrt(949)


def test_pareto_k_of_equal_weights_is_zero():
    assert diagnostics.pareto_k(torch.full((100,), -3.0, device="cpu")) == 0.0


# --- bridge


@pytest.mark.parametrize(("shift", "ratio"), [(0.5, 3.0), (2.0, -40.0)])
def test_bridge_finds_a_known_ratio_within_its_error(shift, ratio):
    # p = e^ratio N(shift, 1), q = N(0, 1)
    z = []
    for seed in range(30):
        x, y = properties.random_tensors(2, (2000,), seed=seed)

        def log_ratio(v):
            return ratio + shift * v - 0.5 * shift**2

        found = diagnostics.bridge_log_ratio(log_ratio(x + shift), log_ratio(y), 2000.0)
        z.append((found.value - ratio) / found.error)
    # 30 standardized errors: their mean square lies within 1 +- 4 sqrt(2/30)
    assert np.mean(np.square(z)) < 1 + 4 * math.sqrt(2 / 30)
    assert np.mean(np.square(z)) > 0.3
    assert abs(np.mean(z)) < 4 / math.sqrt(30)


def test_a_bridge_between_what_never_meets_claims_nothing():
    # each side gives the other nothing: the equation's solution creeps away
    ratio = diagnostics.bridge_log_ratio(
        torch.full((50,), 800.0, device="cpu"), torch.full((50,), -800.0, device="cpu"), 50.0
    )
    assert ratio.error > 1.0


# --- bad input


@pytest.mark.usefixtures("no_hook")
def test_bad_input_is_named():
    short = torch.zeros(2, 3, device="cpu")
    for function in (diagnostics.split_r_hat, diagnostics.effective_sample_size):
        with pytest.raises(ValueError, match="chains") as error:
            function(short)
        properties.message_names(error.value, "4 draws", [2, 3])
    with pytest.raises(ValueError, match="log_weights must be finite, got inf in row 1"):
        diagnostics.importance_ess(torch.tensor([0.0, torch.inf], device="cpu"))
    for bad in (torch.nan, torch.inf, -torch.inf):
        chains, weights = torch.zeros(3, 8, device="cpu"), torch.zeros(40, device="cpu")
        chains[2, 5] = weights[33] = bad
        for function in (diagnostics.split_r_hat, diagnostics.effective_sample_size):
            with pytest.raises(ValueError, match=r"chains must be finite, got .* in row 2"):
                function(chains)
        with pytest.raises(ValueError, match=r"log_weights must be finite, got .* in row 33"):
            diagnostics.pareto_k(weights)
        with pytest.raises(ValueError, match=r"at_target must be finite, got .* in row 33"):
            diagnostics.bridge_log_ratio(weights, torch.zeros(3, device="cpu"), 30.0)
        with pytest.raises(ValueError, match=r"at_proposal must be finite, got .* in row 33"):
            diagnostics.bridge_log_ratio(torch.zeros(3, device="cpu"), weights, 3.0)
    with pytest.raises(ValueError, match="25 weights or more, got 5"):
        diagnostics.pareto_k(torch.zeros(5, device="cpu"))
    with pytest.raises(ValueError, match=r"ess at least 1, got 3, 0, 3\.0"):
        diagnostics.bridge_log_ratio(torch.zeros(3, device="cpu"), torch.zeros(0, device="cpu"), 3.0)


@pytest.mark.parametrize(("n", "tail"), [(30, 6), (60, 12)])
def test_a_short_tail_is_pulled_to_one_half(n, tail):
    """Quantiles of an exponential law, of shape 0: the prior is worth ten weights of shape 1/2."""
    u = (torch.arange(n, dtype=torch.float64, device="cpu") + 0.5) / n
    k = diagnostics.pareto_k((-torch.log1p(-u)).log())
    assert ((tail + 10) * k - 5.0) / tail == pytest.approx(0.0, abs=0.1)
    assert 0.2 < k < 0.35


@pytest.mark.usefixtures("meta_by_default")
def test_diagnostics_make_nothing_on_a_default_device():
    x = autoregressive(4, 200, 0.3)
    assert torch.isfinite(diagnostics.split_r_hat(x))
    assert torch.isfinite(diagnostics.effective_sample_size(x))
    assert diagnostics.pareto_k(x.flatten()) < 1.5
    ratio = diagnostics.bridge_log_ratio(x[0], x[1], 100.0)
    assert isinstance(ratio, diagnostics.LogRatio)
    assert ratio.error > 0
