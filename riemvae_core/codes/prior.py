"""Laws over codes, which a codebook alone does not have: shares of each place, and an autoregressive net."""

import math
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from riemvae_core.codes.quantizer import check_codes, check_whole, count_codes
from riemvae_core.numerics import check_number, seeded_weights, standard_uniform


class HistogramPrior(NamedTuple):
    """Every place draws its code from its own histogram, independently of the others.

    For one code an image, the exact law of the codes; on a grid, what is left when their order is forgotten.
    ``log_share`` holds the log of each code's share in nats, the last axis over the codes. Used in chapter 4;
    ``histogram_prior`` makes one.

    Example:
        >>> law = rc.histogram_prior(torch.tensor([0, 0, 0, 1]), k=2)
        >>> law.log_prob(torch.tensor([0, 1])).exp()
        tensor([0.75, 0.25])
    """

    log_share: Float[Tensor, "*places k"]

    def log_prob(self, codes: Int[Tensor, "n *places"]) -> Float[Tensor, " n"]:
        """The log probability of each image's codes, in nats."""
        _check_codes(codes, tuple(self.log_share.shape[:-1]), self.log_share.shape[-1])
        rows = self.log_share.expand(*codes.shape, -1)
        return rows.gather(-1, codes.long()[..., None]).reshape(len(codes), -1).sum(-1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Int[Tensor, "n *places"]:
        """Codes of n images."""
        check_number(0, whole=True, n=n)
        return draw_codes(self.log_share.expand(n, *self.log_share.shape), generator)


def histogram_prior(codes: Int[Tensor, "n *places"], k: int, smoothing: float = 0.0) -> HistogramPrior:
    r"""The most likely independent law of the given codes: at each place $p_k = (n_k+\delta)/(n+K\delta)$.

    ``smoothing`` is the count $\delta$ that every code gets in advance; 0 forbids what was not seen. Raises
    ValueError for no codes, codes outside of 0 to k - 1, or a smoothing below 0. $n_k$ of n images have code
    k there, of K codes. Used in chapter 4.

    Example:
        >>> rc.histogram_prior(torch.tensor([0, 0, 0, 1]), k=3, smoothing=1.0).log_share.exp()
        tensor([0.571, 0.286, 0.143])
    """
    check_number(0.0, smoothing=smoothing)
    if smoothing > 1e30:
        raise ValueError(f"smoothing must be at most 1e30, beside which no count is seen, got {smoothing}")
    count_codes(codes, k)
    if codes.ndim == 0 or codes.numel() == 0:
        raise ValueError(f"codes must be [n, *places] with n at least 1, got {list(codes.shape)}")
    places = codes.reshape(len(codes), -1).T
    counts = (
        torch.stack([count_codes(place, k) for place in places]).to(torch.get_default_dtype()) + smoothing
    )
    return HistogramPrior((counts / counts.sum(-1, keepdim=True)).log().reshape(*codes.shape[1:], k))


@dataclass(frozen=True)
class CodePriorConfig:
    """The shape of a ``CodePrior``: how many codes there are, on which grid, and the net's width.

    ``grid`` is () where an image has one code, else (h, w). Raises ValueError for another grid and for sizes
    below 1.

    Example:
        >>> rc.CodePriorConfig(n_codes=16, grid=(7, 7))
        CodePriorConfig(n_codes=16, grid=(7, 7), width=64)
    """

    n_codes: int
    grid: tuple[int, ...] = ()
    width: int = 64

    def __post_init__(self) -> None:
        check_number(whole=True, n_codes=self.n_codes, width=self.width)
        if not isinstance(self.grid, tuple) or not all(isinstance(side, Integral) for side in self.grid):
            raise ValueError(f"grid must be () or a tuple (h, w) of whole numbers, got {self.grid!r}")
        if min(self.n_codes, self.width, *self.grid) < 1 or len(self.grid) not in (0, 2):
            raise ValueError(
                f"n_codes, width and grid, () or (h, w), must be positive, got {self.n_codes}, {self.width}, "
                f"{self.grid}"
            )

    @property
    def latent_dim(self) -> int:
        """0: the training of a law over codes needs no noise."""
        return 0


class CodePriorLosses(NamedTuple):
    """Per image, nothing averaged: the negative log probability of its codes in nats."""

    total: Float[Tensor, " n"]


class CodePrior(nn.Module):
    r"""A law of the codes on a grid, read row by row: $\prod_l p(k_l\mid k_1,\dots,k_{l-1})$.

    A recurrent net (GRU) walks over the places; at each it is told the code before, the code above and where
    it is. Exact probabilities, no approximation. The part that PixelCNN plays in van den Oord et al. (2017).
    Raises ValueError for codes that are not of the grid, or out of range.

    Example:
        >>> law = rc.make_code_prior(rc.CodePriorConfig(n_codes=2, grid=(1, 2), width=4), seed=0)
        >>> every = torch.tensor([[[0, 0]], [[0, 1]], [[1, 0]], [[1, 1]]])
        >>> law.log_prob(every).exp().sum().item()
        1.000
    """

    def __init__(self, config: CodePriorConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.places = math.prod(config.grid)
        self.before = nn.Embedding(config.n_codes + 1, width)  # the last row stands for: no code yet
        self.above = nn.Embedding(config.n_codes + 1, width)
        self.place = nn.Parameter(0.1 * torch.randn(self.places, width))
        self.walk = nn.GRU(width, width, batch_first=True)
        self.head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, config.n_codes))

    def logits(self, codes: Int[Tensor, "n *places"]) -> Float[Tensor, "n m k"]:
        """Unnormalized log probabilities of the code at each place, given the codes before it."""
        _check_codes(codes, self.config.grid, self.config.n_codes)
        flat = codes.long().reshape(len(codes), self.places)
        row = self.config.grid[-1] if self.config.grid else 1
        before, above = (self._shifted(flat, by) for by in (1, row))
        inputs = self.before(before) + self.above(above) + self.place
        return self.head(self.walk(inputs)[0])

    def _shifted(self, flat: Tensor, by: int) -> Tensor:
        return functional.pad(flat, (by, 0), value=self.config.n_codes)[:, : self.places]

    def log_prob(self, codes: Int[Tensor, "n *places"]) -> Float[Tensor, " n"]:
        """The log probability of each image's codes, in nats. Raises ValueError for codes that don't fit."""
        log_p = self.logits(codes).log_softmax(-1)
        return log_p.gather(-1, codes.long().reshape(len(codes), self.places, 1)).sum((-2, -1))

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Int[Tensor, "n *places"]:
        """Codes of n images, drawn place by place; chance comes from the generator alone."""
        check_number(0, whole=True, n=n)
        row = self.config.grid[-1] if self.config.grid else 1
        drawn = torch.full((n, row), self.config.n_codes, device=self.place.device)
        state = None
        for place in self.place:
            inputs = self.before(drawn[:, -1]) + self.above(drawn[:, -row]) + place
            out, state = self.walk(inputs[:, None], state)
            drawn = torch.cat([drawn, draw_codes(self.head(out), generator)], dim=1)
        return drawn[:, row:].reshape(n, *self.config.grid)

    def losses(self, x: Float[Tensor, "n c h w"], eps: Float[Tensor, "n d"] | None = None) -> CodePriorLosses:
        """What ``fit`` trains on; x are codes as ``codes_as_images`` gives them, and eps is not used."""
        if not bool((x == x.round()).all()) or len(x) * self.places != x.numel():
            raise ValueError(
                f"x must be codes as codes_as_images gives them, got other numbers, {list(x.shape)}"
            )
        codes = x.round().long().reshape(len(x), *self.config.grid)
        return CodePriorLosses(-self.log_prob(codes))


def make_code_prior(config: CodePriorConfig, seed: int) -> CodePrior:
    """A law of codes, its weights drawn from the seed; torch's global generator stays as it was.

    On the CPU, untrained: ``fit`` trains it on ``codes_as_images``. Used in chapter 4.

    Example:
        >>> a, b = (rc.make_code_prior(rc.CodePriorConfig(n_codes=4), seed=3) for _ in range(2))
        >>> torch.equal(a.place, b.place)
        True
    """
    with seeded_weights(seed):
        return CodePrior(config)


def codes_as_images(codes: Int[Tensor, "n *places"]) -> Float[Tensor, "n 1 h w"]:
    """Codes in the shape of images, one place a pixel: what ``fit`` takes to train a ``CodePrior``.

    Raises ValueError unless codes are ``[n]`` or ``[n, h, w]``.

    Example:
        >>> rc.codes_as_images(torch.tensor([5, 0, 7])).shape
        torch.Size([3, 1, 1, 1])
    """
    check_whole(codes)
    if codes.ndim not in (1, 3) or codes.numel() == 0:
        raise ValueError(f"codes must be [n] or [n, h, w] with n at least 1, got {list(codes.shape)}")
    return codes.reshape(len(codes), 1, *(codes.shape[1:] or (1, 1))).to(torch.get_default_dtype())


def draw_codes(
    logits: Float[Tensor, "*batch k"], generator: torch.Generator | None = None
) -> Int[Tensor, "*batch"]:
    """One code from each law, by its inverse distribution function; logits need no norm.

    Raises ValueError for a law that holds NaN, or no code at all, from which code 0 would be drawn.
    """
    cumulative = logits.double().softmax(-1).cumsum(-1)
    if not bool(cumulative[..., -1].isfinite().all()):
        raise ValueError(
            "logits must be numbers, one of them at least above -inf in each law, got NaN or none"
        )
    u = standard_uniform(logits.shape[:-1], cumulative, generator)[..., None]
    return (cumulative <= u * cumulative[..., -1:]).sum(-1)


def _check_codes(codes: Tensor, grid: tuple[int, ...], k: int) -> None:
    check_whole(codes)
    if codes.ndim == 0 or tuple(codes.shape[1:]) != grid:
        raise ValueError(f"codes must be [n, {', '.join(map(str, grid))}], got {list(codes.shape)}")
    check_codes(codes, k)
