r"""How near a sample of images is to the real thing, measured on feature tensors ``[n, f]``.

Rows that aren't finite are refused by name: one of them would decide a score for all the others. Sets of
different precision are compared in the higher of the two, half precision in single.
"""

import functools
import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.neighbors import count_containing, nearest
from riemvae_core.numerics import check_finite, check_floats, check_number


class PrecisionRecall(NamedTuple):
    """The share of the sample that lies among the real images, and of these among the sample.

    Returned by ``precision_recall``; both are from 0 to 1.

    Example:
        >>> real = torch.randn(100, 2, generator=rc.make_generator(0))
        >>> rc.precision_recall(
        ...     real, real[:1].expand(50, 2)
        ... )  # one image fifty times: nothing else is reached
        PrecisionRecall(precision=1.0, recall=0.0)
    """

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """How crowded with real images the sample's places are, and the share of real images that it reaches.

    Returned by ``density_coverage``; density is at least 0, coverage from 0 to 1.

    Example:
        >>> real = torch.randn(100, 2, generator=rc.make_generator(0))
        >>> rc.density_coverage(real, real + 100.0)
        DensityCoverage(density=0.0, coverage=0.0)
    """

    density: float
    coverage: float


class SamplerDistance(NamedTuple):
    """Frechet distance, density and coverage against reconstructions of held-out images.

    Returned by ``sampler_distance``; ``frechet`` is in squared units of the features.

    Example:
        >>> real = torch.randn(100, 2, generator=rc.make_generator(0))
        >>> rc.sampler_distance(real + 100.0, real)
        SamplerDistance(frechet=20000.0, density=0.0, coverage=0.0)
    """

    frechet: float
    density: float
    coverage: float


def _ready(least: int = 1, **sets: Tensor) -> list[Tensor]:
    """The sets in one dtype, single precision at least, once shapes and numbers are seen to be right."""
    check_floats(**sets)
    shapes = [tuple(x.shape) for x in sets.values()]
    if any(len(s) != 2 or s[0] < least or s[1] < 1 for s in shapes) or len({s[1] for s in shapes}) > 1:
        remedy = ": flatten(1) makes rows of images" if any(len(s) > 2 for s in shapes) else ""
        raise ValueError(
            f"{', '.join(sets)} must be [n, f] with the same f and n at least {least}, "
            f"got {', '.join(map(str, shapes))}{remedy}"
        )
    if len(devices := {str(x.device) for x in sets.values()}) > 1:
        raise ValueError(f"{', '.join(sets)} must be on one device, got {', '.join(sorted(devices))}")
    check_finite(**sets)
    dtype = functools.reduce(torch.promote_types, (x.dtype for x in sets.values()), torch.float32)
    return [x.to(dtype) for x in sets.values()]


def _ready_for(k: int, **sets: Tensor) -> list[Tensor]:
    check_number(1, whole=True, k=k)
    return _ready(k + 1, **sets)


def _root(x: Float[Tensor, "n f"]) -> Float[Tensor, "m f"]:
    """R with R^T R the covariance of x: the centered rows, or their QR decomposition's R where smaller."""
    centered = (x - x.mean(0)) / (len(x) - 1) ** 0.5
    return centered if len(x) <= x.shape[1] else torch.linalg.qr(centered, mode="r").R


@torch.no_grad()
def frechet_distance(one: Float[Tensor, "n f"], other: Float[Tensor, "m f"]) -> float:
    r"""Frechet distance of the Gaussians fitted to two sets of features (squared, as in FID).

    $\|\bar y_1-\bar y_2\|^2+\operatorname{tr}\big(S_1+S_2-2(S_1^{1/2}S_2S_1^{1/2})^{1/2}\big)$ with means
    $\bar y$ and covariances S (over n - 1). With $S=C^\top C$ the last trace is the sum of the singular
    values of $C_1C_2^\top$: no matrix root is taken, and singular covariances lose no digits. Float64 inside.

    Its bias shrinks as 1/n: two samples of one law are not at 0, and only sets of equal sizes compare.
    Dowson and Landau (1982); Heusel et al. (2017). Raises ValueError for shapes, fewer than 2 rows, rows that
    aren't finite and features whose squares leave float64's range. In squared units of the features; used in
    chapters 9 and 11.

    Example:
        >>> real = torch.randn(100, 2, generator=rc.make_generator(0))
        >>> rc.frechet_distance(real, real + 3.0)  # only the means differ: 3^2 + 3^2
        18.0
    """
    one, other = (x.double() for x in _ready(2, one=one, other=other))
    root, other_root = _root(one), _root(other)
    apart = (one.mean(0) - other.mean(0)).square().sum()
    apart = apart + root.square().sum() + other_root.square().sum()
    if not math.isfinite(apart):
        size = max(one.abs().max().item(), other.abs().max().item())
        raise ValueError(f"one and other must be below about 1e150 in size, got {size:g}: scale both down")
    shared = torch.linalg.svdvals(root @ other_root.T).sum()  # at most apart / 2, so finite too
    return max(0.0, (apart - 2.0 * shared).item())


def _radii(x: Float[Tensor, "n f"], k: int) -> Float[Tensor, " n"]:
    """Distance of each row to its k-th nearest other row."""
    return nearest(x, x, k + 1).distances[:, k]


def precision_recall(real: Float[Tensor, "n f"], fake: Float[Tensor, "m f"], k: int = 3) -> PrecisionRecall:
    """Improved precision and recall: a set's manifold is what balls around its points cover.

    Each ball reaches to the k-th nearest neighbor in its own set. Precision is the share of ``fake`` on the
    manifold of ``real``, recall the share of ``real`` on that of ``fake``. Both are 1 for a copier, and one
    far point of the set whose manifold is meant widens it. Kynkäänniemi et al. (2019), eq. (1)-(3). Raises
    ValueError for shapes, k below 1, fewer than k + 1 rows or rows that aren't finite.

    Example:
        >>> real = torch.randn(100, 2, generator=rc.make_generator(0))
        >>> rc.precision_recall(real, real)  # a copier
        PrecisionRecall(precision=1.0, recall=1.0)
        >>> rc.precision_recall(real, real + 100.0)
        PrecisionRecall(precision=0.0, recall=0.0)
    """
    real, fake = _ready_for(k, real=real, fake=fake)

    def share(of: Tensor, among: Tensor) -> float:
        return (count_containing(of, among, _radii(among, k)) > 0).double().mean().item()

    return PrecisionRecall(share(fake, real), share(real, fake))


def density_coverage(real: Float[Tensor, "n f"], fake: Float[Tensor, "m f"], k: int = 5) -> DensityCoverage:
    r"""Density and coverage, which an outlier among the fakes can't raise.

    A ball reaches from each real image to its k-th real neighbor: density is the mean number of balls that
    hold a fake over k (1 for the same law, and above 1 where fakes crowd), coverage the share of balls that
    hold at least one (near ``1 - 2**-k`` for the same law and as many fakes). The balls are closed, so that a
    copier of ``real`` has density 1 + 1/k, more where distances tie. Naeem et al. (2020), eq. (3) and (4).
    Raises ValueError for shapes, k below 1, fewer than k + 1 rows of ``real`` or rows that aren't finite.

    Example:
        >>> real = torch.randn(100, 2, generator=rc.make_generator(0))
        >>> rc.density_coverage(real, real, k=5).coverage
        1.0
        >>> rc.density_coverage(real, real[:1].expand(100, 2)).coverage < 0.2  # one image a hundred times
        True
    """
    fake, real = _ready(fake=fake, real=real)
    _ready_for(k, real=real)
    radii = _radii(real, k)
    density = count_containing(fake, real, radii).double().mean().item() / k
    covered = nearest(real, fake).distances[:, 0] <= radii
    return DensityCoverage(density, covered.double().mean().item())


def sampler_distance(
    fake: Float[Tensor, "n f"], heldout_reconstructions: Float[Tensor, "m f"], k: int = 5
) -> SamplerDistance:
    """How far decoded samples are from reconstructions of held-out images: what the sampler alone does wrong.

    Frechet distance, density and coverage as above, with the reconstructions for the real images. Both sets
    went through the same decoder, so its blur is in both and cancels: a perfect sampler is at a Frechet
    distance near 0 (two halves of the reconstructions say how near), at density 1 and at a coverage near
    ``1 - 2**-k``. Defined in chapter 9. Raises ValueError as these do.

    Example:
        >>> generator = rc.make_generator(0)
        >>> held_out, fake = (torch.randn(1000, 2, generator=generator) for _ in range(2))
        >>> frechet, density, coverage = rc.sampler_distance(fake, held_out)
        >>> coverage - (1 - 2**-5)  # one law: near 0
        0.0
    """
    check_number(1, whole=True, k=k)
    fake, held_out = _ready(2, fake=fake, heldout_reconstructions=heldout_reconstructions)
    _ready(k + 1, heldout_reconstructions=held_out)
    return SamplerDistance(frechet_distance(fake, held_out), *density_coverage(held_out, fake, k))


def novelty(
    fake: Float[Tensor, "n f"],
    train_reconstructions: Float[Tensor, "m f"],
    heldout_reconstructions: Float[Tensor, "k f"],
) -> float:
    r"""How often a sample lies further from every training reconstruction than a held-out one does.

    $\Pr(Y>Y')+\tfrac12\Pr(Y=Y')$, with Y the distance of a random fake to the nearest training reconstruction
    and $Y'$ that of a random held-out reconstruction: the statistic of Mann and Whitney (1947) over its
    largest value. It is 1/2 for a sampler as far from the training set as unseen images are, 0 for a copier,
    1 for one that strays. Both sets of reconstructions should be made alike, from draws of their balls, say,
    and not one of them from centers. Defined in chapter 9. Raises ValueError for shapes, an empty set or rows
    that aren't finite.

    Example:
        >>> generator = rc.make_generator(0)
        >>> train, held_out, unseen = (torch.randn(1000, 2, generator=generator) for _ in range(3))
        >>> rc.novelty(train[:100], train, held_out), rc.novelty(unseen + 100.0, train, held_out)
        (0.0, 1.0)
        >>> rc.novelty(unseen, train, held_out)
        0.5
    """
    fake, train, held_out = _ready(
        fake=fake,
        train_reconstructions=train_reconstructions,
        heldout_reconstructions=heldout_reconstructions,
    )
    drawn, unseen = (nearest(x, train).distances[:, 0].contiguous() for x in (fake, held_out))
    unseen = unseen.sort().values
    below, up_to = (torch.searchsorted(unseen, drawn, right=right) for right in (False, True))
    return (0.5 * (below + up_to).double().mean() / len(unseen)).item()
