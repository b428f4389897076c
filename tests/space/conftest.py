"""Images, and the latent space of a model of ours."""

import pytest
import torch
from foreign_models import our_model

import riemvae_core as rc


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    """Forty images of 8 x 8."""
    return rc.load_images("digits").images[:40]


@pytest.fixture(scope="module")
def space(x) -> rc.LatentSpace:
    """Of our own model in float64."""
    return rc.latent_space(our_model().double(), x)
