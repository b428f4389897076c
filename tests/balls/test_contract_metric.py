"""A freshly trained VAE: the precisions of its balls are the diagonal of its decoder's pullback metric."""

import torch

import riemvae_core as rc
from riemvae_core.balls.contract import optimal_log_var

BETA = 0.3


def test_precisions_follow_the_pullback_metric_in_a_freshly_trained_vae():
    """Axis by axis and image by image, over precisions from 1 to 100; the ratio pins the 2 of 2/beta."""
    config = rc.ModelConfig(image_shape=(1, 8, 8), latent_dim=8, width=128, decoder_width=64, beta=BETA)
    model = rc.make_model("vae", config, seed=0)
    rc.fit(model, rc.load_images("digits").images, epochs=20, seed=0, progress=False)
    with torch.no_grad():
        mu, log_var = model.eval().encode(rc.load_images("digits", "test").images)
    speed = rc.PullbackMetric(model.decode)(mu).diagonal(dim1=-2, dim2=-1)
    predicted, found = -optimal_log_var(speed, BETA), -log_var
    assert torch.corrcoef(torch.stack([predicted.flatten(), found.flatten()]))[0, 1] > 0.9
    assert torch.corrcoef(torch.stack([predicted.mean(0), found.mean(0)]))[0, 1] > 0.98
    used = mu.var(0) > 0.01
    assert 2 <= used.sum() < 8
    assert 0.75 < (found - predicted)[:, used].median().exp() < 1.33
