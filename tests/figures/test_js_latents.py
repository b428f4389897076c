"""What the page does with a reader's latents, against the core: draws and slices."""

import math

import numpy as np
import pytest
import torch
from page_balls import DRAIN, balls, in_core, in_page

import riemvae_core as rc
from riemvae_core.figures.widgets.reader_latents import color_range, in_view, slice_through
from riemvae_core.laws import crowds, samplers
from riemvae_core.laws.crowds import proposal_of_metric
from riemvae_core.laws.diagnostics import importance_ess, pareto_k
from riemvae_core.laws.mixture import mixture_of_metric

pytestmark = pytest.mark.browser


def torch_draws(generator) -> list[list[float]]:
    """Draws of every kind that the page makes, one after the other, from one generator."""
    weights = torch.tensor([1.0, 2.0, 0.0, 5.0], dtype=torch.float64) / 8
    return [
        torch.randint(240, (50,), generator=generator).tolist(),
        torch.randn(5, 7, generator=generator).flatten().tolist(),
        torch.randn(3, 16, generator=generator, dtype=torch.float64).flatten().tolist(),
        torch.rand(3, generator=generator, dtype=torch.float64).tolist(),
        torch.randn(17, generator=generator, dtype=torch.float64).tolist(),
        torch.multinomial(weights, 300, replacement=True, generator=generator).tolist(),
        torch.randperm(700, generator=generator).tolist(),
        torch.rand(1, generator=generator, dtype=torch.float64).tolist(),
    ]


@pytest.mark.parametrize("seed", [0, 1, 123456789])
def test_random_numbers_are_torch_s(ask, seed):
    """All kinds in a row, past the first 624 words: a seed gives the core's numbers, not just their law."""
    seen = ask(
        {"torch_random": "makeTorchRandom"},
        """const r = makeTorchRandom(a), times = (n, f) => Array.from({length: n}, f);
        return [times(50, () => r.below(240)), [...r.normals(35, "f4")], [...r.normals(48, "f8")],
          times(3, r.uniform), [...r.normals(17, "f8")],
          [...r.multinomial([1, 2, 0, 5].map((w) => w / 8), 300)],
          [...r.permutation(700)], [r.uniform()]];""",
        seed,
    )
    expected = torch_draws(torch.Generator().manual_seed(seed))
    for got, wanted, tolerance in zip(seen, expected, (0, 2e-6, 1e-12, 0, 1e-12, 0, 0, 0), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_parameters_are_fitted_by_the_core_s_rules(ask, d):
    b = balls(d=d)
    found = ask({"metric": "fitMetric"}, "return fitMetric(a.balls, a.d);", {"balls": in_page(b), "d": d})
    metric = rc.PosteriorMetric.fit(b["mu"].double(), b["log_var"].double())
    assert found == pytest.approx({name: getattr(metric, name) for name in ("rho", "lam", "tau")})


TYPED = "for (const key of ['mu', 'logVar']) a.balls[key] = Float64Array.from(a.balls[key]);"


@pytest.mark.parametrize("d", [1, 2, 5])
def test_mixtures_and_proposals_are_the_core_s(ask, d):
    b = balls(d=d)
    metric = in_core(b)
    z = 2 * torch.randn(50, d, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    plain, masses, values, draws, share = ask(
        {"metric": "makeMetric", "mixture": "backgroundShare, mixtureOfMetric, proposalOfMetric",
         "torch_random": "makeTorchRandom"},
        DRAIN + TYPED
        + """const plain = mixtureOfMetric(a.balls, a.d);
        const crowd = drain(proposalOfMetric(a.balls, makeMetric(a.balls, a.d)));
        const {z, index} = crowd.sample(100, makeTorchRandom(3), "f8");
        return [[...plain.logMass, plain.logTotal], [...crowd.logMass, crowd.logTotal],
          a.z.map((z) => [crowd.logDensity(z), crowd.logOf(crowd.k - 1, z)]), [[...z], [...index]],
          backgroundShare(plain)];""",
        {"balls": in_page(b), "d": d, "z": z.tolist()},
    )  # fmt: skip
    for got, mixture in ((plain, mixture_of_metric(metric)), (masses, proposal_of_metric(metric))):
        assert got == pytest.approx([*mixture.log_mass.tolist(), mixture.log_total])
    proposal = proposal_of_metric(metric)
    expected = proposal.value_and_grad(z)
    assert [v for v, _ in values] == pytest.approx(expected.log_density.tolist(), abs=1e-9)
    assert [math.exp(last - v) for v, last in values] == pytest.approx(
        expected.last_share.tolist(), abs=1e-12
    )
    points, index = proposal.sample(100, torch.Generator().manual_seed(3))
    np.testing.assert_allclose(draws[0], points.flatten(), atol=1e-12)
    assert draws[1] == index.tolist()
    log_mass = mixture_of_metric(metric).log_mass
    assert share == pytest.approx(float(torch.softmax(log_mass, 0)[-1]))


def test_weights_are_judged_and_resampled_as_in_the_core(ask):
    generator = torch.Generator().manual_seed(9)
    normal = torch.randn(3000, generator=generator, dtype=torch.float64)
    heavy = -1.5 * torch.rand(2000, generator=generator, dtype=torch.float64).log()
    cases = [normal, 4 * normal, heavy, 0.001 * normal, torch.zeros(100, dtype=torch.float64)]
    weights = torch.softmax(2 * normal[:500], 0)
    judged, index = ask(
        {"importance": "importanceEss, paretoK, resample", "torch_random": "makeTorchRandom"},
        """return [a.cases.map((w) => [importanceEss(w), paretoK(w)]),
          resample(a.weights, 200, makeTorchRandom(5))];""",
        {"cases": [c.tolist() for c in cases], "weights": weights.tolist()},
    )
    for (ess, k), case in zip(judged, cases, strict=True):
        assert ess == pytest.approx(importance_ess(case))
        assert k == pytest.approx(pareto_k(case), abs=1e-9)
    assert judged[2][1] > 0.7 > judged[0][1]
    assert index == samplers.resample(weights, 200, torch.Generator().manual_seed(5)).tolist()


@pytest.mark.parametrize(("d", "changes"), [(2, {}), (5, {}), (2, {"log_var": 0.0}), (8, {"log_var": 0.5})])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_uniform_draws_are_the_core_s(ask, d, changes, dtype):
    """The same draws from the same seed; where they don't converge, both say so."""
    b = balls(60, d) | {name: torch.full((60, d), value) for name, value in changes.items()}
    mu, log_var = b["mu"].to(dtype), b["log_var"].to(dtype)
    metric = rc.PosteriorMetric.fit(mu, log_var)
    expected = samplers.sample_by_importance(metric, 40, torch.Generator().manual_seed(11))
    seen = ask(
        {"metric": "fitMetric, makeMetric", "importance": "sampleByImportance, verdict",
         "torch_random": "makeTorchRandom"},
        DRAIN + TYPED + """Object.assign(a.balls, fitMetric(a.balls, a.d));
        const metric = makeMetric(a.balls, a.d);
        const draws = drain(sampleByImportance(a.balls, metric, 40, makeTorchRandom(11), a.dtype));
        return {...draws, z: [...draws.z], verdict: verdict(draws)};""",
        {"balls": in_page(b), "d": d, "dtype": f"f{mu.element_size()}"},
    )  # fmt: skip
    tolerance = 1e-9 if dtype == torch.float64 else 2e-4
    for name in ("log_volume", "log_volume_error", "ess", "acceptance", "background_share"):
        assert seen[name] == pytest.approx(getattr(expected, name), rel=tolerance, abs=tolerance), name
    assert seen["converged"] == expected.converged
    assert ("worth" in seen["verdict"]) or ("Pareto" in seen["verdict"])
    np.testing.assert_allclose(np.reshape(seen["z"], (-1, d)), expected.z, atol=tolerance, rtol=tolerance)


def test_some_draws_do_not_converge(ask, monkeypatch):
    """Crowded balls in many dimensions: the page, which looks at centers alone, says what they are worth."""
    monkeypatch.setattr(crowds, "crowds_between", lambda *_: None)
    b = balls(60, 40) | {"log_var": torch.zeros(60, 40)}
    expected = samplers.sample_by_importance(
        rc.PosteriorMetric.fit(b["mu"].double(), b["log_var"].double()), 40, torch.Generator().manual_seed(0)
    )
    seen, words = ask(
        {"metric": "fitMetric, makeMetric", "importance": "sampleByImportance, verdict",
         "torch_random": "makeTorchRandom"},
        DRAIN + TYPED + """Object.assign(a.balls, fitMetric(a.balls, 40));
        const metric = makeMetric(a.balls, 40);
        const draws = drain(sampleByImportance(a.balls, metric, 40, makeTorchRandom(0), "f8"));
        return [draws, verdict(draws)];""",
        {"balls": in_page(b)},
    )  # fmt: skip
    assert not expected.converged
    assert not seen["converged"]
    assert seen["ess"] == pytest.approx(expected.ess, rel=1e-6)
    assert seen["proposals"] == pytest.approx(expected.ess / expected.acceptance)
    assert words == (
        f"The mixture proposes what the law rarely wants: {seen['proposals']:,} proposals are worth "
        f"{int(seen['ess']):,}, 2,000 were wanted, and the largest weight holds {100 * seen['largest']:.0f}%."
        " Don’t trust these draws; sample_uniform of the core tempers where this fails."
    )


@pytest.mark.parametrize(("d", "axes"), [(1, [0, -1]), (2, [0, 1]), (2, [1, 0]), (5, [3, 1])])
@pytest.mark.parametrize("changes", [{}, {"rho": 0.2}, {"rho": 5.0, "lam": 1e-6, "tau": 0.01}])
def test_a_slice_s_field_is_the_core_s(ask, d, axes, changes):
    b = balls(50, d) | changes
    metric, n = in_core(b), 30
    shown = slice_through(metric, axes, metric.mu[4])
    seen = ask(
        {"slice": "frameOf, makeSlice, projected, volumeOnSlice, colorRange"},
        DRAIN + TYPED + """const frame = frameOf(a.balls, a.d, a.axes), {point, axes} = a;
        const slice = makeSlice(a.balls, a.d, {point, axes, frame});
        const values = drain(volumeOnSlice(slice, a.n, new Float64Array(a.n ** 2)));
        return {frame, values: [...values], range: colorRange(values),
          flat: [...projected(a.balls.mu, a.d, axes)]};""",
        {"balls": in_page(b), "d": d, "axes": axes, "n": n, "point": metric.mu[4].tolist()},
    )  # fmt: skip
    assert seen["frame"]["center"] == pytest.approx(list(shown.center))
    assert seen["frame"]["half"] == pytest.approx(shown.half)
    expected = metric.log_volume(shown.points(n))
    assert seen["values"] == pytest.approx(expected.flatten().tolist(), abs=1e-9)
    assert seen["range"] == list(color_range(expected))
    assert seen["flat"] == pytest.approx(in_view(metric.mu, axes).flatten().tolist())
