r"""A proposal for the uniform law of many balls: the groups that they form, at all scales.

Where many balls overlap, their law is smoother than they are, and a few hundred wide Gaussians cover it
better than all balls do. They cost less to weigh, and need no pass over all pairs of balls for their masses.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.balls import LOG_2PI
from riemvae_core.laws.mixture import BallMixture, mixture_of_metric
from riemvae_core.numerics import chunks, make_generator, standard_normal

# how often all balls are halved, and by how many nats a ball that stands for itself too exceeds the groups
HALVINGS, UNCOVERED = 8, math.log(4.0)
# nats by which a group's mass, taken at its center, may exceed what one of its draws makes it
SLACK = 8.0


def halves(
    features: Float[Tensor, "n e"], halvings: int, inside: bool = False
) -> list[Int[Tensor, "groups size"]]:
    """Rows in one group, two halves, four quarters and so on, each cut at the median of its longest axis.

    With ``inside`` a half is what lies between the quartiles of that axis, the other what lies beyond. The
    axis is the first principal one, by power iteration. All groups of a level have one size: where n doesn't
    allow it, some rows come again, as n and more.
    """
    n = len(features)
    size = math.ceil(n / 2**halvings)
    levels = [torch.arange(size * 2**halvings, device=features.device)[None]]
    for _ in range(halvings):
        x = features[levels[-1] % n]
        x = x - x.mean(1, keepdim=True)
        farthest = x.square().sum(2).argmax(1)
        axis = x[torch.arange(len(x), device=x.device), farthest][:, :, None]
        for _ in range(3):
            axis = x.mT @ (x @ axis)
            axis = axis / axis.norm(dim=1, keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)
        order = (x @ axis).squeeze(2).argsort(dim=1, stable=True)
        order = order.roll(-(order.shape[1] // 4), 1) if inside else order
        levels.append(levels[-1].gather(1, order).reshape(2 * len(x), -1))
    return levels


def proposal_by_groups(metric) -> BallMixture:
    r"""Gaussians for groups of balls, of all to each 256th, for balls that stand apart, for the background.

    Balls of radii $\sigma$ with centers scattered about $\bar\mu$ add up to a metric that falls as
    $e^{-(z-\bar\mu)^2/(\rho^2\sigma^2+2\mathrm{Var}(\mu))}$, axis by axis, whose law is a Gaussian
    of that denominator over d for variance; its mass is what $\sqrt{\det G(\bar\mu)}$ makes it, unless one of
    its draws says that $\bar\mu$ is an exception, over the nine levels of groups that share it. A ball at
    whose center the balls of its own group, and the others as if Gaussian, make $\sqrt{\det G}$ four times
    the groups' density is added with the mass that this crowd gives it, as in ``proposal_of_metric``: so a
    few balls in one place are found among many, and balls that don't overlap are all there. For this, groups
    are cut in two ways, as a cut may part a crowd. Linear in the number of balls. Raises ValueError as
    ``mixture_of_metric`` does. Defined for this book.
    """
    mu, log_var, (n, d) = metric.mu, metric.log_var, metric.mu.shape
    alone = mixture_of_metric(metric)
    radius = torch.exp(0.5 * alone.log_var[:n].mean(0))
    # so scaled, the squared distance is about twice the divergence of one ball's law from another's
    features = torch.cat([mu / radius, log_var / math.sqrt(2.0)], dim=1)
    levels = halves(features, HALVINGS)
    center = torch.cat([mu[rows % n].mean(1) for rows in levels])
    inner = torch.cat([alone.log_var[:n][rows % n].mean(1) for rows in levels]).exp()
    spread = torch.cat([mu[rows % n].var(1, correction=0) for rows in levels])
    wide = torch.log(inner + 2.0 * spread / d)
    eps = standard_normal(center.shape, mu, make_generator(0))
    middle, draw = metric.log_volume(torch.stack([center, center + torch.exp(0.5 * wide) * eps]))
    height = torch.minimum(middle, draw + 0.5 * eps.square().sum(1) + SLACK)
    mass = height + 0.5 * (wide + LOG_2PI).sum(1) - math.log(len(levels))
    parts = [(center, wide, mass), (alone.mu[n:], alone.log_var[n:], alone.log_mass[n:])]
    count, rho = len(levels[-1]), float(metric.rho)
    far = _far(mu, levels[-1], center[-count:], d * inner[-count:], spread[-count:], rho)
    height, by_balls = _near(mu, log_var, rho, levels[-1], far)
    other, around = _near(mu, log_var, rho, halves(features, HALVINGS, inside=True)[-1])
    height, by_balls = height.maximum(other), by_balls.maximum(around)
    apart = height - _joined(parts).log_density(mu) > UNCOVERED
    balls = (mu[apart], alone.log_var[:n][apart], (alone.log_mass[:n] + height - by_balls)[apart])
    return _joined([parts[0], balls, parts[1]])


def _joined(parts: list[tuple[Tensor, Tensor, Tensor]]) -> BallMixture:
    return BallMixture(*(torch.cat(part) for part in zip(*parts, strict=True)))


def _far(
    mu: Float[Tensor, "n d"],
    groups: Int[Tensor, "groups size"],
    center: Float[Tensor, "groups d"],
    inner: Float[Tensor, "groups d"],
    spread: Float[Tensor, "groups d"],
    rho: float,
) -> Float[Tensor, "n d"]:
    """What the balls of all groups but its own add to the metric at each center, as if they were Gaussian."""
    n, size = len(mu), groups.shape[1]
    width = inner + 2.0 * spread
    height = size * rho**2 / inner * torch.exp(0.5 * torch.log(inner / width).sum(1, keepdim=True))
    owner = torch.zeros(n, dtype=torch.long, device=mu.device)
    kept = groups < n
    owner[groups[kept]] = torch.arange(len(groups), device=mu.device)[:, None].expand_as(groups)[kept]
    far = torch.empty_like(mu)
    for s in chunks(n, 4 * mu.element_size() * len(groups)):
        logs = sum(-(x[:, None] - c).square() / w for x, c, w in zip(mu[s].T, center.T, width.T, strict=True))
        far[s] = torch.exp(logs).scatter(1, owner[s, None], 0.0) @ height
    return far


def _near(
    mu: Float[Tensor, "n d"],
    log_var: Float[Tensor, "n d"],
    rho: float,
    groups: Int[Tensor, "groups size"],
    far: Float[Tensor, "n d"] | None = None,
) -> tuple[Float[Tensor, " n"], Float[Tensor, " n"]]:
    r"""Log volume at each center by its group's balls, and what is ``far``; log of $\psi$ by the former."""
    wide = torch.float64 if log_var.abs().max() > 40.0 and mu.device.type != "mps" else mu.dtype
    height, alone = (torch.empty_like(mu[:, 0]) for _ in range(2))
    for some in chunks(len(groups), 4 * wide.itemsize * groups.shape[1] ** 2):
        rows, again = groups[some] % len(mu), groups[some] >= len(mu)
        at, spread = mu[rows].to(wide), log_var[rows].to(wide)
        precision = torch.exp(-spread)
        logs = _log_weights(at, precision / rho**2).clamp_(max=0.0)
        logs = logs.diagonal_scatter(torch.zeros_like(at[..., 0]), dim1=1, dim2=2)
        logs = logs.masked_fill(again[:, None], -math.inf)
        diagonal = torch.exp(logs) @ precision
        diagonal = diagonal if far is None else diagonal + far[rows]
        log_volume = 0.5 * torch.log(diagonal).sum(2)
        by_balls = torch.logsumexp(0.5 * (mu.shape[1] * logs - spread.sum(2)[:, None]), 2)
        height[rows[~again]] = log_volume[~again].to(mu.dtype)
        alone[rows[~again]] = by_balls[~again].to(mu.dtype)
    return height, alone


def _log_weights(at: Float[Tensor, "g s d"], scaled: Float[Tensor, "g s d"]) -> Float[Tensor, "g s s"]:
    r"""$-\sum_k(\mu_{ik}-\mu_{jk})^2/(\rho\sigma_{jk})^2$, as products unless rounding would tell."""
    offset = at - at.mean(1, keepdim=True)
    constant = (scaled * offset.square()).sum(2)
    if bool(constant.max() * torch.finfo(at.dtype).eps < 1e-4):
        features = torch.cat([-offset.square(), 2.0 * offset, -torch.ones_like(at[..., :1])], 2)
        return features @ torch.cat([scaled, scaled * offset, constant[..., None]], 2).mT
    pairs = zip(at.unbind(2), scaled.unbind(2), strict=True)
    return sum(-p[:, None] * (x[:, :, None] - x[:, None]).square() for x, p in pairs)
