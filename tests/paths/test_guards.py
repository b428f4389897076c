"""What paths refuse and what they warn of: numbers that aren't finite, metrics that are none, sizes."""

import math

import properties
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from path_cases import HALF_PLANE, half_plane_distance, half_ring, pairs, points

from riemvae_core.metrics import ConstantMetric, PosteriorMetric
from riemvae_core.paths import (
    PathWarning,
    curve_energy,
    curve_length,
    decoded_steps,
    exponential_map,
    geodesic,
    low_cost_path,
    respaced,
    shortest_decoded,
    straight_line,
)
from riemvae_core.paths.curves import length_of
from riemvae_core.paths.forms import Conformal, Diagonal, form_of
from riemvae_core.paths.search import certified, fine_length, search_paths

FLAT = ConstantMetric(torch.eye(2, dtype=torch.float64))
TWO = torch.ones(4, 2, dtype=torch.float64)
BAD = TWO.clone().index_put((torch.tensor(2), torch.tensor(1)), torch.tensor(math.nan).double())
LINE = straight_line(points(0.0, 1.0), points(3.0, 2.0), 5)


def nan_beyond(z):
    g = torch.where(z[..., :1] > 1.0, math.nan, torch.ones_like(z[..., :1]))
    return g[..., None] * torch.eye(z.shape[-1], dtype=z.dtype)


def matrix(*rows):
    return lambda z: points(*rows).expand(*z.shape, 2)


class Lies:
    """A metric whose log_diagonal leaves half of it out."""

    def __call__(self, z):
        return matrix((2.0, 1.0), (1.0, 2.0))(z)

    def log_diagonal(self, z):
        return torch.full_like(z, math.log(2.0))


# --- errors


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: straight_line(TWO, TWO, 1), ("n must be a whole number of at least 2", "got 1")),
        (lambda: straight_line(TWO, TWO, 2.5), ("n must", "whole", "2.5")),
        (lambda: straight_line(TWO, TWO[:2], 3), ("b must", "(4, 2)", "(2, 2)")),
        (lambda: straight_line(BAD, TWO, 3), ("a must be finite", "row 2")),
        (lambda: curve_length(FLAT, BAD), ("curve must be finite", "row 2")),
        (lambda: curve_energy(FLAT, BAD), ("curve must be finite", "row 2")),
        (lambda: curve_length(FLAT, LINE, order=0), ("order must", "got 0")),
        (lambda: curve_length(FLAT, LINE.tolist()), ("curve must be a tensor", "list")),
        (lambda: curve_length(FLAT, LINE.long()), ("curve must be a tensor of floating numbers", "int64")),
        (lambda: curve_length(matrix((1.0, 0.0)), LINE.float()), ("must return", "float64")),
        (lambda: respaced(BAD, torch.ones(3).double(), 3), ("curve must be finite", "row 2")),
        (lambda: respaced(TWO, torch.ones(4).double(), 3), ("pieces must", "(4,)")),
        (lambda: respaced(TWO, points(1.0, math.nan, 1.0), 3), ("pieces must", "nan", "[1]")),
        (lambda: respaced(TWO, points(1.0, -1.0, 1.0), 3), ("pieces must", "-1.0", "[1]")),
        (lambda: respaced(TWO, points(1.0, 1.0, 1.0), 1), ("n must", "got 1")),
        (lambda: geodesic(FLAT, TWO, BAD), ("b must be finite", "row 2")),
        (lambda: geodesic(FLAT, TWO, TWO, nodes=BAD), ("nodes must be finite", "row 2")),
        (lambda: geodesic(FLAT, TWO.tolist(), TWO), ("a must be a tensor", "list")),
        (lambda: geodesic(FLAT, TWO, TWO, n_points=8.5), ("n_points must", "8.5")),
        (lambda: geodesic(FLAT, TWO, TWO, tol=math.nan), ("tol must", "nan")),
        (lambda: geodesic(matrix((1.0, 0.5), (0.0, 1.0)), TWO, 2 * TWO), ("symmetric", "at a, pair 0")),
        (lambda: geodesic(matrix((1.0, 0.0), (0.0, -1.0)), TWO, 2 * TWO), ("semidefinite", "-1", "pair 0")),
        (lambda: geodesic(Lies(), TWO, 2 * TWO), ("diagonal where it has a log_diagonal", "at a, pair 0")),
        (lambda: geodesic(FLAT, torch.zeros(2, 4096), torch.ones(2, 4096)), ("4096 x 4096", "GiB")),
        (lambda: low_cost_path(FLAT, TWO, TWO, power=math.nan), ("power must", "nan")),
        (lambda: low_cost_path(FLAT, TWO, TWO, power=-1.0), ("power must", "at least 0", "-1.0")),
        (lambda: exponential_map(FLAT, BAD, TWO), ("z must be finite", "row 2")),
        (lambda: exponential_map(FLAT, TWO, BAD), ("v must be finite", "row 2")),
        (lambda: decoded_steps(torch.sin, BAD), ("curve must be finite", "row 2")),
        (lambda: decoded_steps(lambda z: z.byte(), TWO), ("decode must", "floating", "uint8")),
        (lambda: shortest_decoded(torch.sin, TWO, BAD), ("b must be finite", "row 2")),
        (lambda: shortest_decoded(lambda z: z.detach(), TWO, 2 * TWO), ("decode must", "autograd")),
    ],
)  # fmt: skip
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: curve_length(nan_beyond, LINE), ("metric must be finite", "nan", "piece 1")),
        (lambda: curve_energy(nan_beyond, torch.stack([LINE - 9, LINE])), ("piece 1", "curve [1]")),
        (lambda: curve_length(matrix((1.0, 0.0), (0.0, -40.0)), LINE), ("semidefinite", "piece 0")),
        (lambda: geodesic(nan_beyond, TWO, 3 * TWO), ("isn't finite", "pair 0")),
        (lambda: decoded_steps(lambda z: z / (z[:, :1] < 1), LINE), ("finite images", "step 1")),
        (lambda: shortest_decoded(lambda z: z * math.nan, TWO, 3 * TWO), ("finite images", "curve [0]")),
    ],
)
def test_values_that_are_not_finite_are_named(call, words):
    with pytest.raises(FloatingPointError) as caught:
        call()
    properties.message_names(caught.value, *words)


# --- forms of a metric


@pytest.mark.filterwarnings("ignore::riemvae_core.PathWarning")
def test_a_diagonal_metric_gives_the_numbers_of_its_matrices():
    mu, metric = half_ring()
    a, b = mu[[0, 2, 3]], mu[[3, 5, 8]]
    dense, slim = (geodesic(m, a, b, 16) for m in (metric.__call__, metric))
    assert isinstance(form_of(metric), Diagonal)
    properties.close(slim.length, dense.length, rtol=1e-6)
    properties.close(slim.curve, dense.curve, rtol=1e-3, atol=1e-3)
    assert torch.equal(slim.converged, dense.converged)
    properties.close(
        exponential_map(metric, mu[:2], 0.05 * mu[3:5]),
        exponential_map(metric.__call__, mu[:2], 0.05 * mu[3:5]), rtol=1e-6, atol=1e-6,
    )  # fmt: skip
    z, v = properties.random_tensors(2, (5, 2))
    for form, g in ((form_of(metric), metric(z)), (Conformal(metric, 0.7), None)):
        _, moved, square, slope = form.parts(z, v)
        leaf = z.clone().requires_grad_()
        if g is None:
            g = torch.exp(-1.4 * metric.log_volume(z))[:, None, None] * torch.eye(2).double()
            again = torch.exp(-1.4 * metric.log_volume(leaf)) * v.square().sum(-1)
        else:
            again = (metric(leaf) @ v[..., None]).squeeze(-1).mul(v).sum(-1)
        properties.close(moved, (g @ v[..., None]).squeeze(-1))
        properties.close(square, (moved * v).sum(-1))
        properties.close(slope, torch.autograd.grad(again.sum(), leaf)[0], rtol=1e-8, atol=1e-10)


def test_4096_axes_are_searched_without_a_matrix():
    mu, log_var = properties.random_tensors(2, (4, 4096))
    metric = PosteriorMetric(mu, 0.1 * log_var, rho=64.0, lam=1e-4, tau=1e-6)
    path = low_cost_path(metric, mu[0], mu[1], n_points=8, power=1 / 4096, max_steps=40)
    assert path.converged
    assert path.curve.shape == (8, 4096)
    slim = PosteriorMetric(mu[:, :2100], 0.1 * log_var[:, :2100], rho=45.0, lam=1e-4, tau=1e-6)
    assert geodesic(slim, mu[0, :2100], mu[1, :2100], n_points=8, max_steps=40).converged


# --- the cost's power


@pytest.mark.parametrize("power", [0.25, 0.5, 2.0])
def test_the_power_is_that_of_the_volume(power):
    """Where G = y^(1/power) I, V^power is 1/y: the half-plane again."""

    def metric(z):
        return (z[..., 1] ** (1.0 / power))[..., None, None] * torch.eye(2, dtype=z.dtype)

    a, b = pairs()
    path = low_cost_path(metric, a, b, power=power)
    assert path.converged.all()
    properties.close(path.length, half_plane_distance(a, b), rtol=2e-4)


@pytest.mark.parametrize("d", [2, 16])
def test_one_over_d_keeps_the_contrast_of_a_length(d):
    for c in (1e-3, 7.0):
        metric = ConstantMetric(c**2 * torch.eye(d, dtype=torch.float64))
        a, b = properties.random_tensors(2, (3, d))
        plain = (b - a).norm(dim=-1)
        properties.close(low_cost_path(metric, a, b, power=1 / d).length, plain / c, rtol=1e-9)
        properties.close(low_cost_path(metric, a, b).length, plain / c**d, rtol=1e-9)
        properties.close(low_cost_path(metric, a, b, power=0.0).length, plain, rtol=1e-9)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
def test_costs_beyond_what_numbers_hold_have_not_converged(scale):
    metric = ConstantMetric(scale * torch.eye(40))  # V = e^552, or e^-552
    with pytest.warns(PathWarning, match="take power=1/d"):
        path = low_cost_path(metric, torch.zeros(40), torch.ones(40))
    assert not path.converged
    assert low_cost_path(metric, torch.zeros(40), torch.ones(40), power=1 / 40).converged


# --- what the points don't see


@pytest.mark.parametrize("sigma", [1e-4, 1e-6])
def test_a_lone_ball_on_the_way_is_never_left_out_of_a_length_that_is_certified(sigma):
    """A ball's own part of the length doesn't fall with its radius, and no Gauss point need lie in it."""
    mu = points((0.3217, 0.1), (0.0, 9.0))
    metric = PosteriorMetric(mu, torch.full_like(mu, 2 * math.log(sigma)), rho=1.0, lam=1.0, tau=0.0)
    a, b = points((-1.0, 0.1)), points((1.0, 0.1))
    line = straight_line(a, b, 64)
    assert curve_length(metric, line).item() < 2.5  # the ball isn't seen
    form = form_of(metric)
    path = search_paths(form, form, a, b, 64, None, 3, 1e-8)
    seen = certified(
        form, path._replace(curve=line, length=curve_length(metric, line), converged=torch.ones(1).bool())
    )
    grid = 0.3217 + sigma * torch.linspace(-12, 12, 40001).double()
    on = torch.stack([grid, torch.full_like(grid, 0.1)], -1)
    ball = torch.trapezoid(metric.diagonal(on)[:, 0].sqrt(), grid) - 24 * sigma
    assert seen.length.item() == pytest.approx(2.0 + ball.item(), rel=1e-3)
    assert seen.energy >= seen.length**2
    assert not seen.converged


def test_a_fine_length_sees_what_lies_between_gauss_points():
    def wall(z):
        return (1.0 + 1e4 * torch.exp(-(((z - 0.123) / 5e-3) ** 2)))[..., None]

    curve = straight_line(points((-1.0,)), points((1.0,)), 64)
    uneven = torch.cat([curve[:, :30], curve[:, 40:]], 1)
    exact = torch.trapezoid(wall(torch.linspace(-1, 1, 100001).double()[:, None]).flatten().sqrt(), dx=2e-5)
    assert fine_length(form_of(wall), uneven).item() == pytest.approx(exact.item(), rel=1e-2)


# --- any cheap input


@settings(max_examples=12)
@given(
    st.sampled_from([1, 2, 4]), st.sampled_from([1, 2]), st.integers(3, 9), st.floats(0.05, 3.0),
    st.integers(0, 10**6), st.sampled_from([geodesic, low_cost_path]),
    st.sampled_from([torch.float32, torch.float64]),
    st.booleans(), st.booleans(),
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::riemvae_core.PathWarning")
def test_any_path_among_balls_is_a_curve_no_longer_than_the_line(
    d, count, n, sigma, seed, find, dtype, nodes, same
):
    mu, a, b = properties.random_tensors(3, (4, d), seed, dtype)
    metric = PosteriorMetric(mu, torch.full_like(mu, 2 * math.log(sigma)), rho=1.0, lam=0.05, tau=0.05)
    a, b = a[:count], a[:count] if same else b[:count]
    settings = {"power": 1 / d} if find is low_cost_path else {}
    path = find(metric, a, b, n, max_steps=4, nodes=mu if nodes else None, **settings)
    assert path.curve.shape == (count, n, d)
    assert path.curve.dtype == path.length.dtype == dtype
    assert all(part.isfinite().all() for part in path[:3])
    assert torch.equal(path.curve[:, 0], a)
    assert torch.equal(path.curve[:, -1], b)
    assert (path.energy >= path.length.square() * (1 - 1e-5)).all()
    if find is low_cost_path:
        form = Conformal(metric.in_double(), 1 / d)
        line = length_of(form, straight_line(a.double(), b.double(), n))
        assert (path.length <= line * (1 + 2e-5)).all()


@settings(max_examples=150)
@given(
    st.sampled_from(["a", "b", "nodes"]), st.sampled_from([math.nan, math.inf, -math.inf]), st.integers(0, 7),
    st.sampled_from([geodesic, low_cost_path]),
)  # fmt: skip
def test_any_number_that_is_not_finite_is_refused(name, value, place, find):
    given_points = {k: torch.ones(4, 2, dtype=torch.float64) for k in ("a", "b", "nodes")}
    given_points[name].view(-1)[place] = value
    with pytest.raises(ValueError, match=rf"{name} must be finite.* in row {place // 2} "):
        find(HALF_PLANE, **given_points)


@settings(max_examples=150)
@given(st.integers(2, 6), st.integers(1, 4), st.integers(2, 9), st.integers(0, 10**6), st.floats(1e-3, 1e6))
def test_points_spaced_anew_lie_at_equal_distances_of_the_given_kind(t, d, n, seed, scale):
    curve = properties.random_tensors(1, (t, d), seed)[0]
    pieces = scale * properties.random_tensors(1, (t - 1,), seed + 1)[0].abs()
    out = respaced(curve, pieces, n)
    assert torch.equal(out[[0, -1]], curve[[0, -1]])
    along = torch.cat([pieces.new_zeros(1), pieces.cumsum(0)])
    expected = torch.tensor([along[-1] * k / (n - 1) for k in range(n)])
    at = (along[None] <= expected[:, None].clamp(max=along[-1] * (1 - 1e-12))).sum(1).clamp(1, t - 1)
    share = (expected - along[at - 1]) / pieces[at - 1].clamp_min(1e-300)
    properties.close(
        out, torch.lerp(curve[at - 1], curve[at], share.clamp(0, 1)[:, None]), rtol=1e-6, atol=1e-6
    )
