"""Two autoencoders around a codebook: one decodes the nearest code, one is merely pulled to it."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

from riemvae_core.codes import (
    CodebookState,
    KMeans,
    Quantized,
    ema_update,
    fsq_quantize,
    fsq_vectors,
    kmeans_codebook,
    nearest_code,
    perplexity,
    quantize,
    reset_dead_codes,
    start_state,
)
from riemvae_core.models.checks import check_image_shape, check_sizes
from riemvae_core.models.coders import Coder, check_likelihood
from riemvae_core.numerics import check_finite, check_number, chunks

LEARNING = ("ema", "gradient")
USED_SHARE = 0.1


@dataclass(frozen=True)
class VQConfig:
    """Everything that fixes a codebook model's shape and loss; hashed by the zoo.

    The codebook has ``n_codes`` rows of ``code_dim``. It follows its points by moving averages with
    ``decay`` (``learning="ema"``) or by the codebook loss (``"gradient"``); ``commitment`` weighs the pull
    of the points to their codes against the squared error summed over pixels. A code that gets less than
    ``dead_share`` of its fair share of the points is reset. With ``snap=False`` the codes pull as before,
    but the decoder reads the point itself. ``levels`` puts finite scalar quantization in the codebook's
    place. Network ``grid`` stores a code in each of h/4 x w/4 places, any other one code an image. Sizes as
    in ``make_networks``.

    Raises ValueError for an unknown likelihood or learning, numbers out of range, and sizes that aren't those
    of ``levels``.

    Example:
        >>> config = rc.VQConfig(code_dim=8, network="grid")
        >>> config.grid, config.latent_dim  # 7 x 7 codes an image, 8 numbers each
        ((7, 7), 392)
    """

    image_shape: tuple[int, int, int] = (1, 28, 28)
    n_codes: int = 64
    code_dim: int = 2
    levels: tuple[int, ...] = ()
    network: str = "mlp"
    width: int = 256
    decoder_width: int | None = None
    depth: int = 2
    activation: str = "silu"
    likelihood: str = "gaussian"
    linear_output: bool = False
    learning: str = "ema"
    decay: float = 0.99
    commitment: float = 0.25
    dead_share: float = 0.1
    snap: bool = True

    def __post_init__(self) -> None:
        check_likelihood(self.likelihood, self.linear_output)
        check_sizes(self, n_codes=self.n_codes, code_dim=self.code_dim)
        check_number(decay=self.decay, commitment=self.commitment, dead_share=self.dead_share)
        if not isinstance(self.levels, tuple) or not all(isinstance(size, int) for size in self.levels):
            raise ValueError(f"levels must be a tuple of whole numbers, got {self.levels!r}")
        if not isinstance(self.snap, bool):
            raise ValueError(f"snap must be True or False, got {self.snap!r}")
        if self.learning not in LEARNING:
            raise ValueError(f"learning must be one of {', '.join(LEARNING)}, got {self.learning!r}")
        if self.levels and (self.n_codes, self.code_dim) != (math.prod(self.levels), len(self.levels)):
            raise ValueError(
                f"n_codes and code_dim must be those of levels, {math.prod(self.levels)} and "
                f"{len(self.levels)}, got {self.n_codes} and {self.code_dim}"
            )
        if self.n_codes < 1 or not 0 <= self.decay < 1 or min(self.commitment, self.dead_share) < 0:
            raise ValueError(
                "n_codes must be at least 1, decay in [0, 1), commitment and dead_share at least 0, "
                f"got {self.n_codes}, {self.decay}, {self.commitment}, {self.dead_share}"
            )

    @property
    def grid(self) -> tuple[int, ...]:
        """The places at which an image stores a code: ``()`` for one code an image, else ``(h/4, w/4)``."""
        return tuple(side // 4 for side in self.image_shape[1:]) if self.network == "grid" else ()

    @property
    def latent_dim(self) -> int:
        """How many numbers the decoder reads for an image: ``code_dim`` for each place."""
        return math.prod(self.grid) * self.code_dim


class VQLosses(NamedTuple):
    r"""Per image, nothing averaged: what is trained on, and what the codebook is used for.

    ``codebook_loss`` and ``commitment`` are squared distances to the nearest codes, summed over places and
    axes, unweighted (equal numbers, see ``Quantized``). ``used`` and ``perplexity`` belong to the codebook
    and are the same for every image: in training those of the running counts, over about 1/(1 - decay)
    batches, with every code in use that gets ``USED_SHARE`` of its fair share (or ``dead_share``, where that
    is more); else those of the batch at hand.
    """

    total: Float[Tensor, " n"]
    reconstruction: Float[Tensor, " n"]
    codebook_loss: Float[Tensor, " n"]
    commitment: Float[Tensor, " n"]
    used: Float[Tensor, " n"]
    perplexity: Float[Tensor, " n"]


class VQVAE(Coder):
    r"""Stores each image as the number of a code, or of a code in each place of a grid. van den Oord et al.
    (2017), eq. (3).

    $\|x-g(z_q)\|^2 + \|\mathrm{sg}[z]-e_k\|^2 + \beta_c\,\|z-\mathrm{sg}[e_k]\|^2$ with $e_k$ the code
    nearest to $z=f(x)$, and $z_q$ its value with the gradient of z; the middle term only for a codebook that
    learns by it. With ``snap=False`` the decoder reads $z$, and codes are cluster centers that merely pull
    (Shi 2025, first version). Examined in chapter 4.

    Example:
        >>> from riemvae_core.models import zoo
        >>> model, images = zoo.load("fashion-vq-16"), rc.load_images("fashion", "test").images[:8]
        >>> codes = model.encode(images).codes
        >>> torch.allclose(model.locate(images), model.codebook[codes])  # the decoder reads codes alone
        True
    """

    def __init__(self, config: VQConfig) -> None:
        super().__init__(config, (*config.grid, config.code_dim))
        if config.levels:
            self.register_buffer("codebook", fsq_vectors(torch.arange(config.n_codes), config.levels))
        else:
            start = torch.empty(config.n_codes, config.code_dim).uniform_(-1, 1) / config.n_codes
            self.codebook = nn.Parameter(start, requires_grad=config.learning == "gradient")
        self.register_buffer("counts", torch.ones(config.n_codes))

    def points(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n *places d"]:
        """Where the encoder puts images, before anything is quantized: one point a place."""
        return self.mu_head(self.features(x)).to(self.codebook.dtype)

    def encode(self, x: Float[Tensor, "n c h w"]) -> Quantized:
        """The codes of each image, with the losses and the usage of the codebook."""
        check_finite(x=x)
        return self.quantize(self.points(x))

    def quantize(self, z: Float[Tensor, "*places d"]) -> Quantized:
        """Points to codes, by the codebook or by ``levels``."""
        return fsq_quantize(z, self.config.levels) if self.config.levels else quantize(z, self.codebook)

    def locate(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n *places d"]:
        """What the decoder reads for each image: its code, or with ``snap=False`` its own point."""
        check_finite(x=x)
        z = self.points(x)
        return self.quantize(z).z_q if self.config.snap else z

    def losses(self, x: Float[Tensor, "n c h w"], eps: Float[Tensor, "n d"] | None = None) -> VQLosses:
        """The loss of each image and its parts. In training mode the codebook learns from the batch.

        ``eps`` decides on which points dead codes are put, and on nothing else. Raises ValueError where it is
        missing or of another shape in training mode; FloatingPointError where the encoder's points are not
        finite, to which no code is nearest.
        """
        z = self.points(x)
        if not bool(z.isfinite().all()):
            raise FloatingPointError("a point of the encoder is not finite")
        q = self.quantize(z)
        reconstruction = self.reconstruction_loss(x, q.z_q if self.config.snap else z)
        codebook_loss, commitment = (
            part.reshape(len(x), -1).sum(-1) for part in (q.codebook_loss, q.commitment)
        )
        total = reconstruction + self.config.commitment * commitment
        if self.config.learning == "gradient":
            total = total + codebook_loss
        used, popular = q.used, q.perplexity
        if self.training:
            self._learn(z.detach(), eps)
            least = max(USED_SHARE, self.config.dead_share) * self.counts.mean()
            used, popular = (self.counts >= least).sum(), perplexity(self.counts)
        used, popular = (value.to(total.dtype).expand(len(x)) for value in (used, popular))
        return VQLosses(total, reconstruction, codebook_loss, commitment, used, popular)

    @torch.no_grad()
    def start_codebook(
        self, images: Float[Tensor, "n c h w"], generator: torch.Generator | None = None
    ) -> KMeans:
        """Put the codes on the k-means centers of (at most 32 points a code of) the images' points.

        What k-means found comes back. Raises ValueError for fewer points than codes, images of another shape
        or not finite, or a model with ``levels``, whose codes are fixed.
        """
        check_image_shape(images, self.config.image_shape)
        check_finite(images=images)
        if self.config.levels:
            raise ValueError(
                f"levels must be () for a codebook that starts anywhere, got {self.config.levels}"
            )
        per_chunk = chunks(len(images), 64 * images[0].numel() * images.element_size())
        z = torch.cat([self.points(images[s].to(self.codebook.device)).flatten(0, -2) for s in per_chunk])
        some = torch.randperm(len(z), generator=generator, device="cpu")[: 32 * self.config.n_codes]
        found = kmeans_codebook(z[some.to(z.device)], self.config.n_codes, generator)
        self._keep(start_state(found.codebook))
        return found

    @torch.no_grad()
    def _learn(self, z: Tensor, eps: Tensor | None) -> None:
        """One step of the codebook: moving averages, and new places for the dead, on all devices' points."""
        if eps is None or eps.shape != (len(z), self.config.latent_dim):
            came = None if eps is None else list(eps.shape)
            raise ValueError(f"eps must be {[len(z), self.config.latent_dim]} in training mode, got {came}")
        noise = _of_all_devices(eps.reshape(-1, self.config.code_dim)[:, 0])
        z = _of_all_devices(z.reshape(-1, self.config.code_dim))
        state = CodebookState(self.codebook.detach(), self.counts)
        codes = self.quantize(z).codes if self.config.levels else nearest_code(z, state.codebook)
        moved = ema_update(state, z, codes, self.config.decay)
        if self.config.levels or self.config.learning == "gradient":
            moved = moved._replace(codebook=state.codebook)
        self.counts.copy_(moved.counts)
        if not self.config.levels:
            threshold = self.config.dead_share * moved.counts.mean().item()
            self._keep(reset_dead_codes(moved, z, noise, threshold))

    @torch.no_grad()
    def _keep(self, state: CodebookState) -> None:
        self.codebook.copy_(state.codebook)
        self.counts.copy_(state.counts)


def _of_all_devices(rows: Tensor) -> Tensor:
    """The rows of every device that trains along, the same on each of them."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return rows
    parts = [torch.empty_like(rows) for _ in range(distributed.get_world_size())]
    distributed.all_gather(parts, rows.contiguous())
    return torch.cat(parts)
