"""Small pictures of draws: what lies where on a sheet, and that only what was scored gets there."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from verdict import sprites
from verdict.grid import ROLES, Cell, Fit, read_grid
from verdict.judge import kind
from verdict.laws import LAWS, TOLD, Codes
from verdict.models import UNPRICED
from verdict.spaces import Space

import riemvae_core as rc

FIT = Fit("fashion", "kept", 30, "vae", 1.0, 3, 4, "conv", 4, 10, 8)


@pytest.fixture
def space():
    """Thirty codes that are their own 2 x 2 images, and as many for the reference."""
    mu = torch.rand(30, 4, generator=rc.make_generator(0))
    others = torch.rand(30, 4, generator=rc.make_generator(1))
    codes = Codes(mu, torch.full_like(mu, -9.0), (mu, None), (others, None), None)
    trained = SimpleNamespace(decode=lambda z: z.reshape(-1, 1, 2, 2))
    return Space(FIT, "", trained, codes, trained.decode(others), train=trained.decode(mu))


def cell(law):
    return Cell(FIT, ROLES[1], law, 0, 20, ("pixels",))


def images(space, one):
    return space.trained.decode(sprites.drawn(space, one).z)


def distance(space, law):
    seen = images(space, cell(law)).flatten(1)
    return rc.sampler_distance(seen, space.reference[: len(seen)].flatten(1)).frechet


def test_draws_come_first_and_then_the_images_nearest_to_them(space):
    photos = torch.arange(30.0).reshape(30, 1, 1, 1).expand(30, 1, 2, 2) / 30
    cells = [cell("zero steps"), cell("shuffled shapes")]
    scored = {one.key: distance(space, one.law) for one in cells}
    tiles, near = sprites.pictures(space, cells, photos, scored)
    copies = images(space, cells[0])[: sprites.DRAWS]
    torch.testing.assert_close(tiles[: sprites.DRAWS], copies)
    assert len(near["zero steps"]) == sprites.DRAWS
    for draw, place in zip(copies, near["zero steps"], strict=True):
        row = int((space.codes.mu - draw.flatten()).square().sum(1).argmin())
        assert place >= 2 * sprites.DRAWS
        torch.testing.assert_close(tiles[place], photos[row])


def test_a_law_that_gives_another_distance_is_left_out(space, capsys):
    cells = [cell("zero steps"), cell("shuffled shapes")]
    scored = {
        cells[0].key: 1.05 * distance(space, "zero steps"),
        cells[1].key: distance(space, "shuffled shapes"),
    }
    _, near = sprites.pictures(space, cells, space.train, scored)
    assert list(near) == ["shuffled shapes"]
    assert min(near["shuffled shapes"]) == sprites.DRAWS
    assert "left out: zero steps" in capsys.readouterr().out


def test_a_model_that_is_not_in_the_folder_keeps_its_picture(tmp_path, monkeypatch):
    monkeypatch.setattr(sprites, "TARGET", tmp_path)
    assert sprites.kept(["a"]) == {}
    (tmp_path / "index.json").write_text(json.dumps({"a": {"size": 9}, "gone": {"size": 8}}))
    assert sprites.kept(["a", "new"]) == {"a": {"size": 9}}


@pytest.mark.parametrize("channels", [1, 3])
def test_a_sheet_has_its_tiles_in_rows(channels):
    tiles = torch.rand(sprites.COLUMNS + 2, channels, 3, 5, generator=rc.make_generator(0))
    pixels = np.asarray(sprites.sheet(tiles)).reshape(2 * 3, sprites.COLUMNS * 5, channels) / 255
    for place in (0, 1, sprites.COLUMNS + 1):
        y, x = 3 * (place // sprites.COLUMNS), 5 * (place % sprites.COLUMNS)
        found = torch.from_numpy(pixels[y : y + 3, x : x + 5]).permute(2, 0, 1).float()
        torch.testing.assert_close(found, tiles[place], atol=0.003, rtol=0)
    assert not pixels[3:, 10:].any()


def test_each_law_of_the_grid_has_a_kind_and_is_told_in_a_few_words():
    grid = read_grid(sprites.HERE / "study.toml", ROLES, UNPRICED)
    names = {one.law for one in grid.cells}
    assert names <= LAWS.keys()
    assert TOLD.keys() == {name for name in LAWS if kind(name) != "variant"}
    assert len({told.name for told in TOLD.values()}) == len(TOLD)
    assert {kind(name) for name in names} == {"ignoring", "geometric", "null", "reference", "variant"}
    assert all(kind(name) == "variant" for name in names if ", " in name)
