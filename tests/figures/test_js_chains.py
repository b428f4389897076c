"""The page's random numbers, chains and histograms against the core and against laws."""

import math

import numpy as np
import pytest
import torch
from page_balls import balls, in_core, in_page
from scipy import stats

import riemvae_core as rc
from riemvae_core.laws.hmc import evaluate_target, hmc_step

pytestmark = pytest.mark.browser


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
