"""The noise that a VAE is trained on: its own balls, none, or round ones of the same size (chapter 3)."""

import copy
import dataclasses

from torch import Tensor, nn

from riemvae_core.models.vae import VAE

#: the kinds of noise that ``with_noise`` knows
NOISES = ("ball", "none", "round")


class _RoundHead(nn.Module):
    """A head of radii that makes every ball round and keeps its mean squared radius."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head

    def forward(self, features: Tensor) -> Tensor:
        own = self.head(features)
        return own.exp().mean(-1, keepdim=True).log().expand_as(own)


def with_noise(model: VAE, noise: str) -> VAE:
    r"""A copy of a VAE that draws other codes around the same centers in training.

    ``ball``: the balls as they are. ``none``: the centers alone. ``round``: for each image a sphere with its
    ball's mean squared radius, so $\mathbb{E}\|z-\mu\|^2$ stays the same. Raises ValueError for any other,
    and a model that isn't a VAE.

    Compared in chapter 3.

    Example:
        >>> from riemvae_core.models import zoo
        >>> model = zoo.load("digits-vae-2d")
        >>> images = rc.load_images("digits", "test").images[:4]
        >>> own, rounded = (m.encode(images).log_var.exp() for m in (model, rc.with_noise(model, "round")))
        >>> torch.allclose(rounded.sum(-1), own.sum(-1)), torch.allclose(rounded[:, 0], rounded[:, 1])
        (True, True)
    """
    if noise not in NOISES:
        raise ValueError(f"noise must be one of {', '.join(NOISES)}, got {noise!r}")
    if not isinstance(model, VAE):
        raise ValueError(f"model must be a VAE, which has balls to draw from, got {type(model).__name__}")
    copied = copy.deepcopy(model)
    if noise == "none":
        copied.config = dataclasses.replace(copied.config, noise=False)
    elif noise == "round":
        copied.log_var_head = _RoundHead(copied.log_var_head)
    return copied
