"""The Python side of chapter 0's figure: closed prices against integrals, what a kernel reads and sets."""

import json
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch.distributions import Normal, kl_divergence

from riemvae_core.figures.widgets import bound
from riemvae_core.figures.widgets.bound_figure import (
    CURVE,
    FRAME,
    OBSERVED,
    Bound,
    best,
    log_joint,
    parts,
    split_price,
    surprisal,
)
from riemvae_core.figures.widgets.host import StaticFigure

QS = [(0.0, 0.0), (1.2, -3.0), (-0.7, 1.5)]
NOISE = 1 / math.sqrt(2 * math.pi)


def g(z):
    return CURVE[0] * z**2 + CURVE[1] * z


def joint(x: float, z: torch.Tensor) -> torch.Tensor:
    """The log of prior times likelihood, by torch's own laws."""
    return Normal(0.0, 1.0).log_prob(z) + Normal(g(z), NOISE).log_prob(torch.tensor(x, dtype=torch.float64))


@pytest.mark.parametrize("x", OBSERVED)
def test_the_floor_is_minus_the_log_of_the_integral(x):
    evidence, _ = quad(lambda z: joint(x, torch.tensor(z)).exp().item(), -8, 8, limit=400)
    assert surprisal(x) == pytest.approx(-math.log(evidence), abs=1e-7)


@pytest.mark.parametrize(("mu", "log_var"), QS)
@pytest.mark.parametrize("x", OBSERVED)
def test_the_price_is_that_of_the_draws(x, mu, log_var):
    """Error and KL by quadrature and by torch; the price is minus the mean log ratio of joint and q."""
    q = Normal(torch.tensor(mu, dtype=torch.float64), math.exp(0.5 * log_var))
    found = parts(x, mu, log_var)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    z = q.mean + q.stddev * torch.from_numpy(nodes)
    weights = torch.from_numpy(weights / weights.sum())
    error = (weights * (g(z) - x).square()).sum() / (2 * NOISE**2)
    assert found["reconstruction"] == pytest.approx(error.item(), abs=1e-9)
    assert found["kl"] == pytest.approx(kl_divergence(q, Normal(0.0, 1.0)).item(), abs=1e-9)
    ratio = joint(x, z) - q.log_prob(z)
    assert found["price"] == pytest.approx(-(weights * ratio).sum().item(), abs=1e-6)


@pytest.mark.parametrize(("mu", "log_var"), QS)
@pytest.mark.parametrize("x", OBSERVED)
def test_the_gap_is_the_divergence_from_the_true_posterior(x, mu, log_var):
    z = torch.linspace(-30, 30, 200_001, dtype=torch.float64)
    q = Normal(torch.tensor(mu, dtype=torch.float64), math.exp(0.5 * log_var)).log_prob(z)
    gap = (q.exp() * (q - log_joint(x, z) - surprisal(x))).sum() * (60 / 200_000)
    assert parts(x, mu, log_var)["gap"] == pytest.approx(gap.item(), abs=1e-6)
    assert gap > 0


def test_the_best_q_is_a_minimum_and_sits_on_one_of_two_hills():
    for x in OBSERVED:
        at = best(x)
        here = parts(x, **at)["price"]
        for step in ((0.02, 0.0), (-0.02, 0.0), (0.0, 0.04), (0.0, -0.04)):
            there = split_price(x, torch.tensor(at["mu"] + step[0]), torch.tensor(at["log_var"] + step[1]))
            assert there["price"] > here
    assert parts(OBSERVED[0], **best(OBSERVED[0]))["gap"] < 0.05
    assert parts(OBSERVED[-1], **best(OBSERVED[-1]))["gap"] > 0.4
    assert best(OBSERVED[-1])["mu"] > 1


def test_a_kernel_sets_q_and_reads_its_price(in_a_notebook):
    figure, seen = bound(see="Here.", try_this="There."), []
    assert isinstance(figure, Bound)
    figure.observe(lambda change: seen.append(change["new"]), "parts")
    figure.x, figure.mu, figure.log_var = 0.6, 0.5, -1.0
    assert figure.parts == seen[-1] == parts(0.6, 0.5, -1.0)
    state = figure.get_state()
    assert set(state["_assets"]) == {"cividis"}
    assert json.dumps(state["_props"])
    assert state["_esm"].endswith("export default { render };\n")


def test_wrong_values_are_named(in_a_notebook):
    figure = bound()
    with pytest.raises(ValueError, match=r"x must be one of 0\.0, 0\.6, 1\.6, got 0\.5"):
        figure.x = 0.5
    with pytest.raises(ValueError, match=r"mu must be between -2\.5 and 2\.5, got 3"):
        figure.mu = 3.0
    with pytest.raises(ValueError, match=r"log_var must be between -7 and 3, got -8"):
        figure.log_var = -8.0
    assert FRAME["half"] == 2.5


def test_in_a_book_it_is_a_picture_with_its_numbers(in_a_book):
    figure = bound(see="Here.", try_this="There.")
    assert isinstance(figure, StaticFigure)
    html, now = figure._repr_html_(), parts(OBSERVED[-1], **best(OBSERVED[-1]))
    for label, name in (("−log p(x)", "surprisal"), ("gap", "gap"), ("price", "price")):
        assert f"{label} {now[name]:.2f}" in html, name
    assert html.count("<polyline") == 2
