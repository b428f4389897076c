"""Evaluation of a model, and a fresh decoder behind a frozen encoder."""

import properties
import pytest
import torch
from training_cases import DIGITS, QUIET, same_weights, small

from riemvae_core.models import training
from riemvae_core.models.retraining import fresh_decoder, retrain_decoder
from riemvae_core.models.training import evaluate, fit
from riemvae_core.models.vae import ModelConfig, make_model

# --- evaluate


@pytest.mark.parametrize("mode", [True, False])
def test_evaluate_means_over_images_and_restores_the_mode(mode, monkeypatch):
    model = small().train(mode)
    parts = evaluate(model, DIGITS, seed=2)
    assert model.training is mode
    eps = torch.randn(200, 2, generator=torch.Generator().manual_seed(2))
    by_hand = model.losses(DIGITS, eps)
    assert list(parts) == list(by_hand._fields)
    for name, part in by_hand._asdict().items():
        assert parts[name] == pytest.approx(part.mean().item(), rel=1e-5)
    chunks = training.chunks
    monkeypatch.setattr(training, "chunks", lambda n, each: chunks(n, each, budget=7 * each))
    assert evaluate(model, DIGITS, seed=2) == pytest.approx(parts, rel=1e-5)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("images", "words"),
    [
        (DIGITS[:0], ("images", "[0, 1, 8, 8]")),
        (DIGITS[..., 1:], ("images", "[n, 1, 8, 8]", "[200, 1, 8, 7]")),
    ],
)
def test_evaluate_names_what_is_wrong_and_restores_the_mode(images, words):
    model = small().train()
    with pytest.raises(ValueError, match="must be") as caught:
        evaluate(model, images)
    properties.message_names(caught.value, *words)
    assert model.training


# --- retrain_decoder


def test_a_fresh_decoder_is_drawn_from_the_seed_and_stands_behind_a_frozen_encoder():
    model = make_model("vae", ModelConfig(image_shape=(1, 8, 8), width=8, depth=1), seed=0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    fresh, twin, other = (fresh_decoder(model, seed).state_dict() for seed in (1, 1, 2))
    for name, value in before.items():
        assert torch.equal(model.state_dict()[name], value)
        assert torch.equal(fresh[name], twin[name])
        assert torch.equal(fresh[name], value) != name.startswith("decoder.")
        assert torch.equal(other[name], fresh[name]) != name.startswith("decoder.")
    frozen = {n for n, p in fresh_decoder(model, 1).named_parameters() if not p.requires_grad}
    assert frozen == {n for n in before if not n.startswith("decoder.")}


def test_a_fresh_decoder_is_trained_and_nothing_else():
    model = small(noise=False)
    fit(model, DIGITS, **QUIET)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    copied, history = retrain_decoder(
        model, DIGITS, epochs=40, batch_size=32, lr=0.01, seed=7, progress=False
    )
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    for name, weight in copied.state_dict().items():
        assert torch.equal(weight, before[name]) is not name.startswith("decoder."), name
    assert history.losses["reconstruction"][-1] < history.losses["reconstruction"][0]
    properties.close(history.losses["pull"], history.losses["pull"][:1].expand(40), 1e-4, 1e-6)
    twin, _ = retrain_decoder(model, DIGITS, epochs=40, batch_size=32, lr=0.01, seed=7, progress=False)
    assert same_weights(twin, copied)
