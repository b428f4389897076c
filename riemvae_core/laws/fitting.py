r"""One door to all laws that are fitted to codes: their widths are chosen by codes held out."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws.between import BETWEEN
from riemvae_core.laws.flows import FLOWS
from riemvae_core.laws.kernels import KERNELS
from riemvae_core.laws.law import Codes, Family, Law, held_log_var, score
from riemvae_core.laws.local import LOCAL
from riemvae_core.laws.parametric import PARAMETRIC
from riemvae_core.laws.volumes import VOLUMES
from riemvae_core.laws.widths import checked_widths
from riemvae_core.neighbors import first_rows
from riemvae_core.numerics import (
    check_finite,
    check_floats,
    check_held,
    make_generator,
    source_of,
    with_own_gradients,
)

FAMILIES: dict[str, Family] = PARAMETRIC | KERNELS | LOCAL | VOLUMES | BETWEEN | FLOWS
#: the kinds of law that ``fit_law`` knows
KINDS = tuple(FAMILIES)
#: the share of the codes that is held out where none are given, and the least codes to fit a law to
SHARE, LEAST_CODES = 0.2, 10


@with_own_gradients
def fit_law(
    mu: Float[Tensor, "n d"],
    log_var: Float[Tensor, "n d"] | None = None,
    kind: str = "kernel",
    held_out: Float[Tensor, "m d"] | None = None,
    *,
    decode: Callable[[Tensor], Any] | None = None,
    widths: Mapping[str, Any] | None = None,
    generator: torch.Generator | None = None,
) -> Law:
    r"""A law of codes of some kind, fitted to codes ``mu``, every free width chosen by held-out likelihood.

    Widths are those with the largest mean log density at ``held_out`` codes. Where none are given, 20% of mu
    are held out, chosen by ``generator`` (seed 0 without one), and the law is made of all codes with the
    widths so chosen. Rows of mu that are equal count once, and a held-out row that is one of mu not at all:
    a copy would ask for width 0. An axis' deviation is that of its inner 95% where a few far codes own it.

    ``gaussian``: one, of mean and covariance of the codes; with log_var a share of the mean ball's is added.
    ``mixture``: full Gaussians by scikit-learn, their number is chosen.
    ``isotropic``: $N(\mu_i,h^2I)$ around each code; ``axes``: with one width an axis.
    ``ball``: $N(\mu_i,h^2\Sigma_i)$, swelled balls; ``aggregate posterior``: the same at h = 1.
    ``kernel``: $N(m_i+\sqrt{1-h^2}\,(\mu_i-m_i),h^2C_i)$ with mean $m_i$ and covariance $C_i$ of the nearest
    codes, shrunk to a plain shape: its draws keep the second moments of a neighborhood. The number of
    neighbors, the shrinkage, its target (``axes``, or with log_var also the ``ball``) and h are chosen.
    ``pullback``: $N(\mu_i,h^2(C_i^{-1}+cJ^\top J)^{-1})$, kernels narrow where the decoder is fast, c chosen
    from 0 on; needs decode. ``interpolation``: kernels of one width, in units of each axis' deviation, at
    five places along lines to the nearest codes; at most 4,000 lines, by chance. ``low-cost paths``: the same
    at five places along ``low_cost_path`` of the balls' metric (power 1/d, 100 medoids); at most 200 paths.
    ``uniform``: the uniform law of the balls' metric, $\rho=h\sqrt d$ (h = 1 where importance sampling never
    knows its volume); ``power``: $(\det G)^{1/d}$ with $\rho=h\sqrt2$, in which balls on one spot count as
    often as they come; ``averaged``: $q^{1-\alpha}(\sqrt{\det\bar G})^\alpha$ with q the swelled balls,
    cut off where q is below all codes held out, and $\bar G$ the mean precision of the balls about z; a few
    new codes lie beyond the cut and have no density, so don't choose it by its ``held_out_log_prob``.
    ``flow``: a neural spline flow (Durkan et al., 2019) of fixed size; ``flow matching``: straight lines from
    noise to codes (Lipman et al., 2023), its density by the flow's own divergence. Epochs are chosen (a
    flow's up to 300, too few for a few hundred codes of one axis: take another kind there). Both need
    zuko (``pip install 'riemvae-core[flows]'``).
    ``prior``: N(0, I). ``two-stage``: Dai and Wipf's second VAE, of 50 epochs and width 256 by rule, since it
    has no density.

    log_var: the balls' log variances; all kinds made of balls and ``two-stage`` need them. They are taken in
    mu's dtype, which must hold variances and precisions.
    held_out: codes ``[m, d]`` of other images, from the same encoder. decode: from codes to images, such that
    torch can differentiate it (``PullbackMetric``).
    widths: all the widths of the kind, as ``Law.widths`` has them: nothing is chosen then. h is above 0 (d of
    them for ``axes``; at most 1 for ``kernel``), share and pull at least 0, shrinkage and alpha from 0 to 1,
    components and neighbors from 1 to what the codes allow.

    Bowman (1984) chooses a kernel's width so; Scott (2015), chapter 6, has the kernels. Draws and densities
    have the device and dtype of mu; costs are linear in points x codes x d, with d more where covariances
    are full. Raises ValueError for shapes, rows that aren't finite, fewer than 10 different codes, a kind
    that is not one, widths that it can't have, and what a kind needs and lacks.

    Example:
        >>> mu = torch.randn(400, 2, generator=rc.make_generator(0))
        >>> law = rc.fit_law(mu, kind="isotropic")
        >>> law.kind, law.widths["h"] > 0.1
        ('isotropic', True)
        >>> law.log_prob(law.sample(5, rc.make_generator(1))).shape
        torch.Size([5])
    """
    family = _family(kind)
    source_of(generator)
    log_var, held_out = _checked(mu, log_var, held_out)
    for name, thing in (("log_var", log_var), ("decode", decode)):
        if thing is None and name in family.needs:
            raise ValueError(f"{name} must be given for a law of kind {kind!r}, got None")
    generator = make_generator(0) if generator is None else generator
    mu = mu.detach()
    rows = _different(mu)
    if len(rows) < LEAST_CODES:
        came = f"{len(rows)} of {len(mu)} rows"
        raise ValueError(f"mu must hold at least {LEAST_CODES} different codes, got {came}")
    log_var = None if log_var is None else log_var[rows]
    every = Codes(mu[rows], log_var, decode, generator)
    if widths is not None:
        plain = checked_widths(kind, family.names, widths, every)
        parts = family.make(every, plain)
        seen = math.nan
        if held_out is not None and parts.log_prob is not None:
            seen = score(parts, _unseen(held_out, every.mu))
        return Law(kind, plain, seen, (), mu.shape[1], parts)
    train, held = _split(every, held_out)
    choice = family.choose(train, held)
    same = held_out is not None
    parts = choice.parts if same and choice.parts is not None else family.make(every, choice.widths)
    return Law(kind, choice.widths, choice.log_prob, choice.tried, mu.shape[1], parts)


def _family(kind: str) -> Family:
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise ValueError(f"kind must be one of {', '.join(FAMILIES)}, got {kind!r}")
    return FAMILIES[kind]


def _checked(
    mu: Tensor, log_var: Tensor | None, held_out: Tensor | None
) -> tuple[Tensor | None, Tensor | None]:
    """Log variances and codes held out in mu's dtype, in which the law is made: that is what is checked."""
    check_floats(mu=mu)
    if mu.ndim != 2 or 0 in mu.shape:
        raise ValueError(f"mu must be [n, d] with n and d at least 1, got {list(mu.shape)}")
    check_finite(mu=mu)
    if mu.dtype not in (torch.float32, torch.float64):
        raise ValueError(f"mu must be float32 or float64, got {mu.dtype}: take mu.float()")
    if log_var is not None:
        log_var = held_log_var(mu, log_var.detach(), precise=True)
    if held_out is not None:
        check_floats(held_out=held_out)
        if held_out.ndim != 2 or len(held_out) == 0 or held_out.shape[1] != mu.shape[1]:
            raise ValueError(f"held_out must be [m, {mu.shape[1]}], got {list(held_out.shape)}")
        check_finite(held_out=held_out)
        check_held(mu.dtype, held_out=held_out)
        held_out = held_out.detach().to(mu)
    return log_var, held_out


def _different(mu: Float[Tensor, "n d"]) -> Tensor:
    """The first row of each code, in the order of mu."""
    return first_rows(mu).unique()


def _unseen(held_out: Float[Tensor, "m d"], mu: Float[Tensor, "n d"]) -> Float[Tensor, "k d"]:
    """The different codes held out that are none of mu's."""
    held = held_out[_different(held_out)]
    held = held[first_rows(torch.cat([mu, held]))[len(mu) :] >= len(mu)]
    if len(held) == 0:
        raise ValueError(
            f"held_out must hold codes that are not in mu, got {len(held_out)} copies of mu's rows"
        )
    return held


def _split(every: Codes, held_out: Tensor | None) -> tuple[Codes, Tensor]:
    if held_out is not None:
        return every, _unseen(held_out, every.mu)
    order = torch.randperm(len(every.mu), generator=every.generator, device=every.generator.device)
    order, m = order.to(every.mu.device), max(1, round(SHARE * len(every.mu)))
    rest = order[m:].sort().values
    log_var = None if every.log_var is None else every.log_var[rest]
    return every._replace(mu=every.mu[rest], log_var=log_var), every.mu[order[:m]]
