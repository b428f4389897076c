"""Duplicates: planted ones are found, smooth laws have none, the dimension is the one that was drawn from."""

import math

import numpy as np
import properties
import pytest
import torch
from sklearn.neighbors import NearestNeighbors

import riemvae_core as rc
from riemvae_core.data import duplicates


def cube(n, m, seed, pixels=64):
    """n images of 64 pixels on a flat sheet of m dimensions."""
    generator = rc.make_generator(seed)
    basis = torch.linalg.qr(torch.randn(pixels, m, generator=generator))[0]
    return (torch.rand(n, m, generator=generator) @ basis.T).reshape(n, 1, 8, 8)


@pytest.fixture(scope="module")
def clothes():
    return rc.load_images("fashion", "test", limit=600).images


def test_planted_copies_are_found_and_nothing_else(clothes):
    noise = 1e-3 * torch.randn((3, 1, 28, 28), generator=rc.make_generator(0))
    images = torch.cat([clothes, clothes[[5, 5, 9]], clothes[[7, 7, 30]] + noise])
    found = rc.find_duplicates(images)
    assert isinstance(found, duplicates.Duplicates)
    assert found.same.tolist() == [600, 601, 602]
    assert found.close.tolist() == [7, 30, 603, 604, 605]
    assert found.repeated.tolist() == [600, 601, 602, 603, 604, 605]
    assert found.group[600:].tolist() == [5, 5, 9, 7, 7, 30]
    assert torch.equal(found.group[:600], torch.arange(600))
    left = torch.ones(606, dtype=torch.bool)
    left[found.repeated] = False
    assert not len(rc.find_duplicates(images[left]).repeated)


@pytest.mark.parametrize("copies", [2, 9, 10, 11, 40])
def test_a_crowd_of_near_copies_is_one_group(clothes, copies):
    """More of them than neighbors are looked at, too."""
    near = clothes[3] + 1e-3 * torch.randn((copies, 1, 28, 28), generator=rc.make_generator(copies))
    found = rc.find_duplicates(torch.cat([clothes[:300], near]))
    assert found.close.tolist() == [3, *range(300, 300 + copies)]
    assert set(found.group[300:].tolist()) == {3}


@pytest.mark.parametrize("m", [2, 5])
def test_the_dimension_is_seen_and_chance_makes_no_duplicates(m):
    found = rc.find_duplicates(cube(3000, m, seed=m))
    assert not len(found.close)
    assert found.dimension == pytest.approx(m, rel=0.15)  # edges of the cube take a little away


def test_as_many_rows_are_close_as_chance_says():
    """Of 40 sets, each with .5 expected close rows; uniform on a torus, which has no edge."""
    counts = []
    for seed in range(40):
        turns = 2 * math.pi * torch.rand(400, 2, generator=rc.make_generator(seed))
        images = torch.cat([turns.cos(), turns.sin()], 1)[:, None, :, None]
        counts.append(len(rc.find_duplicates(images, chance=0.5).close))
    assert 8 <= sum(counts) <= 40  # 20 expected; a pair counts twice at most, once where it is not mutual


def test_limit_is_the_share_that_scikit_learn_finds(clothes):
    found = rc.find_duplicates(clothes)
    distances, _ = NearestNeighbors(n_neighbors=11, algorithm="brute").fit(clothes.flatten(1)).kneighbors()
    ratio = np.median(distances[:, 0] / distances[:, 1])
    m = math.log(2) / -math.log(ratio)
    assert found.dimension == pytest.approx(m, rel=1e-3)
    assert 600 * (1 - (1 - found.limit**m) ** 9) == pytest.approx(1e-3, rel=1e-2)


def test_the_smaller_of_two_scales_says_what_is_close():
    """By scikit-learn's distances; in 64 dimensions it often matters whose tenth neighbor is asked."""
    told = 0
    for seed in range(30):
        images = torch.randn(60, 1, 8, 8, generator=rc.make_generator(seed))
        found = rc.find_duplicates(images, chance=0.99)
        x = images.flatten(1).double()
        distances, others = NearestNeighbors(n_neighbors=11, algorithm="brute").fit(x).kneighbors()
        scale = np.maximum(distances[:, 9], 0.5 * np.median(distances[:, 9]))
        near = distances[:, :10] < found.limit * np.minimum(scale[:, None], scale[others[:, :10]])
        own = distances[:, :10] < found.limit * scale[:, None]
        of, rank = near.nonzero()
        assert found.close.tolist() == sorted({*of.tolist(), *others[of, rank].tolist()})
        told += int((near != own).any())
    assert told > 0


def members(group):
    """The sets of rows that share a group."""
    group = list(group)
    return {frozenset(i for i, own in enumerate(group) if own == one) for one in group}


def test_scale_and_order_of_images_do_not_matter(clothes):
    images = torch.cat([clothes[:200], clothes[:4] + 1e-3, clothes[:2]])
    found = rc.find_duplicates(images)
    assert torch.equal(rc.find_duplicates(100.0 * images.double()).group, found.group)
    turned = rc.find_duplicates(images.flip(0))
    assert members(205 - row for row in turned.group.tolist()[::-1]) == members(found.group.tolist())
    assert len(turned.repeated) == len(found.repeated) == 6
    assert len(rc.find_duplicates(images, chance=1e-12).repeated) <= 6


def test_few_or_equal_images_have_exact_copies_only(clothes):
    few = rc.find_duplicates(torch.cat([clothes[:5], clothes[:1] + 1e-6, clothes[2:3]]))
    assert few.same.tolist() == few.repeated.tolist() == [6]
    assert math.isnan(few.dimension)
    one = rc.find_duplicates(clothes[:1].expand(50, -1, -1, -1))
    assert one.repeated.tolist() == list(range(1, 50))
    corners = torch.eye(64).reshape(64, 1, 8, 8)  # all equally far apart: nothing to measure by
    assert not len(rc.find_duplicates(corners).repeated)


@pytest.mark.usefixtures("meta_by_default")
def test_nothing_is_made_on_a_default_device():
    images = rc.load_images("digits", "test").images
    assert rc.find_duplicates(torch.cat([images, images[:1]])).repeated.tolist() == [360]


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("images", "chance", "words"),
    [
        (torch.zeros(3, 4), 0.1, ("images", "[n, c, h, w]", "[3, 4]")),
        (torch.zeros(0, 1, 4, 4), 0.1, ("images", "at least one", "[0, 1, 4, 4]")),
        (torch.zeros(3, 1, 4, 4).long(), 0.1, ("images", "floating", "int64")),
        (torch.full((3, 1, 4, 4), math.nan), 0.1, ("images", "finite", "row 0")),
        (torch.zeros(3, 1, 4, 4), 0.0, ("chance", "between 0 and 1", "0.0")),
        (torch.zeros(3, 1, 4, 4), 1.0, ("chance", "between 0 and 1", "1.0")),
        (torch.zeros(3, 1, 4, 4), "few", ("chance", "between 0 and 1", "'few'")),
    ],
)
def test_bad_arguments_are_named(images, chance, words):
    with pytest.raises(ValueError, match="must") as caught:
        rc.find_duplicates(images, chance)
    properties.message_names(caught.value, *words)
