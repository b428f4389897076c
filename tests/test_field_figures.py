"""The Python side of the figures over a field: what they start with, what a kernel reads and sets."""

import base64
import io
import json
import math
import re

import matplotlib.image
import numpy as np
import pytest
import torch

from riemvae_core.metric import PosteriorMetric
from riemvae_core.widgets import assets, metric_field, metric_figure, stills
from riemvae_core.widgets.metric_figure import MetricField, centroids, field_balls, figure_metric, fitted


@pytest.fixture
def in_a_notebook(monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)


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
