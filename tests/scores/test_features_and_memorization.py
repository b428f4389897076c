"""Features by name, and the K-fold memorization score: a copier, closed forms, what is refused."""

import math

import properties
import pytest
import torch

import riemvae_core as rc
from riemvae_core.models import zoo
from riemvae_core.scores import FEATURES, image_features, memorization


def test_named_features_are_the_pixels_the_classifiers_and_a_random_nets():
    images = rc.load_images("fashion", "test").images[:20]
    properties.close(image_features("pixels", (1, 28, 28))(images), images.flatten(1))
    classifier = zoo.load("fashion-classifier")
    properties.close(image_features("classifier", (1, 28, 28))(images), classifier.features(images))
    one, again = (image_features("random", (1, 28, 28))(images) for _ in range(2))
    assert one.shape == (20, 256)
    properties.close(one, again)
    alone = torch.cat([image_features("random", (1, 28, 28))(x[None]) for x in images])
    properties.close(alone, one, rtol=1e-4, atol=1e-5)
    assert torch.cdist(one, one).add(torch.eye(20, device="cpu")).min() > 1e-3
    assert FEATURES == ("classifier", "random", "pixels")


@pytest.mark.parametrize("shape", [(3, 9, 7), (1, 2, 2)])
def test_a_random_net_reads_any_image(shape):
    (images,) = properties.random_tensors(1, (5, *shape))
    assert image_features("random", shape)(images).shape == (5, 256)


def test_features_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"features must be a function or one of classifier, .* got 'dino'"):
        image_features("dino", (1, 28, 28))
    with pytest.raises(ValueError, match=r"for images \[3, 28, 28\]: 'classifier' reads \[1, 28, 28\]"):
        image_features("classifier", (3, 28, 28))
    with pytest.raises(ValueError, match=r"features must be 'pixels' or a function for items \[40\]"):
        image_features("random", (40,))
    bad = torch.full((2, 1, 8, 8), math.nan, device="cpu")
    with pytest.raises(ValueError, match="images must be finite, got nan in row 0"):
        image_features("random", (1, 8, 8))(bad)


def kernel(codes, h):
    return lambda rows: rc.fit_law(codes[rows], kind="isotropic", widths={"h": h}).log_prob


def test_a_law_that_knows_no_code_remembers_none_and_a_copier_all():
    codes = properties.random_tensors(1, (60, 2))[0]
    nothing = memorization(lambda rows: lambda z: -z.square().sum(1), codes)
    properties.close(nothing, torch.zeros_like(nothing))
    assert memorization(kernel(codes, 0.001), codes).min() > 3.0
    assert memorization(kernel(codes, 5.0), codes).abs().max() < 0.1


def test_the_score_is_what_its_definition_says():
    """Two far codes, two folds: seen, its own kernel; unseen, the other's."""
    codes = torch.tensor([[0.0], [9.0]], dtype=torch.float64, device="cpu")

    def fit(rows):
        (center,) = codes[rows, 0]
        return lambda z: -0.5 * (z[:, 0] - center).square()

    properties.close(memorization(fit, codes, folds=2), codes.new_tensor([40.5, 40.5]))


def test_each_fold_leaves_its_codes_out_and_many_codes_are_asked_by_chance():
    codes, seen = properties.random_tensors(1, (50, 2))[0], []

    def fit(rows):
        seen.append(rows)
        return lambda z: z[:, 0]

    scores = memorization(fit, codes, 5, rc.make_generator(0), most=7)
    assert scores.shape == (7,)
    assert [len(rows) for rows in seen] == [40] * 5
    assert (torch.cat(seen).bincount(minlength=50) == 4).all()


def test_a_code_that_only_laws_that_saw_it_know_is_remembered_without_end():
    """Laws on intervals: the first and the last code lie outside of the one that was made without them."""
    codes = torch.arange(6.0, device="cpu")[:, None]

    def interval(rows, outside=-math.inf):
        low, high = codes[rows].aminmax()
        return lambda z: torch.where((z[:, 0] >= low) & (z[:, 0] <= high), 0.0, outside)

    scores = memorization(interval, codes, 3, rc.make_generator(0))
    finite = memorization(lambda rows: interval(rows, -7.0), codes, 3, rc.make_generator(0))
    assert (finite == 7.0).sum() == 2
    assert scores.tolist() == [math.inf if score == 7.0 else 0.0 for score in finite]


def test_a_code_without_density_seen_or_not_is_not_remembered_and_one_that_seeing_costs_less_so():
    codes = torch.arange(6.0, device="cpu")[:, None]

    def nowhere(rows):
        return lambda z: torch.full((len(z),), -math.inf)

    def elsewhere(rows):
        return lambda z: torch.where(torch.isin(z[:, 0], codes[rows, 0]), -math.inf, 0.0)

    assert memorization(nowhere, codes, 3).tolist() == [0.0] * 6
    assert memorization(elsewhere, codes, 3).tolist() == [-math.inf] * 6


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("fit", "told"),
    [
        (None, "fit must be a function from rows to a log density, got NoneType"),
        (lambda rows: None, "fit must return a function from codes to log densities, got NoneType"),
        (lambda rows: lambda z: None, "what fit's function returns must be a tensor of .* got NoneType"),
        (lambda rows: lambda z: z, r"fit's function must return \[9\], one a code, got \[9, 2\]"),
        (lambda rows: lambda z: z[:, 0] * math.nan, r"numbers or -inf, got nan at code \[0.0, 0.0\]"),
    ],
)
def test_a_fit_that_makes_no_law_is_named(fit, told):
    with pytest.raises(ValueError, match=told):
        memorization(fit, torch.zeros(9, 2, device="cpu"), 3)


def test_what_cannot_be_dealt_is_refused():
    codes = torch.zeros(3, 2, device="cpu")
    with pytest.raises(ValueError, match="folds must be a whole number of at least 2, got 1"):
        memorization(kernel(codes, 1.0), codes, 1)
    with pytest.raises(ValueError, match=r"codes must be \[n, d\] with n at least folds \(5\), got \[3, 2\]"):
        memorization(kernel(codes, 1.0), codes)
