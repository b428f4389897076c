r"""Mixtures of diagonal Gaussians with masses: what the uniform law would be if no two balls overlapped."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.balls import LOG_2PI
from riemvae_core.numerics import check_finite, check_floats, check_number, source_of, standard_normal

FLOOR = -80.0  # exp of anything lower is the slow path and no part of any sum
STORE_BYTES = 2**24  # for the logs of all components at a chunk of points, used again for every chunk
# how large an error the rounding of an expanded square may cause in the log of a component, by its dtype
TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9}


class MixtureValue(NamedTuple):
    """Log density of the masses at each point, its gradient, and the last component's share of it."""

    log_density: Float[Tensor, " m"]
    gradient: Float[Tensor, "m d"]
    last_share: Float[Tensor, " m"]


class BallMixture:
    r"""The density $\psi(z)=\sum_i\Psi_iN(z;\mu_i,\mathrm{diag}\,\sigma_i^2)$ with mass $\Psi=\sum_i\Psi_i$.

    ``mu`` and ``log_var`` are ``[k, d]``, ``log_mass`` holds the $\log\Psi_i$, ``[k]``. Distances are
    expanded into one matrix product around the mean of the centers. Rounding then costs the log of a
    component about $\epsilon\|\mu_i\|^2/\sigma_i^2$ nats: for float32 balls at most 1e-4, for float64 ones
    1e-9, because float64 takes over where float32 would lose more, and differences, which keep all digits
    and take about 13 times as long, for those balls that even float64 would spoil. Memory stays bounded for
    any number of points and balls. Raises ValueError for shapes that don't fit, numbers that are not finite
    and balls whose precision is beyond float64, FloatingPointError for points so far that the square of the
    distance is. Its use as a proposal is derived in chapter 7.

    Example:
        >>> from riemvae_core.laws import BallMixture
        >>> law = BallMixture(torch.zeros(2, 3), torch.zeros(2, 3), torch.tensor([0.0, math.log(3.0)]))
        >>> math.exp(law.log_total)  # the masses' sum
        4.0
        >>> _, component = law.sample(20_000, rc.make_generator(0))
        >>> component.double().mean().item()
        0.75
    """

    def __init__(
        self, mu: Float[Tensor, "k d"], log_var: Float[Tensor, "k d"], log_mass: Float[Tensor, " k"]
    ) -> None:
        if mu.ndim != 2 or len(mu) == 0 or log_var.shape != mu.shape or log_mass.shape != mu.shape[:1]:
            raise ValueError(
                "mu and log_var must be [k, d] and log_mass [k], "
                f"got {list(mu.shape)}, {list(log_var.shape)}, {list(log_mass.shape)}"
            )
        check_finite(mu=mu, log_var=log_var, log_mass=log_mass)
        self.mu, self.log_var, self.log_mass = mu, log_var, log_mass
        self.log_total = torch.logsumexp(log_mass.cpu().double(), 0).item()
        wide = torch.float32 if mu.device.type == "mps" else torch.float64
        at, spread = mu.to(wide), log_var.to(wide)
        self._precision, self._center = torch.exp(-spread), at.mean(0)
        if not torch.isfinite(self._precision).all():
            i = int((~torch.isfinite(self._precision)).any(1).nonzero()[0])
            raise ValueError(
                f"log_var must be above {-math.log(torch.finfo(wide).max):.0f}, so that exp(-log_var) is a "
                f"number, got {log_var[i].min().item():.6g} in row {i}: leave this ball out"
            )
        offset = at - self._center
        size = (self._precision * offset.square()).sum(-1)
        self._constant = log_mass.to(wide) - 0.5 * (spread + LOG_2PI).sum(-1)
        tolerance = TOLERANCE.get(mu.dtype, 1e-4)
        enough = (size + self._constant.abs()).max() * torch.finfo(torch.float32).eps < tolerance
        near = spread.abs().max() < 40.0  # far from overflow
        self._work = torch.float32 if enough and near and mu.dtype != torch.float64 else wide
        self._lossy = (~(size * torch.finfo(self._work).eps <= tolerance)).nonzero().flatten()
        # whether a weight at the floor, times its precision, could drown the precision of the nearest ball
        self._uneven = bool(spread.max() - spread.min() > -0.5 * FLOOR)
        drawn_in = self._precision * offset
        offset = self._constant - 0.5 * (drawn_in * offset).sum(-1)
        # log of component i at z = <P_i mu_i, z> - 1/2 <P_i, z^2> + offset_i: a product over 2 d + 1 columns
        columns = torch.cat([drawn_in, -0.5 * self._precision, offset[:, None]], dim=1)
        self._columns, self._center = columns.to(self._work), self._center.to(self._work)
        self._balls = tuple(t[self._lossy].to(self._work) for t in (at, self._precision, self._constant))

    def sample(
        self, n: int, generator: torch.Generator | None = None
    ) -> tuple[Float[Tensor, "n d"], Int[Tensor, " n"]]:
        """Independent draws and the component that each came from."""
        check_number(1, whole=True, n=n)
        source = source_of(generator)
        weights = torch.softmax(self.log_mass.to(source).double(), 0)
        index = torch.multinomial(weights, n, replacement=True, generator=generator).to(self.mu.device)
        eps = standard_normal((n, self.mu.shape[1]), self.mu, generator)
        return self.mu[index] + torch.exp(0.5 * self.log_var[index]) * eps, index

    def log_density(self, z: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
        r"""Log of $\psi$ at z, in nats: the normalized density plus ``log_total``."""
        return self._by_chunks(z, lambda x, logs: (self._weights(x, logs)[0],))[0]

    def log_density_and_last_share(
        self, z: Float[Tensor, "m d"]
    ) -> tuple[Float[Tensor, " m"], Float[Tensor, " m"]]:
        r"""Log of $\psi$ and the last component's share of it, for less than ``value_and_grad`` costs."""

        def rows(z: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
            log_density, weights, total = self._weights(z, room)
            return log_density, weights[:, -1] / total[:, 0]

        return tuple(self._by_chunks(z, rows))

    def value_and_grad(self, z: Float[Tensor, "m d"]) -> MixtureValue:
        r"""Log of $\psi$, its gradient $\sum_i w_i(z)(\mu_i-z)/\sigma_i^2$, the last one's share $w_i(z)$."""
        return MixtureValue(*self._by_chunks(z, self._value_and_grad))

    def average(self, z: Float[Tensor, "m d"]) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m d"]]:
        r"""Where the pulls of the components at z balance, and their mean precision there.

        $\sum_iw_i\mu_i/\sigma_i^2$ over $\sum_iw_i/\sigma_i^2$, the mean shift of Comaniciu and Meer (2002),
        and the latter.
        """

        def rows(z: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
            _, weights, total = self._weights(z, room)
            pulled, tight = (weights @ self._columns[:, :-1] / total).split(z.shape[1], dim=1)
            return self._center - 0.5 * pulled / tight, -2.0 * tight

        return tuple(self._by_chunks(z, rows))

    def _by_chunks(self, z: Tensor, function: Callable[[Tensor, Tensor], tuple[Tensor, ...]]) -> list[Tensor]:
        """``function`` of the rows of z about the center and of room for a number for each component."""
        check_floats(z=z)
        if z.ndim != 2 or z.shape[1] != self.mu.shape[1]:
            raise ValueError(f"z must be [m, {self.mu.shape[1]}], got {list(z.shape)}")
        rows = max(1, STORE_BYTES // (self._work.itemsize * len(self.mu)))
        parts, room = z.split(rows), z.new_empty((min(rows, len(z)), len(self.mu)), dtype=self._work)
        results = [function(part.to(self._work), room[: len(part)]) for part in parts]
        whole = [torch.cat(part).to(z.dtype) for part in zip(*results, strict=True)]
        if not torch.isfinite(whole[0]).all():
            i = int((~torch.isfinite(whole[0])).reshape(len(z), -1).any(1).nonzero()[0])
            raise FloatingPointError(
                f"the mixture has no finite log density at z = {z[i].tolist()} (row {i})"
            )
        return whole

    def _weights(self, z: Tensor, room: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r"""Log of $\psi$ at points, weights of the components there, and their sum."""
        x = z - self._center
        logs = torch.mm(torch.cat([x, x.square(), torch.ones_like(x[:, :1])], 1), self._columns.T, out=room)
        if len(self._lossy):
            logs[:, self._lossy] = self._by_difference(z)
        top = logs.amax(-1, keepdim=True)
        weights = logs.sub_(top).clamp_(min=FLOOR).exp_()
        if self._uneven:
            weights.masked_fill_(weights <= 2.0 * math.exp(FLOOR), 0.0)
        total = weights.sum(-1, keepdim=True)
        return (top + total.log()).squeeze(-1), weights, total

    def _by_difference(self, z: Tensor) -> Tensor:
        mu, precision, constant = self._balls
        logs = constant.expand(len(z), -1).clone()
        for axis in range(z.shape[1]):
            logs -= 0.5 * precision[:, axis] * (z[:, axis, None] - mu[:, axis]).square()
        return logs

    def _value_and_grad(self, z: Tensor, room: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        (log_density, weights, total), d = self._weights(z, room), z.shape[1]
        last = weights[:, -1] / total[:, 0]
        lossy = weights[:, self._lossy]
        weights[:, self._lossy] = 0.0
        pulled, tight = (weights @ self._columns[:, : 2 * d] / total).split(d, dim=1)
        gradient, (mu, precision, _) = pulled + 2.0 * tight * (z - self._center), self._balls
        for axis in range(d if len(self._lossy) else 0):
            gap = mu[:, axis] - z[:, axis, None]
            gradient[:, axis] += (lossy / total * gap) @ precision[:, axis]
        return log_density, gradient, last


def mixture_of_metric(metric) -> BallMixture:
    r"""The balls of a posterior metric and, last, its background, each with the volume it has alone.

    Ball i alone is $N(\mu_i,\tfrac{\rho^2}{d}\Sigma_i)$, its Riemannian volume $(2\pi\rho^2/d)^{d/2}$
    whatever its radii; the background is $N(0,\tfrac1{\tau d}I)$ with volume
    $(2\pi\lambda/(\tau d))^{d/2}$ (derived in chapter 5). In two dimensions with isotropic balls this is the
    uniform law itself; in more the law is nowhere less than this, and is more where balls overlap. Raises
    ValueError for a metric without balls or of infinite volume (tau = 0 with a background).

    Example:
        >>> from riemvae_core.laws import mixture_of_metric
        >>> mu, log_var = torch.tensor([[0.0, 0.0], [2.0, 1.0]]), torch.tensor([[0.0, 0.0], [-1.0, -1.0]])
        >>> metric = rc.PosteriorMetric(mu, log_var, rho=1.0, lam=0.1, tau=0.5)
        >>> z = torch.tensor([[0.3, -0.7], [1.5, 2.0]])
        >>> log_density = mixture_of_metric(metric).log_density(z)  # round balls in two dimensions: exact
        >>> torch.allclose(log_density, metric.log_volume(z), atol=1e-5)
        True
    """
    missing = [name for name in ("mu", "log_var", "rho", "lam", "tau") if not hasattr(metric, name)]
    if missing:
        raise ValueError(f"metric must be made of balls, as PosteriorMetric is, got one without {missing[0]}")
    mu, log_var = metric.mu, metric.log_var
    rho, lam, tau = (float(getattr(metric, name)) for name in ("rho", "lam", "tau"))
    d = mu.shape[1]
    log_mass = mu.new_full((len(mu),), 0.5 * d * (LOG_2PI + 2.0 * math.log(rho) - math.log(d)))
    log_var = log_var + (2.0 * math.log(rho) - math.log(d))
    if lam == 0.0:
        return BallMixture(mu, log_var, log_mass)
    if tau <= 0.0:
        raise ValueError(f"tau must be positive for the volume to be finite where lam is {lam}, got {tau}")
    background = 0.5 * d * (LOG_2PI + math.log(lam) - math.log(tau * d))
    return BallMixture(
        torch.cat([mu, torch.zeros_like(mu[:1])]),
        torch.cat([log_var, torch.full_like(mu[:1], -math.log(tau * d))]),
        torch.cat([log_mass, log_mass.new_full((1,), background)]),
    )
