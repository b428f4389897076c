"""Nearest neighbors among many points, and balls that contain a point: matrix products, a block at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from riemvae_core.numerics import chunks

# of one block of pairs: small enough to be still in a processor's cache when it is read again
BLOCK_BYTES = 2**24
# how many distances are compared at a time: minima along a strided axis are what processors do fastest
FOLD = 32


class Neighbors(NamedTuple):
    """Distances from each point to its nearest others, the nearest first, and the rows of these.

    ``nearest`` returns it.

    Example:
        >>> from riemvae_core.neighbors import nearest
        >>> points = torch.tensor([[0.0], [1.0], [5.0]])
        >>> nearest(points, points, k=2).distances[:, 1]  # each is its own nearest
        tensor([1.00, 1.00, 4.00])
    """

    distances: Float[Tensor, "n k"]
    indices: Int[Tensor, "n k"]


def _check_points(points: Tensor, others: Tensor) -> None:
    fits = points.ndim == others.ndim == 2 and points.shape[1] == others.shape[1]
    if not fits or others.dtype != points.dtype:
        raise ValueError(
            "points and others must be [n, f] and [m, f] of one dtype, "
            f"got {list(points.shape)} {points.dtype} and {list(others.shape)} {others.dtype}"
        )


def _squares(x: Float[Tensor, "n f"]) -> Float[Tensor, " n"]:
    return torch.linalg.vector_norm(x, dim=1).square()


def _less_own_square(
    points: Float[Tensor, "n f"], others: Float[Tensor, "m f"], offset: Float[Tensor, " m"], width: int = 1
) -> Iterator[tuple[slice, Tensor]]:
    r"""Blocks of rows of $\mathrm{offset}_j-2\langle y_i,y_j\rangle$: squared distances but for
    $\|y_i\|^2$, points i and others j.
    """
    for rows in chunks(len(points), others.element_size() * max(len(others), width), BLOCK_BYTES):
        yield rows, torch.addmm(offset, points[rows], others.T, alpha=-2)


def _smallest(block: Float[Tensor, "n m"], k: int, fold: int) -> Int[Tensor, "n k"]:
    """The columns of the k smallest entries of each row; their number is a multiple of ``fold``.

    Folded, the row is a table of that many rows. The k smallest entries lie in the k columns of the table
    with the smallest minima, since every other column's minimum has k smaller ones.
    """
    table = block.unflatten(1, (fold, -1))
    chosen = table.amin(1).topk(k, dim=1, largest=False).indices
    candidates = table.gather(2, chosen[:, None].expand(-1, fold, -1)).flatten(1)
    best = candidates.topk(k, dim=1, largest=False).indices
    return best // k * table.shape[2] + chosen.gather(1, best % k)


@torch.no_grad()
def nearest(points: Float[Tensor, "n f"], others: Float[Tensor, "m f"], k: int = 1) -> Neighbors:
    r"""The k nearest of ``others`` to each point, by Euclidean distance.

    They are found by $\|y_j\|^2-2\langle y_i,y_j\rangle$ around the others' mean, one matrix product a block;
    their distances are then taken by differences, so that a copy is at distance 0. A point that stands in
    both sets is its own nearest. Raises ValueError for shapes, dtypes and k out of range.

    Example:
        >>> from riemvae_core.neighbors import nearest
        >>> nearest(torch.tensor([[0.0]]), torch.tensor([[1.0], [3.0], [-0.5]]), k=2)
        Neighbors(distances=tensor([[0.50, 1.00]]), indices=tensor([[2, 0]]))
    """
    _check_points(points, others)
    if not 1 <= k <= len(others):
        raise ValueError(f"k must lie between 1 and the number of others ({len(others)}), got {k}")
    center = others.mean(0)
    x, y = points - center, others - center
    fold = FOLD if len(y) >= FOLD * k else 1
    padding = -len(y) % fold
    offset = functional.pad(_squares(y), (0, padding), value=torch.inf)
    y = functional.pad(y, (0, 0, 0, padding)) if padding else y
    distances, indices = (
        points.new_empty(len(x), k),
        torch.empty(len(x), k, dtype=torch.long, device=x.device),
    )
    for rows, block in _less_own_square(x, y, offset, width=2 * k * x.shape[1]):
        found = _smallest(block, k, fold)
        exact = (points[rows, None] - others[found]).norm(dim=2)
        distances[rows], order = exact.sort(dim=1, stable=True)
        indices[rows] = found.gather(1, order)
    return Neighbors(distances, indices)


@torch.no_grad()
def count_containing(
    points: Float[Tensor, "n f"], others: Float[Tensor, "m f"], radii: Float[Tensor, " m"]
) -> Int[Tensor, " n"]:
    r"""In how many of the balls $\|y-y_j\|\le\mathrm{radius}_j$ each point lies.

    Squares are expanded around the others' mean: a point within about $10^{-6}$ (float32) or $10^{-15}$
    (float64) of the squared size of the set from a surface may fall on either side. Raises ValueError for
    shapes and dtypes.

    Example:
        >>> from riemvae_core.neighbors import count_containing
        >>> points, centers = torch.tensor([[0.4], [2.0]]), torch.tensor([[0.0], [1.0]])
        >>> count_containing(points, centers, torch.tensor([0.5, 1.5]))
        tensor([2, 1])
    """
    _check_points(points, others)
    if radii.shape != others.shape[:1]:
        raise ValueError(f"radii must be [{len(others)}], one a center, got {list(radii.shape)}")
    center = others.mean(0)
    x, y = points - center, others - center
    limit = -_squares(x)[:, None]
    counts = torch.empty(len(x), dtype=torch.long, device=x.device)
    for rows, block in _less_own_square(x, y, _squares(y) - radii.square()):
        counts[rows] = block.le_(limit[rows]).sum(1)  # ones and zeros in block's own dtype: no conversions
    return counts
