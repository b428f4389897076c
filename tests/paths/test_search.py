"""The search step by step: starts, rounds that are taken back, and paths that flee."""

import math

import pytest
import torch
from path_cases import HALF_PLANE, half_plane_distance, points

from riemvae_core.paths import PathWarning, curve_length, geodesic, search, starts, straight_line
from riemvae_core.paths.forms import form_of


def fading(z):
    """G = exp(-|z|^2) I: a ray from radius r has the finite length sqrt(pi/2) erfc(r / sqrt 2)."""
    return torch.exp(-z.square().sum(-1))[..., None, None] * torch.eye(2, dtype=z.dtype)


def test_where_the_shortest_way_leads_through_infinity_no_path_converges():
    a, b = points((-1.5, 0.0)), points((1.5, 0.0))
    with pytest.warns(PathWarning, match="there may be none"):
        path = geodesic(fading, a, b)
    least = 2.0 * math.sqrt(math.pi / 2.0) * math.erfc(1.5 / math.sqrt(2.0))
    assert not path.converged
    assert least < path.length.item() < 1.05 * least
    assert path.curve.norm(dim=-1).max() > 3.0
    assert path.length.item() == pytest.approx(curve_length(fading, path.curve, order=64).item(), rel=1e-2)
    straight = geodesic(fading, 0.2 * a, 0.2 * b)  # near each other, the line is shortest of all
    assert straight.converged
    assert straight.length.item() == pytest.approx(math.sqrt(2 * math.pi) * math.erf(0.3 / 2**0.5), rel=1e-4)


def test_a_round_that_hides_dear_places_is_taken_back(monkeypatch):
    line = straight_line(points((-1.0, 1.0)), points((1.0, 1.0)), 64)
    way = search._Search(form_of(HALF_PLANE), line, 500, 1e-8)

    def worse(form, curve, times, order, budget, tol):
        return curve * points(1.0, 0.5), torch.ones(1, dtype=torch.bool), torch.ones_like(budget)

    with monkeypatch.context() as patch:
        patch.setattr(search, "newton", worse)
        way.finish(rounds=1)
    assert not way.done
    assert torch.equal(way.curve, line)
    way.finish()
    assert way.done
    exact = half_plane_distance(line[:, 0], line[:, -1]).item()
    assert curve_length(HALF_PLANE, way.curve).item() == pytest.approx(exact, rel=1e-3)


def test_a_grid_start_is_nearly_as_short_as_the_shortest_path():
    a, b = points(-4.0, 1.0), points(4.0, 1.0)
    start = starts.grid_path(HALF_PLANE, a, b, 256)
    assert start.shape == (256, 2)
    assert curve_length(HALF_PLANE, start) < 1.1 * half_plane_distance(a, b)
