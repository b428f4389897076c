"""Curves: closed forms of length and energy, quadrature by scipy, and shortest walks that a pencil finds."""

import math

import numpy as np
import properties
import pytest
import torch
from scipy.integrate import quad

from riemvae_core.metrics import ConstantMetric, HalfPlaneMetric, SphereMetric
from riemvae_core.paths import curves, forms, starts

HALF_PLANE, SPHERE = HalfPlaneMetric(), SphereMetric()
FLAT = ConstantMetric(torch.eye(2, dtype=torch.float64))


def vector(*values):
    return torch.tensor(values, dtype=torch.float64)


def bent(batch=(), n=7, seed=0):
    """Random curves in the upper half-plane."""
    (walk,) = properties.random_tensors(1, (*batch, n, 2), seed=seed)
    return walk * vector(1.0, 0.2) + vector(0.0, 2.0)


# --- length and energy


def test_length_of_a_vertical_line_in_the_half_plane_is_a_log():
    line = curves.straight_line(vector(0.3, 1.0), vector(0.3, 5.0), 64)
    assert curves.curve_length(HALF_PLANE, line).item() == pytest.approx(math.log(5.0), rel=1e-10)


def test_length_and_energy_of_one_piece_are_scipys_integrals():
    a, b = vector(0.4, 0.1), vector(1.5, 2.0)
    step = (b - a).numpy()

    def square(t):
        return step[0] ** 2 + math.sin(0.4 + t * step[0]) ** 2 * step[1] ** 2

    curve = torch.stack([a, b])
    length, energy = quad(lambda t: math.sqrt(square(t)), 0, 1)[0], quad(square, 0, 1)[0]
    # eight Gauss points are exact up to degree 15; these integrands are analytic and slow
    assert curves.curve_length(SPHERE, curve).item() == pytest.approx(length, rel=1e-9)
    assert curves.curve_energy(SPHERE, curve).item() == pytest.approx(energy, rel=1e-12)


def test_length_of_a_parallel_on_the_sphere():
    parallel = curves.straight_line(vector(1.1, 0.0), vector(1.1, 3.0), 5)
    assert curves.curve_length(SPHERE, parallel).item() == pytest.approx(3.0 * math.sin(1.1), rel=1e-12)


def test_energy_is_at_least_the_squared_length_and_equal_at_constant_speed():
    curve = bent((40,))
    length, energy = curves.curve_length(HALF_PLANE, curve), curves.curve_energy(HALF_PLANE, curve)
    assert (energy > length.square()).all()
    straight = curves.straight_line(vector(0.0, 0.0), vector(3.0, 4.0), 9)
    assert curves.curve_length(FLAT, straight).item() == pytest.approx(5.0, rel=1e-14)
    assert curves.curve_energy(FLAT, straight).item() == pytest.approx(25.0, rel=1e-14)


def test_length_stays_and_energy_changes_when_points_slide_along_the_curve():
    ends = vector(0.0, 0.0), vector(3.0, 4.0)
    uneven = torch.stack([torch.lerp(*ends, t) for t in (0.0, 0.1, 0.2, 1.0)])
    assert curves.curve_length(FLAT, uneven).item() == pytest.approx(5.0, rel=1e-14)
    # three pieces of 0.5, 0.5 and 4, a third of the time each
    assert curves.curve_energy(FLAT, uneven).item() == pytest.approx(3 * (0.25 + 0.25 + 16.0), rel=1e-14)


@pytest.mark.parametrize("function", [curves.curve_length, curves.curve_energy])
def test_measures_obey_the_general_laws(function):
    curve = bent((3, 2))
    properties.follows_dtype(lambda c: function(HALF_PLANE, c), curve)
    properties.has_right_gradient(lambda c: function(HALF_PLANE, c), curve)
    properties.leaves_inputs_alone(lambda c: function(HALF_PLANE, c), curve)
    together = function(HALF_PLANE, curve)
    properties.close(together[1, 0], function(HALF_PLANE, curve[1, 0]))
    properties.close(function(HALF_PLANE, curve.flip(-2)), together)


def test_pieces_add_up():
    curve = bent((4,))
    pieces = curves.piece_lengths(HALF_PLANE, curve, 8)
    one_by_one = [curves.curve_length(HALF_PLANE, curve[:, k : k + 2]) for k in range(6)]
    properties.close(pieces, torch.stack(one_by_one, -1))
    squares = curves.piece_squares(FLAT, curve, 3)
    properties.close(squares, curve.diff(dim=1).square().sum(-1, keepdim=True).expand(4, 6, 3))


@pytest.mark.parametrize("order", [1, 2, 8])
def test_gauss_rule_integrates_polynomials(order):
    points, weights = curves.gauss_rule(order, vector(0.0))
    for degree in range(2 * order):
        assert (weights * points**degree).sum().item() == pytest.approx(1 / (degree + 1), rel=1e-12)


# --- spacing


def test_points_at_constant_speed_are_equally_far_apart():
    curve = curves.at_constant_speed(HALF_PLANE, bent((5,), n=4), 200)
    assert curve.shape == (5, 200, 2)
    properties.close(curve[:, [0, -1]], bent((5,), n=4)[:, [0, -1]])
    # a point stands on a table of four cells a piece; a cell's metric is taken as even
    assert (curves.curve_energy(HALF_PLANE, curve) / curves.curve_length(HALF_PLANE, curve) ** 2 < 1.02).all()


def test_respaced_points_divide_the_given_lengths():
    corner = torch.stack([vector(0.0, 0.0), vector(1.0, 0.0), vector(1.0, 3.0)])
    expected = torch.stack(
        [vector(0.0, 0.0), vector(1.0, 0.0), vector(1.0, 1.0), vector(1.0, 2.0), vector(1.0, 3.0)]
    )
    properties.close(curves.respaced(corner, vector(1.0, 3.0), 5), expected)
    still = curves.respaced(corner[:1].expand(3, 2), vector(0.0, 0.0), 4)
    properties.close(still, torch.zeros(4, 2, dtype=torch.float64))


def test_mixed_spacing_leaves_neither_cheap_nor_dear_stretches_bare():
    line = curves.straight_line(vector(0.0, 1e-3), vector(0.0, 1.0), 4000)
    points, times = curves.at_mixed_spacing(HALF_PLANE, line, 65)
    assert times.sum().item() == pytest.approx(1.0)
    # half of the points for plain length, half for length in the metric, log 1000
    assert points.diff(dim=0).norm(dim=-1).max().item() < 2.1 / 64
    assert curves.piece_lengths(HALF_PLANE, points, 8).max().item() < 2.1 * math.log(1000) / 64


# --- shortest walks


def test_grid_path_of_a_flat_metric_is_the_straight_line():
    for a, b in [((0.0, 0.0), (1.0, 2.0)), ((1.0, -1.0), (-3.0, 0.5)), ((2.0, 2.0), (2.0, 2.0))]:
        path = starts.grid_path(FLAT, vector(*a), vector(*b), 12)
        properties.close(path, curves.straight_line(vector(*a), vector(*b), 12))
    ends = properties.random_tensors(2, (3,))
    path = starts.grid_path(ConstantMetric(torch.eye(3, dtype=torch.float64)), *ends, 9)
    properties.close(path, curves.straight_line(*ends, 9))


def test_grid_path_goes_around_a_wall():
    def wall(z):
        high = 1.0 + 1e4 * torch.exp(-50.0 * z[..., 0].square()) * torch.sigmoid(40.0 * (0.5 - z[..., 1]))
        return high[..., None, None] * torch.eye(2, dtype=z.dtype)

    a, b = vector(-1.0, 0.0), vector(1.0, 0.0)
    path = starts.grid_path(wall, a, b, 100)
    assert path[:, 1].max() > 0.5
    assert curves.curve_length(wall, path) < 0.2 * curves.curve_length(wall, curves.straight_line(a, b, 100))


def test_node_path_follows_the_nodes_where_that_is_cheaper():
    t = torch.linspace(0, math.pi, 30, dtype=torch.float64, device="cpu")
    nodes = torch.stack([t.cos(), t.sin()], -1)

    def road(z):
        return (1.0 + 99.0 * (z.norm(dim=-1) - 1.0).abs().clamp_max(1.0))[..., None, None] * torch.eye(
            2
        ).double()

    edges = starts.node_edges(nodes)
    path = starts.node_path(
        road, nodes[0], nodes[-1], 50, nodes, edges, curves.curve_length(road, nodes[edges])
    )
    assert (path.norm(dim=-1) - 1.0).abs().max() < 0.02
    straight = starts.node_path(
        FLAT, nodes[0], nodes[-1], 50, nodes, edges, curves.curve_length(FLAT, nodes[edges])
    )
    properties.close(straight, curves.straight_line(nodes[0], nodes[-1], 50))


def test_node_edges_join_nearest_neighbors_once():
    nodes = torch.arange(30, dtype=torch.float64, device="cpu")[:, None]
    edges = {tuple(e) for e in starts.node_edges(nodes).tolist()}
    assert len(edges) == len(starts.node_edges(nodes))
    assert all(i < j and j - i <= 10 for i, j in edges)
    assert {(k, k + 1) for k in range(29)} <= edges
    assert len(starts.node_edges(nodes[:1])) == 0


# --- errors


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: curves.curve_length(FLAT, torch.zeros(2).double()), ("curve", "[*batch, t, d]", "(2,)")),
        (lambda: curves.curve_energy(FLAT, torch.zeros(1, 2).double()), ("curve", "at least 2", "(1, 2)")),
        (lambda: curves.curve_length("flat", torch.zeros(3, 2)), ("metric", "callable", "'flat'")),
        (lambda: forms.call_metric(lambda z: z, torch.zeros(3, 2)), ("metric", "(3, 2, 2)", "(3, 2)")),
        (lambda: forms.call_metric(lambda z: np.eye(2), torch.zeros(2)), ("metric", "(2, 2)", "ndarray")),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)
