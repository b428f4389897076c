"""Drawn sets: areas against pi r^2, hues against colorsys, the law of factors against scipy's tests."""

import colorsys
import math

import properties
import pytest
import torch
from scipy import stats

import riemvae_core as rc
from riemvae_core.data import drawn, load_images, sets

SETS = tuple(drawn.DRAWN)
FACTORS = {"rings-and-disks-large": [0.3, -0.2, 6.0, 2.5], "color-shapes": [0.3, -0.2, 4.0, 0.7]}


@pytest.fixture(scope="module", params=SETS)
def sample(request):
    return request.param, rc.sample_drawn_images(request.param, 4000, rc.make_generator(5))


def test_a_sample_holds_the_contract(sample):
    name, (images, labels, factors) = sample
    assert isinstance(sample[1], drawn.DrawnImages)
    assert (images.dtype, labels.dtype, factors.dtype) == (torch.float32, torch.int64, torch.float32)
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert factors.shape == (4000, len(rc.factor_ranges(name)))
    assert rc.class_names(name) == drawn.DRAWN[name].kinds
    # nothing is cut off: the frame of one pixel holds no more than a smoothed edge, and mostly nothing
    assert images[..., 0].max() <= 0.5
    assert images[..., 0, :].max() <= 0.5


def test_factors_follow_the_law_that_is_promised(sample):
    name, (_, labels, factors) = sample
    kinds = len(rc.class_names(name))
    assert stats.chisquare(labels.bincount(minlength=kinds)).pvalue > 1e-3
    for column, (factor, (low, high)) in zip(factors.T, rc.factor_ranges(name).items(), strict=True):
        if factor != "inner":
            assert stats.kstest(column, stats.uniform(low, high - low).cdf).pvalue > 1e-3, factor
    if name == "rings-and-disks-large":
        assert (factors[labels == 0, 3] == 0.0).all()
        outer, inner = factors[labels == 1, 2:].T
        assert stats.kstest((inner - 1.5) / (outer - 3.0), "uniform").pvalue > 1e-3
    free = factors[:, : 3 if "rings" in name else 4]
    columns = torch.cat([labels[:, None], free], 1)
    chance = torch.from_numpy(stats.spearmanr(columns).pvalue)
    assert chance[torch.triu_indices(*chance.shape, 1).unbind()].min() > 1e-3


def test_a_shape_has_the_area_that_its_size_says(sample):
    name, (images, labels, factors) = sample
    ink = images.amax(1).sum((1, 2))
    if name == "color-shapes":
        expected = math.pi * factors[:, 2].square()
    else:
        expected = math.pi * (factors[:, 2].square() - factors[:, 3].square())
    assert ((ink - expected).abs() < 0.01 * expected + 0.4).all()
    for kind in labels.unique():  # exact over places, up to the gray disk's pi/12
        missed = (ink - expected)[labels == kind].double()
        bias = math.pi / 12 if name != "color-shapes" and kind == 0 else 0.0
        assert abs(missed.mean() - bias) < 4.0 * missed.std() / len(missed) ** 0.5 + 1e-4


def test_an_image_is_what_finer_pixels_average_to():
    """Coverage counted on a grid of 40 x 40 points a pixel; smoothing differs from it by little."""
    row = torch.tensor([FACTORS["color-shapes"]], dtype=torch.float64)
    offsets = (torch.arange(40, dtype=torch.float64) + 0.5) / 40 - 0.5
    places = (torch.arange(32, dtype=torch.float64) - 15.5)[:, None] + offsets
    y, x = torch.meshgrid(places.flatten() + 0.2, places.flatten() - 0.3, indexing="ij")
    area = math.pi * 4.0**2
    half, rise = area**0.5 / 2, (area / (3 * 3**0.5)) ** 0.5
    inside = (x.hypot(y) <= 4.0, torch.maximum(x.abs(), y.abs()) <= half,
              torch.maximum(y, (3**0.5 * x.abs() - y) / 2) <= rise)  # fmt: skip
    for kind, counted in enumerate(inside):
        truth = counted.double().unflatten(0, (32, 40)).unflatten(2, (32, 40)).mean((1, 3))
        image = rc.draw_images("color-shapes", torch.tensor([kind]), row)[0].amax(0)
        assert (image - truth).abs().max() < 0.2
        assert (image - truth).abs().sum() < 0.03 * area
    assert sum(m.double().mean() * 32**2 for m in inside) == pytest.approx(3 * area, rel=1e-3)


def test_hue_is_read_from_pixels_as_colorsys_reads_it(sample):
    name, (images, _, factors) = sample
    if name == "color-shapes":
        for image, hue in zip(images[:200], factors[:200, 3].tolist(), strict=True):
            brightest = image.flatten(1)[:, image.sum(0).flatten().argmax()].tolist()
            read, saturation, value = colorsys.rgb_to_hsv(*brightest)
            assert (saturation, value) == pytest.approx((1.0, 1.0), abs=1e-5)
            assert abs((read - hue + 0.5) % 1.0 - 0.5) < 1e-5


def test_kinds_look_like_themselves():
    """Rows of ink: a square's are equally long, a triangle's grow downwards, a disk's are longest midway."""
    row = torch.tensor([[0.0, 0.0, 6.0, 0.3]])
    rows = [rc.draw_images("color-shapes", torch.tensor([k]), row)[0].amax(0).sum(1) for k in range(3)]
    disk, square, triangle = (r[r > 0.9 * 0.5].double() for r in rows)
    assert square[1:-1].std() < 1e-3
    assert (triangle.diff()[1:-1] > 0.5).all()
    assert abs(int(disk.argmax()) - (len(disk) - 1) / 2) <= 1.0
    ring = rc.draw_images("rings-and-disks-large", torch.tensor([1]), torch.tensor([[0.0, 0.0, 8.0, 4.0]]))
    assert (ring[0, 0, 13, 13].item(), ring[0, 0, 13, 7].item()) == (0.0, 1.0)


def test_factors_are_read_again(sample):
    name, (images, _, factors) = sample
    missed = (rc.read_factors(name, images) - factors).abs()
    if name == "color-shapes":
        missed[:, 3] = torch.minimum(missed[:, 3], 1.0 - missed[:, 3])
    assert (missed.median(0).values < 0.02).all()
    assert missed.max() < 0.2
    dimmed = rc.read_factors(name, 0.5 * images)  # places and hue are no matter of brightness
    kept = [0, 1, 3] if name == "color-shapes" else [0, 1]
    assert torch.allclose(dimmed[:, kept], rc.read_factors(name, images)[:, kept], atol=1e-4)


@pytest.mark.parametrize("name", SETS)
def test_a_split_is_the_law_from_its_seed(name):
    for split, (n, seed) in drawn.DRAWN_SPLITS.items():
        loaded = load_images(name, split)
        again = rc.sample_drawn_images(name, n, rc.make_generator(seed))
        assert torch.equal(loaded.images, again.images)
        assert torch.equal(loaded.labels, again.labels)
    images, labels = drawn.load_drawn(name, "train", 7)
    assert len(images) == len(labels) == 7
    few = torch.cat([load_images(name, split, limit=500).images for split in sets.SPLITS])
    assert len(few.flatten(1).unique(dim=0)) == 1000  # continuous factors: nothing repeats


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize("name", SETS)
def test_nothing_is_made_on_a_default_device(name):
    images, _, factors = rc.sample_drawn_images(name, 3, rc.make_generator(0))
    assert {images.device.type, rc.read_factors(name, images).device.type, factors.device.type} == {"cpu"}
    double = rc.draw_images(
        name, torch.zeros(1, dtype=torch.long, device="cpu"), factors[:1].double() * 0 + 1
    )
    assert double.dtype == torch.float64


def bad(name, column, value, label=0):
    factors = torch.tensor([FACTORS[name]] * 3)
    factors[1, column] = value
    return lambda: rc.draw_images(name, torch.tensor([0, label, 0]), factors)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rc.factor_ranges("digits"), ("name", *SETS, "'digits'")),
        (lambda: rc.sample_drawn_images(SETS[0], 0), ("n must be", "at least 1", "got 0")),
        (bad("color-shapes", 0, math.nan), ("factors", "finite", "row 1")),
        (bad("color-shapes", 2, 0.3), ("size >= 0.5", "row 1")),
        (bad("color-shapes", 3, -0.5), ("hue >= 0", "row 1")),
        (bad("color-shapes", 0, 0.0, label=3), ("labels", "0 to 2", "triangle", "0 to 3")),
        (bad("rings-and-disks-large", 3, 6.5), ("0 <= inner <= outer", "row 1")),
        (bad("rings-and-disks-large", 3, -0.5), ("0 <= inner <= outer", "row 1")),
        (lambda: rc.draw_images(SETS[1], torch.tensor([0]), torch.ones(1, 3)), ("[n, 4]", "hue", "[1, 3]")),
        (lambda: rc.draw_images(SETS[1], torch.tensor([0, 1]), torch.ones(1, 4)), ("[n]", "[2]")),
        (lambda: rc.draw_images(SETS[1], torch.tensor([0]), torch.ones(1, 4).long()), ("factors", "float")),
        (
            lambda: rc.read_factors(SETS[1], torch.ones(2, 1, 32, 32)),
            ("images", "3, 32, 32", "[2, 1, 32, 32]"),
        ),
        (lambda: rc.read_factors(SETS[0], torch.zeros(1, 1, 28, 28)), ("images", "ink", "row 0")),
        (
            lambda: rc.read_factors(SETS[0], torch.full((1, 1, 28, 28), math.inf)),
            ("images", "finite", "row 0"),
        ),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)
