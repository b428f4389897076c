"""The Python side of chapter 11's figure: latents that come in, the metric, what a kernel reads and sets."""

import base64
import json
import math
import re

import numpy as np
import pytest
import torch
from properties import close

from riemvae_core.figures.widgets import own_latents, reader_latents
from riemvae_core.figures.widgets.host import StaticFigure
from riemvae_core.figures.widgets.metric_figure import field_balls
from riemvae_core.figures.widgets.own_latents_figure import OwnLatents
from riemvae_core.figures.widgets.reader_latents import (
    Slice,
    checked_array,
    checked_latents,
    color_range,
    in_view,
    metric_balls,
    own_metric,
    packed_latents,
    slice_through,
    unpacked_array,
    unpacked_latents,
    widest_axes,
)
from riemvae_core.laws import UniformDraws, sample_by_importance
from riemvae_core.metrics import PosteriorMetric, matched_rho


@pytest.fixture
def in_a_notebook(monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)


def latents(n=50, d=4, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    mu = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return mu.to(dtype), (torch.randn(n, d, generator=generator, dtype=torch.float64) - 3.0).to(dtype)


# ---- latents that come in


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_packing_is_exact_and_little_endian(dtype):
    mu, log_var = latents(dtype=dtype)
    packed = packed_latents("mine", mu, log_var)
    assert json.loads(json.dumps(packed)) == packed
    assert (packed["shape"], packed["dtype"]) == ([50, 4], f"f{mu.element_size()}")
    assert base64.b64decode(packed["mu"]) == mu.numpy().astype(f"<f{mu.element_size()}").tobytes()
    back = unpacked_latents(packed)
    assert torch.equal(back.mu, mu)
    assert torch.equal(back.log_var, log_var)
    assert torch.equal(unpacked_array(packed["mu"], packed["dtype"], [4, 50]).flatten(), mu.flatten())


def test_arrays_and_half_precision_are_taken():
    mu, log_var = latents()
    balls = checked_latents(np.asfortranarray(mu.numpy()), log_var.half())
    assert balls.mu.dtype == balls.log_var.dtype == torch.float64
    assert torch.equal(balls.mu, mu)
    assert checked_array("mu", mu.half()).dtype == torch.float32
    assert checked_array("mu", mu.requires_grad_()).requires_grad is False


@pytest.mark.parametrize(
    ("mu", "message"),
    [
        (torch.zeros(5, 2, dtype=torch.long), "mu must hold floats, got torch.int64"),
        (torch.zeros(5, 2, 2), r"mu must be \[n, d\] with n at least 2, got \[5, 2, 2\]"),
        (torch.zeros(1, 2), r"mu must be \[n, d\] with n at least 2, got \[1, 2\]"),
        (torch.full((3, 2), math.nan), "mu must be finite, got 6 that are not"),
        (torch.zeros(1).expand(600_000, 2), "mu must hold at most 1,000,000 numbers, got 1,200,000: thin"),
    ],
)  # fmt: skip
def test_what_does_not_suit_is_named(mu, message):
    with pytest.raises(ValueError, match=message):
        own_latents(mu=mu, log_var=mu)


def test_one_of_the_two_or_two_shapes_are_named():
    mu, log_var = latents()
    with pytest.raises(ValueError, match="mu and log_var must be given together"):
        own_latents(mu=mu)
    with pytest.raises(ValueError, match=r"log_var must have mu's shape \(50, 4\), got \(49, 4\)"):
        own_latents(mu=mu, log_var=log_var[1:])


# ---- their metric, and a slice through it


def test_the_metric_is_fitted_to_all_balls_or_to_a_random_subset():
    mu, log_var = latents()
    assert metric_balls(50) is None
    metric, expected = own_metric(mu, log_var), PosteriorMetric.fit(mu, log_var)
    assert (metric.rho, metric.lam, metric.tau) == (expected.rho, expected.lam, expected.tau)
    keep = metric_balls(5000)
    assert len(keep.unique()) == reader_latents.MOST_BALLS
    assert bool((keep.diff() > 0).all())
    assert 2300 < float(keep.double().mean()) < 2700
    many = latents(5000, 3)
    few = own_metric(*many)
    assert torch.equal(few.mu, many[0][keep])
    assert few.rho == matched_rho(few.mu, few.log_var, torch.arange(len(keep))) == math.sqrt(3)


def test_the_axes_shown_first_carry_most_kl():
    mu, log_var = torch.zeros(3, 4), torch.zeros(3, 4)
    mu[:, 2], log_var[:, 1] = 3.0, -2.0
    assert widest_axes(mu, log_var) == [1, 2]
    assert widest_axes(mu[:, :1], log_var[:, :1]) == [0, -1]


def test_a_slice_holds_all_balls_and_keeps_the_other_axes():
    mu, log_var = latents()
    shown = slice_through(own_metric(mu, log_var), [3, 1], mu[7])
    reach = 1.5 * torch.exp(0.5 * log_var[:, [3, 1]])
    inside = (mu[:, [3, 1]] - torch.tensor(shown.center)).abs() + reach
    assert float(inside.max()) == pytest.approx(shown.half)
    assert isinstance(shown, Slice)
    assert shown.start == mu[7, [3, 1]].tolist()
    grid = shown.points(6)
    assert bool((grid[..., [0, 2]] == mu[7, [0, 2]]).all())
    cell = shown.half / 6
    corner = [shown.center[0] - shown.half + cell, shown.center[1] + shown.half - cell]  # left, top
    assert grid[0, 0, [3, 1]].tolist() == pytest.approx(corner)
    assert grid[5, 0, 1] < grid[0, 0, 1]
    assert grid[0, 5, 3] > grid[0, 0, 3]


def test_one_axis_is_a_strip():
    mu, log_var = latents(d=1)
    metric = own_metric(mu, log_var)
    shown = slice_through(metric, [0, -1], mu[0])
    grid = shown.points(5)
    assert torch.equal(grid, grid[:1].expand(5, 5, 1))  # the points themselves, to the bit
    field = metric.log_volume(
        grid
    )  # behind a matrix product rows may round apart: which do depends on the processor
    close(field, field[:1].expand(5, 5), rtol=0.0, atol=1e-9)
    assert in_view(mu, [0, -1]).tolist() == torch.cat([mu, torch.zeros_like(mu)], 1).tolist()


def test_a_range_of_colors_has_round_steps_and_reaches_the_top():
    values = torch.linspace(-7.3, 6.5, 900).reshape(30, 30)
    assert color_range(values) == (-8.0, 8.0)
    values[0, :10] = -torch.inf
    assert color_range(values) == (-8.0, 8.0)
    low, high = color_range(100.0 * values)
    assert (low, high) == (-800.0, 800.0)
    assert color_range(torch.zeros(3, 3)) == (0.0, 2.0)


# ---- in a book


@pytest.mark.parametrize("d", [None, 1, 4])
def test_a_still_picture_tells_what_the_core_finds(monkeypatch, d):
    monkeypatch.setenv("RIEMVAE_BOOK", "1")
    mu, log_var = field_balls() if d is None else latents(d=d)
    given = {} if d is None else {"mu": mu, "log_var": log_var}
    figure = own_latents(see="a < b", try_this="c", **given)
    assert isinstance(figure, StaticFigure)
    assert (figure.props["latents"] is None) == (d is None)
    metric = own_metric(mu, log_var)
    draws = sample_by_importance(metric, 500, torch.Generator().manual_seed(0))
    label = re.search(
        r'<svg class="rv-still"[^>]* role="img" aria-label="([^"]{40,})"', figure._repr_html_()
    )[1]
    assert f"{len(mu)} balls" in label
    assert f"ρ = {metric.rho:.3g}, λ = {metric.lam:.3g}, τ = {metric.tau:.3g}" in label
    assert f"500 uniform draws, effective size {int(draws.ess):,};" in label
    assert "<b>See.</b> a &lt; b <b>Try.</b> c</figcaption>" in figure._repr_html_()
    assert figure._repr_html_().count("<circle") == 501  # draws and the handle
    assert len(figure._repr_html_()) < 150_000


# ---- in a notebook


def test_a_kernel_s_tensors_are_shown(in_a_notebook):
    mu, log_var = latents()
    figure = own_latents(mu=mu, log_var=log_var)
    assert isinstance(figure, OwnLatents)
    assert torch.equal(figure.mu, mu)
    assert figure.axes == widest_axes(mu, log_var)
    assert figure.z == in_view(mu[:1], figure.axes)[0].tolist()
    assert (figure.ball, figure.seed, figure.n_draws, figure.draws) == (0, 0, 500, None)
    assert figure.metric.lam == own_metric(mu, log_var).lam
    state = figure.get_state()
    assert state["_latents"] == packed_latents("your own latents", mu, log_var)
    assert set(state["_assets"]) == {"fashion-vae-2d", "cividis"}
    assert json.dumps(state["_props"])


def test_the_example_is_shown_until_a_kernel_sets_its_own(in_a_notebook):
    figure, seen = own_latents(), []
    assert torch.equal(figure.mu, field_balls().mu)
    assert figure._latents["name"] == "the example, fashion-vae-2d"
    figure.observe(lambda change: seen.append(change["new"]), "_latents")
    figure.ball, (mu, log_var) = 239, latents()
    figure.mu = mu
    assert seen == []  # until the other fits
    figure.log_var = log_var
    assert seen == [packed_latents("your own latents", mu, log_var)]
    assert (figure.ball, figure.axes) == (0, widest_axes(mu, log_var))
    figure.mu = mu + 1.0
    assert len(seen) == 2
    figure.mu = mu + 1.0
    assert len(seen) == 2


def test_what_a_reader_drops_in_comes_to_the_kernel(in_a_notebook):
    """Sent as the page sends it: new latents with the view of them, then draws."""
    figure, seen = own_latents(), []
    figure.observe(lambda change: seen.append(change["name"]), ["mu", "log_var"])
    mu, log_var = latents(dtype=torch.float32)
    figure.set_state(
        {"_latents": packed_latents("dropped.npz", mu, log_var), "axes": [1, 3], "ball": 0, "z": [0.0, 0.0]}
    )
    assert torch.equal(figure.mu, mu)
    assert torch.equal(figure.log_var, log_var)
    assert sorted(seen) == ["log_var", "mu"]
    assert (figure.axes, figure._latents["name"]) == ([1, 3], "dropped.npz")
    z = torch.arange(8.0, dtype=torch.float64).reshape(2, 4)
    facts = {
        "log_volume": 1.0, "ess": 2.0, "acceptance": 0.5, "background_share": 0.1, "converged": False,
        "log_volume_error": 0.3,
    }  # fmt: skip
    text = base64.b64encode(z.numpy().tobytes()).decode()
    figure.set_state({"_draws": facts | {"z": text, "shape": [2, 4]}})
    assert isinstance(figure.draws, UniformDraws)
    assert torch.equal(figure.draws.z, z)
    assert figure.draws._asdict() | {"z": None} == facts | {"z": None, "r_hat": 1.0, "method": "importance"}


def test_wrong_values_are_named(in_a_notebook):
    figure = own_latents()
    for name, value, message in (
        ("axes", [0, 2], r"axes must be two different ones from 0 to 1, got \[0, 2\]"),
        ("axes", [1, 1], "axes must be two different ones"),
        ("ball", 240, "ball must be between 0 and 239, got 240"),
        ("z", [1.0], "z must be two finite numbers"),
        ("seed", -1, "seed must be between 0 and 4.29497e\\+09, got -1"),
        ("n_draws", 7, "n_draws must be one of 100, 200, 500, 1000, got 7"),
        ("mu", torch.zeros(3), r"mu must be \[n, d\] with n at least 2, got \[3\]"),
    ):
        with pytest.raises(ValueError, match=message):
            setattr(figure, name, value)
