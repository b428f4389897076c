r"""Laws that look beyond a code's own kernel: the decoder's pullback within the data, ways to neighbors."""

import math
import warnings
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws.kernels import first_width, of_balls
from riemvae_core.laws.law import (
    SEARCHED,
    Choice,
    Codes,
    Family,
    Parts,
    Widths,
    best_width,
    deviations,
    score,
    units,
)
from riemvae_core.laws.local import LocalKernels, kernel_parts, searched, shapes
from riemvae_core.metrics import PosteriorMetric, PullbackMetric
from riemvae_core.neighbors import nearest
from riemvae_core.numerics import make_generator
from riemvae_core.paths import PathWarning, low_cost_path, respaced

#: how much the pullback weighs against the neighbors' precision, 0 being none
PULLS = (0.0, 0.1, 1.0, 10.0)
#: places along a line, how many neighbors a code has lines to, and the most lines of a law
PLACES, LINES, MOST = (0.1, 0.3, 0.5, 0.7, 0.9), (1, 3, 10), 4000
#: the most low-cost paths of a law, the most centroids of their metric, the steps that one may take
MOST_PATHS, CENTROIDS, STEPS = 200, 100, 100


def pulled_back(codes: Codes) -> Float[Tensor, "n d d"]:
    r"""$J^\top J$ of the decoder at each code, in the codes' own deviations, of mean diagonal 1."""
    unit = units(codes.mu)
    matrices = PullbackMetric(codes.decode)(codes.mu).detach()
    wide = torch.float32 if codes.mu.device.type == "mps" else torch.float64
    matrices = matrices.to(wide) * unit.to(wide)[:, None] * unit.to(wide)
    return matrices / matrices.diagonal(dim1=1, dim2=2).mean().clamp_min(torch.finfo(wide).tiny)


def _pullback(codes: Codes, widths: Widths) -> Parts:
    kernels = LocalKernels(codes, widths, pulled_back(codes))
    return kernel_parts(kernels, float(widths["h"]))


def _choose_pullback(codes: Codes, held: Tensor) -> Choice:
    pulled, found = pulled_back(codes), shapes(codes)
    options = {"pull": PULLS, **found}
    return searched(lambda shape: LocalKernels(codes, shape, pulled), options, held, math.inf)


def ends(codes: Codes, neighbors: int, most: int) -> Float[Tensor, "2 m d"]:
    """Codes and each a near one of theirs: all such pairs, or as many by chance (seed 0)."""
    near = nearest(codes.mu, codes.mu, neighbors + 1)
    pairs = torch.stack([near.indices[:, :1].expand(-1, neighbors), near.indices[:, 1:]], -1).flatten(0, 1)
    order = torch.randperm(len(pairs), generator=make_generator(0), device="cpu")[:most]
    return codes.mu[pairs[order.to(pairs.device)].T]


def places_on_lines(codes: Codes, neighbors: int) -> Float[Tensor, "m d"]:
    """Places along lines from codes to some of their nearest."""
    a, b = ends(codes, neighbors, MOST)
    t = torch.tensor(PLACES, dtype=a.dtype, device=a.device)[:, None]
    return torch.lerp(a[:, None], b[:, None], t).flatten(0, 1)


def places_on_paths(codes: Codes, neighbors: int) -> Float[Tensor, "m d"]:
    """Places along low-cost paths from codes to some of their nearest, at equal shares of the way."""
    few = min(CENTROIDS, len(codes.mu))
    metric = PosteriorMetric.fit(codes.mu, codes.log_var, few, generator=make_generator(0))
    a, b = ends(codes, neighbors, MOST_PATHS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PathWarning)  # a path that may be bettered is a way all the same
        found = low_cost_path(metric, a, b, 11, power=1.0 / codes.mu.shape[1], max_steps=STEPS)
    pieces = found.curve.diff(dim=-2).norm(dim=-1)
    return respaced(found.curve, pieces, 11)[:, 1::2].flatten(0, 1)


def _along(places: Float[Tensor, "m d"], codes: Codes, h: float) -> Parts:
    """Kernels of one width, in units of each axis' deviation, at some places."""
    return of_balls(places, (2.0 * (units(codes.mu).log() + math.log(h))).expand_as(places).contiguous())


def _ways(places: Callable[[Codes, int], Tensor], needs: str = "") -> Family:
    """The family of laws of kernels at places between codes and their nearest."""

    def make(codes: Codes, widths: Widths) -> Parts:
        return _along(places(codes, int(widths["neighbors"])), codes, widths["h"])

    def choose(codes: Codes, held: Tensor) -> Choice:
        start = first_width(codes, held) / max(deviations(codes.mu).square().mean().sqrt().item(), 1e-30)
        best = Choice({}, -math.inf)
        rows = []
        for neighbors in dict.fromkeys(min(k, len(codes.mu) - 1) for k in LINES):
            own = places(codes, neighbors)

            def value(h: float, own: Tensor = own) -> float:
                return score(_along(own, codes, h), held[:SEARCHED])

            h, tried = best_width(value, start, 4.0, coarse=7, close=0.05)
            rows += [({"neighbors": neighbors, "h": w}, v) for w, v in tried]
            if dict(tried)[h] > best.log_prob:
                widths = {"neighbors": neighbors, "h": h}
                best = Choice(widths, dict(tried)[h], parts=_along(own, codes, h))
        return best._replace(tried=tuple(rows))

    return Family(("neighbors", "h"), make, choose, needs)


BETWEEN = {
    "pullback": Family(
        ("pull", "shrinkage", "neighbors", "target", "h"), _pullback, _choose_pullback, "decode"
    ),
    "interpolation": _ways(places_on_lines),
    "low-cost paths": _ways(places_on_paths, "log_var"),
}
