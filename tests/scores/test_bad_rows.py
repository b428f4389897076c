"""Rows that aren't finite, half precision, constant sets, far rows: no score is decided by them unseen."""

import math

import properties
import pytest
import torch

from riemvae_core import scores
from riemvae_core.neighbors import count_containing, middle, nearest

CALLS = [
    (scores.frechet_distance, ("one", "other")),
    (scores.precision_recall, ("real", "fake")),
    (scores.density_coverage, ("real", "fake")),
    (scores.sampler_distance, ("fake", "heldout_reconstructions")),
    (scores.novelty, ("fake", "train_reconstructions", "heldout_reconstructions")),
    (nearest, ("points", "others")),
]


def drawn(*shape, seed=0, dtype=torch.float32):
    return properties.random_tensors(1, shape, seed, dtype)[0]


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(("score", "names"), CALLS)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_bad_row_is_named(score, names, bad):
    for name in names:
        sets = {each: drawn(50, 6, seed=i) for i, each in enumerate(names)}
        sets[name][17, 2] = sets[name][31, 0] = bad
        with pytest.raises(ValueError, match=f"^{name} must be finite") as caught:
            score(**sets)
        properties.message_names(caught.value, f"got {bad} in row 17 ", "2 of 50 rows", "leave them out")


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(("score", "names"), CALLS)
def test_arrays_and_images_are_told_what_to_do(score, names):
    sets = {each: drawn(50, 6, seed=i) for i, each in enumerate(names)}
    with pytest.raises(ValueError, match=f"{names[0]} must be a tensor .* ndarray: torch.as_tensor"):
        score(**(sets | {names[0]: sets[names[0]].numpy()}))
    if score is not nearest:
        with pytest.raises(ValueError, match=r"got \(50, 1, 2, 3\).*flatten\(1\)"):
            score(**{name: x.reshape(50, 1, 2, 3) for name, x in sets.items()})


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(("score", "names"), CALLS[:-1])
@pytest.mark.parametrize("dtypes", [(torch.float16, torch.float16), (torch.bfloat16, torch.float64)])
def test_half_and_mixed_precision_are_that_of_the_same_numbers_in_double(score, names, dtypes):
    sets = {each: drawn(40, 4, seed=i).to(dtypes[i % 2]) for i, each in enumerate(names)}
    expected = score(**{name: x.double() for name, x in sets.items()})
    assert score(**sets) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e4])
def test_constant_sets_are_as_far_apart_as_their_means(value):
    one, other = torch.full((20, 7), value), torch.full((30, 7), value + 2.0)
    assert scores.frechet_distance(one, other) == pytest.approx(7 * 4.0, rel=1e-6)
    assert scores.frechet_distance(one, one[:5]) == pytest.approx(0.0, abs=1e-9)
    assert scores.precision_recall(one, one[:5]) == scores.PrecisionRecall(1.0, 1.0)
    assert scores.precision_recall(one, other) == scores.PrecisionRecall(0.0, 0.0)
    assert scores.density_coverage(one, one[:5]).coverage == 1.0
    assert scores.novelty(one, one, other) == 0.0


def test_a_distance_that_overflows_is_not_0():
    """max(0, nan) is 0: the distance of two far apart sets read as that of a set and itself."""
    a = drawn(9, 3, dtype=torch.float64)
    with pytest.raises(ValueError, match="one and other must be below about 1e150"):
        scores.frechet_distance(a, a * 1e200)
    assert scores.frechet_distance(a * 1e100, a * 1e100 + 1e100) == pytest.approx(3e200, rel=1e-9)


@pytest.mark.parametrize("far", [1e4, 1e8, 1e15, 1e30])
def test_one_far_row_costs_the_others_no_digit(far):
    """Squares are expanded around a middle that one far row would carry along."""
    points, others = drawn(60, 5), drawn(300, 5, seed=1)
    others[7] = far
    expected = torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist").sort(dim=1)
    found = nearest(points, others, 4)
    assert torch.equal(found.indices, expected.indices[:, :4])
    properties.close(found.distances, expected.values[:, :4], rtol=1e-5)
    radii = torch.full((300,), 1.5)
    inside = (torch.cdist(points, others, compute_mode="donot_use_mm_for_euclid_dist") <= radii).sum(1)
    assert (count_containing(points, others, radii) - inside).abs().max() <= 1


def test_the_middle_of_few_rows_is_their_median_and_of_many_their_mean():
    rows = torch.cat([drawn(62, 2), torch.full((1, 2), 1e9)])
    assert middle(rows).abs().max() < 1.0
    many = drawn(100, 2)
    properties.close(middle(many), many.mean(0))


@pytest.mark.parametrize("scale", [1e-30, 1e-18, 1e18, 1e30])
def test_neighbors_do_not_depend_on_the_unit(scale):
    points, others = drawn(40, 5), drawn(90, 5, seed=1)
    here, there = nearest(points, others, 3), nearest(points * scale, others * scale, 3)
    assert torch.equal(here.indices, there.indices)
    properties.close(there.distances / scale, here.distances, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_two_crowds_too_far_apart_for_squares_keep_their_own_neighbors(dtype):
    one = drawn(40, 3, dtype=dtype)
    others = torch.cat([one, one + (1e3 if dtype == torch.float32 else 1e9)])
    expected = torch.cdist(others, others, compute_mode="donot_use_mm_for_euclid_dist").sort(dim=1)
    assert torch.equal(nearest(others, others, 2).indices, expected.indices[:, :2])


def test_a_ball_of_radius_0_holds_copies_of_its_center_alone():
    centers = drawn(30, 6) + 5.0
    points = torch.cat([centers[:4], centers[:4], centers[4:8] + 1e-3])
    assert count_containing(points, centers, torch.zeros(30)).tolist() == [1] * 8 + [0] * 4


@pytest.mark.usefixtures("no_hook")
def test_radii_must_be_radii():
    points = drawn(5, 2)
    with pytest.raises(ValueError, match="radii must be at least 0, got -1"):
        count_containing(points, points, torch.tensor([1.0, 1.0, -1.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match="radii must be finite, got nan in row 0"):
        count_containing(points, points, torch.full((5,), math.nan))
