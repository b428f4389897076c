"""Nearest neighbors among many points, and balls that contain a point: matrix products, a block at a time."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

from riemvae_core.numerics import check_finite, check_number, chunks

# of one block of pairs: small enough to be still in a processor's cache when it is read again
BLOCK_BYTES = 2**24
# how many distances are compared at a time: minima along a strided axis are what processors do fastest
FOLD = 32
# beyond it squares leave double precision
LARGEST = 1e150
# of how many roundings of a point's own square its distances must be clear to be believed
ROUNDINGS = 32
# from which share of doubtful pairs on differences of all pairs cost less than picking these out
MANY = 0.1
# how many times the median square the largest may be for single precision to keep the others' digits
FAR = 64


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


def _ready(points: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Both sets, in single precision at least; in double where squares would leave single's range."""
    check_finite(points=points, others=others)
    fits = points.ndim == others.ndim == 2 and points.shape[1] == others.shape[1]
    if not fits or others.dtype != points.dtype or others.device != points.device:
        came = (f"{list(x.shape)} {x.dtype} on {x.device}" for x in (points, others))
        raise ValueError(
            f"points and others must be [n, f] and [m, f] of one dtype and device, got {' and '.join(came)}"
        )
    sizes = [x.abs().max().item() for x in (points, others) if x.numel()]
    if max(sizes, default=0.0) > LARGEST:
        raise ValueError(f"points and others must be at most {LARGEST:g} in size, got {max(sizes):g}")
    single = all(size == 0.0 or 1e-12 < size < 1e12 for size in sizes) and points.dtype != torch.float64
    return (points.float(), others.float()) if single else (points.double(), others.double())


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


def _doubtful(squares: Float[Tensor, " n"], of_points: Float[Tensor, " n"]) -> Tensor:
    """Rows in which a square found by expansion, if it isn't 0, may be made of the points' rounding."""
    rounding = ROUNDINGS * torch.finfo(of_points.dtype).eps * of_points
    return ((squares > 0) & (squares <= rounding)).nonzero()[:, 0]


def _apart(points: Float[Tensor, "*b n f"], others: Float[Tensor, "*b m f"]) -> Float[Tensor, "*b n m"]:
    """Distances by differences, in double precision: no digit is lost, many times as slow as by a product.

    A pair has the same bits wherever it is asked for and whichever of the two comes first. So a neighbor
    lies on the ball that reaches to it, and not on either side of its surface.
    """
    wide = torch.float32 if points.device.type == "mps" else torch.float64
    return torch.cdist(points.to(wide), others.to(wide), compute_mode="donot_use_mm_for_euclid_dist")


def _by_differences(points: Tensor, others: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Blocks of rows of all distances, pair by pair."""
    for rows in chunks(len(points), 8 * max(len(others), 1), BLOCK_BYTES):
        yield rows, _apart(points[rows], others)


def middle(others: Tensor) -> Tensor:
    """The mean of many rows, or the median of a few, whose mean one far row would carry along unseen.

    Example:
        >>> from riemvae_core.neighbors import middle
        >>> middle(torch.tensor([[0.0], [1.0], [900.0]]))
        tensor([1.00])
    """
    return others.mean(0) if len(others) >= FAR else others.median(0).values


def _lost(y: Tensor) -> bool:
    """Whether a row lies so far out that, in single precision, the others' digits are lost beside it."""
    squares = _squares(y)
    return bool(squares.max() > FAR * squares.median())


def _search(points: Tensor, others: Tensor, k: int) -> Neighbors:
    """The nearest by matrix products; doubtful rows again, in double precision and then by differences."""
    single = points.dtype != torch.float64
    # a mean follows the one row that lies far out, a median stays with the others
    center = middle(others) if single else others.median(0).values
    x, y = points - center, others - center
    if single and _lost(y):
        found = _search(points.double(), others.double(), k)
        return found._replace(distances=found.distances.float())
    more = min(k + 1, len(y))  # by rounding the last may change places with the next
    fold = FOLD if len(y) >= FOLD * more else 1
    padding = -len(y) % fold
    offset = functional.pad(_squares(y), (0, padding), value=torch.inf)
    y = functional.pad(y, (0, 0, 0, padding)) if padding else y
    distances, indices = (
        points.new_empty(len(x), k),
        torch.empty(len(x), k, dtype=torch.long, device=x.device),
    )
    for rows, block in _less_own_square(x, y, offset, width=4 * more * x.shape[1]):
        found = _smallest(block, more, fold)
        exact = _apart(points[rows, None], others[found]).squeeze(1)
        exact, order = exact.sort(dim=1, stable=True)
        distances[rows], indices[rows] = exact[:, :k], found.gather(1, order)[:, :k]
    again = _doubtful(distances[:, -1].square(), _squares(x))
    if single and len(again):
        better = _search(points[again].double(), others.double(), k)
        distances[again], indices[again] = better.distances.to(distances.dtype), better.indices
    elif len(again):
        for rows, block in _by_differences(points[again], others):
            distances[again[rows]], indices[again[rows]] = block.topk(k, dim=1, largest=False)
    return Neighbors(distances, indices)


@torch.no_grad()
def nearest(points: Float[Tensor, "n f"], others: Float[Tensor, "m f"], k: int = 1) -> Neighbors:
    r"""The k nearest of ``others`` to each point, by Euclidean distance.

    They are found by $\|y_j\|^2-2\langle y_i,y_j\rangle$ around the others' middle, one matrix product a
    block; their distances are then taken by differences, so that a copy is at distance 0. Rows whose
    neighbors are as near as rounding are searched again without the expansion. A point that stands in both
    sets is its own nearest. Half precision is worked in, and answered, in single. Raises ValueError for
    shapes, dtypes, rows that aren't finite and k out of range.

    Example:
        >>> from riemvae_core.neighbors import nearest
        >>> nearest(torch.tensor([[0.0]]), torch.tensor([[1.0], [3.0], [-0.5]]), k=2)
        Neighbors(distances=tensor([[0.50, 1.00]]), indices=tensor([[2, 0]]))
    """
    dtype = points.dtype if isinstance(points, Tensor) else None
    points, others = _ready(points, others)
    check_number(whole=True, k=k)
    if not 1 <= k <= len(others):
        raise ValueError(f"k must lie between 1 and the number of others ({len(others)}), got {k}")
    found = _search(points, others, k)
    return found._replace(distances=found.distances.to(dtype if dtype == torch.float64 else torch.float32))


@torch.no_grad()
def first_rows(rows: Float[Tensor, "n f"]) -> Int[Tensor, " n"]:
    """For each row the number of the first row that equals it, which is its own where none before it does.

    Example:
        >>> from riemvae_core.neighbors import first_rows
        >>> first_rows(torch.tensor([[2.0], [1.0], [2.0]]))
        tensor([0, 1, 0])
    """
    place = rows.unique(dim=0, return_inverse=True)[1]
    numbers = torch.arange(len(rows), device=rows.device)
    return torch.full_like(place, len(rows)).scatter_reduce(0, place, numbers, "amin")[place]


def _on_surface(
    points: Float[Tensor, "n f"],
    others: Float[Tensor, "m f"],
    radii: Float[Tensor, " m"],
    doubtful: Bool[Tensor, "n m"],
) -> Int[Tensor, " n"]:
    """In how many balls of the doubtful pairs each point lies, as differences decide."""
    counts = torch.zeros(len(points), dtype=torch.long, device=points.device)
    if int(doubtful.sum()) > MANY * doubtful.numel():
        for rows, apart in _by_differences(points, others):
            counts[rows] = (doubtful[rows] & (apart.to(radii.dtype) <= radii)).sum(1)
        return counts
    at, of = doubtful.nonzero(as_tuple=True)
    for part in chunks(len(at), 16 * points.shape[1], BLOCK_BYTES):
        i, j = at[part], of[part]
        apart = _apart(points[i, None], others[j, None]).flatten().to(radii.dtype)
        counts += i[apart <= radii[j]].bincount(minlength=len(points))
    return counts


@torch.no_grad()
def count_containing(
    points: Float[Tensor, "n f"], others: Float[Tensor, "m f"], radii: Float[Tensor, " m"]
) -> Int[Tensor, " n"]:
    r"""In how many of the balls $\|y-y_j\|\le\mathrm{radius}_j$ each point lies.

    Squares are expanded around the others' middle, float64's around its median where the set has rows far
    out. Pairs whose expanded square is within rounding of the squared radius are decided by differences, as
    ``nearest`` takes them: the balls are closed, and one whose radius is the distance to a neighbor holds
    that neighbor and what ties with it. A ball of radius 0 holds exact copies of its center. Raises
    ValueError for shapes, dtypes, rows that aren't finite and negative radii.

    Example:
        >>> from riemvae_core.neighbors import count_containing
        >>> points, centers = torch.tensor([[0.4], [2.0]]), torch.tensor([[0.0], [1.0]])
        >>> count_containing(points, centers, torch.tensor([0.5, 1.5]))
        tensor([2, 1])
    """
    points, others = _ready(points, others)
    check_finite(radii=radii)
    if radii.shape != others.shape[:1]:
        raise ValueError(f"radii must be [{len(others)}], one a center, got {list(radii.shape)}")
    if bool((radii < 0).any()):
        raise ValueError(f"radii must be at least 0, got {radii.min().item()}")
    counts = torch.zeros(len(points), dtype=torch.long, device=points.device)
    if not len(points):
        return counts
    if len(copies := others[radii == 0]):
        _, same = torch.cat([copies, points]).unique(dim=0, return_inverse=True)
        counts += same[: len(copies)].bincount(minlength=len(same))[same[len(copies) :]]
    others, radii = others[radii > 0], radii[radii > 0]
    if not len(others):
        return counts
    radii = radii if radii.dtype == torch.float64 else radii.float()  # the precision that distances come in
    center = middle(others)
    x, y = points - center, others - center
    if _lost(y):
        center = others.double().median(0).values
        x, y = points.double() - center, others.double() - center
    numbers = torch.finfo(y.dtype)
    squared = radii.to(y.dtype).square().clamp(max=0.1 * numbers.max)
    own, far, rounding = -_squares(x)[:, None], _squares(y), ROUNDINGS * numbers.eps
    spare, spare_of_balls = -rounding * own, rounding * (far + squared)
    if radii.dtype != y.dtype:  # radii of single precision stay rounded where squares need double
        spare_of_balls += 2.0 * torch.finfo(radii.dtype).eps * squared
    for rows, block in _less_own_square(x, y, far - squared + spare_of_balls):
        inside = torch.le(block, own[rows] - spare[rows], out=torch.empty_like(block))  # ones and zeros in
        perhaps = block.sub_(2.0 * spare_of_balls).le_(own[rows] + spare[rows])  # block's own dtype
        surely = inside.sum(1)
        counts[rows] += surely.long()
        if len(some := (perhaps.sum(1) > surely).nonzero()[:, 0]):
            doubtful = perhaps[some] > inside[some]
            counts[rows][some] += _on_surface(points[rows][some], others, radii, doubtful)
    return counts
