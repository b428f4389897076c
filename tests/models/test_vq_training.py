"""Models with codes are trained, stopped and resumed as every other model."""

import dataclasses
import math

import properties
import pytest
import torch
from vq_cases import DIGITS, GRID, LEVELS, SMALL, small

from riemvae_core.codes import (
    kmeans_codebook,
)
from riemvae_core.models import vqvae
from riemvae_core.models.training import evaluate, fit
from riemvae_core.models.vqvae import VQLosses
from riemvae_core.numerics import make_generator

# --- the same fit as every other model


@pytest.mark.parametrize("config", [SMALL, GRID, LEVELS, dataclasses.replace(SMALL, snap=False)])
@pytest.mark.parametrize("learning", vqvae.LEARNING)
def test_training_lowers_the_error_and_tells_the_usage(config, learning):
    model = small(config, learning=learning)
    history = fit(model, DIGITS[:400], epochs=8, lr=0.01, progress=False)
    assert list(history.losses) == list(VQLosses._fields)
    assert history.losses["reconstruction"][-1] < 0.9 * history.losses["reconstruction"][0]
    assert ((history.losses["perplexity"] >= 1) & (history.losses["perplexity"] <= config.n_codes)).all()
    held_out = evaluate(model, DIGITS[400:600])
    assert held_out["used"] <= config.n_codes
    assert math.isfinite(held_out["total"])


def test_a_run_that_was_killed_ends_as_an_unbroken_one(tmp_path):
    whole, broken, resumed = small(), small(), small()
    settings = {"epochs": 3, "lr": 0.01, "progress": False}
    fit(whole, DIGITS[:200], **settings)
    file = tmp_path / "run"
    fit(broken, DIGITS[:200], checkpoint=file, callback=lambda epoch, *_: epoch == 1, **settings)
    fit(resumed, DIGITS[:200], checkpoint=file, **settings)
    expected = whole.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in resumed.state_dict().items())
    assert not torch.equal(broken.codebook, resumed.codebook)


@pytest.mark.slow
def test_two_devices_learn_the_codebook_of_one():
    """Sums are taken in another order, so the codebooks agree up to rounding, resets included."""
    one, two = small(dead_share=0.5), small(dead_share=0.5)
    settings = {"epochs": 2, "batch_size": 32, "progress": False}
    fit(one, DIGITS[:192], **settings)
    fit(two, DIGITS[:192], devices=2, strategy="ddp_spawn", **settings)
    for name, weight in one.state_dict().items():
        properties.close(two.state_dict()[name], weight, 1e-3, 1e-3)


def test_rows_of_all_devices_are_put_together(monkeypatch):
    rows = torch.arange(6.0).reshape(3, 2)
    monkeypatch.setattr(vqvae.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(vqvae.distributed, "get_world_size", lambda: 2)

    def all_gather(parts, mine):
        for i, part in enumerate(parts):
            part.copy_(mine + 10 * i)

    monkeypatch.setattr(vqvae.distributed, "all_gather", all_gather)
    assert torch.equal(vqvae._of_all_devices(rows), torch.cat([rows, rows + 10]))


@pytest.mark.usefixtures("no_hook")
def test_one_code_an_image_is_no_better_than_kmeans():
    """K codes draw K images; no K images are nearer to the data than those of the best k-means, almost."""
    model = small(width=64)
    fit(model, DIGITS, epochs=30, lr=0.005, progress=False)
    pixels = DIGITS.flatten(1).double()
    best = min(kmeans_codebook(pixels, 5, make_generator(s)).distortion.item() for s in range(5))
    ours = evaluate(model, DIGITS)["reconstruction"]
    assert best <= ours < 1.25 * best
