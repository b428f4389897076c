"""Where a search for a short path starts: straight lines and shortest walks in graphs."""

import itertools
import math

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.numerics import chunks
from riemvae_core.paths.curves import ORDER, piece_lengths, spaced, straight_line
from riemvae_core.paths.forms import applied, form_of

GRID = {2: (65, 2), 3: (13, 1)}  # points along an axis and reach of an edge, by dimension
NEIGHBORS = 10  # of each given node


def grid_path(metric, a: Float[Tensor, " d"], b: Float[Tensor, " d"], n: int) -> Float[Tensor, "n d"]:
    """Shortest path from a to b over a square grid (cubic in three dimensions) that is turned to hold both.

    The grid reaches as far beyond the middle of a and b, each way, as a lies from b.
    """
    count, reach = GRID[len(a)]
    axis = torch.arange(count, device=a.device) - count // 2
    ticks = torch.cartesian_prod(*[axis] * len(a))
    unit = (b - a) / (count // 2)
    points = 0.5 * (a + b) + _turned(ticks.to(a.dtype), unit)
    index = torch.arange(len(ticks), device=a.device)
    edges = []
    for offset in itertools.product(range(-reach, reach + 1), repeat=len(a)):
        if offset > (0,) * len(a) and math.gcd(*offset) == 1:
            inside = ((ticks + ticks.new_tensor(offset)).abs() <= count // 2).all(-1)
            jump = sum(o * count**k for k, o in enumerate(reversed(offset)))
            edges.append(torch.stack([index[inside], index[inside] + jump], -1))
    edges = torch.cat(edges)
    g, step = form_of(metric).at(points), points[edges[:, 1]] - points[edges[:, 0]]
    ends = [(applied(g[edges[:, k]], step) * step).sum(-1).clamp_min(0.0).sqrt() for k in range(2)]
    first = int((ticks == ticks.new_tensor([-(count // 4)] + [0] * (len(a) - 1))).all(-1).nonzero())
    last = len(ticks) - 1 - first
    return _polyline(a, b, points, _walk(edges, 0.5 * (ends[0] + ends[1]), len(points), first, last), n)


def _turned(ticks: Float[Tensor, "m d"], unit: Float[Tensor, " d"]) -> Float[Tensor, "m d"]:
    """Ticks times |unit|, mirrored so that the first axis points along ``unit`` (a Householder mirror)."""
    size = torch.linalg.vector_norm(unit)
    mirror = unit / size.clamp_min(torch.finfo(unit.dtype).tiny)
    mirror = torch.cat([mirror[:1] + (1.0 if mirror[0] >= 0 else -1.0), mirror[1:]])
    image = ticks - 2.0 * (ticks @ mirror)[:, None] * mirror / mirror.square().sum()
    return -size * image if unit[0] >= 0 else size * image


def node_edges(nodes: Float[Tensor, "m d"]) -> Int[Tensor, "e 2"]:
    """Each node joined to its nearest ones, each edge once."""
    m, near = len(nodes), []
    for s in chunks(m, 2 * m * nodes.element_size()):
        gaps = torch.cdist(nodes[s], nodes)
        near.append(gaps.topk(min(NEIGHBORS + 1, m), largest=False).indices)
    near = torch.cat(near)
    ends = torch.stack([torch.arange(m, device=nodes.device)[:, None].expand_as(near), near], -1).reshape(
        -1, 2
    )
    ends = ends[ends[:, 0] != ends[:, 1]].sort(-1).values
    return ends.unique(dim=0)


def node_path(
    metric,
    a: Float[Tensor, " d"],
    b: Float[Tensor, " d"],
    n: int,
    nodes: Float[Tensor, "m d"],
    edges: Int[Tensor, "e 2"],
    lengths: Float[Tensor, " e"],
) -> Float[Tensor, "n d"]:
    """Shortest path from a to b over nodes joined by edges of given lengths, or straight if shorter."""
    m, points = len(nodes), torch.cat([nodes, a[None], b[None]])
    gaps = torch.cdist(torch.stack([a, b]), nodes)
    near = gaps.topk(min(NEIGHBORS, m), largest=False).indices
    source = near.new_tensor([[m], [m + 1]]).expand_as(near)
    own = torch.stack([source, near], -1).reshape(-1, 2)
    own = torch.cat([own, own.new_tensor([[m, m + 1]])])
    weights = torch.cat([lengths, piece_lengths(metric, points[own], ORDER)[:, 0]])
    return _polyline(a, b, points, _walk(torch.cat([edges, own]), weights, m + 2, m, m + 1), n)


def _walk(edges: Tensor, weights: Tensor, count: int, first: int, last: int) -> list[int]:
    """Indices of the cheapest walk from ``first`` to ``last``; edges without a finite weight are left out."""
    from scipy.sparse import coo_array  # slow to import, so only when asked for
    from scipy.sparse.csgraph import dijkstra

    weights, edges = weights.detach().double().cpu().numpy(), edges.cpu().numpy()
    fit = np.isfinite(weights)
    weights = np.maximum(weights[fit], np.finfo(float).tiny)
    ends = edges[fit].T.astype(np.int32)  # the only kind that scipy 1.13 walks on
    graph = coo_array((weights, ends), shape=(count, count)).tocsr()
    _, before = dijkstra(graph, directed=False, indices=first, return_predecessors=True)
    walk = [last]
    while walk[-1] != first and before[walk[-1]] >= 0:
        walk.append(int(before[walk[-1]]))
    return walk[::-1] if walk[-1] == first else [first, last]


def _polyline(a: Tensor, b: Tensor, points: Tensor, walk: list[int], n: int) -> Tensor:
    """n points along a walk at equal distances of the plain kind, with a and b themselves at the ends."""
    bends = torch.cat([a[None], points[walk[1:-1]], b[None]])
    return spaced(bends, bends.diff(dim=0).norm(dim=-1), n)


def first_curves(metric, a: Tensor, b: Tensor, n: int, nodes: Tensor | None) -> list[Tensor]:
    """Curves [pairs, n, d] to start from."""
    starts, pairs = [straight_line(a, b, n)], list(zip(a, b, strict=True))
    if a.shape[-1] in (2, 3):
        starts.append(torch.stack([grid_path(metric, p, q, n) for p, q in pairs]))
    if nodes is not None:
        edges = node_edges(nodes)
        lengths = [piece_lengths(metric, nodes[edges[s]], ORDER)[:, 0] for s in chunks(len(edges), 1, 4096)]
        lengths = torch.cat(lengths) if lengths else nodes.new_zeros(0)
        starts.append(torch.stack([node_path(metric, p, q, n, nodes, edges, lengths) for p, q in pairs]))
    return starts
