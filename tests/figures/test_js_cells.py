"""The page's codes and their cells against the core and scipy."""

from itertools import pairwise

import numpy as np
import pytest
import torch

import riemvae_core as rc
from riemvae_core.figures.widgets import voronoi_figure
from riemvae_core.figures.widgets.voronoi_figure import CENTER, HALF

pytestmark = pytest.mark.browser


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
