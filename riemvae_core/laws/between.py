r"""Laws that look beyond a code's own kernel: the decoder's pullback within the data, lines to neighbors."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws.kernels import first_width, of_balls
from riemvae_core.laws.law import SEARCHED, Choice, Codes, Family, Parts, Widths, best_width, score
from riemvae_core.laws.local import LocalKernels, kernel_parts, searched, shapes
from riemvae_core.metrics import PullbackMetric
from riemvae_core.neighbors import nearest
from riemvae_core.numerics import make_generator

#: how much the pullback weighs against the neighbors' precision, 0 being none
PULLS = (0.0, 0.1, 1.0, 10.0)
#: places along a line, how many neighbors a code has lines to, and the most lines of a law
PLACES, LINES, MOST = (0.1, 0.3, 0.5, 0.7, 0.9), (1, 3, 10), 4000


def pulled_back(codes: Codes) -> Float[Tensor, "n d d"]:
    r"""$J^\top J$ of the decoder at each code, in the codes' own deviations, of mean diagonal 1."""
    spread = codes.mu.std(0)
    unit = torch.where(spread > 0.0, spread, torch.ones_like(spread))
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


def places_between(codes: Codes, neighbors: int) -> Float[Tensor, "m d"]:
    """Places along lines from codes to some of their nearest: all lines, or as many by chance (seed 0)."""
    near = nearest(codes.mu, codes.mu, neighbors + 1)
    pairs = torch.stack([near.indices[:, :1].expand(-1, neighbors), near.indices[:, 1:]], -1).flatten(0, 1)
    order = torch.randperm(len(pairs), generator=make_generator(0), device="cpu")[:MOST]
    a, b = codes.mu[pairs[order.to(pairs.device)]].unbind(1)
    t = torch.tensor(PLACES, dtype=a.dtype, device=a.device)[:, None]
    return torch.lerp(a[:, None], b[:, None], t).flatten(0, 1)


def _lines(codes: Codes, widths: Widths) -> Parts:
    center = places_between(codes, int(widths["neighbors"]))
    spread = codes.mu.std(0)
    unit = torch.where(spread > 0.0, spread, torch.ones_like(spread))
    return of_balls(center, (2.0 * (unit.log() + math.log(widths["h"]))).expand_as(center).contiguous())


def _choose_lines(codes: Codes, held: Tensor) -> Choice:
    spread, rows = codes.mu.std(0), []
    start = first_width(codes, held) / max(spread.square().mean().sqrt().item(), 1e-30)
    best = -math.inf, {}
    for neighbors in dict.fromkeys(min(k, len(codes.mu) - 1) for k in LINES):

        def value(h: float, neighbors: int = neighbors) -> float:
            return score(_lines(codes, {"neighbors": neighbors, "h": h}), held[:SEARCHED])

        h, tried = best_width(value, start, 4.0, coarse=7, close=0.05)
        rows += [({"neighbors": neighbors, "h": w}, v) for w, v in tried]
        best = max(best, (dict(tried)[h], {"neighbors": neighbors, "h": h}), key=lambda pair: pair[0])
    return Choice(best[1], best[0], tuple(rows))


BETWEEN = {
    "pullback": Family(
        ("pull", "shrinkage", "neighbors", "target", "h"), _pullback, _choose_pullback, "decode"
    ),
    "interpolation": Family(("neighbors", "h"), _lines, _choose_lines),
}
