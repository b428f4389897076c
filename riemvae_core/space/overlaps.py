"""What draws from random balls say: how much each ball has of the density about it, in double precision."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.balls import bhattacharyya, log_prob, reparameterize
from riemvae_core.neighbors import nearest
from riemvae_core.numerics import Interval, chunks, confidence_interval

#: how many random balls the intervals are estimated from
PROBES = 2048


def log_aggregate(
    z: Float[Tensor, "m d"], own: Float[Tensor, " m"], rows: Int[Tensor, " m"], mu: Tensor, log_var: Tensor
) -> Float[Tensor, " m"]:
    """Log of the balls' average density at draws z of the balls ``rows``, whose own log densities are known.

    Squares are expanded, and taken by differences for the pairs in which rounding could tell.
    """
    n, d = mu.shape
    center = mu.median(0).values
    offset, precision = mu - center, torch.exp(-log_var)
    constant = -0.5 * (log_var.sum(1) + d * math.log(2.0 * math.pi) + (precision * offset.square()).sum(1))
    factors = torch.cat([-0.5 * precision, precision * offset], 1)
    out = []
    for s in chunks(len(z), 8 * 8 * n):
        gap = z[s] - center
        logs = torch.cat([gap.square(), gap], 1) @ factors.T + constant
        size = gap.square() @ precision.T - 2.0 * constant
        near = logs > own[s, None] - 60.0 - 1e-14 * size
        i, j = (near & (size > 1e7)).nonzero(as_tuple=True)
        for part in chunks(len(i), 32 * d):
            a, b = i[part], j[part]
            square = ((z[s][a] - mu[b]).square() * precision[b]).sum(1)
            logs[a, b] = -0.5 * (square + log_var[b].sum(1) + d * math.log(2.0 * math.pi))
        at = torch.arange(len(gap), device=z.device)
        logs[at, rows[s]] = own[s]
        out.append(torch.logsumexp(logs, 1) - math.log(n))
    return torch.cat(out)


def probes(mu: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randint(len(mu), (PROBES,), generator=generator, device=generator.device).to(mu.device)


def at_draws(mu: Tensor, log_var: Tensor, i: Tensor, eps: Tensor) -> tuple[Interval, Interval, Interval]:
    """Information, own share and prior gap, at one draw of each probe's ball."""
    z = reparameterize(mu[i], log_var[i], eps)
    own = _own(eps, log_var[i])
    aggregate = log_aggregate(z, own, i, mu, log_var)
    prior = log_prob(z, torch.zeros_like(z), torch.zeros_like(z))
    share = torch.exp(own - aggregate - math.log(len(mu))).clamp(max=1.0)
    information, own_share, gap = (
        confidence_interval(v) for v in (own - aggregate, share, aggregate - prior)
    )
    return information, own_share, gap


def _own(eps: Tensor, log_var: Tensor) -> Tensor:
    """Log density of a ball at its own draw: exact however small the ball is beside its center."""
    return -0.5 * (eps.square() + log_var + math.log(2.0 * math.pi)).sum(1)


def overlap(mu: Tensor, log_var: Tensor, i: Tensor) -> Interval:
    if len(mu) == 1:
        return Interval(0.0, 0.0, 0.0)
    found = nearest(mu[i], mu, 2).indices
    other = torch.where(found[:, 0] == i, found[:, 1], found[:, 0])
    return confidence_interval(torch.exp(-bhattacharyya(mu[i], log_var[i], mu[other], log_var[other])))
