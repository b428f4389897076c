"""Shortest paths: closed forms on the half-plane, the sphere and flat space, laws, and errors."""

import math

import properties
import pytest
import torch
from path_cases import HALF_PLANE, SPHERE, half_plane_distance, half_ring, on_sphere, pairs, points

from riemvae_core.metrics import (
    ConstantMetric,
    PullbackMetric,
)
from riemvae_core.paths import PathWarning, curves, geodesics

FLAT = ConstantMetric(torch.eye(2, dtype=torch.float64))


# --- closed forms


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("half", [1.0, 2.0, 4.0])
def test_half_plane_lengths_and_circles(half, dtype):
    path = geodesics.geodesic(HALF_PLANE, points(-half, 1.0, dtype=dtype), points(half, 1.0, dtype=dtype))
    assert path.converged
    assert path.length.item() == pytest.approx(math.acosh(1.0 + 2.0 * half**2), rel=2e-4)
    # a half circle about the origin
    assert path.curve.dtype == dtype
    radius = path.curve.double().norm(dim=-1)
    properties.close(radius, torch.full_like(radius, math.hypot(half, 1.0)), rtol=2e-3)


def test_great_circles():
    a, b = points((0.6, 0.0), (1.2, 0.3), (2.4, -1.0)), points((1.0, 1.5), (1.3, 2.8), (0.9, 1.0))
    path = geodesics.geodesic(SPHERE, a, b)
    angle = torch.acos((on_sphere(a) * on_sphere(b)).sum(-1))
    assert path.converged.all()
    properties.close(path.length, angle, rtol=1e-4)
    # each point lies in the plane of both ends
    normal = torch.linalg.cross(on_sphere(a), on_sphere(b))
    assert torch.einsum("ptk,pk->pt", on_sphere(path.curve), normal).abs().max() < 1e-3


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("d", [1, 3, 5])
def test_a_constant_metric_gives_straight_lines_of_mahalanobis_length(d, dtype):
    a, b, root = properties.random_tensors(3, (d, d), dtype=dtype)
    g = root @ root.T + torch.eye(d, dtype=dtype)
    path = geodesics.geodesic(ConstantMetric(g), a, b)
    assert path.converged.all()
    length = ((b - a) @ g * (b - a)).sum(-1).sqrt()
    properties.close(path.length, length, rtol=1e-5, atol=0.0)
    properties.close(path.curve, curves.straight_line(a, b, 64), rtol=1e-4, atol=1e-4)


def test_the_search_starts_anew_where_the_straight_line_is_a_saddle():
    """Over a hill that is symmetric about it, the straight line is stationary and yet not shortest."""

    def hill(z):
        g = 1.0 + 20.0 * torch.exp(-4.0 * z.square().sum(-1))
        return g[..., None, None] * torch.eye(2, dtype=z.dtype)

    a, b = points(-1.5, 0.0), points(1.5, 0.0)
    path = geodesics.geodesic(hill, a, b)
    assert path.converged
    assert path.curve[:, 1].abs().max() > 0.5
    assert path.length < 0.8 * curves.curve_length(hill, curves.straight_line(a, b, 64))


# --- laws


def test_lengths_are_upper_bounds_that_points_sharpen():
    a, b = pairs()
    exact, error = half_plane_distance(a, b), {}
    for n in (9, 17, 33):
        path = geodesics.geodesic(HALF_PLANE, a, b, n_points=n)
        assert path.curve.shape == (6, n, 2)
        error[n] = (path.length / exact - 1.0).amax().item()
        # what is measured is a real curve, up to its integration's error
        assert (path.length > exact * (1.0 - 1e-9)).all()
    # second order: halving the pieces divides the error by four
    assert error[17] < 0.3 * error[9]
    assert error[33] < 0.3 * error[17]


def test_energy_is_the_squared_length_at_constant_speed_and_ends_stay():
    a, b = pairs()
    path = geodesics.geodesic(HALF_PLANE, a, b)
    assert isinstance(path, geodesics.Geodesic)
    assert (path.energy >= path.length.square() * (1 - 1e-12)).all()  # equal, but for rounding, at best
    assert (path.energy <= path.length.square() * 1.001).all()
    assert torch.equal(path.curve[:, 0], a)
    assert torch.equal(path.curve[:, -1], b)
    properties.close(path.length, curves.curve_length(HALF_PLANE, path.curve))
    properties.close(path.energy, curves.curve_energy(HALF_PLANE, path.curve))


def test_paths_are_symmetric_and_obey_the_triangle_inequality():
    (a, b), c = pairs(), pairs(seed=1)[0]
    forth, back = geodesics.geodesic(HALF_PLANE, a, b), geodesics.geodesic(HALF_PLANE, b, a)
    properties.close(forth.length, back.length, rtol=1e-6)
    properties.close(forth.curve, back.curve.flip(1), rtol=1e-3, atol=1e-3)
    detour = geodesics.geodesic(HALF_PLANE, a, c).length + geodesics.geodesic(HALF_PLANE, c, b).length
    assert (forth.length <= detour * (1.0 + 1e-4)).all()


def test_batches_equal_singles():
    a, b = pairs(4)
    together = geodesics.geodesic(HALF_PLANE, a.reshape(2, 2, 2), b.reshape(2, 2, 2), n_points=20)
    assert together.curve.shape == (2, 2, 20, 2)
    for k in range(4):
        alone = geodesics.geodesic(HALF_PLANE, a[k], b[k], n_points=20)
        properties.close(together.length.flatten()[k], alone.length, rtol=1e-8)
        properties.close(together.curve.reshape(4, 20, 2)[k], alone.curve, rtol=1e-6, atol=1e-6)
        assert together.converged.flatten()[k] == alone.converged
    none = geodesics.geodesic(HALF_PLANE, a[:0], b[:0], n_points=20)
    assert none.curve.shape == (0, 20, 2)
    assert none.steps.shape == none.converged.shape == (0,)


def test_a_path_from_a_point_to_itself_has_no_length():
    path = geodesics.geodesic(HALF_PLANE, points(1.0, 2.0), points(1.0, 2.0))
    assert path.converged
    assert path.length.item() == path.energy.item() == 0.0
    properties.close(path.curve, points(1.0, 2.0).expand(64, 2))


def test_a_search_that_is_cut_says_so():
    a, b = points(-4.0, 1.0), points(4.0, 1.0)
    with pytest.warns(PathWarning, match=r"1 of 1 pairs did not converge \(0\), 1 of them cut short"):
        cut = geodesics.geodesic(HALF_PLANE, a, b, max_steps=2)
    whole = geodesics.geodesic(HALF_PLANE, a, b)
    assert not cut.converged
    assert whole.converged
    assert cut.steps <= 2 < whole.steps
    assert whole.length < cut.length <= 8.0


def test_points_too_few_for_the_metric_are_not_called_converged():
    """A wall of height 1e4 and width 1/200 that a grid of three points can't see everywhere."""

    def wall(z):
        g = 1.0 + 1e4 * torch.exp(-(((z[..., 0] - 0.123) / 5e-3) ** 2))
        return g[..., None, None] * torch.eye(1, dtype=z.dtype)

    with pytest.warns(PathWarning, match="1 of 1 pairs"):
        assert not geodesics.geodesic(wall, points(-1.0), points(1.0), n_points=3).converged


def test_a_new_chart_changes_no_length():
    """The half-plane in the chart (x, log y), where G = diag(e^-2s, 1)."""

    def chart(z):
        s = z[..., 1]
        return torch.diag_embed(torch.stack([torch.exp(-2.0 * s), torch.ones_like(s)], -1))

    a, b = pairs()
    there = geodesics.geodesic(chart, *(torch.stack([p[:, 0], p[:, 1].log()], -1) for p in (a, b)))
    # both are upper bounds of the same distance, a few times 1e-5 above it
    properties.close(there.length, geodesics.geodesic(HALF_PLANE, a, b).length, rtol=2e-4)


def test_geodesics_of_a_decoder_unroll_its_sheet():
    """A sheet rolled up without stretching is flat: distances are those of the sheet."""

    def roll(z):
        return torch.stack([z[..., 0].cos(), z[..., 0].sin(), z[..., 1]], -1)

    a, b = points((0.0, 0.0), (1.0, -1.0)), points((3.0, 1.0), (0.5, 2.0))
    path = geodesics.geodesic(PullbackMetric(roll), a, b)
    assert path.converged.all()
    properties.close(path.length, (b - a).norm(dim=-1), rtol=1e-6)


# --- devices and errors


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.filterwarnings("ignore::riemvae_core.PathWarning")
def test_nothing_is_made_on_a_default_device():
    mu, metric = half_ring()
    path = geodesics.geodesic(metric, mu[2], mu[4], n_points=8, nodes=mu, max_steps=5)
    assert {part.device.type for part in path} == {"cpu"}
    assert geodesics.low_cost_path(metric, mu[2], mu[4], n_points=8, max_steps=5).length.isfinite()
    assert geodesics.exponential_map(metric, mu[2], 0.1 * mu[3]).isfinite().all()


TWO, THREE = torch.ones(4, 2).double(), torch.ones(4, 3).double()


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: geodesics.geodesic(FLAT, TWO, THREE), ("b must", "(4, 2)", "(4, 3)")),
        (lambda: geodesics.geodesic(FLAT, TWO, TWO.float()), ("dtype", "float64", "float32")),
        (lambda: geodesics.geodesic(FLAT, TWO, TWO * torch.nan), ("b must be finite", "nan")),
        (lambda: geodesics.geodesic(FLAT, TWO, TWO, n_points=2), ("n_points", "at least 3", "got 2")),
        (lambda: geodesics.geodesic(FLAT, TWO, TWO, max_steps=0), ("max_steps", "at least 1", "got 0")),
        (lambda: geodesics.geodesic(FLAT, TWO, TWO, nodes=THREE), ("nodes", "[m, 2]", "(4, 3)")),
        (lambda: geodesics.low_cost_path(FLAT, TWO, THREE), ("b must", "(4, 2)", "(4, 3)")),
        (lambda: geodesics.geodesic(lambda z: z, TWO, TWO), ("metric", "2, 2)", "got")),
        (lambda: geodesics.exponential_map(FLAT, TWO, THREE), ("v must", "(4, 2)", "(4, 3)")),
        (lambda: geodesics.exponential_map(FLAT, TWO, TWO.float()), ("dtype", "float64", "float32")),
        (lambda: geodesics.exponential_map(FLAT, TWO, TWO, max_steps=0), ("max_steps", "at least 1", "0")),
        (
            lambda: geodesics.geodesic(lambda z: HALF_PLANE(z.detach()), TWO, 2 * TWO),
            ("metric", "differentiable by autograd"),
        ),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)


def test_a_metric_without_finite_values_is_an_error():
    with pytest.raises(FloatingPointError, match="pair 1"):
        geodesics.geodesic(HALF_PLANE, points((0.0, 1.0), (0.0, 0.0)), points((1.0, 1.0), (1.0, 0.0)))
