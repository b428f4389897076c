r"""What a path asks of a metric, $v^\top G(z)\,v$ and its slope, without a dense matrix where G has none.

Three forms: any callable gives dense matrices; a metric with a ``log_diagonal`` is diagonal; the metric of a
low-cost path is a number times I. G stands for ``[*batch, d, d]``, ``[*batch, d]`` or ``[*batch, 1]``.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

Parts = tuple[Tensor, Tensor, Tensor, Tensor]  # G, G v, v.G v and the slope of the last in z


def call_metric(metric, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d d"]:
    """``metric(z)``; ValueError unless it is callable and gives a tensor ``[*batch, d, d]`` of z's dtype."""
    if not callable(metric):
        raise ValueError(f"metric must be callable, z [*batch, d] to [*batch, d, d], got {metric!r}")
    g, expected = metric(z), (*z.shape, z.shape[-1])
    if not isinstance(g, Tensor) or g.shape != expected:
        got = tuple(g.shape) if isinstance(g, Tensor) else type(g).__name__
        raise ValueError(f"metric must return a tensor of shape {expected} for z {tuple(z.shape)}, got {got}")
    if g.dtype != z.dtype:
        raise ValueError(
            f"metric must return {z.dtype} for z of {z.dtype}, got {g.dtype}: convert one of them"
        )
    return g


def applied(g: Tensor, v: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    """G v for G in any of the three forms."""
    return g * v if g.ndim == v.ndim else (g @ v.unsqueeze(-1)).squeeze(-1)


def over(g: Tensor, numbers: Float[Tensor, "*batch"]) -> Tensor:
    """One number for each G, with as many axes as G."""
    return numbers.reshape(numbers.shape + (1,) * (g.ndim - numbers.ndim))


class Dense:
    """Any metric: a callable from z ``[*batch, d]`` to matrices ``[*batch, d, d]``."""

    def __init__(self, metric) -> None:
        self.metric = metric

    @staticmethod
    def numbers(d: int) -> int:
        """How many numbers one G takes."""
        return d * d

    def at(self, z: Float[Tensor, "*batch d"]) -> Tensor:
        """G(z)."""
        return call_metric(self.metric, z)

    def squares(self, z: Float[Tensor, "*batch d"], v: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """v.G(z) v, for autograd to follow."""
        return (applied(self.at(z), v) * v).sum(-1)

    def parts(self, z: Float[Tensor, "*batch d"], v: Float[Tensor, "*batch d"]) -> Parts:
        """G(z), G v, v.G v and the slope of v.G(z) v in z."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            g = self.at(z)
            moved = applied(g, v)
            square = (moved * v).sum(-1)
            slope = _slope(square.sum(), z, g)
        return g.detach(), moved.detach(), square.detach(), slope


class Diagonal(Dense):
    """A metric whose ``log_diagonal(z)`` ``[*batch, d]`` is the log of all there is of G(z)."""

    @staticmethod
    def numbers(d: int) -> int:
        return d

    def at(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        return torch.exp(self.metric.log_diagonal(z))

    def parts(self, z: Float[Tensor, "*batch d"], v: Float[Tensor, "*batch d"]) -> Parts:
        if not hasattr(self.metric, "log_diagonal_and_slope"):
            return super().parts(z, v)
        logs, slope = self.metric.log_diagonal_and_slope(z.detach(), v)
        g = torch.exp(logs)
        return g, g * v, (g * v.square()).sum(-1), slope


class Conformal(Dense):
    r"""The metric $V^{2\,\text{power}}I$ with $V=1/\sqrt{\det G}$, over exp(2 ``middle``).

    Logs beyond ``limit`` from the middle count as that.
    """

    def __init__(self, metric, power: float, middle: float = 0.0, limit: float = math.inf) -> None:
        super().__init__(metric)
        self.power, self.middle, self.limit = power, middle, limit

    @staticmethod
    def numbers(d: int) -> int:
        return d

    def log_cost(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """Log of what a plain unit of way costs, over that of the middle."""
        return -self.power * _log_volume(self.metric, z) - self.middle

    def at(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch 1"]:
        return torch.exp(2.0 * self.log_cost(z).clamp(-self.limit, self.limit)).unsqueeze(-1)

    def parts(self, z: Float[Tensor, "*batch d"], v: Float[Tensor, "*batch d"]) -> Parts:
        if not hasattr(self.metric, "log_volume_and_grad"):
            return super().parts(z, v)
        log_v, grad = self.metric.log_volume_and_grad(z.detach())
        log_cost = -self.power * log_v - self.middle
        g = torch.exp(2.0 * log_cost.clamp(-self.limit, self.limit)).unsqueeze(-1)
        square = g.squeeze(-1) * v.square().sum(-1)
        scale = -2.0 * self.power * square * (log_cost.abs() <= self.limit)
        return g, g * v, square, scale.unsqueeze(-1) * grad


class Rounded:
    """A metric in single precision for points in double: enough for the first rounds of a search."""

    def __init__(self, metric) -> None:
        self.metric = metric

    def log_volume(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """The metric's own, in double."""
        return self.metric.log_volume(z.float()).double()

    def log_diagonal(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        """The metric's own, in double."""
        return self.metric.log_diagonal(z.float()).double()

    def log_diagonal_and_slope(
        self, z: Float[Tensor, "*batch d"], v: Float[Tensor, "*batch d"]
    ) -> tuple[Tensor, Tensor]:
        """The metric's own, in double."""
        logs, slope = self.metric.log_diagonal_and_slope(z.float(), v.float())
        return logs.double(), slope.double()

    def log_volume_and_grad(self, z: Float[Tensor, "*batch d"]) -> tuple[Tensor, Tensor]:
        """The metric's own, in double."""
        log_v, grad = self.metric.log_volume_and_grad(z.float())
        return log_v.double(), grad.double()


def form_of(metric) -> Dense:
    """The form of a metric: itself where it is one, else diagonal where it has a ``log_diagonal``."""
    if isinstance(metric, Dense):
        return metric
    return Diagonal(metric) if callable(getattr(metric, "log_diagonal", None)) else Dense(metric)


def _log_volume(metric, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    """Log of sqrt det G by the metric's own ``log_volume``, its ``log_diagonal`` or a Cholesky factor."""
    if hasattr(metric, "log_volume"):
        return metric.log_volume(z)
    if hasattr(metric, "log_diagonal"):
        return 0.5 * metric.log_diagonal(z).sum(-1)
    factor, failed = torch.linalg.cholesky_ex(call_metric(metric, z))
    return torch.where(failed > 0, torch.nan, factor.diagonal(dim1=-2, dim2=-1).log().sum(-1))


def _slope(total: Tensor, z: Tensor, g: Tensor) -> Tensor:
    if total.requires_grad:
        (grad,) = torch.autograd.grad(total, z, allow_unused=True)
        return grad if grad is not None else torch.zeros_like(z)
    rows = g.flatten(0, z.ndim - 2)
    rows = rows[torch.isfinite(rows).flatten(1).all(1)]
    if not torch.equal(rows, rows[:1].expand_as(rows)):
        raise ValueError("metric must be differentiable by autograd, got one that it can't follow")
    return torch.zeros_like(z)
