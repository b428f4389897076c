"""Other noise around the same centers."""

import properties
import pytest
import torch

from riemvae_core.models.noise import NOISES, with_noise
from riemvae_core.models.vae import ModelConfig, make_model


@pytest.mark.parametrize("noise", NOISES)
def test_other_noise_keeps_the_centers_and_its_total_size(noise):
    model = make_model("vae", ModelConfig((1, 4, 4), latent_dim=3, width=8), seed=1)
    x = torch.rand(7, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    before, other = model.encode(x), with_noise(model, noise)
    mu, log_var = other.encode(x)
    assert torch.equal(mu, before.mu)
    properties.close(log_var.exp().sum(-1), before.log_var.exp().sum(-1))
    assert (noise == "round") == bool((log_var.exp().std(-1) < 1e-6).all())
    still = torch.equal(other.losses(x, torch.ones(7, 3)).reconstruction, model.reconstruction_loss(x, mu))
    assert still == (noise == "none")
    assert model.config.noise
    assert torch.equal(model.encode(x).log_var, before.log_var)


def test_noise_that_is_not_known_is_named():
    model = make_model("vae", ModelConfig((1, 4, 4), width=8), seed=0)
    with pytest.raises(ValueError, match="noise must be one of ball, none, round, got 'square'"):
        with_noise(model, "square")
