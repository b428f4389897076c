"""The laws of codes by their names: those of the core, and the null experiments beside them.

A law sees the model's codes and a generator. Within a draw of a model every law gets a generator in the same
state, and draws its starts first and its noise then, as ``rc.sample_aggregate_posterior`` does: so all laws
that start at codes start at the same ones and add the same noise. Another law is one more line here.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

import riemvae_core as rc

#: apart from the seeds that models are trained from
OFFSET, DRAWS = 10**6, 1000


class Codes(NamedTuple):
    """What a law may see: balls to fit to and held-out ones, a learned prior, and the other half of the test.

    ``log_var`` is None for models without balls. ``others`` is for the bounds only.
    """

    mu: Tensor
    log_var: Tensor | None
    held_out: tuple[Tensor, Tensor | None]
    others: tuple[Tensor, Tensor | None]
    prior: rc.Balls | None


class Draws(NamedTuple):
    """Codes, and what their law says of itself."""

    z: Tensor
    facts: dict[str, Any]


Law = Callable[[Codes, int, torch.Generator], Draws]


def common_generator(seed: int, draw: int) -> torch.Generator:
    """The generator of every law in one draw of one model."""
    if not 0 <= draw < DRAWS:
        raise ValueError(f"draw must be from 0 to {DRAWS - 1}, got {draw}")
    return rc.make_generator(OFFSET + DRAWS * seed + draw)


def starts_and_noise(codes: Codes, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Rows of the codes to start at, and noise, in the order of ``rc.sample_aggregate_posterior``."""
    m, d = codes.mu.shape
    rows = (torch.rand(n, generator=generator, dtype=codes.mu.dtype) * m).long().clamp(max=m - 1)
    return rows, rc.standard_normal((n, d), codes.mu, generator)


def _log_var(codes: Codes) -> Tensor:
    if codes.log_var is None:
        raise ValueError("log_var must be given: this law needs a model with balls, got one without")
    return codes.log_var


def _plain(draw: Callable[[Codes, int, torch.Generator], Tensor]) -> Law:
    return lambda codes, n, generator: Draws(draw(codes, n, generator), {})


def _noise(shape: Callable[[Codes, Tensor], Tensor]) -> Law:
    """Codes plus noise of the standard deviations that ``shape`` gives for the rows started at."""

    def draw(codes: Codes, n: int, generator: torch.Generator) -> Draws:
        rows, eps = starts_and_noise(codes, n, generator)
        return Draws(codes.mu[rows] + shape(codes, rows) * eps, {})

    return draw


def _shuffled(codes: Codes, rows: Tensor) -> Tensor:
    """Of each ball's center another image's radii: the next one's in the training set."""
    return torch.exp(0.5 * _log_var(codes).roll(1, 0)[rows])


def _uniform(codes: Codes, n: int, generator: torch.Generator) -> Draws:
    metric = rc.PosteriorMetric.fit(codes.mu, _log_var(codes), generator=generator)
    draws = rc.sample_uniform(metric, n, generator)
    return Draws(draws.z, {"converged": bool(draws.converged), "method": draws.method})


def _first(balls: tuple[Tensor, Tensor | None], n: int) -> Tensor:
    return balls[0][:n]


def _own_prior(codes: Codes, n: int, generator: torch.Generator) -> Tensor:
    if codes.prior is None:
        return rc.sample_prior(codes.mu, n, generator)
    return rc.sample_aggregate_posterior(*codes.prior, n, generator)


@functools.lru_cache(maxsize=16)
def _of(kind: str, mu: Tensor, log_var: Tensor | None, held_out: Tensor) -> rc.Law:
    return rc.fit_law(mu, log_var, kind, held_out)


def _fitted(kind: str) -> Law:
    """A law of the core whose widths are chosen by the likelihood of held-out codes, once for all draws."""

    def draw(codes: Codes, n: int, generator: torch.Generator) -> Draws:
        law = _of(kind, codes.mu, codes.log_var, codes.held_out[0])
        return Draws(law.sample(n, generator), {"held_out_log_prob": law.held_out_log_prob})

    return draw


LAWS: dict[str, Law] = {
    # bounds: codes of images that no law has seen
    "held-out reconstructions": _plain(lambda c, n, _: _first(c.others, n)),
    "own prior": _plain(_own_prior),
    "gaussian": _plain(lambda c, n, g: rc.sample_gaussian(c.mu, n, c.log_var, g)),
    "mixture of 10": _plain(lambda c, n, g: rc.sample_mixture(c.mu, n, 10, c.log_var, g)),
    "mixture of 50": _plain(lambda c, n, g: rc.sample_mixture(c.mu, n, 50, c.log_var, g)),
    "two-stage": _plain(lambda c, n, g: rc.sample_two_stage(c.mu, _log_var(c), n, g)),
    "fitted mixture": _fitted("mixture"),
    "fitted isotropic": _fitted("isotropic"),
    "fitted axes": _fitted("axes"),
    "fitted kernel": _fitted("kernel"),
    # the geometry of the balls
    "aggregate posterior": _plain(lambda c, n, g: rc.sample_aggregate_posterior(c.mu, _log_var(c), n, g)),
    "uniform": _uniform,
    "fitted ball": _fitted("ball"),
    "fitted power": _fitted("power"),
    "fitted averaged": _fitted("averaged"),
    # null experiments: no step, noise as large as the balls', their shapes at other images
    "zero steps": _noise(lambda c, rows: torch.zeros_like(c.mu[rows])),
    "round noise": _noise(lambda c, _: _log_var(c).exp().mean().sqrt()),
    "noise of one shape": _noise(lambda c, _: _log_var(c).exp().mean(0).sqrt()),
    "shuffled shapes": _noise(_shuffled),
}
