"""The page's particles against the core: laws and slopes, where they begin, a whole run, the exact grid."""

import math

import numpy as np
import pytest
import torch
from page_balls import DRAIN, balls, in_page

import riemvae_core as rc
from riemvae_core.figures.widgets import particles_figure
from riemvae_core.laws import BallMixture, local_scale, mixture_of_metric, smc

pytestmark = pytest.mark.browser
TYPED = """const typed = (b) => ({...b, mu: Float64Array.from(b.mu), logVar: Float64Array.from(b.logVar)});
"""


def in_axes(b: dict, axes: int) -> rc.PosteriorMetric:
    """The core's metric of the same balls, with center 0 and radius 1 on all axes but two."""
    mu, log_var = (particles_figure.in_all_axes(b[part].double(), axes) for part in ("mu", "log_var"))
    return rc.PosteriorMetric(mu, log_var, b["rho"], lam=0.0, tau=0.0)


def unseen(b: dict, axes: int) -> float:
    """Log of what a lone ball's Gaussian function integrates to over the axes that are not seen."""
    return 0.5 * (axes - 2) * math.log(2 * math.pi * b["rho"] ** 2 / axes)


class Seen:
    """The core's metric as it looks in the plane, so that the core's sampler runs there."""

    lam = 0.0

    def __init__(self, b: dict, axes: int) -> None:
        self.b, self.axes, self.metric = b, axes, in_axes(b, axes)
        self.mu, self.log_var = self.metric.mu[:, :2], self.metric.log_var[:, :2]
        self.rho = b["rho"] * math.sqrt(2 / axes)

    def log_volume_and_grad(self, z):
        value, gradient = self.metric.log_volume_and_grad(particles_figure.in_all_axes(z, self.axes))
        return value + unseen(self.b, self.axes), gradient[:, :2]

    def log_volume(self, z):
        return self.log_volume_and_grad(z)[0]


def alone(b: dict, axes: int) -> BallMixture:
    whole = mixture_of_metric(in_axes(b, axes))
    return BallMixture(whole.mu[:, :2], whole.log_var[:, :2], whole.log_mass)


@pytest.mark.parametrize("axes", [2, 7, 64])
def test_the_volume_element_and_the_mixture_are_the_core_s(ask, axes):
    b = balls()
    z = 1.5 * torch.randn(50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    seen = ask(
        {"particles": "makeVolume, makeDensity, makeStart"},
        TYPED + """const g = [0, 0], b = typed(a.balls), volume = makeVolume(b, a.axes);
        const density = makeDensity(makeStart("alone", b, a.axes));
        return a.z.map((z) => [volume.at(z, g), ...g, density.at(z, g), ...g]);""",
        {"balls": in_page(b), "axes": axes, "z": z.tolist()},
    )  # fmt: skip
    value, gradient = Seen(b, axes).log_volume_and_grad(z)
    base = alone(b, axes).value_and_grad(z)
    expected = [value[:, None], gradient, base.log_density[:, None], base.gradient]
    np.testing.assert_allclose(seen, torch.cat(expected, 1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("start", particles_figure.STARTS)
def test_particles_begin_where_the_core_s_would(ask, start):
    """Mixture and proposal of the ring in 128 axes, the place that the core finds within it included."""
    axes = 128
    expected = particles_figure.mixture_of("ring", axes, start)
    seen = ask(
        {"particles": "makeStart"},
        """const {mu, logVar, logMass} = makeStart(a.start, a.world, a.axes, a.world.places[a.axes]);
        return [mu, logVar, logMass].map((one) => [...one]);""",
        {"start": start, "axes": axes, "world": particles_figure._worlds()["ring"]},
    )
    for page, core in zip(seen, (expected.mu, expected.log_var, expected.log_mass), strict=True):
        np.testing.assert_allclose(page, core.flatten(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("axes", "sweeps"), [(24, 2), (2, 1)])
def test_a_whole_run_is_the_core_s(ask, axes, sweeps):
    """The same seed: the same particles, temperatures and verdict as sample_by_smc in the plane."""
    b, islands, per = balls(30), 4, 40
    law, first = Seen(b, axes), alone(b, axes)
    expected = smc.sample_by_smc(law, 20, rc.make_generator(3), islands, per, sweeps, mixture=first)
    found, z, kinds, weights = ask(
        {"particles": "makeVolume, makeStart, temper", "torch_random": "makeTorchRandom"},
        TYPED + DRAIN + """const b = typed(a.balls), frames = [...temper({
          volume: makeVolume(b, a.axes), start: makeStart("alone", b, a.axes), scale: a.scale,
          islands: a.islands, per: a.per, sweeps: a.sweeps, random: makeTorchRandom(3),
        })];
        const weighed = frames.find(({kind}) => kind === "weighed");
        return [frames.at(-1), [...frames.at(-1).z], frames.map(({kind}) => kind), [...weighed.weights]];""",
        {
            "balls": in_page(b), "axes": axes, "islands": islands, "per": per, "sweeps": sweeps,
            "scale": local_scale(in_axes(b, axes))[:2].tolist(),
        },
    )  # fmt: skip
    report = found["report"]
    named = {"log_volume": "log_volume", "error": "log_volume_error", "ess": "ess", "r_hat": "r_hat"}
    for page, core in named.items():
        assert report[page] == pytest.approx(getattr(expected, core), rel=1e-6), page
    assert report["converged"] == expected.converged
    assert found["temperature"] == 1
    stages = kinds.count("weighed")
    assert stages > 1 if axes == 24 else stages == 1
    assert kinds == ["start"] + stages * (["weighed", "resampled"] + sweeps * ["moved"])
    assert np.sum(weights) == pytest.approx(islands * per)
    nearest = torch.cdist(expected.z, torch.tensor(z, dtype=torch.float64).reshape(-1, 2)).amin(1)
    assert nearest.max() < 1e-6


def test_without_moves_the_population_dies_out(ask):
    """Each frame's particles come from the one before; only copies of the first ones are left."""
    b, axes = balls(30), 24
    first, last, ancestors = ask(
        {"particles": "makeVolume, makeStart, temper", "torch_random": "makeTorchRandom"},
        TYPED + """const b = typed(a.balls), frames = [...temper({
          volume: makeVolume(b, a.axes), start: makeStart("alone", b, a.axes), scale: [1, 1],
          islands: 4, per: 40, sweeps: 0, random: makeTorchRandom(0),
        })];
        let roots = Array.from({length: 160}, (_, i) => i);
        for (const {from} of frames) if (from) roots = [...from].map((i) => roots[i]);
        return [[...frames[0].z], [...frames.at(-1).z], roots];""",
        {"balls": in_page(b), "axes": axes},
    )  # fmt: skip
    start = np.reshape(first, (-1, 2))
    np.testing.assert_array_equal(np.reshape(last, (-1, 2)), start[ancestors])
    assert len(set(ancestors)) < 80


def test_the_next_temperature_leaves_half_of_the_particles_effective(ask):
    logs = 3 * torch.randn(300, generator=rc.make_generator(0)).double()
    seen = ask(
        {"particles": "nextTemperature"},
        "const logs = Float64Array.from(a); return [0, 0.9, 1e-3].map((t) => nextTemperature(logs, t));",
        logs.tolist(),
    )
    assert seen == pytest.approx([smc.next_temperature(logs, t) for t in (0.0, 0.9, 1e-3)], abs=1e-12)
    w = torch.softmax(seen[0] * logs, 0)
    assert 1 / w.square().sum().item() == pytest.approx(150, rel=1e-6)


def test_exact_laws_on_the_grid(ask):
    """Against the core at the midpoints; the whole of round balls is closed, outside included."""
    b = balls(20) | {"log_var": torch.full((20, 2), -2.0)}
    n, half, axes = 60, 6.0, 9
    base, goal, middle, masses = ask(
        {"particles": "makeStart", "tempered": "lawsOnGrid, makeTempered"},
        TYPED + """const b = typed(a.balls), frame = {center: [0, 0], half: a.half};
        const start = (axes) => makeStart("alone", b, axes), half = 2.5;
        const {base, goal} = lawsOnGrid(b, start(a.axes), a.axes, frame, a.n);
        const middle = makeTempered(b, start(a.axes), a.axes, frame, a.n).at(0.25).values;
        const small = makeTempered(b, start(2), 2, {center: [0, 0], half}, 120);
        return [[...base], [...goal], [...middle], [0, 0.3, 1].map((t) => small.at(t).exact)];""",
        {"balls": in_page(b), "axes": axes, "n": n, "half": half},
    )  # fmt: skip
    ticks = ((torch.arange(n, dtype=torch.float64) + 0.5) / n * 2 - 1) * half
    z = torch.stack(torch.meshgrid(ticks, -ticks, indexing="xy"), -1).reshape(-1, 2)
    expected, mixture = Seen(b, axes).log_volume(z), alone(b, axes).log_density(z)
    near = (mixture > mixture.max() - 200).numpy()  # far out the page's products underflow
    assert near.mean() > 0.2
    np.testing.assert_allclose(np.array(goal)[near], expected[near], atol=1e-8)
    np.testing.assert_allclose(np.array(base)[near], mixture[near], atol=1e-8)
    np.testing.assert_allclose(np.array(middle)[near], torch.lerp(mixture, expected, 0.25)[near], atol=1e-8)
    closed = math.log(20 * math.pi * b["rho"] ** 2)
    assert masses == pytest.approx(3 * [closed], abs=1e-3)  # as two grids meet at an edge


def test_shares_of_cells(ask):
    rng = np.random.default_rng(0)
    z, weights = rng.normal(size=(500, 2)), rng.exponential(size=500)
    seen = ask(
        {"tempered": "sharesOfCells"},
        """const frame = {center: [0.5, -0.5], half: 2};
        return [0, 1].map((axis) => [...sharesOfCells(a.z, a.weights, frame, 8, axis)]);""",
        {"z": z.flatten().tolist(), "weights": weights.tolist()},
    )
    for axis, (low, high) in enumerate(((-1.5, 2.5), (-2.5, 1.5))):
        counts, _ = np.histogram(z[:, axis], 8, (low, high), weights=weights)
        assert seen[axis] == pytest.approx((counts / 500).tolist())
