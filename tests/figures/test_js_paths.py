"""The page's curves and shortest paths against the core and closed forms."""

import math

import numpy as np
import pytest
import torch
from page_balls import balls, in_core, in_page

import riemvae_core as rc

pytestmark = pytest.mark.browser


# ---- curves and shortest paths


def test_a_table_of_the_metric_is_the_metric_and_has_its_slopes(ask):
    b = balls() | {"tau": 0.0}
    z = 2 * torch.randn(60, 2, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    seen = ask(
        {"metric": "makeMetric", "curves": "tableRuler, exactRuler, cheapRuler"},
        """const metric = makeMetric(a.balls), ruler = tableRuler(metric, 8, 641), exact = exactRuler(metric);
        return a.z.map(([x, y]) => {
          const at = (r) => { const out = new Float64Array(6); r(x, y, out); return [...out]; };
          return [ruler, cheapRuler(ruler), exact].map(at);
        });""",
        {"balls": in_page(b), "z": z.tolist()},
    )
    leaf = z.clone().requires_grad_()
    logs = in_core(b).log_diagonal(leaf)
    slopes = [torch.autograd.grad(logs[:, k].sum(), leaf, retain_graph=True)[0] for k in range(2)]
    expected = torch.cat([logs.detach(), *slopes], 1)
    table, cheap, exact = torch.tensor(seen, dtype=torch.float64).unbind(1)
    np.testing.assert_allclose(exact[:, :2], expected[:, :2], atol=1e-10)
    np.testing.assert_allclose(table[:, :2], expected[:, :2], atol=2e-3)
    np.testing.assert_allclose(table[:, 2:], expected[:, 2:], atol=0.2)
    volume = -2.0 * in_core(b).log_volume(z)
    np.testing.assert_allclose(cheap[:, :2], volume[:, None].expand(-1, 2), atol=4e-3)


def test_lengths_and_energies_are_the_core_s(ask):
    """With the energy's gradient against autograd, at equal times."""
    b = balls() | {"tau": 0.0}
    curve = (
        torch.randn(12, 2, generator=torch.Generator().manual_seed(8), dtype=torch.float64).cumsum(0) * 0.2
    )
    length, energy, gradient = ask(
        {"metric": "makeMetric", "curves": "tableRuler, exactRuler, curveLength, energyAndGradient"},
        """const metric = makeMetric(a.balls), exact = exactRuler(metric);
        const ruler = tableRuler(metric, 6, 1201), curve = Float64Array.from(a.curve);
        const g = new Float64Array(24), times = new Float64Array(11).fill(1 / 11);
        const energy = energyAndGradient(ruler, curve, times, g, new Float64Array(22));
        return [curveLength(exact, curve), energy, [...g]];""",
        {"balls": in_page(b), "curve": curve.flatten().tolist()},
    )
    leaf = curve.clone().requires_grad_()
    value = rc.curve_energy(in_core(b), leaf, order=2)
    (expected,) = torch.autograd.grad(value, leaf)
    assert length == pytest.approx(float(rc.curve_length(in_core(b), curve)), rel=1e-9)
    assert energy == pytest.approx(value.item(), rel=1e-3)
    assert gradient[:2] + gradient[-2:] == [0, 0, 0, 0]
    inner = torch.tensor(gradient, dtype=torch.float64).reshape(-1, 2)[1:-1]
    assert (inner - expected[1:-1]).norm() < 0.01 * expected[1:-1].norm()


HALF_PLANE = """const plane = (x, y, out) => {
  const s = Math.max(y, 0.05);
  out[0] = out[1] = -2 * Math.log(s); out[2] = out[4] = 0; out[3] = out[5] = y > 0.05 ? -2 / y : 0;
};"""


def test_shortest_paths_of_the_half_plane(ask):
    """From the straight line, and from a walk over the grid: half circles of known length."""
    pairs = [[[-1.0, 1.0], [1.0, 1.0]], [[-2.0, 1.0], [2.0, 1.0]], [[-1.5, 0.5], [1.0, 2.0]]]
    found = ask(
        {"curves": "straightLine", "paths": "makeGraph, shortestPath"},
        HALF_PLANE
        + """const graph = makeGraph(plane, 4, 81);
        return a.map(([p, q]) => {
          const starts = [straightLine(p, q, 64), graph.walk(graph.tree(q), p, q)];
          return starts.map((start) => {
            const {curve, length, converged} = shortestPath(plane, [start]);
            return [length, converged, [...curve]];
          });
        });""",
        pairs,
    )
    for (p, q), both in zip(pairs, found, strict=True):
        exact = math.acosh(1 + math.dist(p, q) ** 2 / (2 * p[1] * q[1]))
        for length, converged, curve in both:
            assert converged
            assert length == pytest.approx(exact, rel=1e-3)
            assert curve[:2] + curve[-2:] == p + q


def test_a_walk_is_near_the_shortest_and_a_cut_search_says_so(ask):
    """Sixteen directions of edges are at most 3% longer than straight on in a flat plane."""
    length, converged = ask(
        {"curves": "curveLength", "paths": "makeGraph, shortestPath"},
        HALF_PLANE
        + """const flat = (x, y, out) => out.fill(0), graph = makeGraph(flat, 3, 61);
        const walk = graph.walk(graph.tree([1.7, 2]), [-2, -1.1], [1.7, 2]);
        const cut = shortestPath(plane, [Float64Array.of(-2, 1, 2, 1)], 2);
        return [curveLength(flat, walk), cut.converged];""",
    )
    assert 1 <= length / math.dist((-2, -1.1), (1.7, 2)) < 1.03
    assert not converged
