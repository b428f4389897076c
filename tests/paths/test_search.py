"""The search step by step: starts, rounds that are taken back, and paths that flee."""

import math

import pytest
import torch
from path_cases import HALF_PLANE, half_plane_distance, points

from riemvae_core.metrics import PosteriorMetric
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


# --- what is kept, and what is said of it


def found_paths(*lengths, converged=()):
    """Paths of one start each, whose lengths are told; the last point tells which start it was."""
    paths = []
    for k, length in enumerate(lengths):
        value = torch.tensor(length, dtype=torch.float64)
        done = torch.tensor([row in converged[k] for row in range(len(value))])
        curve = torch.full((len(value), 2, 1), float(k)).double()
        paths.append(search.Geodesic(curve, value, value**2, done, done.long()))
    return paths


def test_the_shortest_is_kept_and_of_equals_the_one_that_converged():
    starts_found = found_paths(
        [1.0, 1.0, math.nan, math.inf], [1.000005, 1.001, 2.0, 3.0], converged=((), (0, 1, 2, 3))
    )
    best = search._shortest(starts_found)
    assert best.curve[:, -1, 0].tolist() == [1.0, 0.0, 1.0, 1.0]
    assert best.converged.tolist() == [True, False, True, True]
    assert best.length.tolist() == [1.000005, 1.0, 2.0, 3.0]


@pytest.mark.parametrize("sigma", [1e-4, 1e-5])
def test_a_ball_that_adds_one_percent_is_certified_too(sigma):
    """Among a background whose line is 200 long: both integrals by a grid of their own about the ball."""
    mu, lam = points((0.3217, 0.1), (0.0, 99.0)), 1e4
    metric = PosteriorMetric(mu, torch.full_like(mu, 2 * math.log(sigma)), rho=1.0, lam=lam, tau=0.0)
    line = straight_line(points((-1.0, 0.1)), points((1.0, 0.1)), 64)
    unseen = curve_length(metric, line)
    assert unseen.item() == pytest.approx(200.0, rel=1e-4)
    seen = search.certified(
        form_of(metric), search.Geodesic(line, unseen, unseen**2, unseen > 0, (unseen > 0).long())
    )
    x = torch.linspace(-12.0, 12.0, 40001).double()  # in radii: G = lam + exp(-x^2) / sigma^2
    g = lam + torch.exp(-x.square()) / sigma**2
    length = 200.0 + sigma * torch.trapezoid(g.sqrt() - 100.0, x).item()
    energy = 2.0 * (2.0 * lam + sigma * torch.trapezoid(g - lam, x).item())
    assert 1.002 < length / 200.0 < 1.02
    assert seen.length.item() == pytest.approx(length, rel=2e-4)
    assert seen.energy.item() == pytest.approx(energy, rel=1e-3)
    assert not seen.converged


def flat(z):
    return torch.eye(2, dtype=z.dtype).expand(*z.shape, 2)


def test_a_path_whose_points_cut_its_corners_has_not_converged():
    t = torch.linspace(0.0, math.pi, 200, dtype=torch.float64, device="cpu")
    circle = torch.stack([-t.cos(), t.sin()], -1)[None]
    for n, fits in ((3, False), (64, True)):
        way = search._Search(form_of(flat), circle, 5, 1e-8)
        way.steps, way.done = way.steps + 5, ~way.done  # come to rest, with nothing left to spend
        path = search._at_constant_speed(way.form, way, n, 5)
        assert path.converged.tolist() == [fits]
        chords = 2.0 * (n - 1) * math.sin(0.5 * math.pi / (n - 1))
        assert path.length.item() == pytest.approx(chords, rel=1e-4)


@pytest.mark.parametrize("left", [1, 3])
def test_no_step_is_taken_beyond_the_budget(left):
    """A detour of the half-plane at few points: there is always something left to polish."""
    t = torch.linspace(0.0, 1.0, 200, dtype=torch.float64, device="cpu")
    curve = torch.stack([2.0 * t - 1.0, 1.0 - 0.9 * torch.sin(math.pi * t)], -1)[None]
    way = search._Search(form_of(HALF_PLANE), curve, 50, 1e-8)
    way.steps = way.steps + 50 - left
    path = search._at_constant_speed(way.form, way, 5, 50)
    assert 50 - left <= path.steps.item() <= 50
    way.steps = torch.full_like(way.steps, 50 - left)
    way.done = ~torch.ones_like(way.done)
    way.descend(torch.tensor([0], device="cpu"), 40, 1e-8)
    assert way.steps.item() <= 50


def test_a_round_is_done_only_where_finer_integration_agrees(monkeypatch):
    """A wall that a piece's two Gauss points don't see, crossed by a line that claims to be at rest."""

    def wall(z):
        return (1.0 + 1e6 * torch.exp(-(((z - 0.0159) / 2e-3) ** 2)))[..., None]

    line = straight_line(points((-1.0,)), points((1.0,)), 64)

    def at_rest(form, curve, times, order, budget, tol):
        return line.clone(), torch.ones(1, dtype=torch.bool), torch.ones_like(budget)

    monkeypatch.setattr(search, "newton", at_rest)
    monkeypatch.setattr(search, "at_mixed_spacing", lambda form, curve, n: (line, line[:, 1:, 0]))
    way = search._Search(form_of(wall), line, 500, 1e-8)
    way.finish(rounds=1)
    assert not way.done
    way = search._Search(form_of(lambda z: torch.ones_like(z)[..., None]), line, 500, 1e-8)
    way.finish(rounds=1)
    assert way.done
