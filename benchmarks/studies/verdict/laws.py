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
#: how many held-out codes choose a width
MOST = 500
#: how far a free particle gets in the released chains' 100 moves of 10 steps of 0.01, momenta's deviation 0.5
WALK = 0.5 * 10 * 0.01 * 100**0.5


class Codes(NamedTuple):
    """What a law may see: balls to fit to and held-out ones, a learned prior, the decoder; half of the test.

    ``log_var`` is None for models without balls. ``others`` is for the bounds only.
    """

    mu: Tensor
    log_var: Tensor | None
    held_out: tuple[Tensor, Tensor | None]
    others: tuple[Tensor, Tensor | None]
    prior: rc.Balls | None
    decode: Callable[[Tensor], Tensor] | None = None


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


@functools.lru_cache(maxsize=16)
def _metric(
    mu: Tensor, log_var: Tensor, n_centroids: int | None, times: float, **numbers
) -> rc.PosteriorMetric:
    """The metric of all balls or of some medoids, one for all draws of a model; its rho so many ``times``."""
    of = functools.partial(rc.PosteriorMetric.fit, mu, log_var, n_centroids, **numbers)
    metric = of(generator=rc.make_generator(0))
    return metric if times == 1.0 else of(generator=rc.make_generator(0), rho=times * float(metric.rho))


def _metric_of(codes: Codes, n_centroids: int | None, times: float = 1.0, **numbers) -> rc.PosteriorMetric:
    n_centroids = n_centroids if n_centroids is None else min(n_centroids, len(codes.mu))
    return _metric(codes.mu, _log_var(codes), n_centroids, times, **numbers)


def _uniform(n_centroids: int | None = None, **numbers) -> Law:
    """The uniform law of the balls' metric, whose numbers are fitted unless given."""

    def draw(codes: Codes, n: int, generator: torch.Generator) -> Draws:
        draws = rc.sample_uniform(_metric_of(codes, n_centroids, **numbers), n, generator)
        return Draws(draws.z, {"converged": bool(draws.converged), "method": draws.method})

    return draw


def _released(steps: int, n_centroids: int = 100) -> Law:
    """The second paper's chains as they were released, with its rho and lambda: so many moves from codes."""

    def draw(codes: Codes, n: int, generator: torch.Generator) -> Draws:
        metric = _metric_of(codes, n_centroids, rho="paper", lam=0.01)
        draws = rc.sample_as_released(metric, codes.mu, n, generator, steps)
        return Draws(draws.z, {"acceptance": draws.acceptance})

    return draw


def _first(balls: tuple[Tensor, Tensor | None], n: int) -> Tensor:
    return balls[0][:n]


def _own_prior(codes: Codes, n: int, generator: torch.Generator) -> Tensor:
    if codes.prior is None:
        return rc.sample_prior(codes.mu, n, generator)
    return rc.sample_aggregate_posterior(*codes.prior, n, generator)


@functools.lru_cache(maxsize=16)
def _of(
    kind: str, mu: Tensor, log_var: Tensor | None, held_out: Tensor, balls: str, decode: Callable | None
) -> rc.Law:
    log_var = {"own": log_var, "none": None, "shuffled": log_var if log_var is None else log_var.roll(1, 0)}[
        balls
    ]
    return rc.fit_law(mu, log_var, kind, held_out[:MOST], decode=decode)


def _fitted(kind: str, balls: str = "own") -> Law:
    """A law of the core whose widths are chosen by the likelihood of held-out codes, once for all draws.

    ``balls``: the codes' own, none, or shuffled, each image with those of another.
    """

    def draw(codes: Codes, n: int, generator: torch.Generator) -> Draws:
        law = _of(kind, codes.mu, codes.log_var, codes.held_out[0], balls, codes.decode)
        return Draws(law.sample(n, generator), {"held_out_log_prob": law.held_out_log_prob})

    return draw


LAWS: dict[str, Law] = {
    # bounds: codes of images that no law has seen
    "held-out reconstructions": _plain(lambda c, n, _: _first(c.others, n)),
    "own prior": _plain(_own_prior),
    "gaussian": _plain(lambda c, n, g: rc.sample_gaussian(c.mu, n, None, g)),
    "mixture of 10": _plain(lambda c, n, g: rc.sample_mixture(c.mu, n, min(10, len(c.mu)), None, g)),
    "two-stage": _fitted("two-stage"),
    "fitted mixture": _fitted("mixture"),
    "fitted isotropic": _fitted("isotropic"),
    "fitted axes": _fitted("axes"),
    "fitted kernel": _fitted("kernel", "none"),
    # the geometry of the balls
    "aggregate posterior": _plain(lambda c, n, g: rc.sample_aggregate_posterior(c.mu, _log_var(c), n, g)),
    "uniform": _uniform(),
    "fitted ball": _fitted("ball"),
    "fitted kernel of balls": _fitted("kernel"),
    "fitted power": _fitted("power"),
    "fitted averaged": _fitted("averaged"),
    "as released": _released(100),
    # their numbers, centroids and lengths of chains
    "uniform, half rho": _uniform(times=0.5),
    "uniform, twice rho": _uniform(times=2.0),
    "uniform, paper's rho": _uniform(rho="paper"),
    "uniform, lambda 0.1": _uniform(lam=0.1),
    "uniform, background 0.1": _uniform(background=0.1),
    "uniform, 30 medoids": _uniform(30),
    "uniform, 300 medoids": _uniform(300),
    "as released, 10 moves": _released(10),
    "as released, 400 moves": _released(400),
    "as released, 300 medoids": _released(100, 300),
    # the two plain laws fitted to a draw of each ball, as they were run before they were fitted to codes
    "gaussian of draws": _plain(lambda c, n, g: rc.sample_gaussian(c.mu, n, _log_var(c), g)),
    "mixture of 10 of draws": _plain(
        lambda c, n, g: rc.sample_mixture(c.mu, n, min(10, len(c.mu)), _log_var(c), g)
    ),
    # asked after the registered ones: learned laws, places between codes, kernels that know the decoder
    "fitted flow": _fitted("flow"),
    "fitted flow matching": _fitted("flow matching"),
    "fitted interpolation": _fitted("interpolation"),
    "fitted low-cost paths": _fitted("low-cost paths"),
    "fitted pullback": _fitted("pullback"),
    # null experiments: no step, noise as large as the balls' or the chains' steps, shapes of other images
    "zero steps": _noise(lambda c, rows: torch.zeros_like(c.mu[rows])),
    "round noise": _noise(lambda c, _: _log_var(c).exp().mean().sqrt()),
    "free walk": _noise(lambda c, _: WALK),
    "noise of one shape": _noise(lambda c, _: _log_var(c).exp().mean(0).sqrt()),
    "shuffled shapes": _noise(_shuffled),
    "fitted shuffled ball": _fitted("ball", "shuffled"),
}


class Told(NamedTuple):
    """What pages call a law, and what it is in a few words."""

    name: str
    what: str


#: each law as a reader meets it; a changed setting stands in a table of its own and has no name
TOLD = {
    "held-out reconstructions": Told("the bound", "codes of test images that no law has seen"),
    "own prior": Told("prior", "the prior that the model was trained with"),
    "gaussian": Told("one Gaussian", "a Gaussian with the codes' mean and covariance"),
    "mixture of 10": Told("mixture of 10", "ten Gaussians fitted to the codes"),
    "two-stage": Told("second VAE", "a small VAE that was trained on draws of the balls"),
    "fitted mixture": Told("tuned mixture", "Gaussians fitted to the codes, their number by held-out codes"),
    "fitted isotropic": Told(
        "round kernels", "a round Gaussian around each code, its width by held-out codes"
    ),
    "fitted axes": Told(
        "kernels by axis", "a Gaussian around each code, one width per axis by held-out codes"
    ),
    "fitted kernel": Told("local kernels", "a Gaussian around each code with its neighbors' covariance"),
    "aggregate posterior": Told("balls at random", "a point of a random training image's ball"),
    "uniform": Told("uniform", "the uniform law of the metric of all balls"),
    "fitted ball": Told("swelled balls", "balls at random, swelled by one factor that held-out codes chose"),
    "fitted kernel of balls": Told("local kernels of balls", "local kernels, shrunk toward the balls"),
    "fitted power": Told(
        "volume to a power", "the metric's volume to the power 2/d, its reach by held-out codes"
    ),
    "fitted averaged": Told(
        "averaged metric", "the uniform law of an average of the balls' precisions, tempered"
    ),
    "as released": Told("released chains", "the published chains: a hundred moves from training codes"),
    "zero steps": Told("zero steps", "training codes, unchanged"),
    "round noise": Told("round noise", "training codes plus round noise of the balls' mean size"),
    "free walk": Told("walk without force", "training codes plus steps as long as the released chains'"),
    "noise of one shape": Told("one mean shape", "training codes plus noise of the balls' mean shape"),
    "shuffled shapes": Told("balls of others", "training codes plus noise of another image's ball"),
    "fitted shuffled ball": Told("balls of others, swelled", "another image's ball, swelled like one's own"),
}
