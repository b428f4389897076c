"""The Python side of chapter 3's live figure: its numbers, what stands in a page, what a kernel sets."""

import json
import re

import pytest
import torch

from riemvae_core.balls import Balls
from riemvae_core.figures.widgets import broken_contract
from riemvae_core.figures.widgets.assets import asset, probes, unpack
from riemvae_core.figures.widgets.contract_figure import BrokenContract, distance, errors_at, start_axes
from riemvae_core.models import NOISES, zoo


@pytest.fixture
def figure(monkeypatch):
    monkeypatch.delenv("RIEMVAE_BOOK", raising=False)
    return broken_contract(see="Here.", try_this="There.")


def test_the_encoder_s_asset_holds_balls_and_no_decoder():
    arrays = unpack(asset(zoo.CONTRACT_ENCODER))
    with torch.no_grad():
        balls = zoo.load(zoo.CONTRACT_ENCODER).encode(probes("fashion").images)
    assert list(arrays) == list(Balls._fields)
    for name, part in balls._asdict().items():
        assert torch.equal(torch.from_numpy(arrays[name].copy()), part)
    for noise in NOISES:
        assert {name.split(".")[0] for name in unpack(asset(zoo.contract_name(noise)))} == {"weight", "bias"}


def test_the_three_decoders_share_their_encoder():
    x, base = probes("fashion").images[:5], zoo.load(zoo.CONTRACT_ENCODER)
    for noise in NOISES:
        model = zoo.load(zoo.contract_name(noise))
        assert torch.equal(model.encode(x).mu, base.encode(x).mu)
        assert model.config.noise == (noise != "none")


def test_errors_are_those_of_the_decoded_place():
    x = probes("fashion").images[7]
    offset = [0.5 * (-1) ** k for k in range(16)]
    with torch.no_grad():
        mu, log_var = (part[0] for part in zoo.load(zoo.CONTRACT_ENCODER).encode(x[None]))
        z = mu + log_var.exp().sqrt() * torch.tensor(offset)
        for noise, found in errors_at(7, offset).items():
            expected = (zoo.load(zoo.contract_name(noise)).decode(z[None])[0] - x).square().sum()
            assert found == pytest.approx(expected.item(), rel=1e-5)


def test_the_distance_of_a_draw_is_near_one():
    assert distance([3.0, -3.0]) == pytest.approx(3.0)
    assert distance([0.0, 2.0**0.5]) == pytest.approx(1.0)


def test_the_figure_starts_with_a_used_and_an_empty_axis():
    with torch.no_grad():
        mu, _ = zoo.load(zoo.CONTRACT_ENCODER).encode(probes("fashion").images)
    used, empty = mu.var(0)[start_axes()].tolist()
    assert used > 0.5
    assert empty < 0.01


def test_the_kernel_s_errors_follow(figure):
    assert isinstance(figure, BrokenContract)
    seen = []
    figure.observe(lambda change: seen.append(change["new"]), "errors")
    figure.offset = [0.0] * 16
    figure.selected = 3
    assert seen[-1] == figure.errors == errors_at(3, [0.0] * 16)
    assert seen[0] == errors_at(192, [0.0] * 16)


def test_wrong_values_are_named(figure):
    with pytest.raises(ValueError, match="selected must be between 0 and 239, got 240"):
        figure.selected = 240
    with pytest.raises(ValueError, match="offset must be 16 finite numbers"):
        figure.offset = [1.0]
    with pytest.raises(ValueError, match=r"axes must be two different ones from 0 to 15, got \[3, 3\]"):
        figure.axes = [3, 3]


def test_in_a_book_it_is_a_picture_with_its_errors(monkeypatch):
    monkeypatch.setenv("RIEMVAE_BOOK", "1")
    text = broken_contract()._repr_html_()
    start = json.loads(
        re.search(r'data-rv-props="([^"]*)"', text)[1].replace("&quot;", '"').replace("&#x27;", "'")
    )["start"]
    label = re.search(r'aria-label="([^"]*)"', text)[1]
    for error in errors_at(start["selected"], start["offset"]).values():
        assert f"error {error:.2f}" in label
