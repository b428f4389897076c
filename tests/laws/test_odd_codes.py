"""Laws of codes that few people mean to have: one far from all others, an axis on which nothing happens."""

import math
import re

import properties
import pytest
import torch

import riemvae_core as rc
from riemvae_core.laws import fit_law, law

KINDS = ["axes", "interpolation", "kernel", "flow"]


def two_scales(n=200, seed=0, dtype=torch.float64):
    """Codes whose second axis is a hundredth of the first."""
    mu = properties.random_tensors(1, (n, 2), seed)[0]
    return (mu * mu.new_tensor([1.0, 0.01])).to(dtype)


def constant(at, dtype=torch.float64, axes=(1,), n=120):
    mu = properties.random_tensors(1, (n, 3))[0].to(dtype)
    mu[:, list(axes)] = at
    return mu


# --- the deviation of an axis


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ordinary_codes_have_their_own_deviation_to_the_last_bit(dtype):
    for n in (8, 40, 500):
        mu = two_scales(n, dtype=dtype)
        for codes in (mu, mu.abs() ** 3, torch.cat([mu[: n // 2], mu[n // 2 :] + 1e4])):
            assert torch.equal(law.deviations(codes), codes.std(0))
            assert torch.equal(law.units(codes), codes.std(0))
            assert torch.equal(law.centers(codes), codes.mean(0))


@pytest.mark.parametrize("n", [8, 12, 39, 41, 500])
def test_a_far_code_does_not_own_the_deviation(n):
    mu = two_scales(n)
    for far in (1e4, -1e6, 1e150):
        odd = torch.cat([mu[1:], mu.new_tensor([[far, far]])])
        ratio = law.deviations(odd) / mu.std(0)
        assert (ratio > 0.3).all()
        assert (ratio < 3.0).all()
        assert (law.centers(odd).abs() < mu.std(0)).all()
    many = torch.cat([mu[: n // 2], mu[n // 2 :] + 1e4])  # no few codes: half of all
    assert (law.deviations(many) > 1e3).all()


def test_a_constant_axis_has_no_deviation_and_the_unit_1():
    mu = constant(0.1, torch.float32)
    assert law.deviations(mu)[1].item() == 0.0
    assert law.units(mu)[1].item() == 1.0
    spiked = torch.zeros(100, 1, dtype=torch.float64, device="cpu")
    spiked[3] = 1.0  # all inner codes in one place: no other scale is there
    assert law.deviations(spiked).item() == pytest.approx(spiked.std().item())


# --- what laws make of it


@pytest.mark.parametrize("kind", KINDS)
def test_one_far_code_leaves_the_law_of_the_others_alone(kind):
    mu, held = two_scales(90), two_scales(60, seed=1)
    odd = mu.clone()
    odd[7] = 1e5
    without, one = (fit_law(codes, kind=kind, held_out=held) for codes in (mu, odd))
    close = 0.5 if kind == "flow" else 0.05  # which trains on the far code too
    assert one.held_out_log_prob == pytest.approx(without.held_out_log_prob, abs=close)
    if "h" in one.widths:
        assert one.widths["h"] == pytest.approx(without.widths["h"], rel=0.2)
    z = one.sample(500, rc.make_generator(0))
    inner = z[z[:, 0].abs() < 100.0]
    assert len(inner) > 450
    assert inner[:, 1].std().item() < 0.02


@pytest.mark.parametrize("at", [0.5, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_axis_leaves_the_widths_of_the_others_alone(at, dtype):
    mu, rest = constant(at, dtype), constant(at, dtype)[:, [0, 2]]
    one, plane = fit_law(mu, kind="axes"), fit_law(rest, kind="axes")
    h = one.widths["h"]
    assert [h[0], h[2]] == pytest.approx(plane.widths["h"], rel=0.05)
    assert 0.0 < h[1] < 1e-3
    z = one.sample(100, rc.make_generator(0))
    assert (z[:, 1] - at).abs().max() < 1e-3
    assert math.isfinite(one.log_prob(z).sum().item())
    line = fit_law(constant(at, dtype, (0, 2)), kind="axes")  # one axis alone varies
    assert line.widths["h"][1] > 1e2 * max(line.widths["h"][0], line.widths["h"][2])


def test_held_out_codes_may_vary_where_all_others_are_one():
    mu, held = constant(0.5), properties.random_tensors(1, (60, 3), 1)[0]
    one = fit_law(mu, kind="axes", held_out=held)
    assert one.widths["h"][1] == pytest.approx((held[:, 1] - 0.5).square().mean().sqrt().item(), rel=0.01)


@pytest.mark.usefixtures("no_hook")
def test_what_to_do_about_a_code_that_hides_all_axes_depends_on_what_was_given():
    mu, log_var = properties.random_tensors(2, (100, 3))
    mu = mu.float()
    mu[5] = 1e6
    words = "mu must span all 3 dimensions, got 80 codes whose axis 2 varies only as the axes before it do"
    with pytest.raises(ValueError, match=re.escape(words) + ".* or give log_var$"):
        fit_law(mu, kind="gaussian")
    with pytest.raises(ValueError, match=re.escape(words) + r".* look at rows of unusual leverage, latent_h"):
        fit_law(mu, log_var.float(), "gaussian")
    assert 5 in rc.latent_health(mu, log_var.float()).unusual
