"""Balls whose log variances come in another dtype than their centers: converted first, and then checked."""

import re

import properties
import pytest
import torch

import riemvae_core as rc
from riemvae_core.laws import baselines
from riemvae_core.laws.law import held_log_var

MU = properties.random_tensors(1, (80, 2), dtype=torch.float32)[0]
KINDS = ("aggregate posterior", "ball", "uniform", "power", "averaged", "gaussian", "kernel", "two-stage")
SMALL = {"epochs": 1, "width": 4}
SAMPLERS = {
    "gaussian": lambda mu, log_var, g: baselines.sample_gaussian(mu, 5, log_var, g),
    "aggregate": lambda mu, log_var, g: baselines.sample_aggregate_posterior(mu, log_var, 5, g),
    "mixture": lambda mu, log_var, g: baselines.sample_mixture(mu, 5, 2, log_var, g),
    "two-stage": lambda mu, log_var, g: baselines.sample_two_stage(mu, log_var, 5, g, **SMALL),
}
pytestmark = pytest.mark.usefixtures("no_hook")


def drawn(log_var, kind, mu=MU):
    widths = SMALL if kind == "two-stage" else None
    return rc.fit_law(mu, log_var, kind, widths=widths).sample(5, rc.make_generator(0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [-300.0, 100.0, 200.0, 300.0, 1e300])
def test_a_law_refuses_variances_beyond_the_dtype_of_the_codes(kind, value):
    log_var = torch.full((80, 2), -2.0, dtype=torch.float64)
    log_var[7, 1] = value
    words = (
        f"log_var must be within 88.7 of 0, .* torch.float32 .*, got {value:g} in row 7 (1 of 80 rows hold"
    )
    with pytest.raises(ValueError, match=re.escape(words).replace(r"\.\*", ".*")):
        drawn(log_var, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_law_takes_what_the_dtype_of_the_codes_holds(kind):
    """Half precision's own exp(12) is infinite, and float64 is no other number where single holds it."""
    found = [
        drawn(torch.full((80, 2), -12.0, dtype=t), kind) for t in (torch.half, torch.double, torch.float)
    ]
    assert all(z.dtype == torch.float32 for z in found)
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[2])


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_draw_in_the_dtype_of_the_centers(name):
    sample = SAMPLERS[name]
    found = [sample(MU, torch.full((80, 2), -300.0, dtype=t), rc.make_generator(0)) for t in (
        torch.half, torch.double, torch.float)]  # fmt: skip
    assert all(z.dtype == torch.float32 for z in found)
    assert torch.isfinite(found[0]).all()
    assert torch.equal(found[0], found[2])
    assert torch.equal(found[1], found[2])
    for dtype, limit, came in ((torch.float32, 88.7, 200), (torch.float16, 11.1, 12)):
        log_var = torch.full((80, 2), -2.0, dtype=torch.float64)
        log_var[7, 1] = came
        with pytest.raises(
            ValueError, match=f"log_var must be at most {limit}, .* {dtype} .*, got {came} in row 7"
        ):
            sample(MU.to(dtype), log_var, rc.make_generator(0))


def test_precisions_ask_for_more_than_variances():
    low = torch.full_like(MU, -100.0).double()
    assert torch.equal(held_log_var(MU, low), low.float())
    with pytest.raises(
        ValueError, match=r"log_var must be within 88.7 of 0, .*got -100 in row 0 \(80 of 80 rows"
    ):
        held_log_var(MU, low, precise=True)


@pytest.mark.parametrize("name", SAMPLERS)
def test_samplers_in_half_precision(name):
    """Two thousand numbers are all that half precision draws between 0 and 1, and an axis may be constant."""
    mu = torch.cat([MU, 1 + 1e-3 * MU[:, :1]], 1).half()
    z = SAMPLERS[name](mu, torch.full_like(mu, -8.0), rc.make_generator(0))
    assert z.dtype == torch.float16
    assert torch.isfinite(z).all()


def test_every_ball_of_many_is_drawn_in_half_precision():
    n = 70_000
    mu = torch.linspace(-1, 1, n)[:, None].half()
    z = baselines.sample_aggregate_posterior(mu, torch.full_like(mu, -30.0), n, rc.make_generator(0))
    assert len(z.unique()) > 0.8 * len(mu.unique()) > 2048


@pytest.mark.parametrize("kind", ["gaussian", "uniform"])
def test_codes_held_out_must_fit_the_dtype_too(kind):
    held = torch.tensor([[0.0, 0.0], [1e300, 0.0]], dtype=torch.float64)
    with pytest.raises(
        ValueError, match=r"held_out must be within the range of torch.float32.*got 1e\+300 in row 1"
    ):
        rc.fit_law(MU, torch.zeros_like(MU), kind, held_out=held)


@pytest.mark.parametrize("value", [-104.0, -689.0])
def test_a_metric_of_variances_that_single_precision_rounds_to_0(value):
    """Their mean is taken in double: lambda and tau are those of the same balls in float64."""
    single, double = (rc.PosteriorMetric.fit(MU.to(t), torch.full((80, 2), value, dtype=t)) for t in (
        torch.float32, torch.float64))  # fmt: skip
    assert (single.rho, single.lam, single.tau) == pytest.approx(
        (double.rho, double.lam, double.tau), rel=1e-5
    )


def test_a_rho_whose_square_is_no_number_is_named():
    for rho in (1e-170, 1e170):
        for metric in (
            lambda r: rc.PosteriorMetric(MU, MU, r, 0.0, 0.0),
            lambda r: rc.PosteriorMetric.fit(MU, MU, rho=r),
        ):
            with pytest.raises(ValueError, match="rho must be from 1e-150 to 1e150"):
                metric(rho)
    with pytest.raises(FloatingPointError, match="log_volume is"):  # as 1 / rho^2 is beyond float32
        rc.PosteriorMetric(MU, MU, 1e-25, 0.0, 0.0).log_volume(MU + 1.0)
