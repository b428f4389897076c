"""A VAE of images with labels: encoder and decoder are told the label, so that the codes needn't tell it."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import one_hot

from riemvae_core.balls import Balls, kl_barrier, kl_pull, reparameterize
from riemvae_core.models.checks import check_image_shape
from riemvae_core.models.networks import make_networks
from riemvae_core.models.vae import ModelConfig, VAELosses
from riemvae_core.numerics import seeded_weights

N_LABELS = 10  # of every labeled set that is bundled


class ConditionalVAE(nn.Module):
    r"""Stores each image as a ball among those of its label; Sohn, Lee and Yan (2015), their CVAE.

    The loss of ``VAE``, $\|x-g(z)\|^2+\beta\,\mathrm{KL}$, with the label as ten more features of the
    image and as ten more axes of the code that the decoder reads: one of them 1, the others 0. Labels
    ``y`` are ``[n]``, whole numbers from 0 to 9. Raises ValueError for other labels, with the first bad row,
    and for a config whose likelihood is not Gaussian.

    Used in chapter 11.

    Example:
        >>> from riemvae_core.models import zoo
        >>> model, test = zoo.load("fashion-labels"), rc.load_images("fashion", "test")
        >>> mu, log_var = model.encode(test.images[:4], test.labels[:4])
        >>> model.decode(mu, test.labels[:4]).shape
        torch.Size([4, 1, 28, 28])
    """

    takes_labels_and_noise, n_labels = True, N_LABELS

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        if config.likelihood != "gaussian" or config.linear_output or not config.noise:
            raise ValueError(
                f"config must keep likelihood, linear_output and noise as they are, got {config}"
            )
        self.config = config
        nets = make_networks(
            config.network,
            config.image_shape,
            config.latent_dim + N_LABELS,
            width=config.width,
            decoder_width=config.decoder_width,
            depth=config.depth,
            activation=config.activation,
        )
        self.body, self.decoder = nets.body, nets.decoder
        self.mu_head, self.log_var_head = (
            nn.Linear(nets.features + N_LABELS, config.latent_dim) for _ in range(2)
        )

    def encode(self, x: Float[Tensor, "n c h w"], y: Tensor) -> Balls:
        """The ball of each image with its label. Raises ValueError for images of another shape."""
        check_image_shape(x, self.config.image_shape)
        features = torch.cat([self.body(x), _told(y, x)], -1)
        return Balls(self.mu_head(features), self.log_var_head(features))

    def decode(self, z: Float[Tensor, "n d"], y: Tensor) -> Float[Tensor, "n c h w"]:
        """Images of codes, each as its label says, in [0, 1]."""
        return torch.sigmoid(self.decoder(torch.cat([z, _told(y, z)], -1)))

    def losses(self, x: Float[Tensor, "n c h w"], eps: Float[Tensor, "n d"], y: Tensor) -> VAELosses:
        """The loss of each image and its parts, for the noise ``eps`` drawn from N(0, I)."""
        mu, log_var = self.encode(x, y)
        reconstruction = (x - self.decode(reparameterize(mu, log_var, eps), y)).square().flatten(1).sum(-1)
        pull, barrier = kl_pull(mu), kl_barrier(log_var)
        weighted = self.config.pull * pull + self.config.barrier * barrier
        return VAELosses(reconstruction + self.config.beta * weighted, reconstruction, pull, barrier)


def make_conditional(config: ModelConfig, seed: int) -> ConditionalVAE:
    """A conditional VAE with weights drawn from the seed, on the CPU; torch's generator stays as it was.

    Example:
        >>> a, b = (rc.models.make_conditional(rc.ModelConfig((1, 8, 8), width=8), seed) for seed in (0, 0))
        >>> torch.equal(a.mu_head.weight, b.mu_head.weight)
        True
    """
    with seeded_weights(seed):
        return ConditionalVAE(config)


def _told(y: Tensor, like: Tensor) -> Tensor:
    """Labels as ten numbers each, one of them 1."""
    whole = isinstance(y, Tensor) and not (y.is_floating_point() or y.is_complex())
    if not whole or y.shape != like.shape[:1]:
        came = f"{list(y.shape)} of {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(f"y must be [{len(like)}] whole numbers, one label an image, got {came}")
    y = y.long()
    bad = ((y < 0) | (y >= N_LABELS)).nonzero().flatten()
    if len(bad):
        row = int(bad[0])
        raise ValueError(
            f"y must lie in 0 to {N_LABELS - 1}, got {int(y[row])} in row {row} ({len(bad)} rows hold such)"
        )
    return one_hot(y, N_LABELS).to(like)
