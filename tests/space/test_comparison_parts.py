"""What a comparison of laws asks of features and of folds: eval mode, fewer neighbors, comparable numbers."""

import math
from dataclasses import replace

import pytest
import torch

import riemvae_core as rc
from riemvae_core.laws import between
from riemvae_core.models import zoo
from riemvae_core.space import compare_laws
from riemvae_core.space.adapters import resting


@pytest.fixture(scope="module")
def digits():
    train, test = (rc.load_images("digits", split).images for split in ("train", "test"))
    return rc.latent_space(zoo.load("digits-vae-2d"), train[:600]), test


def test_features_may_be_any_function_and_are_chosen_by_the_images(digits):
    space, test = digits

    def brightness(images):
        return torch.stack([images.mean((1, 2, 3)), images.std((1, 2, 3))], 1)

    found = compare_laws(space, test, brightness, "gaussian", repeats=2)
    assert found.features == "brightness"
    assert space.compare_laws(test[:60], kinds=("gaussian",), repeats=2, folds=2).features == "random"
    with pytest.raises(
        ValueError, match=r"features must return one row an image, \[360, f\], got \[360, 8, 8\]"
    ):
        compare_laws(space, test, lambda images: images[:, 0], "gaussian")
    with pytest.raises(ValueError, match="features must be finite, got nan in row 0"):
        compare_laws(space, test, lambda images: images.flatten(1) * math.nan, "gaussian")
    with pytest.raises(ValueError, match=r"features must return one row an image, .* got NoneType"):
        compare_laws(space, test, lambda images: None, "gaussian")


@pytest.mark.parametrize("asked", ["module", "method", "closure"])
def test_features_that_would_draw_at_random_are_asked_at_rest(digits, asked):
    """Dropout of a module, of the module that a method is of, and of one that a function calls."""
    space, test = digits
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Dropout(0.5))
    features = {"module": net, "method": net.forward, "closure": lambda images: net(images)}[asked]
    found, again, still = (
        compare_laws(space, test[:60], f, "prior", repeats=2, folds=2) for f in (features, features, "pixels")
    )
    for row, other, expected in zip(found.rows, again.rows, still.rows, strict=True):
        assert row[1:4] == other[1:4] == expected[1:4]
    assert net.training
    assert net[1].training


def test_features_keep_each_modules_mode_also_after_an_error(digits):
    space, test = digits
    net = torch.nn.Sequential(torch.nn.Dropout(0.5).eval(), torch.nn.Linear(3, 2))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        compare_laws(space, test, net, "prior")
    assert [part.training for part in net.modules()] == [True, False, True]


def test_a_function_is_asked_at_rest_and_torchs_own_chance_stays_where_it_was():
    net = torch.nn.Dropout(0.5)
    asked = resting(lambda x: net(x) + 0 * torch.rand(1))
    before = torch.get_rng_state()
    assert asked(torch.ones(50)).tolist() == [1.0] * 50
    assert torch.equal(torch.get_rng_state(), before)
    assert net.training


def test_a_law_cut_off_below_the_codes_held_out_has_no_log_density_to_compare(digits):
    space, test = digits
    found = space.compare_laws(test, "pixels", kinds=("averaged", "ball"), repeats=2, folds=3)
    assert math.isfinite(found.laws["averaged"].held_out_log_prob)
    assert found.row("averaged").held_out_log_prob is None
    assert found.row("ball").held_out_log_prob is not None
    assert not math.isnan(found.row("averaged").memorization)


def test_a_fold_with_fewer_codes_takes_fewer_neighbors(digits, monkeypatch):
    """Of 16 codes a law may have 10 neighbors, of the 10 of a fold's law 9; nobody chose them."""
    space, test = digits
    few = replace(space, mu=space.mu[:16], log_var=space.log_var[:16])
    monkeypatch.setattr(between, "LINES", (10,))
    found = compare_laws(few, test[:40], "pixels", ("prior", "interpolation"), repeats=2, folds=3)
    assert found.laws["interpolation"].widths["neighbors"] == 10
    assert math.isfinite(found.row("interpolation").memorization)
    assert "left out" not in found.reason


@pytest.mark.parametrize(
    ("n", "folds", "told"),
    [
        (10, 5, "at least 13 different codes for folds=5, got 10: encode more images$"),
        (12, 5, "at least 13 different codes for folds=5, got 12: encode more images, or raise folds to 6$"),
        (11, 2, "at least 20 different codes for folds=2, got 11: encode more images, or raise folds to 11$"),
        (13, 5, None), (12, 6, None), (20, 2, None), (11, 11, None),
    ],
)  # fmt: skip
def test_codes_too_few_for_the_folds_are_named_before_anything_is_fitted(digits, n, folds, told):
    """What is asked for is what the laws of all folds but one need, no more and no less."""
    space, test = digits
    few = replace(space, mu=space.mu[:n], log_var=space.log_var[:n])
    if told is None:
        found = compare_laws(few, test[:40], "pixels", "gaussian", repeats=2, folds=folds)
        assert found.row("gaussian").memorization is not None
        return
    with pytest.raises(ValueError, match=f"space must hold {told}"):
        compare_laws(few, test[:40], "pixels", "gaussian", repeats=2, folds=folds)
