r"""Kernels of one width: a round one, one width an axis, the balls themselves, swelled or as they are."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws.law import Choice, Codes, Family, Parts, Widths, chosen_width, deviations, score
from riemvae_core.laws.mixture import BallMixture
from riemvae_core.neighbors import nearest
from riemvae_core.numerics import chunks

STEPS, ENOUGH = 60, 1e-4  # of the ascent over one width an axis; nats a step


def of_balls(mu: Float[Tensor, "n d"], log_var: Float[Tensor, "n d"]) -> Parts:
    """The mixture in which all balls weigh the same."""
    law = BallMixture(mu, log_var, mu.new_full((len(mu),), -math.log(len(mu))))

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        return law.sample(n, generator)[0]

    return Parts(draw, law.log_density)


def _round(codes: Codes, widths: Widths) -> Parts:
    return of_balls(codes.mu, torch.full_like(codes.mu, 2.0 * math.log(widths["h"])))


def _swelled(codes: Codes, widths: Widths) -> Parts:
    return of_balls(codes.mu, codes.log_var + 2.0 * math.log(widths["h"]))


def _own(codes: Codes, widths: Widths) -> Parts:
    return of_balls(codes.mu, codes.log_var)


def _per_axis(codes: Codes, widths: Widths) -> Parts:
    h = torch.tensor(widths["h"], dtype=torch.float64, device="cpu").to(codes.mu)
    return of_balls(codes.mu, (2.0 * h.log()).expand_as(codes.mu).contiguous())


def first_width(codes: Codes, held: Float[Tensor, "m d"]) -> float:
    """About the best h: how far, an axis, the middle one of the codes held out is from the nearest code."""
    apart = nearest(held, codes.mu).distances[:, 0].median().item()
    return max(apart, torch.finfo(codes.mu.dtype).tiny ** 0.25) / math.sqrt(codes.mu.shape[1])


def _choose_round(codes: Codes, held: Tensor) -> Choice:
    return chosen_width(_round, codes, held, first_width(codes, held))


def _choose_swelled(codes: Codes, held: Tensor) -> Choice:
    radius = torch.exp(0.5 * codes.log_var).median().item()
    return chosen_width(_swelled, codes, held, first_width(codes, held) / radius)


def _choose_none(codes: Codes, held: Tensor) -> Choice:
    return Choice({}, score(_own(codes, {}), held))


def _choose_per_axis(codes: Codes, held: Tensor) -> Choice:
    r"""Widths by expectation and maximization, each step of which raises the density of the codes held out.

    A code's kernel is the hidden number: width k becomes the root mean square, over codes held out and
    kernels by their responsibility, of what they are apart along axis k.
    """
    start = _choose_round(codes, held)
    mu, held_out = codes.mu.double(), held.double()
    apart = (held_out[:, None, :] - mu[nearest(held_out, mu).indices]).square().mean((0, 1)).sqrt()
    spread, first = deviations(mu), start.widths["h"]
    varies = spread > 0.0
    least = 1e-4 * torch.where(varies, spread, torch.full_like(spread, first))
    apart = torch.where(varies, apart.maximum(least), torch.full_like(apart, first))
    level = apart[varies].log().mean().exp().nan_to_num(nan=1.0)  # of the axes that say something of widths
    h = torch.where(varies, first * apart / level, apart).maximum(least)
    tried: list[tuple[Widths, float]] = [({"h": [first] * mu.shape[1]}, start.log_prob)]
    for _ in range(STEPS):
        value, widths = score(_per_axis(codes, {"h": h.tolist()}), held), {"h": h.tolist()}
        gain = value - max((v for w, v in tried[1:]), default=-math.inf)
        tried.append((widths, value))
        if gain < ENOUGH:
            break
        h = (_spread(mu / h, held_out / h).sqrt() * h).maximum(least)
    widths, value = max(tried, key=lambda row: row[1])
    return Choice(widths, value, tuple(tried))


def _spread(mu: Float[Tensor, "n d"], z: Float[Tensor, "m d"]) -> Float[Tensor, " d"]:
    """Mean square of what points and their unit kernels are apart along each axis."""
    center = mu.mean(0)
    mu, z, total = mu - center, z - center, torch.zeros_like(center)
    for rows in chunks(len(z), 16 * len(mu)):
        x = z[rows]
        w = torch.softmax(x @ mu.T - 0.5 * mu.square().sum(1), dim=1)
        total += (x.square() - 2.0 * x * (w @ mu) + w @ mu.square()).sum(0)
    return (total / len(z)).clamp_min(1e-12)


SWELLED = Family(("h",), _swelled, _choose_swelled, "log_var")
KERNELS = {
    "isotropic": Family(("h",), _round, _choose_round),
    "axes": Family(("h",), _per_axis, _choose_per_axis),
    "ball": SWELLED,
    "aggregate posterior": Family((), _own, _choose_none, "log_var"),
}
