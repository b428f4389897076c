"""A fresh decoder for the codes of a model whose encoder stays as it is."""

import copy
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from riemvae_core.models.training import History, fit
from riemvae_core.numerics import seeded_weights, with_own_gradients


def fresh_decoder(model: nn.Module, seed: int) -> nn.Module:
    """A copy of a model with its encoder frozen and its decoder's weights drawn anew from the seed."""
    if not isinstance(getattr(model, "decoder", None), nn.Module):
        raise ValueError(f"model must have a decoder, an nn.Module, got {type(model).__name__} without one")
    copied = copy.deepcopy(model).requires_grad_(False)
    home = next(model.parameters()).device
    with seeded_weights(seed):
        for layer in copied.decoder.cpu().modules():
            if hasattr(layer, "reset_parameters"):
                layer.reset_parameters()
    copied.decoder.to(home).requires_grad_(True)
    return copied


@with_own_gradients
def retrain_decoder(
    model: nn.Module, images: Float[Tensor, "n c h w"], *, seed: int, **settings: Any
) -> tuple[nn.Module, History]:
    """Train a fresh decoder, drawn from ``seed``, on the codes of a model whose encoder stays as it is.

    The model itself is left untouched: a copy comes back, with what ``fit`` says of its training.
    ``settings`` go to ``fit``.

    Used in chapters 1, 3 and 8. Raises as ``fit`` does.

    Example:
        >>> images = rc.load_images("digits").images[:256]
        >>> model = rc.make_model("vae", rc.ModelConfig((1, 8, 8), width=16, depth=1), seed=0)
        >>> copied, _ = rc.retrain_decoder(model, images, seed=1, epochs=1, progress=False)
        >>> torch.allclose(copied.encode(images).mu, model.encode(images).mu)  # the encoder stays
        True
        >>> torch.allclose(copied.decode(torch.ones(1, 2)), model.decode(torch.ones(1, 2)))
        False
    """
    copied = fresh_decoder(model, seed)
    return copied, fit(copied, images, seed=seed, **settings)
