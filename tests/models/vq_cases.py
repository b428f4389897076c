"""Small models with codes, and images for them."""

import dataclasses

from riemvae_core.data import load_images
from riemvae_core.models.vae import make_model
from riemvae_core.models.vqvae import VQConfig
from riemvae_core.numerics import make_generator

SMALL = VQConfig(image_shape=(1, 8, 8), n_codes=5, code_dim=3, width=8, depth=1)
GRID = dataclasses.replace(SMALL, network="grid", code_dim=4)
LEVELS = dataclasses.replace(SMALL, n_codes=60, code_dim=3, levels=(5, 4, 3))
DIGITS = load_images("digits").images


def small(config=SMALL, seed=1, spread=True, **changes):
    """A model whose codes are as far apart as its points, in eval mode."""
    model = make_model("vq", dataclasses.replace(config, **changes), seed)
    if spread and not model.config.levels:
        model.start_codebook(DIGITS[:300], make_generator(0))
    return model.eval()
