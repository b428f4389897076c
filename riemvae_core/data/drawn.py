"""Image sets that are drawn: their law is known, so a law of codes can be held against the truth.

Shapes on black ground, smoothed at their edges: a pixel is one half less the signed distance of its center to
the shape's edge (negative within), kept to [0, 1].
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from riemvae_core.numerics import check_finite, check_floats, check_number, chunks, make_generator
from riemvae_core.numerics import standard_uniform as uniform

#: how many images of a drawn set ``load_images`` has in each split, and the seed that they are drawn from
DRAWN_SPLITS = {"train": (12_000, 0), "test": (2_000, 1)}
THINNEST = 1.5  # pixels: the least width of a ring and radius of its hole
# c in the area c h^2 of a shape whose edges are h from its center: the disk, then polygons, k tan(pi/k)
DISK, SQUARE, TRIANGLE = range(3)
AREAS = (math.pi, 4.0, 3.0 * math.sqrt(3.0))


class DrawnImages(NamedTuple):
    """Images, the kind of each shape, and the numbers that it was drawn from, a column a factor.

    Returned by ``sample_drawn_images``; ``factor_ranges`` names the columns and says how they are spread.

    Example:
        >>> drawn = rc.sample_drawn_images("color-shapes", 3, rc.make_generator(0))
        >>> drawn.images.shape, drawn.labels.shape, drawn.factors.shape
        (torch.Size([3, 3, 32, 32]), torch.Size([3]), torch.Size([3, 4]))
    """

    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]
    factors: Float[Tensor, "n f"]


class _Drawn(NamedTuple):
    """A set's shape, kinds and factors, how shapes are drawn about their centers, and read again."""

    shape: tuple[int, int, int]
    kinds: tuple[str, ...]
    ranges: dict[str, tuple[float, float]]
    draw: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
    read: Callable[[Tensor], Tensor]


def _cover(distance: Tensor) -> Tensor:
    return (0.5 - distance).clamp(0.0, 1.0)


def _draw_rings(x: Tensor, y: Tensor, _labels: Tensor, factors: Tensor) -> Tensor:
    outer, inner = factors[:, 2, None, None], factors[:, 3, None, None]
    r = torch.hypot(x, y)
    hole = torch.where(inner > 0, inner - r, -torch.inf)
    return _cover(torch.maximum(r - outer, hole))[:, None]


def _draw_shapes(x: Tensor, y: Tensor, labels: Tensor, factors: Tensor) -> Tensor:
    size, hue = factors[:, 2], factors[:, 3]
    c = torch.tensor(AREAS, dtype=size.dtype, device=size.device)[labels]
    h = (math.pi * size.square() / c - 1.0 / 12.0).sqrt()[:, None, None]  # smoothing adds c/12 to an area
    kind = labels[:, None, None]
    reach = torch.where(kind == SQUARE, torch.maximum(x.abs(), y.abs()), torch.hypot(x, y))
    pointed = torch.maximum(y, 0.5 * math.sqrt(3.0) * x.abs() - 0.5 * y)
    reach = torch.where(kind == TRIANGLE, pointed, reach)
    turns = hue[:, None] + torch.tensor([0.0, 2.0 / 3.0, 1.0 / 3.0], dtype=hue.dtype, device=hue.device)
    colors = ((6.0 * (turns % 1.0) - 3.0).abs() - 1.0).clamp(0.0, 1.0)  # HSV's, at full saturation and value
    return _cover(reach - h)[:, None] * colors[:, :, None, None]


def _moments(ink: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mass, mean x and y, and mean squared distance from there, of each image ``[n, h, w]``."""
    y, x = _grid(ink.shape[1:], ink)
    mass = ink.sum((1, 2))
    mean_x, mean_y = (x * ink).sum((1, 2)) / mass, (y * ink).sum((1, 2)) / mass
    spread = (ink * (x.square() + y.square())).sum((1, 2)) / mass - mean_x.square() - mean_y.square()
    return mass, mean_x, mean_y, spread


def _read_rings(images: Tensor) -> Tensor:
    mass, x, y, spread = _moments(images[:, 0])
    half_sum, half_gap = spread - 0.25, mass / (2.0 * math.pi)  # of outer^2 and inner^2; 1/4 is the smoothing
    inner = (half_sum - half_gap).clamp_min(0.0).sqrt()
    return torch.stack([x, y, (half_sum + half_gap).clamp_min(0.0).sqrt(), inner], 1)


def _read_shapes(images: Tensor) -> Tensor:
    mass, x, y, _ = _moments(images.amax(1))
    red, green, blue = images.sum((2, 3)).unbind(1)
    most, least = images.sum((2, 3)).amax(1), images.sum((2, 3)).amin(1)
    wide = (most - least).clamp_min(torch.finfo(images.dtype).tiny)
    sixths = torch.where(most == green, 2.0 + (blue - red) / wide, 4.0 + (red - green) / wide)
    sixths = torch.where(most == red, (green - blue) / wide, sixths)
    return torch.stack([x, y, (mass / math.pi).sqrt(), sixths / 6.0 % 1.0], 1)


DRAWN = {
    "rings-and-disks-large": _Drawn(
        (1, 28, 28),
        ("disk", "ring"),
        {"x": (-4.0, 4.0), "y": (-4.0, 4.0), "outer": (4.0, 9.0), "inner": (THINNEST, 9.0 - THINNEST)},
        _draw_rings,
        _read_rings,
    ),
    "color-shapes": _Drawn(
        (3, 32, 32),
        ("disk", "square", "triangle"),
        {"x": (-6.0, 6.0), "y": (-6.0, 6.0), "size": (2.5, 6.0), "hue": (0.0, 1.0)},
        _draw_shapes,
        _read_shapes,
    ),
}


def _known(name: str) -> _Drawn:
    if name not in list(DRAWN):
        raise ValueError(f"name must be one of {', '.join(DRAWN)}, got {name!r}")
    return DRAWN[name]


def _grid(sides: tuple[int, int], like: Tensor) -> tuple[Tensor, Tensor]:
    """Rows y and columns x of the pixels' centers, from the image's middle, down and to the right."""
    axes = (torch.arange(n, dtype=like.dtype, device=like.device) - 0.5 * (n - 1) for n in sides)
    return torch.meshgrid(*axes, indexing="ij")


def factor_ranges(name: str) -> dict[str, tuple[float, float]]:
    """The factors of a drawn set in the order of their columns, and the interval that each is drawn from.

    All are uniform and independent of each other and of the kind, but for ``inner``: 0 for a disk, and
    for a ring uniform from 1.5 to its ``outer`` less 1.5. In pixels, ``x`` and ``y`` from the middle to the
    right and down; ``hue`` is in turns, red at 0. ``size`` is the radius of the disk of the same area.
    Raises ValueError for another name.

    Example:
        >>> rc.factor_ranges("color-shapes")
        {'x': (-6.0, 6.0), 'y': (-6.0, 6.0), 'size': (2.5, 6.0), 'hue': (0.0, 1.0)}
    """
    return dict(_known(name).ranges)


def draw_images(
    name: str, labels: Int64[Tensor, " n"], factors: Float[Tensor, "n f"]
) -> Float[Tensor, "n c h w"]:
    r"""Images of a drawn set from given kinds and factors, in [0, 1] (for shapes that lie within the image).

    A shape's pixels sum to its area when its place is averaged over a pixel: $\pi\,\mathrm{size}^2$ for each
    kind of ``color-shapes``, $\pi(\mathrm{outer}^2-\mathrm{inner}^2)$ for a ring, and $\pi/12$ more than
    $\pi\,\mathrm{outer}^2$ for a disk of the gray set. Derived from the smoothing above. Device and dtype
    follow the factors. Raises ValueError for another name, shapes, kinds that aren't there, radii that are
    negative or cross, and factors that aren't finite.

    Example:
        >>> square = rc.draw_images("color-shapes", torch.tensor([1]), torch.tensor([[0.0, 0.0, 5.0, 0.0]]))
        >>> square.sum((2, 3)) / (math.pi * 5.0**2)  # hue 0: all in the red channel
        tensor([[1.0, 0.0, 0.0]])
    """
    drawn = _known(name)
    check_floats(factors=factors)
    if factors.ndim != 2 or factors.shape[1] != len(drawn.ranges) or labels.shape != factors.shape[:1]:
        raise ValueError(
            f"labels and factors must be [n] and [n, {len(drawn.ranges)}] ({', '.join(drawn.ranges)}), "
            f"got {list(labels.shape)} and {list(factors.shape)}"
        )
    check_finite(factors=factors)
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(drawn.kinds):
        came = f"{int(labels.min())} to {int(labels.max())}"
        raise ValueError(
            f"labels must be from 0 to {len(drawn.kinds) - 1} ({', '.join(drawn.kinds)}), got {came}"
        )
    least = factors[:, 2] if "size" not in drawn.ranges else factors[:, 2] - 0.5
    wrong = (factors[:, 3] < 0) | (factors[:, 3] > least if "inner" in drawn.ranges else least < 0)
    if bool(wrong.any()):
        row = int(wrong.nonzero()[0])
        expected = "0 <= inner <= outer" if "inner" in drawn.ranges else "size >= 0.5 and hue >= 0"
        raise ValueError(f"factors must have {expected}, got {factors[row, 2:].tolist()} in row {row}")
    c, h, w = drawn.shape
    y, x = _grid((h, w), factors)
    images = factors.new_empty((len(factors), c, h, w))
    for s in chunks(len(factors), 16 * c * h * w, 2**24):  # small enough for a processor's cache
        some = factors[s]
        images[s] = drawn.draw(x - some[:, 0, None, None], y - some[:, 1, None, None], labels[s], some)
    return images


def read_factors(name: str, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n f"]:
    """The factors of a drawn set, read from images, generated ones too, by their moments.

    The center of mass gives ``x`` and ``y``; mass and spread give ``size``, or ``outer`` and ``inner``; the
    channels' sums give ``hue``. On images of the set itself the median error is below 0.02 pixels (tested).
    Raises ValueError for another name, shape, numbers that aren't finite and
    images without any ink, whose row is named.

    Example:
        >>> drawn = rc.sample_drawn_images("color-shapes", 100, rc.make_generator(0))
        >>> missed = rc.read_factors("color-shapes", drawn.images) - drawn.factors
        >>> bool(missed.abs().median() < 0.01)
        True
    """
    drawn = _known(name)
    check_floats(images=images)
    if tuple(images.shape[1:]) != drawn.shape:
        raise ValueError(f"images must be [n, {', '.join(map(str, drawn.shape))}], got {list(images.shape)}")
    check_finite(images=images)
    empty = images.flatten(1).sum(1) <= 0
    if bool(empty.any()):
        raise ValueError(f"images must have some ink, got none in row {int(empty.nonzero()[0])}")
    return drawn.read(images)


def _sample_factors(drawn: _Drawn, n: int, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    like = torch.empty((), dtype=torch.float32, device="cpu")
    shares = uniform((n, 1 + len(drawn.ranges)), like, generator).cpu()
    labels = (shares[:, 0] * len(drawn.kinds)).long()
    low, high = torch.tensor(list(drawn.ranges.values()), device="cpu").T
    factors = low + (high - low) * shares[:, 1:]
    if "inner" in drawn.ranges:
        room = factors[:, 2] - 2.0 * THINNEST
        factors[:, 3] = torch.where(labels == 1, THINNEST + room * shares[:, 4], 0.0)
    return labels, factors


def sample_drawn_images(name: str, n: int, generator: torch.Generator | None = None) -> DrawnImages:
    """n independent draws from the law of a drawn set, float32 on the CPU, with their kinds and factors.

    Kinds are equally frequent, factors spread as ``factor_ranges`` says. ``rings-and-disks-large`` are disks
    and rings, 1 x 28 x 28, at any place; ``color-shapes`` disks, squares and triangles, 3 x 32 x 32. What
    ``load_images`` gives as training split are 12,000 draws from seed 0, and as test split 2,000 from seed 1.
    Raises ValueError for another name and n below 1.

    Example:
        >>> drawn = rc.sample_drawn_images("rings-and-disks-large", 2000, rc.make_generator(1))
        >>> torch.equal(drawn.images, rc.load_images("rings-and-disks-large", "test").images)
        True
    """
    drawn = _known(name)
    check_number(1, whole=True, n=n)
    labels, factors = _sample_factors(drawn, n, generator)
    return DrawnImages(draw_images(name, labels, factors), labels, factors)


def load_drawn(name: str, split: str, limit: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The first ``limit`` images of a split of a drawn set, and their labels."""
    n, seed = DRAWN_SPLITS[split]
    labels, factors = (part[:limit] for part in _sample_factors(_known(name), n, make_generator(seed)))
    return draw_images(name, labels, factors).numpy(), labels.numpy()
