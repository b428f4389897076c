"""What single rows do to a latent space: duplicates, crowds, unusual rows, misread radii."""

import math

import properties
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from riemvae_core.balls import log_prob
from riemvae_core.intervals import Interval
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator
from riemvae_core.space.crowds import (
    Crowd,
    duplicates,
    known,
    largest_crowd,
    near_duplicates,
    read_wrongly,
    spacing,
    unusual_rows,
    warnings_of_digits,
    warnings_of_rows,
)
from riemvae_core.space.health import latent_health
from riemvae_core.space.overlaps import at_draws, log_aggregate, squares_of


def balls(n=200, d=4, seed=0, log_var=-3.0):
    mu, spread = properties.random_tensors(2, (n, d), seed)
    return mu, log_var + 0.3 * spread


def test_exact_and_near_duplicates_are_counted_by_row():
    mu, log_var = balls()
    assert len(duplicates(mu, log_var)) == len(latent_health(mu, log_var).close) == 0
    mu, log_var = torch.cat([mu, mu[[3, 7, 3]], mu[[5]] + 1e-5]), torch.cat([log_var, log_var[[3, 7, 3, 5]]])
    for dtype in (torch.float64, torch.float32):
        report = latent_health(mu.to(dtype), log_var.to(dtype))
        assert report.same.tolist() == [200, 201, 202]
        assert report.close.tolist() == [5, 203]
        assert "3 balls repeat an earlier one (200, 201, 202), 2 lie next to another (5, 203)" in str(
            report.warnings
        )
        assert "balls that repeat another, nearly     3, 2" in str(report)
    log_var[200] += 1.0  # the same place, another ball
    assert duplicates(mu, log_var).tolist() == [201, 202]
    assert near_duplicates(mu, duplicates(mu, log_var), 4).tolist() == [3, 5, 200, 203]


@pytest.mark.parametrize("d", [2, 5, 16])
def test_copies_of_a_ball_hold_the_share_of_the_closed_form(d):
    """B copies have B times the metric, and so B^(d/2) times the volume of one ball, whatever its radii."""
    log_var = properties.random_tensors(1, (60, d))[0]
    mu = 1e4 * torch.arange(60, dtype=torch.float64, device="cpu")[:, None].expand(60, d).contiguous()
    mu[11:20], log_var[11:20] = mu[4], log_var[4]
    metric = PosteriorMetric(mu, log_var, rho=d**0.5, lam=1e-6, tau=1e-9)
    report = latent_health(mu, log_var, metric)
    assert report.crowd.rows.tolist() == [4, *range(11, 20)]
    assert report.crowd.share == pytest.approx(10 ** (d / 2) / (10 ** (d / 2) + 50), rel=1e-9)
    assert any("in one crowd of 10 of 60 balls (4, 11" in w for w in report.warnings) == (d > 3)
    kept = torch.arange(1, 60, 2, device="cpu")  # every other ball as a centroid: rows are still those of mu
    few = largest_crowd(PosteriorMetric(mu[kept], log_var[kept], d**0.5, 1e-6, 1e-9), mu)
    assert isinstance(few, Crowd)
    assert set(few.rows.tolist()) <= {4, *range(11, 20)}


def test_rows_of_unusual_leverage_are_named():
    mu, log_var = balls(600, 8)
    assert len(unusual_rows(mu, log_var)) == 0
    mu[417] *= 255.0
    log_var[20] = -35.0
    report = latent_health(mu, log_var)
    assert sorted(report.unusual.tolist()) == [20, 417]
    assert report.unusual[0] == 417
    assert any("2 rows of unusual leverage (417, 20)" in w for w in report.warnings)
    # a list of two crowds has no unusual rows, nor have tails of a Laplace law
    assert len(unusual_rows(torch.cat([mu[:300], mu[500:] + 50.0]), log_var[200:])) == 0
    tails = torch.distributions.Laplace(0.0, 1.0).icdf(torch.linspace(1e-4, 1 - 1e-4, 5000).double())
    assert len(unusual_rows(tails[:, None], torch.zeros(5000, 1).double())) == 0


def test_near_means_a_tenth_of_the_usual_distance_where_chance_would_allow_more():
    mu = balls(300, 16)[0]  # in 16 axes one in 10^7 is nearer than 0.37 of the median
    none = torch.zeros(0, dtype=torch.long, device="cpu")
    usual = (torch.cdist(mu, mu) + torch.diag(torch.full((300,), math.inf, device="cpu"))).amin(1).median()
    step = torch.eye(16, dtype=torch.float64, device="cpu")[:1] * usual
    assert near_duplicates(torch.cat([mu, mu[:1] + 0.2 * step]), none, 16).tolist() == []
    assert near_duplicates(torch.cat([mu, mu[:1] + 0.05 * step]), none, 16).tolist() == [0, 300]


@pytest.mark.parametrize("d", [2, 4, 16])
@pytest.mark.parametrize(("rows", "copies"), [(100, 2), (300, 2), (300, 12)])
def test_near_copies_are_found_however_many_rows_have_some(d, rows, copies):
    mu = properties.random_tensors(1, (300, d))[0]
    again = mu[:rows].repeat(copies - 1, 1)
    both = torch.cat([mu, again + 1e-6 * properties.random_tensors(1, tuple(again.shape), 1)[0]])
    none = torch.zeros(0, dtype=torch.long, device="cpu")
    assert len(near_duplicates(mu, none, d)) == 0
    assert len(near_duplicates(both, none, d)) == rows * copies
    assert 0.2 < spacing(both, d) / spacing(mu, d) < 1.7  # they are 10^-6 apart themselves
    assert spacing(mu.repeat(3, 1), d) == spacing(mu, d)


def test_places_along_a_curve_among_many_axes_are_no_copies():
    """By chance neighbors on a curve lie nearer than in as many dimensions as there are axes."""
    t = 6 * torch.rand(400, 1, generator=make_generator(2), dtype=torch.float64)
    k = torch.arange(1, 17, dtype=torch.float64, device="cpu")
    mu = torch.sin(t * k / 2 + k)
    none = torch.zeros(0, dtype=torch.long, device="cpu")
    assert near_duplicates(mu, none, 16).tolist() == []
    assert near_duplicates(torch.cat([mu, mu[7:8] + 1e-10]), none, 16).tolist() == [7, 400]
    assert spacing(mu[:1], 16) == spacing(mu[:1].repeat(9, 1), 16) == 0.0


@pytest.mark.parametrize("d", [1, 2, 16])
def test_codes_that_mu_has_are_known_up_to_rounding(d):
    mu = balls(400, d)[0].float()
    new = balls(200, d, seed=1)[0].float()
    assert known(new, mu, d).sum() <= 2  # in one dimension chance comes as near
    again = torch.cat([new[:50], mu[:30] * (1 + 3e-7), mu[30:60]])
    assert known(again, mu, d)[50:].all()
    assert known(again, mu.repeat(3, 1), d)[50:].all()
    assert len(known(new[:0], mu, d)) == 0
    mu[3] = 1e6  # one far code widens nothing
    assert known(new, mu, d).sum() <= 2


@pytest.mark.parametrize(
    ("dtype", "at", "log_var", "told"),
    [
        (torch.float32, 1e4, -20.0, "encode in float64, or subtract the mean."),
        (torch.float32, 1e4, -9.0, None),
        (torch.float32, 1.0, -34.0, "encode in float64, or subtract the mean."),
        (torch.float32, 0.0, -20.0, None),
        (torch.float64, 1e4, -20.0, None),
        (torch.float64, 1e14, -20.0, "Remedy: subtract their mean."),
        (torch.bfloat16, 3.0, -9.0, "below the digits of bfloat16"),
    ],
)
def test_radii_below_the_digits_of_their_dtype_are_told(dtype, at, log_var, told):
    """A draw is one of a few numbers then: it stays at the center or next to it."""
    mu, spread = (at + balls(50, 2)[0]).to(dtype), torch.full((50, 2), log_var).to(dtype)
    report = latent_health(mu, spread)
    warned = [w for w in report.warnings if "below the digits of" in w]
    assert len(warned) == (told is not None)
    assert all(told in w for w in warned)
    assert warned == list(warnings_of_digits(mu.double(), spread.double(), dtype))
    if dtype == torch.float32 and at:
        draws = mu[0] + torch.exp(0.5 * spread[0]) * properties.random_tensors(1, (2000, 2))[0].float()
        assert (len(draws.unique()) < 50) == (told is not None)


def test_neither_an_idle_axis_nor_radii_of_many_sizes_make_a_row_unusual():
    mu, log_var = balls(200, 2)
    mu[:, 1] *= 1e-6  # idle: its rows lie 1e-6 apart, one lies 1e-3 off
    mu[7, 1] = 1e-3
    assert unusual_rows(mu, log_var).tolist() == []
    wide = 3.0 * properties.random_tensors(1, (200, 1))[0].expand(200, 2).clone()
    usual = (wide - wide.median(0).values).mean(1).abs().median()  # about 2
    wide[9] = wide.median(0).values + 8.0 + 5.0 * usual
    assert unusual_rows(balls(200, 2)[0], wide).tolist() == []
    wide[9] = wide.median(0).values + 8.0 + 15.0 * usual
    assert unusual_rows(balls(200, 2)[0], wide).tolist() == [9]


def test_a_crowd_of_most_balls_is_no_crowd_to_warn_of():
    mu = 1e3 * torch.arange(8, dtype=torch.float64, device="cpu")[:, None].expand(8, 4).contiguous()
    log_var = torch.zeros_like(mu)
    for copies, warned in ((3, True), (5, False)):
        mu[:copies] = mu[0]
        report = latent_health(mu, log_var, PosteriorMetric(mu, log_var, rho=2.0, lam=1e-6, tau=1e-9))
        assert report.crowd.rows.tolist() == list(range(copies))
        assert report.crowd.share == pytest.approx(copies**2 / (copies**2 + 8 - copies), rel=1e-9)
        assert any("one crowd" in warning for warning in report.warnings) == warned


def test_a_step_far_smaller_than_its_place_is_not_lost():
    place = torch.tensor([[0.0], [0.0], [1e8]], dtype=torch.float64, device="cpu")
    log_var = torch.full_like(place, 2.0 * math.log(1e-9))
    square = squares_of(place[2:], place, log_var, place.new_tensor(100.0), place.new_full((1, 1), 1e-9))
    assert square[0, 2].item() == pytest.approx(1.0, rel=1e-6)  # 1e8 + 1e-9 is 1e8 in double precision


def test_the_density_far_from_the_middle_keeps_its_digits():
    mu = torch.tensor([[0.0], [0.0], [0.0], [1e6 + 0.3], [1e6 + 0.6]], dtype=torch.float64, device="cpu")
    log_var, rows = torch.full_like(mu, 2.0 * math.log(0.1)), torch.tensor([3, 4], device="cpu")
    own = -0.5 * (log_var[rows] + math.log(2.0 * math.pi)).sum(1)
    found = log_aggregate(torch.zeros_like(mu[rows]), own, rows, mu, log_var)
    gap = 0.5 * ((mu[4] - mu[3]) / 0.1).square().item()  # the other ball, three radii off
    assert torch.allclose(found, own + math.log1p(math.exp(-gap)) - math.log(5.0), rtol=0, atol=1e-9)


def test_radii_that_are_no_log_variances_are_told_by_what_they_are():
    mu, _ = balls(2000, 3)
    sigma = 0.2 + 0.2 * torch.sigmoid(properties.random_tensors(1, (2000, 3), 5)[0])
    mu *= (1.0 - sigma.square().mean()).sqrt()
    readings = {"sigma": sigma, "sigma^2": sigma.square(), "log sigma": sigma.log(), None: 2 * sigma.log()}
    for name, values in readings.items():
        report = latent_health(mu, values)
        assert report.radii_look_like == read_wrongly(mu, values) == name
        assert any("looks like" in w for w in report.warnings) == (name is not None)


def test_the_density_at_draws_is_that_of_differences():
    """Small balls far from the origin, where an expanded square has no digit left: cdist tells the truth."""
    mu, log_var = balls(40, 6, log_var=-28.0)
    mu = 5.0 + 1e-6 * mu
    mu[0] = 300.0
    log_var[0] = -500.0
    eps = properties.random_tensors(1, (40, 6), 2)[0]
    step = eps * torch.exp(0.5 * log_var)
    step[0] = 0.0
    z = mu + step
    exact = torch.stack([log_prob(p.expand_as(mu), mu, log_var) for p in z])
    own = exact.diagonal().clone()
    found = log_aggregate(step, own, torch.arange(40), mu, log_var)
    properties.close(found, torch.logsumexp(exact, 1) - math.log(40), rtol=1e-9)
    assert at_draws(mu[:1], log_var[:1], torch.tensor([0, 0]), eps[:2])[0] == (0.0, 0.0, 0.0)
    squares = ((z[:, None] - mu) ** 2 * torch.exp(-log_var)).sum(-1)
    near = squares < 1e4
    got = squares_of(z, mu, log_var, mu.new_tensor(1e4))
    properties.close(got[near], squares[near], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_lone_balls_have_all_of_their_own_density_in_single_precision_too(dtype):
    mu, log_var = balls(300, 256, log_var=-27.5)
    report = latent_health((0.3 * mu).to(dtype), log_var.to(dtype))
    assert report.own_share.low == report.own_share.high == pytest.approx(1.0, abs=1e-12)
    assert report.information.mean == pytest.approx(math.log(300), rel=1e-12)


def test_what_few_balls_can_not_tell_is_said():
    mu, log_var = balls(1, 3)
    one = latent_health(mu, log_var, PosteriorMetric(mu, log_var, 1.0, 0.1, 0.1))
    assert one.information == (0.0, 0.0, 0.0)
    assert "1 ball in 3 dimensions\n" in str(one)
    assert "no other" in str(one)
    assert any("1 ball in 3 dimensions can't tell" in w for w in one.warnings)
    few = latent_health(*balls(5, 8))
    assert few.warnings[-1] in list(warnings_of_rows(few))
    assert any("5 balls in 8 dimensions can't tell" in w for w in few.warnings)
    assert not any("can't tell" in w for w in latent_health(*balls(9, 8)).warnings)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("mu", math.nan, "row 3"), ("mu", 1e20, "within 1e+15 of 0"), ("log_var", 2000.0, "in row 3")],
)
def test_bad_rows_are_named(name, value, words):
    given_balls = dict(zip(("mu", "log_var"), balls(9, 2), strict=True))
    given_balls[name][3, 1] = value
    with pytest.raises(ValueError, match="must") as caught:
        latent_health(**given_balls)
    properties.message_names(caught.value, name, words)


@settings(max_examples=120)
@given(
    st.integers(1, 12), st.integers(1, 5), st.floats(-500.0, 20.0), st.floats(0.0, 60.0),
    st.integers(0, 10**6), st.sampled_from([0, 1, 3]), st.sampled_from([torch.float32, torch.float64]),
)  # fmt: skip
def test_a_report_never_says_nan(n, d, level, spread, seed, copies, dtype):
    """Any balls that numbers can hold: every number of the report is one, and within its bounds."""
    mu, log_var = (t.to(dtype) for t in balls(n, d, seed))
    mu, log_var = spread * mu, level + spread * log_var
    if copies and n > copies:
        mu[:copies], log_var[:copies] = mu[-1], log_var[-1]
    log_var = log_var.clamp(-590.0, 80.0)
    report = latent_health(mu, log_var)
    assert "nan" not in str(report).lower()
    slack = 1e-9 * (1.0 + math.log(n))
    far = {
        name: 4.0 * v.high - 3.0 * v.mean for name, v in report._asdict().items() if isinstance(v, Interval)
    }
    assert -slack <= far["information"]  # an estimate, so its bound holds up to eight standard errors
    assert report.information.mean <= math.log(n) + slack
    assert 1 / n - 1e-9 <= far["own_share"]
    assert report.own_share.mean <= 1.0
    assert 0.0 <= report.overlap.mean <= 1.0 + 1e-9
    assert len(report.same) >= (copies if n > copies else 0)
