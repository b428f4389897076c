"""Laws of the metric's volume: their formulas in numpy, what copies weigh, draws that are kept by chance."""

import math

import numpy as np
import properties
import pytest
import torch
from scipy.stats import kstest

import riemvae_core as rc
from riemvae_core.laws import fit_law, law, volumes

KINDS = ["uniform", "power", "averaged"]


def balls(n=150, d=4, seed=0):
    mu, log_var = properties.random_tensors(2, (n, d), seed)
    return mu, 0.3 * log_var - 1.0


def some_codes(n=150, d=4):
    return law.Codes(*balls(n, d), None, rc.make_generator(0))


def numpys(codes, z, rho):
    """Weights of the balls at points and the metric's diagonal there, from the definitions."""
    mu, precision = codes.mu.numpy(), np.exp(-codes.log_var.numpy())
    squares = (np.square(z.numpy()[:, None] - mu) * precision).sum(2)
    weights = np.exp(-squares / rho**2)
    return weights, weights @ precision


def test_the_power_is_the_geometric_mean_of_the_metrics_diagonal():
    codes = some_codes()
    one = fit_law(codes.mu, codes.log_var, "power", widths={"h": 0.8})
    z = one.sample(400, rc.make_generator(0))
    _, diagonal = numpys(codes, z, 0.8 * 2**0.5)
    expected = torch.from_numpy(np.log(diagonal).mean(1))
    off = one.log_prob(z) - expected
    properties.close(off, off.mean().expand(400), rtol=1e-6)  # all but the normalizer


def kept(codes, widths):
    """The share of proposals for a power that are draws of it."""
    one = volumes._power(codes, widths, 4000)
    return math.exp(one.log_mean - one.log_bound)


def test_units_of_the_axes_play_no_part_in_the_power():
    codes = some_codes(d=3)
    unit = codes.mu.new_tensor([1e-4, 1.0, 1e4])
    scaled = codes._replace(mu=codes.mu * unit, log_var=codes.log_var + 2 * unit.log())
    widths, z = {"h": 0.8}, codes.mu[:40] + 0.1
    one, other = (fit_law(c.mu, c.log_var, "power", widths=widths) for c in (codes, scaled))
    properties.close(other.log_prob(z * unit) + unit.log().sum(), one.log_prob(z), rtol=1e-6)
    properties.close(other.sample(100, rc.make_generator(0)) / unit, one.sample(100, rc.make_generator(0)))
    assert kept(codes, widths) > 0.3
    assert kept(scaled, widths) == pytest.approx(kept(codes, widths))
    mu, log_var = balls(d=16)
    log_var[:, :2] -= 10.0  # used axes beside idle ones, as in most VAEs
    mu[:, 2:] *= 0.01
    wide = codes._replace(mu=mu, log_var=log_var)
    assert kept(wide, {"h": 1.0}) > 0.3


def test_the_power_is_a_density_and_has_the_moments_of_its_draws_where_axes_differ():
    mu, log_var = balls(60, 2)
    unit = mu.new_tensor([0.01, 100.0])
    one = fit_law(mu * unit, log_var + 2 * unit.log(), "power", widths={"h": 1.0})
    x = torch.linspace(-9.0, 9.0, 400, dtype=torch.float64, device="cpu")
    grid = torch.cartesian_prod(x, x) * unit
    logs = one.log_prob(grid)
    assert torch.logsumexp(logs, 0).exp().item() * (x[1] - x[0]).item() ** 2 == pytest.approx(1.0, abs=5e-3)
    weights, z = torch.softmax(logs, 0), one.sample(20_000, rc.make_generator(3)) / unit
    for power in (lambda v: v, torch.square, lambda v: v[:, :1] * v[:, 1:]):
        mean = weights @ power(grid / unit)
        error = (weights @ power(grid / unit).square() - mean.square()).sqrt() / 20_000**0.5
        assert ((power(z).mean(0) - mean).abs() < 5 * error + 1e-3).all()


def test_the_averaged_metric_is_the_mean_precision_and_copies_leave_it_alone():
    codes = some_codes()
    z = codes.mu[:50] + 0.1
    weights, diagonal = numpys(codes, z, 0.7 * 4**0.5)
    expected = torch.from_numpy(0.5 * np.log(diagonal / weights.sum(1, keepdims=True)).sum(1))
    properties.close(volumes.log_averaged(codes, 0.7)(z), expected, rtol=1e-8)
    twice = codes._replace(
        mu=torch.cat([codes.mu, codes.mu]), log_var=torch.cat([codes.log_var, codes.log_var])
    )
    properties.close(volumes.log_averaged(twice, 0.7)(z), expected, rtol=1e-8)
    widths = {"h": 0.7, "alpha": 0.3, "floor": -5.0}
    one = fit_law(codes.mu, codes.log_var, "averaged", widths=widths)
    q = fit_law(codes.mu, codes.log_var, "ball", widths={"h": 0.7}).log_prob(z)
    off = one.log_prob(z) - torch.where(q >= -5.0, 0.7 * q + 0.3 * expected, -math.inf)
    inside = off[q >= -5.0]
    assert 5 < len(inside) < 50
    properties.close(inside, inside.mean().expand_as(inside), rtol=1e-8)
    assert (one.log_prob(z)[q < -5.0] == -math.inf).all()


@pytest.mark.parametrize(("kind", "times"), [("power", 3.0), ("uniform", 3.0**2)])
def test_three_balls_on_a_spot_weigh_three_in_the_power_and_nine_in_the_volume(kind, times):
    mu = 100.0 * torch.arange(12, dtype=torch.float64, device="cpu")[:, None].expand(12, 4).contiguous()
    mu[1:3] = mu[0] + mu.new_tensor([[1e-7], [2e-7]])  # near copies: equal rows would count once
    one = fit_law(mu, torch.zeros_like(mu), kind, widths={"h": 1.0})
    at = one.log_prob(torch.stack([mu[0], mu[5]]))
    assert (at[0] - at[1]).exp().item() == pytest.approx(times, rel=0.01)
    z = one.sample(4000, rc.make_generator(1))
    here, there = ((z - mu[k]).norm(dim=1) < 20.0 for k in (0, 5))
    assert here.double().mean().item() / there.double().mean().item() == pytest.approx(times, rel=0.3)


@pytest.mark.parametrize("kind", KINDS)
def test_sampler_and_density_are_one_law_at_d_16(kind):
    """The mean of a known density over the law's, at draws from the law, is 1."""
    mu, log_var = balls(200, 16)
    mu = 3.0 * mu  # nearly apart: what crowds weigh more than their share would drown the mean
    widths = {"h": 0.7} | ({"alpha": 0.05, "floor": -60.0} if kind == "averaged" else {})
    one = fit_law(mu, log_var, kind, widths=widths)
    other = fit_law(mu, log_var, "ball", widths={"h": 0.63})
    z = one.sample(3000, rc.make_generator(5))
    ratio = (other.log_prob(z) - one.log_prob(z)).exp()
    assert abs(ratio.mean().item() - 1.0) < 5 * ratio.std().item() / 3000**0.5 + 0.02
    assert ratio.std() < 4.0


@pytest.mark.parametrize("kind", ["uniform", "power"])
def test_no_other_width_gives_held_out_codes_more(kind):
    (mu, log_var), (held, _) = balls(150, 3), balls(100, 3, seed=1)
    one = fit_law(mu, log_var, kind, held_out=held)
    best = one.log_prob(held).mean().item()
    assert best == pytest.approx(one.held_out_log_prob, abs=0.05)
    for factor in (0.7, 1.4):
        assert (
            fit_law(mu, log_var, kind, held, widths={"h": factor * one.widths["h"]}).held_out_log_prob < best
        )


def test_the_share_of_the_averaged_metric_is_the_likeliest():
    (mu, log_var), (held, _) = balls(150, 3), balls(100, 3, seed=1)
    one = fit_law(mu, log_var, "averaged", held_out=held)
    values = {widths["alpha"]: value for widths, value in one.tried}
    assert len(values) > 2
    assert one.widths["alpha"] == max(values, key=values.get)
    assert torch.isfinite(one.log_prob(held)).all()


def test_new_codes_may_lie_beyond_the_averaged_laws_cut_and_what_was_held_out_never_does():
    """So its number is no estimate of what new codes get."""
    (mu, log_var), (held, _), (new, _) = balls(100, 3), balls(40, 3, seed=1), balls(4000, 3, seed=2)
    one = fit_law(mu, log_var, "averaged", held_out=held)
    assert math.isfinite(one.held_out_log_prob)
    beyond = one.log_prob(new) == -math.inf
    assert 0 < beyond.sum() < 0.1 * len(new)


def test_a_volume_that_no_sampler_knows_gives_draws_and_no_density(monkeypatch):
    found = volumes.sample_by_importance
    monkeypatch.setattr(volumes, "sample_by_importance", lambda *a: found(*a)._replace(converged=False))
    known = volumes.sample_uniform
    monkeypatch.setattr(volumes, "sample_uniform", lambda *a: known(*a)._replace(converged=False))
    one = fit_law(*balls(60, 2), "uniform")
    assert one.widths == {"h": 1.0}
    assert math.isnan(one.held_out_log_prob)
    assert one.sample(3, rc.make_generator(0)).shape == (3, 2)
    with pytest.raises(rc.NoDensityError):
        one.log_prob(balls(3, 2)[0])


def test_thinning_a_uniform_law_gives_a_triangle():
    def draw(n, generator):
        return torch.rand((n, 1), generator=generator, dtype=torch.float64, device="cpu")

    even = law.Parts(draw, lambda z: torch.zeros_like(z[:, 0]))
    one = volumes.thinned(even, lambda z: z[:, 0].log(), 40_000)
    assert isinstance(one, volumes.Thinned)
    assert one.log_mean == pytest.approx(math.log(0.5), abs=0.02)
    z = one.sample(3000, rc.make_generator(1))
    assert kstest(z[:, 0].numpy(), lambda t: t**2).pvalue > 1e-3
    properties.close(one.log_prob(z), z[:, 0].log() - one.log_mean)
    assert volumes.enough(some_codes(10, 2)) == volumes.MANY
    assert volumes.enough(some_codes(5000, 20)) == volumes.FEW
