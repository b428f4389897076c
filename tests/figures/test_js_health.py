"""The health report of the page against the core's: its numbers, its rows, its warnings."""

import numpy as np
import properties
import pytest
import torch
from page_balls import DRAIN, balls

import riemvae_core as rc

pytestmark = pytest.mark.browser


def _at_rest(said: torch.Tensor) -> dict:
    """Balls of variance 0.2 whose second moment is 1, and what an encoder says of their size."""
    mu = torch.randn(80, 3)
    mu = (mu - mu.mean(0)) / mu.std(0, correction=0) * 0.8**0.5
    return balls(80, 3) | {"mu": mu, "log_var": said.expand(80, 3).clone()}


def _nearly_twice(n: int, d: int) -> dict:
    """Every center twice, the second time by a hair off."""
    mu = torch.randn(n // 2, d, dtype=torch.float64)
    mu = torch.cat([mu, mu + 1e-5 * torch.randn_like(mu)])
    return {"mu": mu, "log_var": torch.full_like(mu, -3.0)}


def _on_a_curve(n: int, d: int) -> dict:
    """Centers that fill one dimension of many: nearer to each other than in all of them, and no copies."""
    t = 6.0 * torch.rand(n, 1, dtype=torch.float64)
    mu = torch.cat([torch.sin((k + 1) * t / 2) for k in range(d)], 1)
    return {"mu": mu, "log_var": torch.full_like(mu, -6.0)}


HEALTHS = {
    "apart": lambda: balls(60, 3),
    "one axis": lambda: balls(11, 1),
    "collapsed": lambda: balls(40, 2) | {"mu": torch.zeros(40, 2), "log_var": torch.zeros(40, 2)},
    "half dead": lambda: balls(100, 4) | {
        "mu": torch.randn(100, 4) * torch.tensor([1.0, 0.0, 0.05, 0.0]),
        "log_var": torch.tensor([[-4.0, 0, 0, 0]]).expand(100, 4),
    },
    "far": lambda: balls(50, 30) | {"mu": 5.0 + torch.randn(50, 30)},
    "fewer than axes": lambda: balls(5, 9),
    "copies": lambda: balls(60, 6) | {
        "mu": torch.cat([torch.randn(50, 6), torch.ones(10, 6)]),
        "log_var": torch.cat([torch.randn(50, 6) - 3.0, torch.full((10, 6), -3.0)]),
    },
    "near copies": lambda: balls(60, 5) | {
        "mu": torch.cat([torch.randn(52, 5), 1.0 + 1e-4 * torch.randn(8, 5)]),
        "log_var": torch.full((60, 5), -4.0),
    },
    "one far row": lambda: balls(60, 3) | {"mu": torch.cat([torch.randn(59, 3), torch.full((1, 3), 200.0)])},
    "tiny radii": lambda: balls(60, 3) | {
        "log_var": torch.cat([torch.randn(58, 3) - 3.0, torch.tensor([[-40.0] * 3, [-43.0] * 3])])
    },
    "near copies of many rows": lambda: _nearly_twice(90, 4),
    "a curve among many axes": lambda: _on_a_curve(60, 8),
    "log sigma": lambda: _at_rest(0.5 * torch.log(torch.tensor(0.2))),
    "sigma": lambda: _at_rest(torch.tensor(0.2).sqrt()),
    "sigma^2": lambda: _at_rest(torch.tensor(0.2)),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", HEALTHS)
def test_the_health_report_is_the_core_s(ask, name, dtype):
    torch.manual_seed(0)
    b = HEALTHS[name]()
    mu, log_var = b["mu"].to(dtype), b["log_var"].to(dtype)
    n, d = mu.shape
    metric = rc.PosteriorMetric.fit(mu, log_var, background=0.1)
    expected = rc.latent_health(mu, log_var, metric)
    seen, rows, steps = ask(
        {"health": "axisFacts, healthRows, healthSteps, latentHealth"},
        """let steps = 0, step;
        for (const key of ["mu", "logVar"]) a.latents[key] = Float64Array.from(a.latents[key]);
        a.metric.balls = {...a.latents, rho: a.metric.rho};
        const facts = Array.from({length: a.latents.d}, (_, axis) => axisFacts(a.latents, axis));
        const job = latentHealth(a.latents, facts, a.metric);
        for (step = job.next(); !step.done; step = job.next()) steps++;
        return [step.value, healthRows(step.value), steps - healthSteps(a.latents, a.metric)];""",
        {
            "latents": {"mu": mu.flatten().tolist(), "logVar": log_var.flatten().tolist(), "n": n, "d": d,
                        "dtype": f"f{mu.element_size()}"},
            "metric": {"n": n, "share": expected.metric.background_share, "rho": metric.rho},
        },
    )  # fmt: skip
    assert steps == 0
    for key, field in (("kl", "kl"), ("variance", "center_variance"), ("moment", "second_moment"),
                       ("dead", "dead"), ("active", "active")):  # fmt: skip
        assert [axis[key] for axis in seen["axes"]] == pytest.approx(
            getattr(expected, field).tolist(), abs=1e-5, rel=1e-5
        )
    np.testing.assert_allclose(
        np.transpose([axis["radii"] for axis in seen["axes"]]), expected.radii, rtol=1e-5
    )
    for key in ("overlap", "own_share", "information", "prior_gap"):
        tolerance = 1e-6 if dtype == torch.float64 else 5e-4
        interval = [seen[key][part] for part in ("mean", "low", "high")]
        assert interval == pytest.approx(list(getattr(expected, key)), abs=tolerance, rel=tolerance), key
    assert tuple(seen["warnings"]) == expected.warnings
    assert {row[0]: row[1] for row in rows}["dead axes"] == f"{int(expected.dead.sum())} of {d}"
    assert rows[2][1].endswith(" nats")
    assert properties.numbers(rows[2][1]) == pytest.approx([expected.kl.sum().item()], abs=0.006)
    assert rows[3][1].endswith(" nats")
    assert properties.numbers(rows[3][1]) == pytest.approx(list(expected.information), abs=0.006)
    assert rows[9][1] == f"{expected.metric.background_share:.2%}"
    assert seen["rows"]["crowd"]["share"] == pytest.approx(expected.crowd.share, rel=1e-5)
    assert rows[10][1] == f"{expected.crowd.share:.2%}"
    for key in ("same", "close", "unusual"):
        assert seen["rows"][key] == getattr(expected, key).tolist()
    assert [rows[11][1], rows[12][1]] == [str(len(expected.same)), str(len(expected.close))]
    assert seen["rows"]["looks"] == expected.radii_look_like


def test_near_copies_are_not_looked_for_among_too_many_balls(ask):
    """The page says so, instead of a number."""
    seen = ask(
        {"health": "axisFacts, healthRows, latentHealth", "rows": "NEAR_LIMIT"},
        DRAIN + """const n = NEAR_LIMIT + 1, logVar = new Float64Array(n);
        const mu = logVar.map((_, i) => i % 7);
        const latents = {mu, logVar, n, d: 1, dtype: "f8"}, rho = 1;
        const balls = {mu: mu.slice(0, 9), logVar: logVar.slice(0, 9), rho};
        const report = drain(latentHealth(latents, [axisFacts(latents, 0)], {n: 9, share: 0, balls}));
        return [report.rows.close, report.rows.same.length, healthRows(report)[12]];""",
        None,
    )  # fmt: skip
    assert seen == [None, 9994, ["near copies", "–", "looked for among 10,000 balls at most"]]


def test_warnings_of_every_kind_are_the_core_s():
    """All sentences of the core are among those that the cases above call up."""
    found = set()
    for make in HEALTHS.values():
        b = make()
        metric = rc.PosteriorMetric.fit(b["mu"], b["log_var"], background=0.1)
        found |= {w.split()[-1] for w in rc.latent_health(b["mu"], b["log_var"], metric).warnings}
    assert found >= {
        "one.",
        "noise.",
        "on.",
        "points.",
        "is.",
        "background.",
        "wrong.",
        "range.",
        "once.",
        "axes.",
    }
    assert any(word.endswith(").") for word in found)
