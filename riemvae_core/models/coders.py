"""What all models share: the nets, the way back to images, and the price of a reconstruction."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from riemvae_core.models.checks import check_image_shape
from riemvae_core.models.networks import make_networks

LIKELIHOODS = ("gaussian", "bernoulli")


def check_likelihood(likelihood: str, linear_output: bool) -> None:
    """Raise ValueError for an unknown likelihood, or one that needs the sigmoid which ``linear_output``
    drops.
    """
    if likelihood not in LIKELIHOODS:
        raise ValueError(f"likelihood must be one of {', '.join(LIKELIHOODS)}, got {likelihood!r}")
    if not isinstance(linear_output, bool):
        raise ValueError(f"linear_output must be True or False, got {linear_output!r}")
    if likelihood == "bernoulli" and linear_output:
        raise ValueError("linear_output must be False with likelihood 'bernoulli', got True")


class Coder(nn.Module):
    """An encoder's body and head, and a decoder.

    ``config`` names the image's shape, the nets and the likelihood; ``code_shape`` is what the decoder
    reads for an image: ``(d,)``, or ``(h, w, d)`` where it reads a grid of vectors.
    """

    def __init__(self, config, code_shape: tuple[int, ...]) -> None:
        super().__init__()
        self.config, self.code_shape = config, code_shape
        nets = make_networks(
            config.network,
            config.image_shape,
            code_shape[-1],
            width=config.width,
            decoder_width=config.decoder_width,
            depth=config.depth,
            activation=config.activation,
        )
        self.body, self.decoder = nets.body, nets.decoder
        self.mu_head = nn.Linear(nets.features, code_shape[-1])

    def features(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n *places f"]:
        """What the encoder's body makes of images. Raises ValueError for images of another shape."""
        check_image_shape(x, self.config.image_shape)
        return self.body(x)

    def logits(self, z: Float[Tensor, "*places d"]) -> Float[Tensor, "*batch c h w"]:
        """What the decoder says of codes before the sigmoid. Raises ValueError for codes of another size."""
        axes = len(self.code_shape)
        if tuple(z.shape[-axes:]) != self.code_shape:
            size = " x ".join(map(str, self.code_shape))
            raise ValueError(f"z must end in {size} coordinates, got shape {list(z.shape)}")
        flat = self.decoder(z.reshape(-1, *self.code_shape))
        return flat.reshape(*z.shape[:-axes], *self.config.image_shape)

    def decode(self, z: Float[Tensor, "*places d"]) -> Float[Tensor, "*batch c h w"]:
        """Images for codes, in [0, 1] unless the config says ``linear_output``."""
        logits = self.logits(z)
        return logits if self.config.linear_output else torch.sigmoid(logits)

    def reconstruction_loss(
        self, x: Float[Tensor, "n c h w"], z: Float[Tensor, "n *places d"]
    ) -> Float[Tensor, " n"]:
        """What it costs to decode z when x was meant: summed over the pixels, one value an image."""
        if self.config.likelihood == "bernoulli":
            loss = functional.binary_cross_entropy_with_logits(self.logits(z), x, reduction="none")
        else:
            loss = (x - self.decode(z)).square()
        return loss.flatten(1).sum(-1)
