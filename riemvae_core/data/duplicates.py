"""Images that stand in a set twice: exact copies, and near ones that chance would not put so close."""

import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.neighbors import first_rows, nearest
from riemvae_core.numerics import check_finite, check_floats

NEIGHBORS = 10  # which neighbor's distance is the measure of a nearest one's
LEAST_ROWS = 3 * NEIGHBORS  # with fewer different images distances say too little


class Duplicates(NamedTuple):
    """Which images repeat another, by their rows.

    Returned by ``find_duplicates``. ``same`` equal an earlier image in every pixel; ``close`` are next to
    another one, though not the same. ``group`` gives each image the first row of those that it repeats or is
    repeated by, and its own where it stands alone; ``repeated`` are the rows to leave out so that one image
    of each group stays. ``limit`` is the share of the distance to its tenth neighbor below which a neighbor
    is close, ``dimension`` the one that distances show.

    Example:
        >>> images = torch.rand(100, 1, 8, 8, generator=rc.make_generator(0))
        >>> found = rc.find_duplicates(torch.cat([images, images[:2], images[5:6] + 1e-3]))
        >>> found.same, found.close, found.repeated
        (tensor([100, 101]), tensor([  5, 102]), tensor([100, 101, 102]))
        >>> found.group[100:]
        tensor([0, 1, 5])
    """

    same: Int[Tensor, " k"]
    close: Int[Tensor, " m"]
    group: Int[Tensor, " n"]
    repeated: Int[Tensor, " r"]
    limit: float
    dimension: float


@torch.no_grad()
def find_duplicates(images: Float[Tensor, "n c h w"], chance: float = 1e-3) -> Duplicates:
    r"""Exact and near duplicates among images, by the distances of their pixels.

    Among n different images spread smoothly over m dimensions, a nearest neighbor is closer than the share t
    of the distance to the tenth with probability $1-(1-t^m)^9$, whatever the density there. Close are those
    below the t at which ``chance`` such rows are expected among all n. The dimension m is read from the
    median ratio of the first two distances (Facco et al. 2017, eq. 5). The tenth distance counts as at least
    half its median over all images, so that a crowd of copies is seen too. A copy that was moved by a pixel
    or drawn in another color is not: its pixels differ as those of other images do.

    n^2 distances, a block at a time: memory is that of the images and a copy. 60,000 images of 28 x 28 take
    some minutes. With fewer than 30 different images, none is called close. Raises ValueError for shapes,
    pixels that aren't finite and a chance that isn't between 0 and 1.

    Example:
        >>> images = rc.load_images("digits").images
        >>> rc.find_duplicates(torch.cat([images, images[:3]])).repeated
        tensor([1437, 1438, 1439])
    """
    check_floats(images=images)
    if images.ndim != 4 or not images.numel():
        raise ValueError(f"images must be [n, c, h, w] with at least one image, got {list(images.shape)}")
    if not isinstance(chance, int | float) or not 0.0 < chance < 1.0:
        raise ValueError(f"chance must lie between 0 and 1, got {chance!r}")
    check_finite(images=images)
    rows = images.flatten(1)
    first, numbers = first_rows(rows), torch.arange(len(rows), device=rows.device)
    kept = (first == numbers).nonzero().flatten()
    pairs, limit, dimension = _close_pairs(rows[kept], chance)
    links = torch.cat([torch.stack([numbers, first]), kept[pairs]], 1)
    group = _components(links, len(rows))
    return Duplicates(
        same=(first != numbers).nonzero().flatten(),
        close=kept[pairs.unique()],
        group=group,
        repeated=(group != numbers).nonzero().flatten(),
        limit=limit,
        dimension=dimension,
    )


def _close_pairs(rows: Float[Tensor, "n f"], chance: float) -> tuple[Tensor, float, float]:
    """Pairs [2, p] of different rows that are close, the share that says so, and the dimension."""
    none = torch.zeros((2, 0), dtype=torch.long, device=rows.device)
    if len(rows) < LEAST_ROWS:
        return none, 0.0, math.nan
    found = nearest(rows, rows, NEIGHBORS + 1)
    distances, others = found.distances[:, 1:].double(), found.indices[:, 1:]
    ratio = (distances[:, 0] / distances[:, 1]).quantile(0.5).item()
    if not 0.0 < ratio < 1.0:  # the typical image has copies, or all are equally far apart
        return none, 0.0, math.nan
    dimension = math.log(2.0) / math.log(1.0 / ratio)
    limit = (-math.expm1(math.log1p(-chance / len(rows)) / (NEIGHBORS - 1))) ** (1.0 / dimension)
    tenth = distances[:, -1]
    scale = tenth.clamp_min(0.5 * tenth.quantile(0.5).item())
    near = distances < limit * torch.minimum(scale[:, None], scale[others])
    of, rank = near.nonzero().unbind(1)
    return torch.stack([of, others[of, rank]]), limit, dimension


def _components(links: Int[Tensor, "2 p"], n: int) -> Int[Tensor, " n"]:
    """For each of n rows the first one that links lead to."""
    from scipy.sparse import coo_array  # slow to import, so only when asked for
    from scipy.sparse.csgraph import connected_components

    one, other = links.cpu().numpy()
    graph = coo_array((np.ones(len(one), np.int8), (one, other)), shape=(n, n))
    label = torch.from_numpy(connected_components(graph, directed=False)[1]).long()
    first = torch.full((n,), n, device="cpu").scatter_reduce(0, label, torch.arange(n, device="cpu"), "amin")
    return first[label].to(links.device)
