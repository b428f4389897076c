r"""Diagonal Gaussians read as balls: center ``mu``, squared radii ``exp(log_var)``, everything in nats.

A number that isn't finite makes its own ball's value so and no other's; the sums over balls refuse it.
"""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.numerics import check_finite, check_floats, chunks

#: The constant of a normal density along one axis, log 2 pi, in nats.
LOG_2PI = math.log(2.0 * math.pi)


def _check_same_shape(**tensors: Tensor) -> None:
    check_floats(**tensors)
    (first, a), *others = tensors.items()
    for name, b in others:
        if b.shape != a.shape:
            raise ValueError(f"{name} must have {first}'s shape {tuple(a.shape)}, got {tuple(b.shape)}")


def _check_axes(**tensors: Tensor) -> None:
    check_floats(**tensors)
    for name, x in tensors.items():
        if x.ndim == 0:
            raise ValueError(f"{name} must be [*batch, d], got a single number")


def _check_broadcast(**tensors: Tensor) -> None:
    _check_axes(**tensors)
    shapes = [tuple(t.shape) for t in tensors.values()]
    try:
        torch.broadcast_shapes(*(s[:-1] for s in shapes))
        fits = len({s[-1:] for s in shapes}) == 1
    except RuntimeError:
        fits = False
    if not fits:
        raise ValueError(
            f"{', '.join(tensors)} must end in the same d and broadcast before it, "
            f"got {', '.join(map(str, shapes))}"
        )


class Balls(NamedTuple):
    r"""Diagonal Gaussian posteriors: their centers and the logs of their squared radii.

    $q(z\mid x)=N(\mu,\operatorname{diag}\sigma^2)$, in the units of z. Defined in chapter 1.

    Example:
        >>> balls = rc.Balls(mu=torch.zeros(1, 2), log_var=torch.tensor([[0.0, math.log(4.0)]]))
        >>> torch.exp(0.5 * balls.log_var)  # the radii
        tensor([[1.00, 2.00]])
    """

    mu: Float[Tensor, "*batch d"]
    log_var: Float[Tensor, "*batch d"]


def reparameterize(
    mu: Float[Tensor, "*batch d"], log_var: Float[Tensor, "*batch d"], eps: Float[Tensor, "*batch d"]
) -> Float[Tensor, "*batch d"]:
    r"""The point $\mu + \sigma \odot \epsilon$ of a ball: a draw from it when eps is one from N(0, I).

    Kingma and Welling (2014), section 2.4. Raises ValueError unless the three shapes agree.

    Example:
        >>> rc.reparameterize(torch.tensor([1.0]), torch.tensor([math.log(4.0)]), torch.tensor([3.0]))
        tensor([7.00])
    """
    _check_same_shape(mu=mu, log_var=log_var, eps=eps)
    return mu + torch.exp(0.5 * log_var) * eps


def kl_pull(mu: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    r"""The part of the KL term that pulls a ball to the origin, $\tfrac12\sum_k\mu_k^2$, in nats.

    Derived in chapter 2.

    Example:
        >>> rc.kl_pull(torch.tensor([[1.0, 2.0]]))
        tensor([2.50])
    """
    _check_axes(mu=mu)
    return 0.5 * mu.square().sum(-1)


def kl_barrier(log_var: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    r"""The part of the KL term that guards the radii, $\tfrac12\sum_k(\sigma_k^2-\log\sigma_k^2-1)$, in nats.

    At least 0, equal to 0 only where every radius is 1, and without bound as a radius goes to 0. Derived in
    chapter 2.

    Example:
        >>> rc.kl_barrier(torch.log(torch.tensor([[1.0], [0.25], [0.0]])))
        tensor([0.000, 0.318, inf])
    """
    _check_axes(log_var=log_var)
    return 0.5 * (torch.expm1(log_var) - log_var).sum(-1)


def kl_to_standard_normal(
    mu: Float[Tensor, "*batch d"], log_var: Float[Tensor, "*batch d"]
) -> Float[Tensor, "*batch"]:
    r"""KL( N(mu, diag exp log_var) || N(0, I) ) in nats, one value a ball: ``kl_pull`` plus ``kl_barrier``.

    $\tfrac12\sum_k(\mu_k^2+\sigma_k^2-\log\sigma_k^2-1)$; Kingma and Welling (2014), appendix B. Raises
    ValueError unless the two shapes agree.

    Example:
        >>> ball = torch.tensor([1.0, 2.0]), torch.tensor([0.0, math.log(0.25)])
        >>> rc.kl_to_standard_normal(*ball)  # pull 2.5, barrier 0.318
        tensor(2.818)
    """
    _check_same_shape(mu=mu, log_var=log_var)
    return kl_pull(mu) + kl_barrier(log_var)


def log_prob(
    z: Float[Tensor, "*#batch d"], mu: Float[Tensor, "*#batch d"], log_var: Float[Tensor, "*#batch d"]
) -> Float[Tensor, "*batch"]:
    r"""Log density of N(mu, diag exp log_var) at z, in nats; leading dimensions broadcast.

    $-\tfrac12\sum_k\big((z_k-\mu_k)^2/\sigma_k^2 + \log\sigma_k^2 + \log 2\pi\big)$. Raises ValueError unless
    the last dimensions agree and the others broadcast. Chapter 1 calls this law a ball.

    Example:
        >>> rc.log_prob(torch.zeros(2), torch.zeros(2), torch.zeros(2))  # -log 2 pi
        tensor(-1.838)
    """
    _check_broadcast(z=z, mu=mu, log_var=log_var)
    scaled = (z - mu) * torch.exp(-0.5 * log_var)
    return -0.5 * (scaled.square() + log_var + LOG_2PI).sum(-1)


def entropy(log_var: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    r"""Differential entropy of a ball, $\tfrac12\sum_k(\log\sigma_k^2 + 1 + \log 2\pi)$, in nats.

    Cover and Thomas (2006), theorem 8.4.1.

    Example:
        >>> rc.entropy(torch.log(torch.tensor([[1.0], [4.0]])))  # twice the radius: log 2 more
        tensor([1.419, 2.112])
    """
    _check_axes(log_var=log_var)
    return 0.5 * (log_var + 1.0 + LOG_2PI).sum(-1)


def log_volume(log_var: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    r"""Log of the volume of the ellipsoid $\sum_k (z_k-\mu_k)^2/\sigma_k^2 \le 1$.

    $\tfrac d2\log\pi - \log\Gamma(\tfrac d2+1) + \tfrac12\sum_k\log\sigma_k^2$: the unit ball's volume times
    the radii. In nats. Chapter 2 prices the radii's part and calls it $\log V$.

    Example:
        >>> torch.exp(rc.log_volume(torch.tensor([math.log(4.0), 0.0])))  # an ellipse of radii 2 and 1
        tensor(6.283)
    """
    _check_axes(log_var=log_var)
    d = log_var.shape[-1]
    unit_ball = 0.5 * d * math.log(math.pi) - math.lgamma(0.5 * d + 1.0)
    return unit_ball + 0.5 * log_var.sum(-1)


def bhattacharyya(
    mu_a: Float[Tensor, "*#batch d"],
    log_var_a: Float[Tensor, "*#batch d"],
    mu_b: Float[Tensor, "*#batch d"],
    log_var_b: Float[Tensor, "*#batch d"],
) -> Float[Tensor, "*batch"]:
    r"""Bhattacharyya distance between balls, in nats: $-\log\int\sqrt{q_a q_b}$, 0 where the two coincide.

    $\sum_k \frac{(\mu_{ak}-\mu_{bk})^2}{4(\sigma_{ak}^2+\sigma_{bk}^2)} +
    \tfrac12\log\frac{\sigma_{ak}^2+\sigma_{bk}^2}{2\sigma_{ak}\sigma_{bk}}$; leading dimensions broadcast.
    The overlap is the exponential of its negative, between 0 and 1. Bhattacharyya (1943). Raises ValueError
    unless the last dimensions agree and the others broadcast.

    Example:
        >>> unit = torch.zeros(1)
        >>> rc.bhattacharyya(torch.tensor([0.0]), unit, torch.tensor([4.0]), unit)  # 4^2 / 8
        tensor(2.00)
    """
    _check_same_shape(mu_a=mu_a, log_var_a=log_var_a)
    _check_same_shape(mu_b=mu_b, log_var_b=log_var_b)
    _check_broadcast(mu_a=mu_a, mu_b=mu_b)
    log_sum = torch.logaddexp(log_var_a, log_var_b)
    apart = 0.25 * ((mu_a - mu_b).square() * torch.exp(-log_sum)).sum(-1)
    return apart + 0.5 * (log_sum - math.log(2.0) - 0.5 * (log_var_a + log_var_b)).sum(-1)


def _check_balls(z: Tensor, mu: Tensor, log_var: Tensor) -> None:
    _check_same_shape(mu=mu, log_var=log_var)
    _check_axes(z=z)
    if mu.ndim != 2 or len(mu) == 0 or z.shape[-1] != mu.shape[-1]:
        raise ValueError(
            f"mu must be [n, d] with n at least 1 and z's last dimension d, "
            f"got {tuple(mu.shape)} and {tuple(z.shape)}"
        )
    check_finite(mu=mu, log_var=log_var)


def log_prob_mixture(
    z: Float[Tensor, "*batch d"], mu: Float[Tensor, "n d"], log_var: Float[Tensor, "n d"]
) -> Float[Tensor, "*batch"]:
    r"""Log density at z of the aggregate posterior, in which all balls weigh the same, in nats.

    $\log\frac1n\sum_i N(z;\mu_i,\mathrm{diag}\,\sigma_i^2)$. Works through z in chunks, so memory stays
    bounded for any number of points and balls. Raises ValueError unless mu and log_var are finite and
    ``[n, d]`` and z ends in d. Hoffman and Johnson (2016) split the KL term by this law (chapter 2).

    Example:
        >>> mu, log_var = torch.tensor([[-9.0], [9.0]]), torch.zeros(2, 1)
        >>> rc.log_prob_mixture(mu, mu, log_var) - rc.log_prob(mu, mu, log_var)  # apart: -log 2
        tensor([-0.693, -0.693])
    """
    _check_balls(z, mu, log_var)
    flat = z.reshape(-1, z.shape[-1])
    parts = [
        torch.logsumexp(log_prob(flat[s, None], mu, log_var), dim=-1)
        for s in chunks(len(flat), 3 * mu.numel() * z.element_size())
    ]
    return (torch.cat(parts) if parts else flat.new_zeros(0)).reshape(z.shape[:-1]) - math.log(len(mu))


def responsibilities(
    z: Float[Tensor, "*batch d"], mu: Float[Tensor, "n d"], log_var: Float[Tensor, "n d"]
) -> Float[Tensor, "*batch n"]:
    r"""How likely each ball is to have emitted z, $w_i(z) = q_i(z)/\sum_j q_j(z)$; the sum over balls is 1.

    The best decoder under squared error is the average of the images with these weights (derived in
    chapter 1). Raises ValueError unless mu and log_var are finite and ``[n, d]`` and z ends in d.

    Example:
        >>> z, mu = torch.tensor([[0.0], [1.0]]), torch.tensor([[-1.0], [1.0]])
        >>> rc.responsibilities(z, mu, torch.zeros(2, 1))
        tensor([[0.500, 0.500],
                [0.119, 0.881]])
    """
    _check_balls(z, mu, log_var)
    return torch.softmax(log_prob(z.unsqueeze(-2), mu, log_var), dim=-1)
