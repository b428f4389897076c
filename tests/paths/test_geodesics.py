"""Shortest paths: closed forms on the half-plane, the sphere and flat space, laws, and the half ring."""

import math

import properties
import pytest
import torch

from riemvae_core.metrics import (
    ConstantMetric,
    HalfPlaneMetric,
    PosteriorMetric,
    PullbackMetric,
    SphereMetric,
)
from riemvae_core.paths import curves, descent, flow, geodesics

HALF_PLANE, SPHERE = HalfPlaneMetric(), SphereMetric()
FLAT = ConstantMetric(torch.eye(2, dtype=torch.float64))
LEAN = torch.tensor([[2.0, 0.6], [0.6, 0.5]], dtype=torch.float64)


def points(*rows, dtype=torch.float64):
    return torch.tensor(rows, dtype=dtype, device="cpu")


def pairs(count=6, seed=0):
    """Pairs of points of the half-plane, at heights from e^-1 to e."""
    a, b = properties.random_tensors(2, (count, 2), seed=seed)
    return tuple(torch.stack([p[:, 0], torch.exp(torch.tanh(p[:, 1]))], -1) for p in (a, b))


def half_plane_distance(a, b):
    return torch.acosh(1.0 + (b - a).square().sum(-1) / (2.0 * a[..., 1] * b[..., 1]))


def on_sphere(z):
    theta, phi = z.unbind(-1)
    return torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1)


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
    cut, whole = (geodesics.geodesic(HALF_PLANE, a, b, max_steps=m) for m in (2, 500))
    assert not cut.converged
    assert whole.converged
    assert cut.steps <= 2 < whole.steps
    assert whole.length < cut.length <= 8.0


def test_points_too_few_for_the_metric_are_not_called_converged():
    """A wall of height 1e4 and width 1/200 that a grid of three points can't see everywhere."""

    def wall(z):
        g = 1.0 + 1e4 * torch.exp(-(((z[..., 0] - 0.123) / 5e-3) ** 2))
        return g[..., None, None] * torch.eye(1, dtype=z.dtype)

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


# --- the search itself


def test_frozen_solve_is_a_dense_solve():
    (root,) = properties.random_tensors(1, (3, 5, 2, 2))
    stiffness = root @ root.mT + 0.1 * torch.eye(2, dtype=torch.float64)
    (right,) = properties.random_tensors(1, (3, 4, 2), seed=1)
    y, product = descent.solve_frozen(stiffness, right)
    for c in range(3):
        rows = torch.eye(6, dtype=torch.float64)[:, 1:-1].diff(dim=0)
        differences = torch.kron(rows, torch.eye(2, dtype=torch.float64))
        dense = 2.0 * differences.T @ torch.block_diag(*stiffness[c]) @ differences
        properties.close(y[c].flatten(), torch.linalg.solve(dense, right[c].flatten()), rtol=1e-9)
    properties.close(product, (right * y).sum((1, 2)), rtol=1e-9)


def test_gradient_of_the_energy_is_autograds():
    a, b = pairs(3)
    curve = curves.straight_line(a, b, 6)
    times = torch.full((3, 5), 0.2, dtype=torch.float64)
    energy, grad, stiffness = descent.energy_and_gradient(HALF_PLANE, curve, times, 8)
    properties.close(energy, curves.curve_energy(HALF_PLANE, curve))
    leaf = curve.clone().requires_grad_()
    (expected,) = torch.autograd.grad(curves.curve_energy(HALF_PLANE, leaf).sum(), leaf)
    properties.close(grad, expected[:, 1:-1])
    step = curve.diff(dim=1).unsqueeze(-1)
    properties.close((step.mT @ stiffness @ step).sum((1, 2, 3)), energy)


def test_one_step_solves_a_constant_metric():
    bow = curves.straight_line(points(0.0, 0.0), points(1.0, 1.0), 12)[None].clone()
    bow[:, 1:-1] += properties.random_tensors(1, (1, 10, 2))[0]
    times, budget = torch.full((1, 11), 1 / 11, dtype=torch.float64), torch.tensor([20])
    found, done, steps = descent.minimize_energy(ConstantMetric(LEAN), bow, times, 2, budget, 1e-10)
    assert done.all()
    properties.close(found, curves.straight_line(points(0.0, 0.0), points(1.0, 1.0), 12)[None])
    # one step, or a few where the cap on a step's length cuts it
    assert steps.item() <= 12


# --- exponential map


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_exponential_map_of_the_half_plane_runs_along_circles(dtype, tolerance):
    s = torch.tensor([0.0, 0.5, 1.0, 3.0], dtype=dtype)
    z, v = points(0.0, 1.0, dtype=dtype).expand(4, 2), torch.stack([s, torch.zeros_like(s)], -1)
    end = geodesics.exponential_map(HALF_PLANE, z, v)
    properties.close(end, torch.stack([s.tanh(), 1.0 / s.cosh()], -1), rtol=tolerance, atol=tolerance)


def test_exponential_map_of_the_sphere_runs_along_great_circles():
    z, v = points(1.1, 0.2), points(0.4, -0.9)
    jacobian = torch.autograd.functional.jacobian(on_sphere, z)
    velocity = jacobian @ v
    speed = velocity.norm()
    expected = speed.cos() * on_sphere(z) + speed.sin() * velocity / speed
    properties.close(on_sphere(flow.exponential_map(SPHERE, z, v)), expected, rtol=1e-8, atol=1e-8)


def test_exponential_map_of_a_constant_metric_is_addition():
    z, v = properties.random_tensors(2, (2, 3, 2))
    end = flow.exponential_map(ConstantMetric(LEAN), z, v)
    properties.close(end, z + v)
    properties.close(flow.exponential_map(HALF_PLANE, points(0.5, 2.0), points(0.0, 0.0)), points(0.5, 2.0))


def test_batches_of_the_exponential_map_equal_singles_and_inputs_stay():
    z = pairs(5)[0]
    (v,) = properties.random_tensors(1, (5, 2), seed=3)
    before = z.clone(), v.clone()
    properties.acts_on_each_ball(lambda z, v: flow.exponential_map(HALF_PLANE, z, v), z, v)
    assert torch.equal(z, before[0])
    assert torch.equal(v, before[1])


def test_geodesic_and_exponential_map_undo_each_other():
    z = pairs(5)[0]
    (v,) = properties.random_tensors(1, (5, 2), seed=3)
    end = flow.exponential_map(HALF_PLANE, z, v)
    path = geodesics.geodesic(HALF_PLANE, z, end)
    speed = v.norm(dim=-1) / z[:, 1]
    assert path.converged.all()
    properties.close(path.length, speed, rtol=1e-3)
    # halfway in time is halfway along the path of 65 points
    middle = geodesics.geodesic(HALF_PLANE, z, end, n_points=65).curve[:, 32]
    properties.close(flow.exponential_map(HALF_PLANE, z, 0.5 * v), middle, rtol=1e-3, atol=1e-3)


def test_a_geodesic_that_leaves_the_space_is_an_error():
    def disk(z):
        return (1.0 - z.square().sum(-1))[..., None, None] * torch.eye(2, dtype=z.dtype)

    with pytest.raises(FloatingPointError, match=r"point 1 got to time 0\.393 of 1"):
        flow.exponential_map(disk, points((0.0, 0.0), (0.0, 0.0)), points((0.1, 0.0), (2.0, 0.0)))


# --- posterior balls


def half_ring(sigma=0.1, dtype=torch.float64):
    """25 balls on the upper half of the unit circle, with the metric they draw."""
    t = torch.linspace(0.0, math.pi, 25, dtype=dtype, device="cpu")
    mu = torch.stack([t.cos(), t.sin()], -1)
    return mu, PosteriorMetric(mu, torch.full_like(mu, 2.0 * math.log(sigma)), rho=1.0, lam=1e-2, tau=1e-3)


def share_near(curve, mu, radius):
    """Share of a curve's plain length that lies within a radius of one of the centers."""
    dense = curves.respaced(curve, curve.diff(dim=-2).norm(dim=-1), 2000)
    return (torch.cdist(dense, mu).amin(-1) < radius).double().mean().item()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_geodesic_flees_the_data_and_the_low_cost_path_stays(dtype):
    mu, metric = half_ring(sigma=0.05, dtype=dtype)
    metric = PosteriorMetric(mu, metric.log_var, rho=2.0, lam=1e-2, tau=1e-3)
    path = geodesics.geodesic(metric, mu[0], mu[-1])
    cheap = geodesics.low_cost_path(metric, mu[0], mu[-1], nodes=mu, max_steps=200)
    assert path.converged
    assert cheap.converged
    # five sigma about the ends take a quarter of a chord of length 2: no other ball is met
    assert share_near(path.curve, mu, 0.25) < 0.3
    assert path.curve[:, 1].max() < 0.05
    assert share_near(cheap.curve, mu, 0.25) == 1.0
    assert cheap.curve[:, 1].max() > 0.9
    assert path.length < 0.1 * curves.curve_length(metric, cheap.curve)
    line = curves.straight_line(mu[0], mu[-1], 64)
    assert path.length < curves.curve_length(metric, line)


def test_low_cost_is_the_integral_of_v_along_the_curve():
    mu, metric = half_ring()
    path = geodesics.low_cost_path(metric, mu[3], mu[20], nodes=mu, max_steps=200)
    dense = curves.respaced(path.curve, path.curve.diff(dim=-2).norm(dim=-1), 20_000)
    middle = 0.5 * (dense[1:] + dense[:-1])
    cost = (torch.exp(-metric.log_volume(middle)) * dense.diff(dim=0).norm(dim=-1)).sum()
    properties.close(path.length, cost, rtol=1e-4)
    properties.close(path.energy, path.length.square(), rtol=1e-2)


def test_low_cost_path_where_the_closed_form_is_known():
    """Where G = y I the volume element is y, so V^2 I is the half-plane's metric."""

    def metric(z):
        return z[..., 1, None, None] * torch.eye(2, dtype=z.dtype)

    a, b = pairs()
    path = geodesics.low_cost_path(metric, a, b)
    assert path.converged.all()
    properties.close(path.length, half_plane_distance(a, b), rtol=2e-4)


def test_the_path_is_never_longer_than_the_straight_line():
    mu, metric = half_ring(sigma=0.02)
    a, b = mu[[0, 2, 5, 12]], mu[[24, 9, 23, 13]]
    for steps in (3, 40):
        path = geodesics.geodesic(metric, a, b, max_steps=steps)
        assert (path.length <= curves.curve_length(metric, curves.straight_line(a, b, 64)) * (1 + 1e-5)).all()


# --- devices and errors


@pytest.mark.usefixtures("meta_by_default")
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
        (lambda: geodesics.geodesic(FLAT, TWO, TWO, max_steps=0), ("max_steps", "at least 1", "64, 0")),
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
