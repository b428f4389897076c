"""The models of the book: an autoencoder stores points, a VAE balls, a VQ-VAE the numbers of codes."""

import copy
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemvae_core.balls import Balls, kl_barrier, kl_pull, reparameterize
from riemvae_core.models.checks import check_sizes
from riemvae_core.models.coders import Coder, check_likelihood
from riemvae_core.models.vqvae import VQVAE, VQConfig
from riemvae_core.numerics import check_finite, check_number, seeded_weights


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes a model's shape and loss; hashed by the zoo.

    ``beta`` weighs KL against the squared error summed over pixels; ``pull`` and ``barrier`` weigh KL's two
    halves within it. ``noise=False`` decodes the means in training. ``linear_output`` drops the sigmoid (and
    so the promise that decoded values lie in [0, 1]). Sizes as in ``make_networks``.

    That beta is twice a Gaussian decoder's variance is derived in chapter 2. Raises ValueError for an unknown
    likelihood, network ``grid``, sizes that aren't whole and weights that are negative or not finite.

    Example:
        >>> rc.ModelConfig(latent_dim=16, beta=0.3).beta
        0.3
        >>> rc.ModelConfig(beta=-1.0)
        Traceback (most recent call last):
        ValueError: beta, pull and barrier must be at least 0, got -1.0, 1.0, 1.0
    """

    image_shape: tuple[int, int, int] = (1, 28, 28)
    latent_dim: int = 2
    network: str = "mlp"
    width: int = 256
    decoder_width: int | None = None
    depth: int = 2
    activation: str = "silu"
    likelihood: str = "gaussian"
    linear_output: bool = False
    beta: float = 1.0
    pull: float = 1.0
    barrier: float = 1.0
    noise: bool = True

    def __post_init__(self) -> None:
        check_likelihood(self.likelihood, self.linear_output)
        check_sizes(self, latent_dim=self.latent_dim)
        check_number(beta=self.beta, pull=self.pull, barrier=self.barrier)
        if not isinstance(self.noise, bool):
            raise ValueError(f"noise must be True or False, got {self.noise!r}")
        if self.network == "grid":
            raise ValueError("network must not be 'grid' here, got 'grid': it stores codes, see VQConfig")
        if min(self.beta, self.pull, self.barrier) < 0:
            raise ValueError(
                f"beta, pull and barrier must be at least 0, got {self.beta}, {self.pull}, {self.barrier}"
            )


class AutoencoderLosses(NamedTuple):
    """Per image, nothing averaged."""

    total: Float[Tensor, " n"]
    reconstruction: Float[Tensor, " n"]


class VAELosses(NamedTuple):
    """Per image, nothing averaged: the reconstruction plus beta times the weighted halves of KL is the total.

    ``reconstruction`` is the squared error summed over pixels (or, for likelihood ``bernoulli``, the
    cross-entropy in nats); ``pull`` and ``barrier`` are the two halves of KL in nats, unweighted.
    """

    total: Float[Tensor, " n"]
    reconstruction: Float[Tensor, " n"]
    pull: Float[Tensor, " n"]
    barrier: Float[Tensor, " n"]


class Autoencoder(Coder):
    r"""Stores each image as a point, ``[n, d]`` in all; beta, pull, barrier and noise have no effect.

    $\|x-g(f(x))\|^2$, summed over pixels (chapter 1).

    Example:
        >>> from riemvae_core.models import zoo
        >>> model = zoo.load("digits-ae-2d")
        >>> images = rc.load_images("digits", "test").images[:4]
        >>> missed = images - model.decode(model.encode(images))
        >>> torch.allclose(model.losses(images).total, missed.square().sum((1, 2, 3)))
        True
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, (config.latent_dim,))

    def encode(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n d"]:
        """The point of each image."""
        return self.mu_head(self.features(x))

    def losses(
        self, x: Float[Tensor, "n c h w"], eps: Float[Tensor, "n d"] | None = None
    ) -> AutoencoderLosses:
        """The reconstruction loss of each image; ``eps`` is there for the training loop and not used."""
        reconstruction = self.reconstruction_loss(x, self.encode(x))
        return AutoencoderLosses(reconstruction, reconstruction)


class VAE(Coder):
    r"""Stores each image as a ball. Kingma and Welling (2014); the loss of Chadebec and Allassonniere (2022),
    eq. (3).

    $\|x-g(z)\|^2 + \beta\,(\text{pull}+\text{barrier})$ with $z=\mu+\sigma\odot\epsilon$: a Gaussian decoder
    of variance $\beta/2$ in every pixel, up to a scale.

    Example:
        >>> from riemvae_core.models import zoo
        >>> model = zoo.load("digits-vae-2d")
        >>> images = rc.load_images("digits", "test").images[:4]
        >>> loss = model.losses(images, torch.zeros(4, 2))
        >>> kl = rc.kl_to_standard_normal(*model.encode(images))
        >>> torch.allclose(loss.total, loss.reconstruction + model.config.beta * kl)
        True
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config, (config.latent_dim,))
        self.log_var_head = nn.Linear(self.mu_head.in_features, config.latent_dim)

    def encode(self, x: Float[Tensor, "n c h w"]) -> Balls:
        """The ball of each image."""
        features = self.features(x)
        return Balls(self.mu_head(features), self.log_var_head(features))

    def losses(self, x: Float[Tensor, "n c h w"], eps: Float[Tensor, "n d"]) -> VAELosses:
        """The loss of each image and its parts, for the noise ``eps`` drawn from N(0, I)."""
        mu, log_var = self.encode(x)
        z = reparameterize(mu, log_var, eps) if self.config.noise else mu
        reconstruction = self.reconstruction_loss(x, z)
        pull, barrier = kl_pull(mu), kl_barrier(log_var)
        weighted = self.config.pull * pull + self.config.barrier * barrier
        return VAELosses(reconstruction + self.config.beta * weighted, reconstruction, pull, barrier)


def centers(
    model: Autoencoder | VAE | VQVAE, images: Float[Tensor, "n c h w"]
) -> Float[Tensor, "n *places d"]:
    """Where a model puts images: an autoencoder's points, the centers of a VAE's balls, a VQ-VAE's codes.

    ``images`` are ``[n, c, h, w]``. Raises ValueError for a model that isn't one of the three, and images of
    another shape or not finite.

    Example:
        >>> from riemvae_core.models import zoo
        >>> model = zoo.load("digits-vae-2d")
        >>> images = rc.load_images("digits", "test").images[:4]
        >>> torch.equal(rc.centers(model, images), model.encode(images).mu)
        True
    """
    _check_kind(model, Autoencoder, VAE, VQVAE)
    check_finite(images=images)
    if isinstance(model, VQVAE):
        return model.locate(images)
    codes = model.encode(images)
    return codes.mu if isinstance(codes, Balls) else codes


def _check_kind(model: nn.Module, *kinds: type[nn.Module]) -> None:
    if not isinstance(model, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise ValueError(f"model must be of {names}, got {type(model).__name__}")


@torch.no_grad()
def standardize_codes(model: Autoencoder | VAE, images: Float[Tensor, "n c h w"]) -> Autoencoder | VAE:
    r"""A copy whose codes of these images have mean 0 and standard deviation 1 on each axis.

    The encoder's last layer takes the affine map in, the decoder's first layer its inverse, so every
    reconstruction stays what it was (chapter 1: an autoencoder's loss can't tell the two apart; a VAE's balls
    move and scale with their centers). Raises ValueError for a decoder whose first layer is not linear, or an
    axis on which all codes coincide.

    Example:
        >>> from riemvae_core.models import zoo
        >>> model, images = zoo.load("digits-vae-2d"), rc.load_images("digits", "test").images
        >>> moved = rc.standardize_codes(model, images)
        >>> rc.centers(moved, images).std(0)
        tensor([1.00, 1.00], ...)
        >>> before, after = (m.decode(rc.centers(m, images)) for m in (model, moved))
        >>> torch.allclose(before, after, atol=1e-4)
        True
    """
    _check_kind(model, Autoencoder, VAE)
    copied = copy.deepcopy(model)
    first = next(layer for layer in copied.decoder.modules() if not isinstance(layer, nn.Sequential))
    if not isinstance(first, nn.Linear):
        raise ValueError(f"model must have a decoder whose first layer is linear, got {type(first).__name__}")
    mu = centers(copied, images)
    mean, scale = mu.mean(0), mu.std(0)
    if not bool((scale > 0).all()):
        raise ValueError(f"images must have codes that differ on every axis, got deviations {scale.tolist()}")
    first.bias.add_(first.weight @ mean)
    first.weight.mul_(scale)
    copied.mu_head.bias.sub_(mean).div_(scale)
    copied.mu_head.weight.div_(scale[:, None])
    if isinstance(copied, VAE):
        copied.log_var_head.bias.sub_(2.0 * scale.log())
    return copied


MODELS: dict[str, type[Autoencoder] | type[VAE] | type[VQVAE]] = {
    "ae": Autoencoder,
    "vae": VAE,
    "vq": VQVAE,
}


def make_model(kind: str, config: ModelConfig | VQConfig, seed: int) -> Autoencoder | VAE | VQVAE:
    """A model with weights drawn from the seed, on the CPU; torch's global generator is left as it was.

    ``kind`` is ``ae`` or ``vae`` with a ``ModelConfig``, ``vq`` with a ``VQConfig``.

    Raises ValueError for an unknown kind and a config of another one.

    Example:
        >>> a, b, c = (rc.make_model("ae", rc.ModelConfig(), seed) for seed in (0, 0, 1))
        >>> a.mu_head.weight.equal(b.mu_head.weight), a.mu_head.weight.equal(c.mu_head.weight)
        (True, False)
    """
    if kind not in list(MODELS):
        raise ValueError(f"kind must be one of {', '.join(MODELS)}, got {kind!r}")
    expected = VQConfig if kind == "vq" else ModelConfig
    if not isinstance(config, expected):
        raise ValueError(
            f"config must be a {expected.__name__} for kind {kind!r}, got a {type(config).__name__}"
        )
    with seeded_weights(seed):
        return MODELS[kind](config)
