r"""What noise asks of a decoder: errors off the ball, the radius that pays best, two ways to a gradient.

All of it is derived in chapter 3. Prices are squared errors summed over pixels, radii and $\epsilon$ as in
``gaussians``.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.balls.gaussians import reparameterize
from riemvae_core.numerics import load_forward_mode


class BallGradient(NamedTuple):
    """One estimate a draw of the gradient of an expected price with respect to a ball."""

    mu: Float[Tensor, "n d"]
    log_var: Float[Tensor, "n d"]


def pathwise_gradient(
    price: Callable[[Tensor], Tensor],
    mu: Float[Tensor, " d"],
    log_var: Float[Tensor, " d"],
    eps: Float[Tensor, "n d"],
) -> BallGradient:
    r"""Estimates of $\nabla\,\mathbb{E}\,\ell(z)$ by differentiating along $z=\mu+\sigma\odot\epsilon$.

    $\nabla_\mu: \nabla\ell(z)$ and $\nabla_{\log\sigma^2}: \tfrac12\sigma\odot\epsilon\odot\nabla\ell(z)$.
    price $\ell$ maps ``[n, d]`` to ``[n]``, each row for itself. Kingma and Welling (2014), section 2.4.
    """
    centers, radii = (p.detach().expand_as(eps).clone().requires_grad_() for p in (mu, log_var))
    total = _priced(price, reparameterize(centers, radii, eps)).sum()
    return BallGradient(*torch.autograd.grad(total, (centers, radii)))


def score_gradient(
    price: Callable[[Tensor], Tensor],
    mu: Float[Tensor, " d"],
    log_var: Float[Tensor, " d"],
    eps: Float[Tensor, "n d"],
    baseline: float = 0.0,
) -> BallGradient:
    r"""Estimates of $\nabla\,\mathbb{E}\,\ell(z)$ that weigh the ball's score by the price itself.

    $\nabla_\mu: (\ell(z)-\ell_0)\,\epsilon/\sigma$ and $\nabla_{\log\sigma^2}:
    \tfrac12(\ell(z)-\ell_0)(\epsilon^2-1)$, for any baseline $\ell_0$. price $\ell$ maps ``[n, d]`` to
    ``[n]`` and isn't differentiated. Williams (1992).
    """
    with torch.no_grad():
        centers, radii = mu.expand_as(eps), log_var.expand_as(eps)
        excess = (_priced(price, reparameterize(centers, radii, eps)) - baseline)[:, None]
        return BallGradient(excess * eps * torch.exp(-0.5 * radii), 0.5 * excess * (eps.square() - 1.0))


def _priced(price: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    values = price(z)
    if values.shape != z.shape[:1]:
        raise ValueError(f"price must return one number a point, [{len(z)}], got {list(values.shape)}")
    return values


class AxisTerms(NamedTuple):
    """What the second-order expansion of a squared error is made of, axis by axis."""

    speed: Float[Tensor, "n d"]
    bend: Float[Tensor, "n d"]


def axis_terms(
    decode: Callable[[Tensor], Tensor], x: Float[Tensor, "n c h w"], z: Float[Tensor, "n d"]
) -> AxisTerms:
    r"""Half the second derivatives of $\|x-g(z)\|^2$ along the axes, as speed minus bend.

    $\tfrac12\partial_k^2\|x-g\|^2 = \|\partial_kg\|^2 - (x-g)\cdot\partial_k^2g$. decode maps ``[n, d]`` to
    images like x, each row for itself. Raises ValueError unless it does.
    """
    load_forward_mode()
    speeds, bends = [], []
    for axis in torch.eye(z.shape[-1], dtype=z.dtype, device=z.device):

        def along(at: Tensor, direction: Tensor = axis) -> tuple[Tensor, Tensor]:
            return torch.func.jvp(decode, (at,), (direction.expand_as(at),))

        (y, first), (_, second) = torch.func.jvp(along, (z,), (axis.expand_as(z),))
        if y.shape != x.shape:
            raise ValueError(f"decode must return images of x's shape {list(x.shape)}, got {list(y.shape)}")
        speeds.append(first.square().flatten(1).sum(-1))
        bends.append(((x - y) * second).flatten(1).sum(-1))
    return AxisTerms(torch.stack(speeds, -1), torch.stack(bends, -1))


def optimal_log_var(speed: Float[Tensor, "*batch d"], beta: float) -> Float[Tensor, "*batch d"]:
    r"""The radii that pay best, as logs of their squares: $\sigma_k^{-2}=1+\tfrac2\beta\,\text{speed}_k$.

    With the speed $\|\partial_kg(\mu)\|^2$ it is the optimum of the second-order expansion; with the mean of
    speed minus bend over the ball itself it is exact. Kumar and Poole (2020); Opper and Archambeau (2009).
    Raises ValueError for a beta that isn't positive.
    """
    if not beta > 0:
        raise ValueError(f"beta must be positive, got {beta}")
    return -torch.log1p(2.0 / beta * speed)


@torch.no_grad()
def errors_off_center(
    decode: Callable[[Tensor], Tensor],
    x: Float[Tensor, "n c h w"],
    mu: Float[Tensor, "n d"],
    step: Float[Tensor, "n d"],
    radii: Sequence[float],
) -> Float[Tensor, "t n"]:
    r"""The squared error of each image, decoded at $\mu + c\,\text{step}$, for each c of the radii.

    With a step of $\sigma\odot\epsilon$, c = 1 is a draw from the ball.
    """
    return torch.stack([(decode(mu + c * step) - x).square().flatten(1).sum(-1) for c in radii])
