r"""What noise asks of a decoder: errors off the ball, the radius that pays best, two ways to a gradient.

All of it is derived in chapter 3. Prices are squared errors summed over pixels, radii and $\epsilon$ as in
``gaussians``.
"""

from collections.abc import Callable, Sequence
from numbers import Real
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.balls.gaussians import reparameterize
from riemvae_core.numerics import check_floats, check_number, load_forward_mode


class BallGradient(NamedTuple):
    """One estimate a draw of the gradient of an expected price with respect to a ball.

    In units of the price, by the center and by the logs of the squared radii; their mean is unbiased.

    Example:
        >>> eps = torch.tensor([[-1.0], [1.0]])
        >>> draws = rc.pathwise_gradient(lambda z: 2 * z[:, 0], torch.zeros(1), torch.zeros(1), eps)
        >>> draws.mu.mean(0), draws.log_var.mean(0)  # a slope: the center matters, the radius does not
        (tensor([2.00]), tensor([0.00]))
    """

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
    price $\ell$, in a VAE the error of a draw, maps ``[n, d]`` to ``[n]``, each row for itself; ValueError
    if not. Kingma and Welling (2014), section 2.4.

    Example:
        >>> eps = torch.tensor([[-1.0], [1.0]])
        >>> draws = rc.pathwise_gradient(lambda z: z[:, 0] ** 2, torch.tensor([3.0]), torch.zeros(1), eps)
        >>> draws.mu.mean(0), draws.log_var.mean(0)  # of mu^2 + sigma^2
        (tensor([6.00]), tensor([1.00]))
    """
    _check_draws(mu, log_var, eps)
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
    \tfrac12(\ell(z)-\ell_0)(\epsilon^2-1)$, for any baseline $\ell_0$. price $\ell$, in a VAE the
    error of a draw, maps ``[n, d]`` to ``[n]`` and isn't differentiated; ValueError if not. Williams (1992).

    Example:
        >>> eps = 3**0.5 * torch.tensor([-1.0, 0, 0, 0, 0, 1])[:, None]  # moments of N(0, 1)
        >>> draws = rc.score_gradient(lambda z: z[:, 0] ** 2, torch.tensor([3.0]), torch.zeros(1), eps)
        >>> draws.mu.mean(0), draws.log_var.mean(0)  # of mu^2 + sigma^2
        (tensor([6.00]), tensor([1.00]))
    """
    _check_draws(mu, log_var, eps)
    check_number(baseline=baseline)
    with torch.no_grad():
        centers, radii = mu.expand_as(eps), log_var.expand_as(eps)
        excess = (_priced(price, reparameterize(centers, radii, eps)) - baseline)[:, None]
        return BallGradient(excess * eps * torch.exp(-0.5 * radii), 0.5 * excess * (eps.square() - 1.0))


def _check_draws(mu: Tensor, log_var: Tensor, eps: Tensor) -> None:
    check_floats(mu=mu, log_var=log_var, eps=eps)
    if eps.ndim != 2 or mu.shape != eps.shape[1:] or log_var.shape != eps.shape[1:]:
        came = ", ".join(str(list(t.shape)) for t in (mu, log_var, eps))
        raise ValueError(f"mu and log_var must be [d] and eps [n, d], got {came}")


def _priced(price: Callable[[Tensor], Tensor], z: Tensor) -> Tensor:
    values = price(z)
    if values.shape != z.shape[:1]:
        raise ValueError(f"price must return one number a point, [{len(z)}], got {list(values.shape)}")
    return values


class AxisTerms(NamedTuple):
    r"""What the second-order expansion of a squared error is made of, axis by axis.

    ``speed`` is $\|\partial_kg\|^2$, ``bend`` is $(x-g)\cdot\partial_k^2g$, in squared gray levels, summed
    over pixels. Derived in chapter 3; ``axis_terms`` returns it.

    Example:
        >>> flat = lambda z: (z @ torch.tensor([[3.0, 4.0]]))[:, None, None]
        >>> rc.axis_terms(flat, torch.zeros(1, 1, 1, 2), torch.ones(1, 1)).speed
        tensor([[25.00]])
    """

    speed: Float[Tensor, "n d"]
    bend: Float[Tensor, "n d"]


def axis_terms(
    decode: Callable[[Tensor], Tensor], x: Float[Tensor, "n c h w"], z: Float[Tensor, "n d"]
) -> AxisTerms:
    r"""Half the second derivatives of $\|x-g(z)\|^2$ along the axes, as speed minus bend.

    $\tfrac12\partial_k^2\|x-g\|^2 = \|\partial_kg\|^2 - (x-g)\cdot\partial_k^2g$. decode maps ``[n, d]`` to
    images like x, each row for itself. Derived in chapter 3. Raises ValueError unless decode does so.

    Example:
        >>> parabola = lambda z: torch.cat([z, z**2], -1)[:, None, None]
        >>> rc.axis_terms(parabola, torch.zeros(1, 1, 1, 2), torch.ones(1, 1))
        AxisTerms(speed=tensor([[5.00]]), bend=tensor([[-2.00]]))
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
    speed minus bend over the ball itself it is exact. Derived in chapter 3, after Kumar and Poole (2020) and
    Opper and Archambeau (2009). Raises ValueError for a beta that isn't positive.

    Example:
        >>> torch.exp(0.5 * rc.optimal_log_var(torch.tensor([0.0, 1.5]), beta=1.0))  # the radii
        tensor([1.00, 0.50])
    """
    check_floats(speed=speed)
    if not isinstance(beta, Real) or not beta > 0:
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

    With a step of $\sigma\odot\epsilon$, c = 1 is a draw from the ball. In squared gray levels, summed over
    pixels. Chapter 3 gives the mean over draws to second order in c. Raises
    ValueError for shapes, for no radius, and unless decode returns images of x's shape.

    Example:
        >>> decode, zero = lambda z: z[..., None, None], torch.zeros(1, 1)
        >>> rc.errors_off_center(decode, decode(zero), zero, torch.ones(1, 1), [0.0, 1.0, 2.0]).flatten()
        tensor([0.00, 1.00, 4.00])
    """
    check_floats(x=x, mu=mu, step=step)
    if mu.ndim != 2 or step.shape != mu.shape or len(radii) == 0:
        came = f"{list(mu.shape)}, {list(step.shape)} and {len(radii)}"
        raise ValueError(f"mu and step must be [n, d] and radii hold a number, got {came}")
    decoded = [decode(mu + c * step) for c in radii]
    if wrong := [list(y.shape) for y in decoded if y.shape != x.shape]:
        raise ValueError(f"decode must return images of x's shape {list(x.shape)}, got {wrong[0]}")
    return torch.stack([(y - x).square().flatten(1).sum(-1) for y in decoded])
