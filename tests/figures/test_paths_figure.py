"""The Python side of chapter 8's figure: its metric, its three paths, what a kernel reads and sets."""

import json

import pytest
import torch

from riemvae_core.figures.widgets import three_paths
from riemvae_core.figures.widgets.host import StaticFigure
from riemvae_core.figures.widgets.metric_figure import HALF
from riemvae_core.figures.widgets.paths_figure import (
    IMAGES,
    START,
    ThreePaths,
    core_paths,
    path_numbers,
    paths_metric,
    shown_points,
)
from riemvae_core.paths import curve_length, straight_line


def test_the_background_does_not_fade():
    """So that shortest paths exist: far out a step costs what the void costs."""
    metric = paths_metric()
    far = torch.tensor([[100.0, -80.0]], dtype=torch.float64)
    assert len(metric.mu) == 240
    assert metric.diagonal(far).flatten().tolist() == pytest.approx([metric.lam, metric.lam])


def test_each_path_is_best_by_its_own_ruler():
    numbers = {way: path_numbers(curve) for way, curve in core_paths(**START).items()}
    assert min(numbers, key=lambda way: numbers[way]["length"]) == "geodesic"
    assert min(numbers, key=lambda way: numbers[way]["cost"]) == "low_cost"


def test_numbers_of_a_straight_line():
    """Length by the core; cost as the integral of V along it."""
    a, b = (torch.tensor(z, dtype=torch.float64) for z in START.values())
    line = straight_line(a, b, 20_001)
    middle = 0.5 * (line[1:] + line[:-1])
    cost = torch.exp(-paths_metric().log_volume(middle)).mean() * (b - a).norm()
    numbers = path_numbers(straight_line(a, b, 64))
    assert numbers["length"] == pytest.approx(float(curve_length(paths_metric(), line)), rel=1e-3)
    assert numbers["cost"] == pytest.approx(float(cost), rel=2e-3)


def test_images_stand_at_equal_steps():
    curve = torch.tensor([[0.0, 0.0], [1.0, 0.0], [1.0, 3.0]], dtype=torch.float64)
    steps = shown_points(curve).diff(dim=0).norm(dim=-1)
    assert len(steps) == IMAGES - 1
    assert steps.tolist() == pytest.approx([0.5] * (IMAGES - 1))


def test_a_kernel_sets_the_ends(monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    figure, seen = three_paths(), []
    assert isinstance(figure, ThreePaths)
    figure.observe(lambda change: seen.append(change["new"]), "a")
    figure.a = [9.0, 0.5]
    assert figure.a == seen[-1] == [HALF, 0.5]
    assert figure.metric is paths_metric()
    with pytest.raises(ValueError, match="b must be two finite numbers"):
        figure.b = [1.0]
    state = figure.get_state()
    assert set(state["_assets"]) == {"fashion-vae-2d"}
    assert json.dumps(state["_props"])
    assert state["_esm"].endswith("export default { render };\n")


def test_a_still_picture_tells_the_three_lengths(monkeypatch):
    monkeypatch.setenv("RIEMVAE_BOOK", "1")
    figure = three_paths(see="Here.", try_this="There.")
    assert isinstance(figure, StaticFigure)
    html = figure._repr_html_()
    for way, curve in core_paths(**START).items():
        assert f"length {path_numbers(curve)['length']:.3g}" in html, way
    assert html.count("<polyline") == 3
