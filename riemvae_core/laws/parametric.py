"""Laws of few numbers: the prior, one Gaussian, a mixture, a second VAE."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.balls import LOG_2PI, log_prob
from riemvae_core.laws.baselines import covariance_root, fitted_mixture, trained_second_stage
from riemvae_core.laws.law import Choice, Codes, Family, Parts, Widths, best_of, score
from riemvae_core.numerics import chunks, standard_normal, standard_uniform

#: shares of the balls' mean covariance that a Gaussian may add to that of their centers
SHARES = (0.0, 0.03, 0.1, 0.3, 1.0)
#: numbers of components that a mixture may have
COMPONENTS = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 70, 100, 150, 200)
#: the rule for a second VAE, which has no density to choose by
SECOND_STAGE = {"epochs": 50, "width": 256}


def _prior(codes: Codes, widths: Widths) -> Parts:
    like = codes.mu

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        return standard_normal((n, like.shape[1]), like, generator)

    return Parts(draw, lambda z: log_prob(z, torch.zeros_like(z), torch.zeros_like(z)))


def _fixed(make: Callable[[Codes, Widths], Parts]) -> Callable[[Codes, Tensor], Choice]:
    return lambda codes, held: Choice({}, score(make(codes, {}), held))


class FullMixture:
    """Gaussians of full covariance: draws, and the log density by their Cholesky roots."""

    def __init__(self, weights: Tensor, means: Tensor, roots: Tensor, like: Tensor) -> None:
        wide = torch.float32 if like.device.type == "mps" else torch.float64
        self.like = like
        self.weights, self.means, self.roots = (x.to(like.device, wide) for x in (weights, means, roots))
        eye = torch.eye(means.shape[1], dtype=wide, device=like.device)
        self._inverse = torch.linalg.solve_triangular(self.roots, eye, upper=False)
        log_det = self.roots.diagonal(dim1=1, dim2=2).log().sum(1)
        self._constant = self.weights.log() - log_det - 0.5 * means.shape[1] * LOG_2PI

    def sample(self, n: int, generator: torch.Generator | None) -> Float[Tensor, "n d"]:
        """n draws: a component by its weight, then a point of it."""
        marks = standard_uniform((n,), self.weights, generator) * self.weights.sum()
        index = torch.searchsorted(self.weights.cumsum(0), marks).clamp(max=len(self.weights) - 1)
        eps = standard_normal((n, self.means.shape[1]), self.like, generator).to(self.means)
        drawn = self.means.new_empty(eps.shape)
        for k in index.unique():
            rows = index == k
            drawn[rows] = self.means[k] + eps[rows] @ self.roots[k].T
        return drawn.to(self.like)

    def log_prob(self, z: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
        """Log density in nats, a component at a time."""
        done = []
        for rows in chunks(len(z), 8 * (len(self.weights) + 3 * z.shape[1])):
            x, logs = z[rows].to(self.means), []
            for mean, inverse, constant in zip(self.means, self._inverse, self._constant, strict=True):
                logs.append(constant - 0.5 * ((x - mean) @ inverse.T).square().sum(1))
            done.append(torch.logsumexp(torch.stack(logs), 0))
        return torch.cat(done).to(z.dtype) if done else z.new_zeros(0)


def _gaussian(codes: Codes, widths: Widths) -> Parts:
    share = float(widths["share"])
    root = covariance_root(codes.mu, codes.log_var if share > 0.0 else None, share)
    mean = codes.mu.cpu().double().mean(0, keepdim=True)
    law = FullMixture(root.new_ones(1), mean, root[None], codes.mu)
    return Parts(law.sample, law.log_prob)


def _choose_gaussian(codes: Codes, held: Tensor) -> Choice:
    rows: list[tuple[Widths, float]] = []
    failed = None
    for share in SHARES[: 1 if codes.log_var is None else None]:
        try:
            rows.append(({"share": share}, score(_gaussian(codes, {"share": share}), held)))
        except ValueError as error:
            failed = error
    if not rows:
        raise failed
    return best_of(rows)


def _mixture(codes: Codes, widths: Widths) -> Parts:
    weights, means, covariances = fitted_mixture(codes.mu, int(widths["components"]), seed=0)
    law = FullMixture(weights, means, torch.linalg.cholesky(covariances), codes.mu)
    return Parts(law.sample, law.log_prob)


def _choose_mixture(codes: Codes, held: Tensor) -> Choice:
    """More components until two numbers in a row give codes held out less than the best did."""
    rows: list[tuple[Widths, float]] = []
    for components in COMPONENTS:
        if 2 * components > len(codes.mu):
            break
        rows.append(({"components": components}, score(_mixture(codes, {"components": components}), held)))
        best = max(value for _, value in rows)
        if len(rows) > 2 and max(value for _, value in rows[-2:]) < best:
            break
    return best_of(rows)


def _two_stage(codes: Codes, widths: Widths) -> Parts:
    return Parts(trained_second_stage(codes.mu, codes.log_var, codes.generator, **widths), None)


PARAMETRIC = {
    "prior": Family((), _prior, _fixed(_prior)),
    "gaussian": Family(("share",), _gaussian, _choose_gaussian),
    "mixture": Family(("components",), _mixture, _choose_mixture),
    "two-stage": Family(
        ("epochs", "width"),
        _two_stage,
        lambda codes, held: Choice(dict(SECOND_STAGE), math.nan),
        "log_var",
    ),
}
