"""The Python side of the figures over a field: what they start with, what a kernel reads and sets."""

import base64
import html
import io
import json
import math
import re

import matplotlib.image
import numpy as np
import pytest
import torch

from riemvae_core import PosteriorMetric
from riemvae_core.figures.widgets import (
    assets,
    chains_figure,
    host,
    metric_field,
    metric_figure,
    stills,
    walking_chains,
)
from riemvae_core.figures.widgets.chains_figure import Walk, WalkingChains, law_masses, walk
from riemvae_core.figures.widgets.metric_figure import (
    MetricField,
    centroids,
    field_balls,
    field_still,
    figure_metric,
    fitted,
    shared_props,
)


@pytest.fixture
def in_a_notebook(monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)


@pytest.mark.parametrize("make", [metric_field, walking_chains])
def test_in_a_book_a_figure_is_html_with_a_named_picture(make, monkeypatch):
    monkeypatch.setenv("RIEMVAE_BOOK", "1")
    figure = make(see="a < b", try_this="c")
    assert isinstance(figure, host.StaticFigure)
    text = figure._repr_html_()
    assert re.search(r'<svg class="rv-still"[^>]* role="img" aria-label="[^"]{40,}"', text)
    assert "<b>See.</b> a &lt; b <b>Try.</b> c</figcaption>" in text
    assert len(text) < 100_000
    needed = set(re.findall(r"fashion-[a-z0-9-]+|cividis", html.unescape(text)))
    assert needed <= set(assets.asset_names())
    assert {"fashion-vae-2d", "cividis"} <= needed


def test_one_table_of_colors():
    """What the page paints with is matplotlib's own table, as an image of 256 pixels shows it."""
    rgb = assets.unpack(assets.asset("cividis"))["rgb"]
    file = io.BytesIO()
    matplotlib.image.imsave(file, np.arange(256.0)[None], cmap="cividis", format="png")
    drawn = matplotlib.image.imread(io.BytesIO(file.getvalue()))
    np.testing.assert_array_equal(rgb, np.rint(drawn[0, :, :3] * 255))


def test_balls_are_those_of_the_shipped_model():
    mu, log_var = field_balls()
    assert mu.shape == log_var.shape == (240, 2)
    assert bool((mu.abs() < metric_figure.HALF).all())  # every center lies in the plane


def test_centroids_are_medoids():
    """Fewer of them lie further from the points, and each is a ball; all balls stand for themselves."""
    mu = field_balls().mu
    assert centroids(240) == tuple(range(240))
    costs = [
        float((mu[:, None] - mu[list(centroids(n))]).norm(dim=-1).amin(1).sum()) for n in metric_figure.STOPS
    ]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == 0.0


@pytest.mark.parametrize("n", metric_figure.STOPS)
def test_fitted_numbers_are_the_core_s_within_the_sliders(n):
    metric = PosteriorMetric.fit(*field_balls(), n, generator=torch.Generator().manual_seed(0))
    for name, (low, high) in metric_figure.LIMITS.items():
        assert fitted(n)[name] == min(high, max(low, getattr(metric, name)))


def test_the_grid_runs_from_the_top():
    grid = metric_figure.plane_grid(7)
    assert grid.shape == (7, 7, 2)
    assert grid[0, 0].tolist() == pytest.approx([-3.0, 3.0])
    assert grid[6, 0].tolist() == pytest.approx([-3.0, -3.0])
    assert grid[0, 6].tolist() == pytest.approx([3.0, 3.0])


def test_a_kernel_reads_the_metric(in_a_notebook):
    figure, seen = metric_field(), []
    assert isinstance(figure, MetricField)
    figure.observe(lambda change: seen.append(change["new"]), "log_volume")
    figure.n_centroids = 20
    figure.rho, figure.lam, figure.tau = 2.0, 0.5, 0.1
    figure.z = [9.0, 0.25]
    assert figure.z == [metric_figure.HALF, 0.25]
    z = torch.tensor(figure.z, dtype=torch.float64)
    expected = figure_metric(2.0, 0.5, 0.1, 20)
    assert len(expected.mu) == 20
    assert figure.log_volume == pytest.approx(float(expected.log_volume(z)))
    assert float(figure.metric.log_volume(z)) == figure.log_volume == seen[-1]


def test_wrong_values_are_named(in_a_notebook):
    figure = metric_field()
    with pytest.raises(ValueError, match=r"rho must be between 0.3 and 30, got 0.0"):
        figure.rho = 0.0
    with pytest.raises(ValueError, match=r"tau must be between 0.001 and 3, got nan"):
        figure.tau = math.nan
    with pytest.raises(ValueError, match=r"n_centroids must be one of 2, 5, .*, got 3"):
        figure.n_centroids = 3
    with pytest.raises(ValueError, match="z must be two finite numbers"):
        figure.z = [1.0]


def test_a_widget_carries_its_assets(in_a_notebook):
    state = metric_field().get_state()
    assert set(state["_assets"]) == {"fashion-vae-2d", "fashion-probes", "cividis"}
    assert json.dumps(state["_props"])
    assert state["_esm"].endswith("export default { render };\n")


def test_a_still_field_has_the_plots_colors():
    """A field of two values: its picture's pixels are the table's first and last color."""
    plane = stills.Plane(0.0, 0.0, 100.0, (0.0, 0.0), 1.0)
    colors = assets.field_colors()
    drawn = plane.field(torch.tensor([[-9.0, 9.0]]), -8.0, 8.0, colors)
    data = re.search(r"base64,([^\"]+)", drawn)[1]
    pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(data)))
    np.testing.assert_allclose(pixels[0, :, :3] * 255, colors[[0, 255]], atol=0.5)
    ring = plane.ellipse((0.0, 0.5), (0.2, 0.1), "rv-unit")
    assert 'cx="50.0" cy="25.0" rx="10.0" ry="5.0"' in ring
    assert 'class="rv-unit"' in ring


# ---- walking chains


def test_masses_of_the_uniform_law():
    """One number for each cell and the outside; a cell's against Gauss's quadrature."""
    masses = law_masses("exact")
    assert masses.shape == (chains_figure.CELLS**2 + 1,)
    assert float(masses.sum()) == pytest.approx(1)
    assert 0 < float(masses[-1]) < 0.02
    metric = figure_metric(**fitted(240), n_centroids=240)
    total = 0.0
    ticks = ((torch.arange(700, dtype=torch.float64) + 0.5) / 700 * 2 - 1) * 7.0
    for columns in ticks.split(10):
        total += float(metric.log_volume(torch.cartesian_prod(columns, ticks)).exp().sum()) * (14 / 700) ** 2
    side, row, column = 7.0 / 24, 10, 12
    left, top = -3.5 + column * side, 3.5 - row * side
    nodes, weights = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(40))
    z = torch.cartesian_prod(left + side * (nodes + 1) / 2, top - side * (nodes + 1) / 2)
    values = metric.log_volume(z).exp().reshape(40, 40)
    mass = float(weights @ values @ weights) * (side / 2) ** 2
    assert float(masses[24 * row + column]) == pytest.approx(mass / total, rel=2e-3)


def test_the_released_law_is_more_concentrated():
    """Sharper by construction: fewer cells hold half of the mass."""

    def cells_of_half(masses):
        return int((masses.sort(descending=True).values.cumsum(0) < 0.5).sum())

    exact, released = law_masses("exact"), law_masses("released")
    assert float(released.sum()) == pytest.approx(1)
    assert cells_of_half(released) < 0.6 * cells_of_half(exact)
    with pytest.raises(ValueError, match="rules must be one of exact, released, got 'both'"):
        law_masses("both")


def test_the_still_s_chains_are_the_core_s():
    """Zero moves leave codes; some moves are nearly all accepted, and stay where the balls are."""
    begun, walked = chains_figure.walk(50, 0), chains_figure.walk(50, 5)
    mu = field_balls().mu.double()
    assert float(torch.cdist(begun.z, mu).amin(1).max()) < 1e-6
    assert begun.acceptance == 0.0
    assert 0.7 < walked.acceptance <= 1.0
    assert float((walked.z - begun.z).norm(dim=1).min()) > 0.0 or walked.acceptance < 1.0
    metric = figure_metric(**fitted(240), n_centroids=240)
    assert float(metric.log_volume(walked.z).median()) > 3.0


def test_a_kernel_sets_the_chains(in_a_notebook):
    figure = walking_chains()
    assert isinstance(figure, WalkingChains)
    assert {k: getattr(figure, k) for k in chains_figure.START} == chains_figure.START
    figure.start = [9.0, 0.5]
    assert figure.start == [metric_figure.HALF, 0.5]
    figure.start = []
    assert figure.start == []
    assert set(figure.get_state()["_assets"]) == {"fashion-vae-2d", "cividis"}
    with pytest.raises(ValueError, match=r"step must be between 0.005 and 0.3, got 1.0"):
        figure.step = 1.0
    with pytest.raises(ValueError, match=r"n_leapfrog must be one of 1, 2, .*, got 3"):
        figure.n_leapfrog = 3
    with pytest.raises(ValueError, match=r"n_chains must be one of 50, .*, got 7"):
        figure.n_chains = 7
    with pytest.raises(ValueError, match="start must be two finite numbers"):
        figure.start = [1.0]


def test_walkers_stand_at_their_pixels():
    drawn = stills.Plane(0.0, 0.0, 100.0, (0.0, 0.0), 1.0).walkers(torch.tensor([[0.0, 0.0], [0.5, 0.5]]))
    assert 'cx="50.0" cy="50.0"' in drawn
    assert 'cx="75.0" cy="25.0"' in drawn


def test_the_still_s_chains_are_walked_by_the_core():
    """The same chains on each call, and fewer of them accepted than proposed."""
    found = walk(20, 5)
    assert isinstance(found, Walk)
    assert found.z.shape == (20, 2)
    assert 0.5 < found.acceptance <= 1.0
    assert torch.equal(found.z, walk(20, 5).z)


def test_both_figures_share_their_plane_and_a_still_field_outlines_each_ball():
    shared, kept = shared_props(), centroids(10)
    assert shared["frame"] == {"center": [0.0, 0.0], "half": metric_figure.HALF}
    for figure in (metric_field(), walking_chains()):
        assert shared.items() <= figure._props.items()
    plane = stills.Plane(0.0, 0.0, 100.0, (0.0, 0.0), metric_figure.HALF)
    drawn = field_still(plane, figure_metric(**fitted(10), n_centroids=10))
    assert drawn.count("rv-outlines") == len(kept)
