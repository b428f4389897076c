"""The page's metric against the core's: values, fields, grids."""

import numpy as np
import pytest
import torch
from page_balls import balls, in_core, in_page

from riemvae_core.figures.widgets import host

pytestmark = pytest.mark.browser


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


def test_mathematics_knows_no_page_and_imports_nothing_but_mathematics():
    """It can run anywhere: it names neither document nor window."""
    modules = sorted((host.JS / "mathematics").glob("*.js"))
    assert len(modules) > 10
    for path in modules:
        text = path.read_text(encoding="utf8")
        assert not any(word in text for word in ("document.", "window.", "getContext"))
        assert all(name.startswith("./") for name in host.IMPORT.findall(text))
