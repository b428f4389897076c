"""A small model, a few images and short settings for tests of training."""

import torch

from riemvae_core.data import load_images
from riemvae_core.models.vae import ModelConfig, make_model

DIGITS = load_images("digits").images[:200]
QUIET = {"epochs": 3, "batch_size": 32, "progress": False}


def small(kind="vae", **changes):
    return make_model(kind, ModelConfig(image_shape=(1, 8, 8), width=16, depth=1, **changes), seed=0)


def same_weights(a, b):
    return all(torch.equal(v, b.state_dict()[k]) for k, v in a.state_dict().items())
