r"""Curves on a latent space: their length and energy in any metric, and where a search for short ones starts.

A curve is a tensor ``[*batch, t, d]``: t points at equal times in [0, 1], joined by straight pieces. A metric
is any callable that takes ``z [*batch, d]`` to ``G(z) [*batch, d, d]``.
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.numerics import chunks

#: A metric as paths take it: any callable from points z ``[*batch, d]`` to matrices G(z) ``[*batch, d, d]``.
Metric = Callable[[Tensor], Tensor]

ORDER = 8  # Gauss points on each straight piece, for the numbers that are reported
GRID = {2: (33, 2), 3: (13, 1)}  # points along an axis and reach of an edge, by dimension
NEIGHBORS = 10  # of each given node


def call_metric(metric: Metric, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d d"]:
    """``metric(z)``; ValueError unless it is callable and gives a tensor ``[*batch, d, d]``."""
    if not callable(metric):
        raise ValueError(f"metric must be callable, z [*batch, d] to [*batch, d, d], got {metric!r}")
    g, expected = metric(z), (*z.shape, z.shape[-1])
    if not isinstance(g, Tensor) or g.shape != expected:
        got = tuple(g.shape) if isinstance(g, Tensor) else type(g).__name__
        raise ValueError(f"metric must return a tensor of shape {expected} for z {tuple(z.shape)}, got {got}")
    return g


def gauss_rule(order: int, like: Tensor) -> tuple[Float[Tensor, " q"], Float[Tensor, " q"]]:
    """Points and weights of the Gauss-Legendre rule on [0, 1], with the device and dtype of ``like``."""
    points, weights = np.polynomial.legendre.leggauss(order)
    return tuple(
        torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in ((points + 1) / 2, weights / 2)
    )


def piece_squares(
    metric: Metric, curve: Float[Tensor, "*batch t d"], order: int
) -> Float[Tensor, "*batch s q"]:
    r"""$\Delta^\top G\,\Delta$ of each of the s = t - 1 straight pieces $\Delta$ at its Gauss points."""
    d = curve.shape[-1]
    points, _ = gauss_rule(order, curve)
    step = curve.diff(dim=-2).reshape(-1, 1, d)
    z = curve[..., :-1, :].reshape(-1, 1, d) + points[:, None] * step
    parts = []
    for s in chunks(len(z), 2 * order * d * d * curve.element_size()):
        moved = torch.einsum("sqij,sj->sqi", call_metric(metric, z[s]), step[s, 0])
        parts.append((moved * step[s]).sum(-1).clamp_min(0.0))
    return torch.cat(parts).reshape(*curve.shape[:-2], -1, order)


def _check_curve(curve: Tensor) -> None:
    if curve.ndim < 2 or curve.shape[-2] < 2 or curve.shape[-1] < 1:
        raise ValueError(f"curve must be [*batch, t, d] with t at least 2, got {tuple(curve.shape)}")


def curve_length(
    metric: Metric, curve: Float[Tensor, "*batch t d"], *, order: int = ORDER
) -> Float[Tensor, "*batch"]:
    r"""Length of a curve, $\int_0^1\sqrt{\dot\gamma^\top G(\gamma)\,\dot\gamma}\,dt$, in the metric's units.

    The curve is taken as straight pieces between its points, each integrated with ``order`` Gauss points, so
    a metric that changes within a piece is seen. Chadebec and Allassonniere (2022), eq. (4). Raises
    ValueError for a curve of fewer than two points or a metric of a wrong shape.

    Example:
        >>> from riemvae_core.metrics import HalfPlaneMetric
        >>> rc.curve_length(HalfPlaneMetric(), torch.tensor([[0.0, 1.0], [0.0, math.e]]))  # log e
        tensor(1.000)
    """
    _check_curve(curve)
    return piece_lengths(metric, curve, order).sum(-1)


def curve_energy(
    metric: Metric, curve: Float[Tensor, "*batch t d"], *, order: int = ORDER
) -> Float[Tensor, "*batch"]:
    r"""Energy of a curve, $\int_0^1\dot\gamma^\top G(\gamma)\,\dot\gamma\,dt$ with no half.

    The points stand at equal times in [0, 1]. By Cauchy and Schwarz it is at least the squared length, and
    equal to it at constant speed (derived in chapter 7); this holds for the sums computed here too, since
    both use the same rule (``curve_length``). Raises ValueError as that does.

    Example:
        >>> from riemvae_core.metrics import ConstantMetric
        >>> plain, uneven = ConstantMetric(torch.eye(1)), torch.tensor([[0.0], [1.0], [4.0]])
        >>> rc.curve_length(plain, uneven) ** 2, rc.curve_energy(plain, uneven)
        (tensor(16.00), tensor(20.00))
    """
    _check_curve(curve)
    _, weights = gauss_rule(order, curve)
    squares = piece_squares(metric, curve, order)
    return squares.shape[-2] * (squares * weights).sum((-2, -1))


def straight_line(
    a: Float[Tensor, "*batch d"], b: Float[Tensor, "*batch d"], n: int
) -> Float[Tensor, "*batch n d"]:
    r"""n points from a to b at equal distances, both ends exact: $a+t(b-a)$ for t from 0 to 1.

    n is at least 2.

    Example:
        >>> from riemvae_core.paths import straight_line
        >>> straight_line(torch.tensor([0.0]), torch.tensor([4.0]), n=3).flatten()
        tensor([0.00, 2.00, 4.00])
    """
    t = torch.arange(n, dtype=a.dtype, device=a.device)[:, None] / (n - 1)
    return torch.lerp(a.unsqueeze(-2), b.unsqueeze(-2), t)


def piece_lengths(
    metric: Metric, curve: Float[Tensor, "*batch t d"], order: int
) -> Float[Tensor, "*batch s"]:
    """Length of each straight piece of a curve."""
    _, weights = gauss_rule(order, curve)
    return (piece_squares(metric, curve, order).sqrt() * weights).sum(-1)


def respaced(
    curve: Float[Tensor, "*batch t d"], pieces: Float[Tensor, "*batch s"], n: int
) -> Float[Tensor, "*batch n d"]:
    """n points at equal distances along a curve whose pieces have the lengths ``pieces``; the ends stay.

    ``pieces`` may be measured in any metric. A curve of no finite, positive
    length keeps its own spacing. Used in chapter 7.

    Example:
        >>> from riemvae_core.paths import respaced
        >>> respaced(torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor([1.0, 3.0]), n=3).flatten()
        tensor([0.00, 2.00, 4.00])
    """
    total = pieces.sum(-1, keepdim=True)
    pieces = torch.where(torch.isfinite(total) & (total > 0), pieces, torch.ones_like(pieces))
    along = torch.cat([torch.zeros_like(total), pieces.cumsum(-1)], -1)
    share = torch.arange(1, n - 1, dtype=curve.dtype, device=curve.device) / (n - 1)
    wanted = along[..., -1:] * share
    right = torch.searchsorted(along, wanted).clamp(1, curve.shape[-2] - 1)
    before, after = along.gather(-1, right - 1), along.gather(-1, right)
    t = ((wanted - before) / (after - before).clamp_min(torch.finfo(curve.dtype).tiny)).clamp(0.0, 1.0)
    rows = right.unsqueeze(-1).expand(*right.shape, curve.shape[-1])
    inner = torch.lerp(curve.gather(-2, rows - 1), curve.gather(-2, rows), t.unsqueeze(-1))
    return torch.cat([curve[..., :1, :], inner, curve[..., -1:, :]], -2)


def at_constant_speed(
    metric: Metric, curve: Float[Tensor, "*batch t d"], n: int
) -> Float[Tensor, "*batch n d"]:
    """n points on a curve at equal distances along it, measured in the metric; the ends stay."""
    within = torch.arange(1, 5, dtype=curve.dtype, device=curve.device)[:, None] / 4
    inner = torch.lerp(curve[..., :-1, None, :], curve[..., 1:, None, :], within).flatten(-3, -2)
    dense = torch.cat([curve[..., :1, :], inner], -2)
    return respaced(dense, piece_lengths(metric, dense, 2), n)


def at_mixed_spacing(
    metric: Metric, curve: Float[Tensor, "*batch t d"], n: int
) -> tuple[Float[Tensor, "*batch n d"], Float[Tensor, "*batch s"]]:
    """n points whose distances along the curve are equal in half plain length, half length in the metric.

    So neither a cheap stretch nor a dear one is left without points. With them the times of the pieces at
    constant speed, 1 in sum; a piece of next to no length keeps a little time.
    """
    plain, own = curve.diff(dim=-2).norm(dim=-1), piece_lengths(metric, curve, 2)
    mixed = plain / plain.sum(-1, keepdim=True) + own / own.sum(-1, keepdim=True)
    points = respaced(curve, mixed, n)
    own = piece_lengths(metric, points, 2)
    times = (own / own.sum(-1, keepdim=True)).nan_to_num(1.0) + 1e-6
    return points, times / times.sum(-1, keepdim=True)


# --- where a search starts: shortest paths in graphs


def grid_path(metric: Metric, a: Float[Tensor, " d"], b: Float[Tensor, " d"], n: int) -> Float[Tensor, "n d"]:
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
    parts = [call_metric(metric, points[s]) for s in chunks(len(points), 2 * len(a) ** 2 * a.element_size())]
    g, step = torch.cat(parts), (points[edges[:, 1]] - points[edges[:, 0]]).unsqueeze(-1)
    ends = [(step.mT @ g[edges[:, k]] @ step).flatten().clamp_min(0.0).sqrt() for k in range(2)]
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
    metric: Metric,
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
    weights = torch.cat([lengths, curve_length(metric, points[own])])
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
    return respaced(bends, bends.diff(dim=0).norm(dim=-1), n)
