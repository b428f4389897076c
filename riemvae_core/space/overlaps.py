"""What draws from random balls say: how much each ball has of the density about it, in double precision."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.balls import bhattacharyya, log_prob, reparameterize
from riemvae_core.intervals import Interval, confidence_interval
from riemvae_core.neighbors import nearest
from riemvae_core.numerics import chunks, source_of

#: how many random balls the intervals are estimated from
PROBES = 2048


def squares_of(
    z: Float[Tensor, "m d"],
    mu: Float[Tensor, "n d"],
    log_var: Float[Tensor, "n d"],
    most: Tensor,
    step: Float[Tensor, "m d"] | float = 0.0,
) -> Float[Tensor, "m n"]:
    """Squared Mahalanobis distances of points from balls: right to 1e-6 where they are at most ``most``.

    Points are ``z + step``, a sum that would lose a step far smaller than z. Squares are expanded about the
    middle of the balls; where rounding could tell, differences replace them.
    """
    center, precision = mu.median(0).values, torch.exp(-log_var)
    step = torch.as_tensor(step, dtype=z.dtype, device=z.device).expand_as(z)
    offset, gap = mu - center, z - center + step
    own = (precision * offset.square()).sum(1)
    outer = gap.square() @ precision.T
    squares = (outer - 2.0 * gap @ (precision * offset).T + own).clamp_min(0.0)
    size = 1e-14 * (outer + own)
    i, j = ((squares <= most + size) & (size > 1e-6)).nonzero(as_tuple=True)
    for part in chunks(len(i), 32 * z.shape[1]):
        a, b = i[part], j[part]
        squares[a, b] = ((z[a] - mu[b] + step[a]).square() * precision[b]).sum(1)
    return squares


def log_aggregate(
    step: Float[Tensor, "m d"], own: Float[Tensor, " m"], rows: Int[Tensor, " m"], mu: Tensor, log_var: Tensor
) -> Float[Tensor, " m"]:
    """Log of the balls' average density a step from centers ``rows``, where ``own`` is that ball's alone."""
    n, constant, out = len(mu), -0.5 * (log_var + math.log(2.0 * math.pi)).sum(1), []
    for s in chunks(len(step), 8 * 8 * n):
        near = 2.0 * (constant - own[s, None] + 60.0)
        logs = constant - 0.5 * squares_of(mu[rows[s]], mu, log_var, near, step[s])
        logs[torch.arange(len(logs), device=mu.device), rows[s]] = own[s]
        out.append(torch.logsumexp(logs, 1) - math.log(n))
    return torch.cat(out)


def probes(mu: Tensor, generator: torch.Generator) -> Tensor:
    """Rows of random balls."""
    source = source_of(generator)
    return torch.randint(len(mu), (PROBES,), generator=generator, device=source).to(mu.device)


def at_draws(mu: Tensor, log_var: Tensor, i: Tensor, eps: Tensor) -> tuple[Interval, Interval, Interval]:
    """Information, own share and prior gap, at one draw of each probe's ball."""
    z = reparameterize(mu[i], log_var[i], eps)
    own = _own(eps, log_var[i])
    aggregate = log_aggregate(torch.exp(0.5 * log_var[i]) * eps, own, i, mu, log_var)
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
    """Bhattacharyya coefficient of balls i with the one whose center is nearest."""
    if len(mu) == 1:
        return Interval(0.0, 0.0, 0.0)
    found = nearest(mu[i], mu, 2).indices
    other = torch.where(found[:, 0] == i, found[:, 1], found[:, 0])
    return confidence_interval(torch.exp(-bhattacharyya(mu[i], log_var[i], mu[other], log_var[other])))
