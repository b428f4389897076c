r"""Riemannian metrics on latent space: that of posterior balls, a decoder's pullback, and known ones.

A metric is anything that maps points ``[*batch, d]`` to symmetric positive definite matrices
``[*batch, d, d]``. Those of this module also have ``log_volume(z)``, the log of $\sqrt{\det G(z)}$.
"""

import copy
import math
from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.metrics.ball_sums import TOLERANCE, BallSums
from riemvae_core.metrics.centroids import choose_medoids, matched_rho, nearest_neighbor_rho
from riemvae_core.metrics.known import ConstantMetric, HalfPlaneMetric, SphereMetric
from riemvae_core.metrics.places import check_places, check_values
from riemvae_core.metrics.pullback import PullbackMetric
from riemvae_core.numerics import check_finite, check_floats, with_own_gradients

__all__ = ["ConstantMetric", "HalfPlaneMetric", "PosteriorMetric", "PullbackMetric", "SphereMetric"]

# logs of variances whose exponentials stay within the range of float64
LOG_VAR_LIMIT = 690.0
REMEDY = "take balls and z in float64, or z nearer to the balls"


def _check_number(name: str, value: float, positive: bool) -> float:
    try:
        number = math.nan if isinstance(value, str | bytes | bool) else float(value)
    except (TypeError, ValueError, RuntimeError):  # no number, or several
        number = math.nan
    came = repr(value) if math.isnan(number) else number
    if not math.isfinite(number) or number < 0.0 or (positive and number == 0.0):
        raise ValueError(
            f"{name} must be a finite number {'above' if positive else 'of at least'} 0, got {came}"
        )
    return number


def _check_rho(rho: float) -> float:
    number = _check_number("rho", rho, positive=True)
    if not 1e-150 <= number <= 1e150:
        raise ValueError(f"rho must be from 1e-150 to 1e150, so that its square is a number, got {number:g}")
    return number


def _check_balls(mu: Tensor, log_var: Tensor) -> None:
    check_floats(mu=mu, log_var=log_var)
    if mu.ndim != 2 or 0 in mu.shape:
        raise ValueError(f"mu must be [n, d] with n and d at least 1, got {tuple(mu.shape)}")
    if log_var.shape != mu.shape:
        raise ValueError(f"log_var must have mu's shape {tuple(mu.shape)}, got {tuple(log_var.shape)}")
    if mu.dtype not in TOLERANCE or log_var.dtype != mu.dtype:
        raise ValueError(
            f"mu and log_var must both be float32 or both float64, got {mu.dtype} and {log_var.dtype}"
        )
    check_finite(mu=mu, log_var=log_var)
    beyond = (log_var.detach().abs() > LOG_VAR_LIMIT).any(1)
    if bool(beyond.any()):
        row, limit = int(beyond.nonzero()[0]), LOG_VAR_LIMIT
        raise ValueError(
            f"log_var must lie from -{limit:g} to {limit:g}, got a row, {row}, that goes from "
            f"{log_var[row].min().item():g} to {log_var[row].max().item():g}: leave it out"
        )


def _mean_sum(function: Callable[[Tensor], Tensor], values: Float[Tensor, "n d"]) -> float:
    """Mean over rows of a function's sums over axes, in double precision where single's range is left."""
    mean = function(values).sum(1).mean().item()
    return mean if 0.0 < mean < math.inf else function(values.cpu().double()).sum(1).mean().item()


class PosteriorMetric:
    r"""The metric that the posterior balls of a VAE draw, $G(z)=\sum_i\omega_i(z)\,\Sigma_i^{-1}+\lambda
    e^{-\tau\|z\|^2}I$ with $\omega_i(z)=\exp(-m_i(z)^2/\rho^2)$.

    $m_i(z)^2=\sum_k(z_k-\mu_{ik})^2/\sigma_{ik}^2$ is the squared Mahalanobis distance to ball i. G is
    diagonal, as the posteriors are. Chadebec and Allassonniere (2022), eq. (7).

    mu, log_var: the balls, ``[n, d]``, float32 or float64; points must come in the same dtype.
    rho: the Mahalanobis distance at which a ball's weight has fallen to 1/e, above 0.
    lam: the precision of the empty space at the origin, in units of 1/z^2, at least 0.
    tau: how fast that fades, in units of 1/z^2, at least 0 (at 0 the volume of the whole space is infinite).

    Cost: linear in points x n x d, as matrix products, through chunks of points that stay within a memory
    budget. Sums are taken relative to their largest term, so nothing underflows far from all balls.

    Digits: the products need the square expanded, $\sum_k\sigma_{ik}^{-2}(z_k^2-2z_k\mu_{ik}+\mu_{ik}^2)$
    about the medians of mu. Rounding then costs up to $4\sum_k\mu_{ik}^2/(\rho\sigma_{ik})^2$ times the
    dtype's ``eps`` in $\log\omega_i$, however far z is, and d/2 times that in ``log_volume``. Where this
    exceeds 1e-3 of log volume for float32 balls (or 1e-4 of a weight's log), the work is done in float64 (if
    the device has it) and the result rounded; where it still does (1e-8 and 1e-9 for float64 balls), the
    balls concerned, and only they, are measured by differences, which keeps all digits and takes about 13
    times as long (measured at d=16).

    Every method can be differentiated and vmapped by torch; the graph then keeps several numbers for each
    pair of point and ball. ``log_volume_and_grad`` gives the same first derivative within the memory budget.
    Raises ValueError for shapes, dtypes, numbers that are not finite and parameters out of range,
    FloatingPointError, with the place, where a value leaves the range of its floats.

    Example:
        >>> log_var = torch.tensor([[0.0, math.log(0.25)]])
        >>> metric = rc.PosteriorMetric(torch.zeros(1, 2), log_var, rho=2.0, lam=1e-6, tau=0.1)
        >>> metric.diagonal(torch.zeros(2))  # at the center of a ball: its precision
        tensor([1.00, 4.00])
    """

    @with_own_gradients
    def __init__(
        self, mu: Float[Tensor, "n d"], log_var: Float[Tensor, "n d"], rho: float, lam: float, tau: float
    ) -> None:
        _check_balls(mu, log_var)
        self.mu, self.log_var = mu.detach(), log_var.detach()
        self.rho = _check_rho(rho)
        self.lam = _check_number("lam", lam, positive=False)
        self.tau = _check_number("tau", tau, positive=False)
        self._log_lam = math.log(self.lam) if self.lam > 0.0 else -math.inf
        self._balls = BallSums(self.mu, self.log_var, self.rho)

    def _log_background(self, z: Float[Tensor, "m d"]) -> Float[Tensor, "m 1"]:
        return self._log_lam - self.tau * z.square().sum(1, keepdim=True)

    def _check_places(self, z: Tensor) -> None:
        check_places(z, self.mu.shape[1])
        if z.dtype != self.mu.dtype:
            raise ValueError(f"z must have mu's dtype {self.mu.dtype}, got {z.dtype}")

    def _by_chunks(
        self, z: Float[Tensor, "*batch d"], function: Callable[[Tensor], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """``function`` of the rows of z in the working precision, put together in z's shape and dtype."""
        self._check_places(z)
        flat, batch = z.reshape(-1, z.shape[-1]), z.shape[:-1]
        parts = [function(rows.to(self._balls.dtype)) for rows in flat.split(self._balls.chunk_rows)]
        whole = [part[0] if len(part) == 1 else torch.cat(part) for part in zip(*parts, strict=True)]
        return tuple(t.reshape((*batch, *t.shape[1:])).to(z.dtype) for t in whole)

    def log_diagonal(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        r"""The logs of the diagonal of G(z), $\log G_{kk}(z)$; finite however far z is from all balls."""
        logs = self._log_diagonal(z)
        check_values("log_diagonal", logs, z, REMEDY)
        return logs

    def _log_diagonal(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        def rows(z: Tensor) -> tuple[Tensor]:
            diagonal, shift = self._balls.sums(z, self._log_background(z))
            return (torch.log(diagonal) + shift,)

        return self._by_chunks(z, rows)[0]

    def diagonal(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
        r"""The diagonal of G(z), $\sum_i\omega_i(z)/\sigma_{ik}^2+\lambda e^{-\tau\|z\|^2}$."""
        diagonal = torch.exp(self._log_diagonal(z))
        check_values(
            "G", diagonal, z, "take log_volume or log_diagonal, or balls and z in float64", positive=True
        )
        return diagonal

    def __call__(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d d"]:
        """G(z) as a matrix: ``diagonal(z)`` embedded."""
        return torch.diag_embed(self.diagonal(z))

    def log_volume(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        r"""Log of the volume element, $\tfrac12\log\det G=\tfrac12\sum_k\log G_{kk}$."""

        def rows(z: Tensor) -> tuple[Tensor]:
            diagonal, shift = self._balls.sums(z, self._log_background(z))
            return (self._half_log_det(diagonal, shift),)

        (log_volume,) = self._by_chunks(z, rows)
        check_values("log_volume", log_volume, z, REMEDY)
        return log_volume

    @staticmethod
    def _half_log_det(diagonal: Float[Tensor, "m d"], shift: Float[Tensor, "m 1"]) -> Float[Tensor, " m"]:
        return 0.5 * (torch.log(diagonal).sum(1) + diagonal.shape[1] * shift.squeeze(1))

    def log_volume_and_grad(
        self, z: Float[Tensor, "*batch d"]
    ) -> tuple[Float[Tensor, "*batch"], Float[Tensor, "*batch d"]]:
        r"""``log_volume(z)`` and its gradient in closed form, in four matrix products and without a graph.

        $\partial_k\log\sqrt{\det G}=\tfrac12\sum_l G_{ll}^{-1}\big(\sum_i\sigma_{il}^{-2}\partial_k\omega_i
        -2\tau z_k\lambda e^{-\tau\|z\|^2}\big)$ with $\partial_k\omega_i=-\tfrac{2}{\rho^2}\sigma_{ik}^{-2}
        (z_k-\mu_{ik})\,\omega_i$.
        """
        self._check_places(z)
        balls, count = self._balls, z.shape[:-1].numel()
        store = z.new_empty(len(self.mu) * min(balls.chunk_rows, count), dtype=balls.dtype)

        def rows(z: Tensor) -> tuple[Tensor, Tensor]:
            log_background = self._log_background(z)
            diagonal, shift, pull = balls.sums_and_pull(z, log_background, store)
            fade = self.tau * torch.exp(log_background - shift) * (1.0 / diagonal).sum(1, keepdim=True)
            return self._half_log_det(diagonal, shift), -pull / self.rho**2 - fade * z

        with torch.no_grad():
            log_volume, gradient = self._by_chunks(z, rows)
        check_values("log_volume", log_volume, z, REMEDY)
        check_values("the gradient of log_volume", gradient, z, REMEDY)
        return log_volume, gradient

    def log_diagonal_and_slope(
        self, z: Float[Tensor, "*batch d"], v: Float[Tensor, "*batch d"]
    ) -> tuple[Float[Tensor, "*batch d"], Float[Tensor, "*batch d"]]:
        r"""``log_diagonal(z)`` and the slope in z of $v^\top G(z)\,v$, in closed form and without a graph.

        $\sum_lv_l^2\,\partial_kG_{ll}$, with $\partial_k\omega_i$ as ``log_volume_and_grad`` has it.
        """
        self._check_places(z)
        check_floats(v=v)
        if v.shape != z.shape:
            raise ValueError(f"v must have z's shape {tuple(z.shape)}, got {tuple(v.shape)}")
        balls, count = self._balls, z.shape[:-1].numel()
        store = z.new_empty(len(self.mu) * min(balls.chunk_rows, count), dtype=balls.dtype)
        squares = iter(v.square().reshape(-1, z.shape[-1]).to(balls.dtype).split(balls.chunk_rows))

        def rows(z: Tensor) -> tuple[Tensor, Tensor]:
            log_background, along = self._log_background(z), next(squares)
            diagonal, shift, pull = balls.sums_and_pull(z, log_background, store, along)
            fade = self.tau * torch.exp(log_background) * along.sum(1, keepdim=True)
            return torch.log(diagonal) + shift, -2.0 * (pull * torch.exp(shift) / self.rho**2 + fade * z)

        with torch.no_grad():
            logs, slope = self._by_chunks(z, rows)
        check_values("log_diagonal", logs, z, REMEDY)
        return logs, slope

    def in_double(self) -> "PosteriorMetric":
        """The same metric for points in float64."""
        same = copy.copy(self)
        same.mu, same.log_var = self.mu.double(), self.log_var.double()
        same._balls = BallSums(same.mu, same.log_var, same.rho)
        return same

    @classmethod
    def fit(
        cls,
        mu: Float[Tensor, "n d"],
        log_var: Float[Tensor, "n d"],
        n_centroids: int | None = None,
        background: float = 1e-3,
        generator: torch.Generator | None = None,
        *,
        rho: float | Literal["matched", "paper"] = "matched",
        lam: float | None = None,
    ) -> "PosteriorMetric":
        r"""A metric for the encodings of a data set, its numbers chosen so that the uniform law makes sense.

        n_centroids: None keeps every ball; a number keeps that many medoids (see ``choose_medoids``).
        background: the volume of the empty space over that of all balls, if these are apart; above 0. It sets
        $\tau=\frac{\lambda}{\rho^2}(Rn)^{-2/d}$ for n centroids and this R, derived in chapter 5.
        rho: a number, or "matched": $\rho^2=\mathbb E\,m_i(z)^2$, the mean over all posteriors of the squared
        Mahalanobis distance to the centroid that stands for them. It is d if every ball is kept, and then
        balls that are apart have the aggregate posterior for their uniform law; with fewer it grows. "paper":
        the largest Euclidean distance from a centroid to the nearest other one, as in the code that goes with
        the paper. That number changes with the unit of z, while the distance it divides does not.
        lam: None for $0.02/\mathbb E\|\sigma\|^2$, so small that at the center of a ball the background adds
        about 0.01 to the log volume, and no more than gives $\tau\le 1/\mathbb E\|z\|^2$, so that it fades no
        sooner than the posteriors do. With "matched" and None the uniform law does not depend on z's unit.
        Raises ValueError for shapes and ranges.
        """
        _check_balls(mu, log_var)
        check_finite(**{"exp(log_var)": torch.exp(log_var)})
        _check_number("background", background, positive=True)
        keep = choose_medoids(mu, n_centroids, generator)
        if rho == "matched":
            rho = matched_rho(mu, log_var, keep)
        elif rho == "paper":
            rho = nearest_neighbor_rho(mu[keep])
        elif isinstance(rho, str):
            raise ValueError(f"rho must be a number, 'matched' or 'paper', got {rho!r}")
        rho = _check_rho(rho)
        spread = (background * len(keep)) ** (2.0 / mu.shape[1]) * rho**2  # lam / tau
        if lam is None:
            var, second = _mean_sum(torch.exp, log_var), _mean_sum(torch.square, mu)
            lam = min(0.02 / var, spread / (var + second))
        lam = _check_number("lam", lam, positive=True)
        return cls(mu[keep], log_var[keep], rho, lam, lam / spread)
