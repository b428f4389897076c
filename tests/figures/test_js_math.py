"""The mathematics of the live figures, module by module in a browser, against the core and against laws."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

import riemvae_core as rc
from riemvae_core.figures.widgets import host, voronoi_figure
from riemvae_core.figures.widgets.voronoi_figure import CENTER, HALF
from riemvae_core.laws.hmc import evaluate_target, hmc_step

pytestmark = pytest.mark.browser


def balls(n: int = 40, d: int = 2, seed: int = 0) -> dict:
    """Balls as the page has them (float32), and three parameters."""
    generator = torch.Generator().manual_seed(seed)
    mu = torch.randn(n, d, generator=generator)
    log_var = torch.randn(n, d, generator=generator) - 3.0
    return {"mu": mu, "log_var": log_var, "rho": 1.3, "lam": 0.2, "tau": 0.4}


def in_core(b: dict, **changes) -> rc.PosteriorMetric:
    given = b | changes
    return rc.PosteriorMetric(
        given["mu"].double(), given["log_var"].double(), *(given[k] for k in ("rho", "lam", "tau"))
    )


def in_page(b: dict, **more) -> dict:
    return {
        "mu": b["mu"].flatten().tolist(), "logVar": b["log_var"].flatten().tolist(),
        "rho": b["rho"], "lam": b["lam"], "tau": b["tau"],
    } | more  # fmt: skip


# ---- the metric


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("spread", [1.0, 30.0])
def test_the_page_s_metric_is_the_core_s(ask, d, spread):
    b = balls(d=d)
    metric = in_core(b)
    z = spread * torch.randn(50, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    diagonal, volume, gradient, index, distance = ask(
        {"metric": "makeMetric"},
        """const metric = makeMetric(a.balls, a.d), gradient = new Float64Array(a.d);
        const rows = [[], [], [], [], []];
        for (const z of a.z) {
          rows[0].push(metric.logDiagonal(z));
          rows[1].push(metric.logVolumeAndGradient(z, gradient));
          rows[2].push([...gradient]);
          const {index, distance} = metric.nearestBall(z);
          rows[3].push(index);
          rows[4].push(distance);
        }
        return rows;""",
        {"balls": in_page(b), "d": d, "z": z.tolist()},
    )
    expected_volume, expected_gradient = metric.log_volume_and_grad(z)
    np.testing.assert_allclose(diagonal, metric.log_diagonal(z), rtol=1e-9, atol=1e-9)
    assert volume == pytest.approx(expected_volume.tolist(), rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-8, atol=1e-8)
    gaps = ((z[:, None] - metric.mu) / (0.5 * metric.log_var).exp()).norm(dim=-1)
    assert index == gaps.argmin(1).tolist()
    assert distance == pytest.approx(gaps.amin(1).tolist())


@pytest.mark.parametrize("changes", [{}, {"rho": 0.1}, {"rho": 20.0}, {"lam": 1e-4, "tau": 3.0}])
def test_a_field_of_products_is_the_metric_s_log_volume(ask, changes):
    """Each row and column summed apart, against the core at every midpoint, balls at the edge too."""
    b = balls(60, seed=2) | changes
    n, frame = 64, {"center": [0.5, -0.25], "half": 2.5}
    seen = ask(
        {"metric": "volumeOnGrid"},
        "return [...volumeOnGrid(a.balls, a.frame, a.n, new Float64Array(a.n ** 2))];",
        {"balls": in_page(b), "frame": frame, "n": n},
    )
    ticks = ((torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 - 1) * 2.5
    z = torch.stack(torch.meshgrid(ticks + 0.5, -ticks - 0.25, indexing="xy"), -1)
    assert seen == pytest.approx(in_core(b).log_volume(z).flatten().tolist(), abs=1e-9)


def test_the_grid_is_as_fine_as_its_cost_allows(ask):
    """A wide reach lets every ball touch every midpoint; outside of its window a ball adds nothing."""
    body = """const frame = {center: [0, 0], half: 3}, sizes = [40, 20, 10];
    const grids = [1e9, 41 * 400, 41 * 100, 1].map((pairs) => gridWithin(a, frame, sizes, pairs));
    return [ballWindows(a, frame, 10), ...grids];"""
    wide, *grids = ask({"metric": "ballWindows, gridWithin"}, body, in_page(balls() | {"rho": 30.0}))
    assert wide == [{"left": 0, "right": 10, "top": 0, "bottom": 10}] * 40
    assert grids == [40, 20, 10, 10]
    b = balls() | {"rho": 0.1}
    narrow = ask(
        {"metric": "ballWindows"}, "return ballWindows(a, {center: [0, 0], half: 3}, 300);", in_page(b)
    )
    for (x, y), (sx, sy), w in zip(b["mu"], (0.5 * b["log_var"]).exp(), narrow, strict=True):
        edges = [
            (w["left"], x - sx + 3),
            (w["right"], x + sx + 3),
            (w["top"], 3 - y - sy),
            (w["bottom"], 3 - y + sy),
        ]
        assert [k for k, _ in edges] == pytest.approx(
            [min(300, max(0, 50 * float(v))) for _, v in edges], abs=1
        )


def test_balls_are_picked_by_index(ask):
    b = balls(5)
    found = ask(
        {"metric": "pickBalls"},
        "const {mu, logVar} = pickBalls(a, [3, 0]); return [[...mu], [...logVar]];",
        in_page(b),
    )
    assert found == [b["mu"][[3, 0]].flatten().tolist(), b["log_var"][[3, 0]].flatten().tolist()]


# ---- random numbers


def test_random_bits_are_xoshiro_s(ask):
    """Against the algorithm written out in whole numbers, and its first outputs from 1, 2, 3, 4."""

    def rotate(x, k):
        return (x << k | x >> 32 - k) & 0xFFFFFFFF

    a, b, c, d = 1, 2, 3, 4
    expected = []
    for _ in range(100):
        expected.append((rotate(a + d & 0xFFFFFFFF, 7) + a) & 0xFFFFFFFF)
        t = b << 9 & 0xFFFFFFFF
        c, d = c ^ a, d ^ b
        a, b, c, d = a ^ d, b ^ c, c ^ t, rotate(d, 11)
    seen = ask(
        {"random": "makeRandom"},
        "const {bits} = makeRandom(0, [1, 2, 3, 4]); return Array.from({length: 100}, bits);",
    )
    assert seen == expected
    assert seen[:4] == [641, 1573767, 3222811527, 3517856514]


def test_random_numbers_have_their_laws_and_their_seed(ask):
    draw = """const r = makeRandom(a), draw = (f) => Array.from({length: 20000}, f);
    return [draw(r.uniform), draw(r.normal), draw(() => r.below(5))];"""
    uniform, normal, below = ask({"random": "makeRandom"}, draw, 7)
    assert stats.kstest(uniform, "uniform").pvalue > 1e-3
    assert stats.kstest(normal, "norm").pvalue > 1e-3
    assert stats.chisquare(np.bincount(below, minlength=5)).pvalue > 1e-3
    assert abs(np.corrcoef(normal[:-1], normal[1:])[0, 1]) < 4 / math.sqrt(len(normal))
    assert min(uniform) > 0
    assert max(uniform) < 1
    assert ask({"random": "makeRandom"}, draw, 7)[0] == uniform
    assert ask({"random": "makeRandom"}, draw, 8)[0] != uniform


# ---- chains


def test_one_move_is_the_core_s(ask):
    """hmc_step of the core with the same momenta, jitters and uniform numbers."""
    b, chains, step, n_steps = balls(), 200, 0.2, 7
    metric = in_core(b)
    start = metric.mu[torch.arange(chains) % 40]
    generator = torch.Generator().manual_seed(3)
    state = evaluate_target(metric.log_volume_and_grad, start)
    moved, probability = hmc_step(metric.log_volume_and_grad, state, step, n_steps, generator=generator)
    generator.manual_seed(3)
    normals = torch.randn(chains, 2, generator=generator, dtype=torch.float64).flatten().tolist()
    uniforms = torch.rand(2 * chains, generator=generator, dtype=torch.float64).tolist()
    z, accepted, log_density = ask(
        {"hmc": "makeChains, moveChains, uniformRules"},
        """const chains = makeChains(uniformRules(a.balls), a.start);
        const accepted = moveChains(chains, {step: a.step, nSteps: a.nSteps, random: queue(a)});
        return [[...chains.z], [...accepted], [...chains.priced]];""",
        {
            "balls": in_page(b), "start": start.flatten().tolist(), "step": step, "nSteps": n_steps,
            "normals": normals, "uniforms": uniforms,
        },
    )  # fmt: skip
    assert 0.2 < float((moved.z == start).all(1).double().mean()) < 0.8  # some were refused, some not
    np.testing.assert_allclose(np.reshape(z, (-1, 2)), moved.z, atol=1e-9)
    assert accepted == pytest.approx(probability.tolist(), abs=1e-9)
    assert log_density == pytest.approx(moved.log_density.tolist(), abs=1e-9)


def test_one_move_as_released_is_the_core_s(ask):
    b, n = balls(), 100
    mu = b["mu"].double()
    generator = torch.Generator().manual_seed(4)
    expected = rc.sample_as_released(in_core(b), mu, n, generator, steps=3, n_leapfrog=5, step=0.05)
    generator.manual_seed(4)
    rows = (torch.rand(n, generator=generator, dtype=torch.float64) * len(mu)).long()
    normals, uniforms = [], []
    for _ in range(3):
        normals += torch.randn(n, 2, generator=generator, dtype=torch.float64).flatten().tolist()
        uniforms += torch.rand(n, generator=generator, dtype=torch.float64).tolist()
    z, acceptance = ask(
        {"hmc": "makeChains, moveChains, releasedRules"},
        """const chains = makeChains(releasedRules(a.balls), a.start), random = queue(a);
        for (let t = 0; t < 3; t++) moveChains(chains, {step: 0.05, nSteps: 5, random});
        return [[...chains.z], chains.acceptance];""",
        {
            "balls": in_page(b), "start": mu[rows].flatten().tolist(),
            "normals": normals, "uniforms": uniforms,
        },
    )  # fmt: skip
    np.testing.assert_allclose(expected.start, mu[rows])
    np.testing.assert_allclose(np.reshape(z, (-1, 2)), expected.z, atol=1e-9)
    assert acceptance == pytest.approx(expected.acceptance, abs=1e-6)


def test_the_leapfrog_goes_back_and_keeps_its_energy(ask):
    """There and, with the momentum turned, back again; halving the step quarters the error of the energy."""
    back, errors = ask(
        {"hmc": "leapfrog, uniformRules"},
        """const {force} = uniformRules(a), z0 = [0.3, -0.2], v0 = [0.5, 0.8], errors = [];
        const begin = (z, v, g = new Float64Array(2)) => ({z: [...z], v: [...v], g, value: force(z, g)});
        const energy = ({v, value}) => 0.5 * (v[0] ** 2 + v[1] ** 2) - value;
        for (const n of [64, 128]) {
          const path = begin(z0, v0), before = energy(path);
          leapfrog(force, path, 0.5 / n, n);
          errors.push(energy(path) - before);
        }
        const path = begin(z0, v0);
        leapfrog(force, path, 0.02, 10);
        path.v = path.v.map((v) => -v);
        leapfrog(force, path, 0.02, 10);
        return [[...path.z, ...path.v], errors];""",
        in_page(balls()),
    )
    assert back == pytest.approx([0.3, -0.2, -0.5, -0.8], abs=1e-10)
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.2)


def test_a_lost_path_is_refused(ask):
    """A force that throws a path a thousand nats up: no chain moves, nothing becomes NaN."""
    z, accepted = ask(
        {"hmc": "makeChains, moveChains"},
        """const force = (z, g) => { g[0] = -2e6 * z[0]; return -1e6 * z[0] ** 2; };
        const chains = makeChains({force, price: null, momentumStd: 1, jitter: 0}, [0.001], 1);
        const random = {normal: () => 1, uniform: () => 1e-300};
        const accepted = moveChains(chains, {step: 1, nSteps: 40, random});
        return [[...chains.z], [...accepted]];""",
    )
    assert (z, accepted) == ([0.001], [0.0])


def test_the_clamp_is_the_released_one(ask):
    b = balls() | {"log_var": torch.full((40, 2), -16.0)}
    metric, z = in_core(b), b["mu"][:10].double()
    assert float(metric.log_volume(z).amin()) > 0.5 * math.log(1e10)
    seen = ask(
        {"hmc": "releasedRules"}, "return a.z.map(releasedRules(a.balls).price);",
        {"balls": in_page(b), "z": z.tolist()},
    )  # fmt: skip
    assert seen == pytest.approx([0.5 * math.log(1e10)] * 10)


# ---- histograms


def test_points_are_counted_where_they_lie(ask):
    z = torch.randn(1000, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    counts, total, first, second = ask(
        {"histogram": "makeHistogram, marginal"},
        """const h = makeHistogram({center: [0.5, 0], half: 1.5}, 6);
        h.add(a);
        return [[...h.counts], h.total, [...marginal(h.counts, 6, 0)], [...marginal(h.counts, 6, 1)]];""",
        z.flatten().tolist(),
    )
    expected, _, _ = np.histogram2d(z[:, 1], z[:, 0], 6, [[-1.5, 1.5], [-1.0, 2.0]])
    assert total == 1000
    assert counts[:-1] == expected[::-1].flatten().tolist()
    assert counts[-1] == 1000 - expected.sum()
    assert first == expected.sum(0).tolist()
    assert second == expected.sum(1).tolist()


def test_masses_of_cells_are_the_core_s(ask):
    """Against sums of the core's density over the same midpoints, the ring outside included."""
    b = balls() | {"lam": 5.0, "tau": 0.05}
    seen = ask(
        {"metric": "volumeOnGrid", "histogram": "cellMasses, logSumAround"},
        """const center = [0, 0], room = (n) => new Float64Array(n * n);
        const grid = (half, n) => volumeOnGrid(a, {center, half}, n, room(n));
        const ring = logSumAround(grid(6, 120)) + 2 * Math.log((12 / 120) / (6 / 240));
        return [...cellMasses(grid(3, 240), 12, ring)];""",
        in_page(b),
    )
    metric = in_core(b)

    def density(half, n):
        ticks = ((torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 - 1) * half
        z = torch.stack(torch.meshgrid(ticks, -ticks, indexing="xy"), -1)
        return metric.log_volume(z).exp() * (2 * half / n) ** 2

    inside = density(3, 240).reshape(12, 20, 12, 20).sum((1, 3)).flatten()
    around = density(6, 120)
    around[30:90, 30:90] = 0.0
    expected = torch.cat([inside, around.sum()[None]])
    assert seen == pytest.approx((expected / expected.sum()).tolist(), abs=1e-12)
    assert seen[-1] > 0.05


def test_total_variation_and_its_noise(ask):
    """Draws from the masses show on average what ``samplingNoise`` says; another law shows its distance."""
    rng = np.random.default_rng(6)
    masses, other = rng.dirichlet(np.ones(50)), rng.dirichlet(np.ones(50))
    counts, far = rng.multinomial(4000, masses, 200), 4000 * other
    seen, noise, distance = ask(
        {"histogram": "totalVariation, samplingNoise"},
        """const {counts, far, masses} = a, of = (c) => totalVariation(c, 4000, masses);
        return [counts.map(of), samplingNoise(masses, 4000), of(far)];""",
        {"counts": counts.tolist(), "far": far.tolist(), "masses": masses.tolist()},
    )
    assert np.mean(seen) == pytest.approx(noise, rel=0.02)
    assert distance == pytest.approx(0.5 * np.abs(other - masses).sum())


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


# ---- codes and their cells


def some_codes(k: int, seed: int) -> torch.Tensor:
    """Codes within the figure's frame."""
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(k, 2, generator=generator, dtype=torch.float64) - 0.5) * 40 + torch.tensor(CENTER)


FRAME_BOX = [CENTER[0] - HALF, CENTER[1] - HALF, CENTER[0] + HALF, CENTER[1] + HALF]
CELLS = (
    "const e = Float64Array.from(a.codebook.flat()), cells = a.codebook.map((_, k) => cellOf(e, k, a.box));"
)


@pytest.mark.parametrize("k", [3, 16, 64])
def test_cells_are_scipy_s(ask, k):
    """Cut by half-planes in the page, by mirrored sites and scipy's Voronoi in Python: the same corners."""
    e = some_codes(k, seed=k)
    seen = ask({"cells": "cellOf"}, CELLS + "return cells;", {"codebook": e.tolist(), "box": FRAME_BOX})
    for mine, theirs in zip(seen, voronoi_figure.cells(e), strict=True):
        gaps = np.linalg.norm(np.array(mine)[:, None] - theirs[None], axis=-1)
        assert gaps.min(0).max() < 1e-9
        assert gaps.min(1).max() < 1e-9


def test_cells_of_one_code_and_of_codes_at_one_place(ask):
    corners = {(x, y) for x in FRAME_BOX[::2] for y in FRAME_BOX[1::2]}
    for codebook, sizes in ([[1.0, 2.0]], [4]), ([[1.0, 2.0], [1.0, 2.0]], [4, 0]):
        seen = ask({"cells": "cellOf"}, CELLS + "return cells;", {"codebook": codebook, "box": FRAME_BOX})
        assert [len(cell) for cell in seen] == sizes
        assert set(map(tuple, seen[0])) == corners


ASSIGNED = """const [points, codebook] = [a.points, a.codebook].map((v) => Float64Array.from(v.flat()));
const now = assign(points, codebook, a.softness);"""


@pytest.mark.parametrize("softness", [0.0, 0.7, 5.0])
def test_assignment_is_the_core_s(ask, softness):
    """Codes, usage and error; the first of two equal codes gets what both are nearest to."""
    e, z = some_codes(20, seed=1), some_codes(150, seed=2)
    e[7] = e[3]
    told = ask(
        {"cells": "assign"},
        ASSIGNED
        + "return Object.fromEntries(Object.entries(now).map(([k, v]) => [k, v.length ? [...v] : v]));",
        {"points": z.tolist(), "codebook": e.tolist(), "softness": softness},
    )
    weights = voronoi_figure.code_weights(z, e, softness)
    expected = rc.quantize(z, e)
    hits = [told["hits"][k] if k != 7 else told["hits"][3] for k in range(20)]
    assert told["hits"][7] == 0
    assert told["nearest"] == [3 if k == 7 else k for k in expected.codes.tolist()]
    assert hits[3] == expected.counts[3] + expected.counts[7]
    assert told["used"] == expected.used
    np.testing.assert_allclose(np.reshape(told["means"], (-1, 2)), weights @ e, atol=1e-9)
    assert told["error"] == pytest.approx(voronoi_figure.code_error(z, e, softness), rel=1e-9)
    if softness > 0:
        assert told["counts"] == pytest.approx(weights.sum(0).tolist(), rel=1e-9)
        assert told["perplexity"] == pytest.approx(rc.perplexity(weights.sum(0)).item(), rel=1e-9)
    else:
        assert told["counts"] == told["hits"]
        assert told["perplexity"] == pytest.approx(rc.perplexity(torch.tensor(told["hits"]).double()).item())
        assert told["error"] == pytest.approx(expected.commitment.mean().item())


@pytest.mark.parametrize("softness", [0.0, 0.7, 5.0])
def test_a_step_is_k_means_or_em_and_never_raises_the_error(ask, softness):
    e, z = some_codes(12, seed=3), some_codes(150, seed=4)
    e[5] = torch.tensor([1e3, 1e3])  # far from all
    steps = ask(
        {"cells": "assign, stepped"},
        ASSIGNED
        + """const steps = [[now.error, [...codebook]]];
        for (let t = 0, e = codebook; t < 12; t++) {
          e = stepped(e, assign(points, e, a.softness));
          steps.push([assign(points, e, a.softness).error, [...e]]);
        }
        return steps;""",
        {"points": z.tolist(), "codebook": e.tolist(), "softness": softness},
    )
    errors = [error for error, _ in steps]
    assert all(after <= before + 1e-12 for before, after in pairwise(errors))
    assert errors[-1] < 0.9 * errors[0]
    if softness > 0:
        weights = voronoi_figure.code_weights(z, e, softness)
        expected = torch.where(weights.sum(0)[:, None] > 0, weights.T @ z / weights.sum(0)[:, None], e)
    else:
        expected = rc.kmeans_step(z, e)
    np.testing.assert_allclose(np.reshape(steps[1][1], (-1, 2)), expected, atol=1e-9)
    assert steps[1][1][10:12] == [1e3, 1e3]


@pytest.mark.parametrize("n", [3, 150])
def test_dead_codes_come_back_as_the_core_says(ask, n):
    """Also where there are fewer points than dead codes."""
    e, z = some_codes(12, seed=5), some_codes(n, seed=6)
    e[4:9] += 1e3
    noise = torch.rand(n, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    seen = ask(
        {"cells": "assign, revived"},
        ASSIGNED + "return [...revived(codebook, now, points, Float64Array.from(a.noise))];",
        {"points": z.tolist(), "codebook": e.tolist(), "softness": 0, "noise": noise.tolist()},
    )
    counts = rc.quantize(z, e).counts.double()
    expected = rc.reset_dead_codes(rc.CodebookState(e, counts), z, noise, 0.5).codebook
    np.testing.assert_allclose(np.reshape(seen, (-1, 2)), expected, atol=1e-12)
    assert not np.allclose(expected, e)


def test_mathematics_knows_no_page_and_imports_nothing_but_mathematics():
    """It can run anywhere: it names neither document nor window."""
    modules = sorted((host.JS / "mathematics").glob("*.js"))
    assert len(modules) > 10
    for path in modules:
        text = path.read_text(encoding="utf8")
        assert not any(word in text for word in ("document.", "window.", "getContext"))
        assert all(name.startswith("./") for name in host.IMPORT.findall(text))
