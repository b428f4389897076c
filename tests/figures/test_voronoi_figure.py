"""The Python side of chapter 4's live figure: its numbers, its cells, its picture, what a kernel sets."""

import html
import json
import math
import re

import numpy as np
import pytest
import torch

from riemvae_core.balls import log_prob_mixture
from riemvae_core.codes import kmeans_step, nearest_code, quantize
from riemvae_core.figures.widgets import voronoi
from riemvae_core.figures.widgets.assets import CODEBOOKS, asset, points_of, probes, unpack
from riemvae_core.figures.widgets.voronoi_figure import (
    CENTER,
    HALF,
    START,
    Usage,
    VoronoiCells,
    cells,
    code_error,
    code_weights,
    image_errors,
    trained_codebook,
    trained_point,
    usage,
)
from riemvae_core.models import zoo


@pytest.fixture
def figure(monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    return voronoi(see="Here.", try_this="There.")


def some(n: int, seed: int = 0, spread: float = 8.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return spread * torch.randn(n, 2, generator=generator, dtype=torch.float64) + torch.tensor(CENTER)


@pytest.mark.parametrize("n_codes", CODEBOOKS)
def test_an_asset_holds_decoder_points_and_codes(n_codes):
    arrays, model = unpack(asset(CODEBOOKS[n_codes])), zoo.load(CODEBOOKS[n_codes])
    with torch.no_grad():
        expected = model.points(probes("fashion").images)
    assert {name.split(".")[0] for name in arrays} == {"weight", "bias", "points", "codebook"}
    assert torch.equal(points_of(CODEBOOKS[n_codes]), expected)
    np.testing.assert_array_equal(arrays["points"], expected.numpy())
    np.testing.assert_array_equal(arrays["codebook"], model.codebook.detach().numpy())
    assert len(arrays["codebook"]) == n_codes
    everything = torch.cat([expected, model.codebook.detach()])
    assert (everything - torch.tensor(CENTER)).abs().max() < HALF  # the frame holds all of them


def test_hard_usage_is_the_core_s():
    z, e = points_of(CODEBOOKS[16]).double(), some(16, spread=4.0)
    z[7] = torch.tensor([1.0, 2.0])
    told, expected = usage(16, e.tolist(), 7, [1.0, 2.0], 0.0), quantize(z, e)
    assert isinstance(told, Usage)
    assert told.counts == expected.counts.tolist()
    assert told.used == expected.used
    assert told.perplexity == pytest.approx(expected.perplexity.item())
    assert told.error == pytest.approx(expected.commitment.mean().item())


@pytest.mark.parametrize("softness", [0.5, 3.0])
def test_a_soft_error_is_the_mixture_s_log_density(softness):
    r"""$\log q(z) = -\text{error}/2\sigma^2 - \log 2\pi\sigma^2$ for equally likely balls in the plane."""
    z, e = some(50), some(5, seed=1)
    log_var = torch.full_like(e, 2 * math.log(softness))
    log_q = log_prob_mixture(z, e, log_var).mean()
    expected = -2 * softness**2 * (log_q + math.log(2 * math.pi * softness**2))
    assert code_error(z, e, softness) == pytest.approx(expected.item(), rel=1e-10)


def test_softness_leads_from_all_codes_to_the_nearest():
    z, e = some(60), some(6, seed=1)
    assert torch.equal(code_weights(z, e, 0.0).argmax(1), nearest_code(z, e))
    torch.testing.assert_close(code_weights(z, e, 1e-3), code_weights(z, e, 0.0))
    torch.testing.assert_close(code_weights(z, e, 1e5), torch.full((60, 6), 1 / 6, dtype=z.dtype))
    squares = torch.cdist(z, e).square()
    assert code_error(z, e, 1e-3) == pytest.approx(code_error(z, e, 0.0), rel=1e-5)
    assert code_error(z, e, 0.0) == pytest.approx(squares.amin(1).mean().item())
    assert code_error(z, e, 1e4) == pytest.approx(squares.mean().item(), rel=1e-3)


def test_cells_are_those_of_the_nearest_code_and_fill_the_frame():
    e = some(12, spread=6.0)
    found, area = cells(e), 0.0
    for k, polygon in enumerate(found):
        inside = polygon.mean(0) + 0.999 * (polygon - polygon.mean(0))
        assert (nearest_code(torch.from_numpy(inside), e) == k).all()
        x, y = polygon.T
        area += abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2
    assert area == pytest.approx((2 * HALF) ** 2)


def test_errors_are_those_of_the_decoded_places():
    z, e = trained_point(4, 100), trained_codebook(4)
    model, x = zoo.load(CODEBOOKS[4]), probes("fashion").images[100]
    with torch.no_grad():
        expected = [
            (model.decode(v) - x).square().sum().item()
            for v in (model.points(x[None]), model.locate(x[None]))
        ]
    assert list(image_errors(4, e, 100, z, 0.0).values()) == pytest.approx(expected, rel=1e-5)
    mean = torch.tensor(e).mean(0)
    with torch.no_grad():
        soft = (model.decode(mean[None]) - x).square().sum().item()
    assert image_errors(4, e, 100, z, 1e5)["code"] == pytest.approx(soft, rel=1e-4)


def test_the_figure_starts_close_to_a_border_that_shows():
    """Its code's image and that of the second nearest code differ by more than either errs."""
    z, e = points_of(CODEBOOKS[16])[START["selected"]], torch.tensor(trained_codebook(16))
    gaps, order = torch.cdist(z[None], e)[0].sort()
    first, second = e[order[:2]]
    assert (gaps[1] ** 2 - gaps[0] ** 2) / (2 * (first - second).norm()) < 1.0
    with torch.no_grad():
        a, b = zoo.load(CODEBOOKS[16]).decode(torch.stack([first, second]))
    errors = image_errors(16, e.tolist(), START["selected"], z.tolist(), 0.0)
    assert (a - b).square().sum() > max(errors.values())


def test_the_kernel_s_numbers_follow(figure):
    assert isinstance(figure, VoronoiCells)
    seen = []
    figure.observe(lambda change: seen.append(change["new"]), "usage")
    figure.n_codes, figure.selected = 4, 3
    assert (figure.codebook, figure.z) == (trained_codebook(4), trained_point(4, 3))
    trained = figure.usage.error
    step = kmeans_step(points_of(CODEBOOKS[4]), torch.tensor(figure.codebook))
    figure.codebook = step.tolist()
    figure.softness = 2.0
    figure.z = [0.0, -100.0]
    assert figure.z == [0.0, CENTER[1] - HALF]
    assert seen[-1] == figure.usage == usage(4, step.tolist(), 3, figure.z, 2.0)
    assert figure.errors == image_errors(4, step.tolist(), 3, figure.z, 2.0)
    figure.selected, figure.softness = 8, 0.0
    assert figure.codebook == step.tolist()
    assert figure.usage.error < trained


def test_wrong_values_are_named(figure):
    with pytest.raises(ValueError, match="n_codes must be one of 4, 16, 64, got 5"):
        figure.n_codes = 5
    with pytest.raises(ValueError, match="selected must be between 0 and 239, got 240"):
        figure.selected = 240
    with pytest.raises(ValueError, match="softness must be between 0 and 12, got -1"):
        figure.softness = -1.0
    with pytest.raises(ValueError, match="codebook must be 16 pairs of numbers, got 1"):
        figure.codebook = [[0.0, 0.0]]
    with pytest.raises(ValueError, match="codebook must be two finite numbers"):
        figure.codebook = [[0.0]] * 16
    with pytest.raises(ValueError, match="z must be two finite numbers"):
        figure.z = [math.nan, 0.0]


def test_in_a_book_it_is_a_picture_with_its_numbers(monkeypatch):
    monkeypatch.setenv("RIEMVAE_BOOK", "1")
    text = voronoi()._repr_html_()
    start = json.loads(html.unescape(re.search(r'data-rv-props="([^"]*)"', text)[1]))["start"]
    assert start == START
    k, selected, z = 16, start["selected"], trained_point(16, start["selected"])
    label = html.unescape(re.search(r'aria-label="([^"]*)"', text)[1])
    assert label.startswith("240 images' points, 16 codes and their cells; a sneaker goes to code ")
    told = usage(k, trained_codebook(k), selected, z, 0.0)
    assert f"{told.used} of 16 codes in use, perplexity {told.perplexity:.2f}, " in label
    for part, error in image_errors(k, trained_codebook(k), selected, z, 0.0).items():
        assert f"error of the {part}'s image {error:.2f}" in label
    assert text.count("<polygon") == 16
