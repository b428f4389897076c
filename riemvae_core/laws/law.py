"""What a fitted law is made of: codes to fit it to, widths chosen on codes held out, draws, a density."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.numerics import check_finite, check_floats, check_number, check_points

Draw = Callable[[int, torch.Generator | None], Tensor]
Density = Callable[[Tensor], Tensor]
Widths = dict[str, Any]

# how many codes held out a search over a grid looks at; the width that is refined is so on all of them
SEARCHED = 500
# a deviation so many times that of all but the outer 2.5% at each end is owned by a few far codes
OWNED, OUTER = 5.0, 0.025
COARSE, FINE, GOLDEN = 11, 14, 0.5 * (math.sqrt(5.0) - 1.0)


class NoDensityError(ValueError):
    """A law that can be drawn from was asked for its density, which has no closed form.

    Raised by ``Law.log_prob``; the message names the kind.

    Example:
        >>> balls = torch.zeros(20, 2).normal_(generator=rc.make_generator(0)), torch.zeros(20, 2)
        >>> law = rc.fit_law(*balls, kind="two-stage", widths={"epochs": 1, "width": 8})
        >>> law.log_prob(torch.zeros(1, 2))
        Traceback (most recent call last):
        ...
        riemvae_core.laws.law.NoDensityError: kind must have a density for log_prob, got two-stage: ...
    """


class Codes(NamedTuple):
    """What a law is fitted to: different codes, their balls where known, a decoder, a source of chance."""

    mu: Float[Tensor, "n d"]
    log_var: Float[Tensor, "n d"] | None
    decode: Callable[[Tensor], Any] | None
    generator: torch.Generator


class Parts(NamedTuple):
    """A law at given widths: n draws, and the log density in nats where it has one."""

    sample: Draw
    log_prob: Density | None


class Choice(NamedTuple):
    """Widths, the mean log density that they gave codes held out, what else was tried, the law if ready."""

    widths: Widths
    log_prob: float = math.nan
    tried: tuple[tuple[Widths, float], ...] = ()
    parts: Parts | None = None


class Family(NamedTuple):
    """How a kind of law is made of codes at given widths, how widths are chosen, and what it needs."""

    names: tuple[str, ...]
    make: Callable[[Codes, Widths], Parts]
    choose: Callable[[Codes, Tensor], Choice]
    needs: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Law:
    r"""A law of codes that was fitted to some; ``fit_law`` makes it.

    ``kind`` names it; ``widths`` are the numbers chosen; ``held_out_log_prob`` is the mean log density of the
    codes held out when they were chosen, in nats a code (NaN where the kind has none, or where nothing was
    held out); ``tried`` holds each choice looked at with its value. The best of several choices is a little
    above what new codes would get. Of ``averaged`` it is no estimate of that, nor to be compared with that of
    other kinds: its floor is put just below those very codes, while new codes below it get minus infinity,
    and with a single one of them so does the mean.

    Example:
        >>> mu = torch.randn(300, 2, generator=rc.make_generator(0))
        >>> law = rc.fit_law(mu, kind="gaussian")
        >>> law.sample(5, rc.make_generator(1)).shape
        torch.Size([5, 2])
        >>> law.log_prob(torch.zeros(1, 2))  # near -log 2 pi
        tensor([-1.8])
    """

    kind: str
    widths: Mapping[str, Any]
    held_out_log_prob: float
    tried: tuple[tuple[Mapping[str, Any], float], ...]
    d: int
    _parts: Parts = field(repr=False)

    def __repr__(self) -> str:
        numbers = (f"{k}={v:.3g}" if isinstance(v, float) else f"{k}={v}" for k, v in self.widths.items())
        seen = self.held_out_log_prob
        told = "" if math.isnan(seen) else f"; {seen:.2f} nats a code held out"
        return f"Law({', '.join((self.kind, *numbers))}{told})"

    @property
    def has_density(self) -> bool:
        """Whether ``log_prob`` has an answer."""
        return self._parts.log_prob is not None

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n d"]:
        """n independent draws, in the dtype and on the device of the codes. ValueError for n below 1."""
        check_number(1, whole=True, n=n)
        return self._parts.sample(int(n), generator)

    @torch.no_grad()
    def log_prob(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        """Log density at z, in nats, worked through in chunks.

        It is minus infinity where z is so far out that its squared distances are beyond all numbers.
        Raises NoDensityError where the kind has none, ValueError for shapes and rows that aren't finite.
        """
        if self._parts.log_prob is None:
            raise NoDensityError(
                f"kind must have a density for log_prob, got {self.kind}: sample it, or take another kind"
            )
        check_points(z, self.d)
        flat = z.reshape(-1, self.d)
        check_finite(z=flat)
        return _of_near_and_far(self._parts.log_prob, flat).to(z.dtype).reshape(z.shape[:-1])


def _of_near_and_far(log_prob: Density, z: Float[Tensor, "m d"]) -> Float[Tensor, " m"]:
    """Log density of rows of which some may be so far out that there is none: those are found by halving."""
    try:
        return log_prob(z)
    except FloatingPointError:
        if len(z) < 2:
            return z.new_full((len(z),), -math.inf)
        return torch.cat([_of_near_and_far(log_prob, half) for half in z.tensor_split(2)])


def held_log_var(mu: Float[Tensor, "n d"], log_var: Tensor, precise: bool = False) -> Float[Tensor, "n d"]:
    """The log variances in mu's dtype and on its device; ``precise`` where precisions are taken too.

    Raises ValueError, with the row and what came, where that dtype can't hold the variances.
    """
    check_floats(log_var=log_var)
    if log_var.shape != mu.shape:
        raise ValueError(f"log_var must have mu's shape {tuple(mu.shape)}, got {tuple(log_var.shape)}")
    check_finite(log_var=log_var)
    held, most = log_var.to(mu), math.log(torch.finfo(mu.dtype).max)
    beyond = torch.exp(held.detach().abs() if precise else held.detach()).isinf()
    if bool(beyond.any()):
        row, count = int(beyond.any(1).nonzero()[0]), int(beyond.any(1).sum())
        limit = f"within {most:.1f} of 0" if precise else f"at most {most:.1f}"
        raise ValueError(
            f"log_var must be {limit}, so that mu's {mu.dtype} holds its exp, got "
            f"{log_var[row][beyond[row]][0].item():.6g} in row {row} ({count} of {len(mu)} rows hold such): "
            "leave them out" + ("" if mu.dtype == torch.float64 else ", or take mu.double()")
        )
    return held


def deviations(mu: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """Each axis' deviation, that of the inner codes where a few far ones own it; 0 where it is constant.

    The inner ones are all but 2.5%, at least one, at each end; theirs counts where the whole is above five
    times what a Gaussian with their range would have.
    """
    ranked, n = mu.sort(0).values, len(mu)
    cut = max(1, int(OUTER * n))
    level = torch.tensor((cut + 0.5) / n, dtype=torch.float64, device="cpu")
    inner = (ranked[n - 1 - cut] - ranked[cut]) / (-2.0 * torch.special.ndtri(level).item())
    whole = mu.std(0)
    spread = torch.where((inner > 0.0) & ~(whole <= OWNED * inner), inner, whole)
    return torch.where(ranked[-1] > ranked[0], spread, torch.zeros_like(spread))


def units(mu: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """A unit for each axis: its deviation, 1 where it is constant."""
    spread = deviations(mu)
    return torch.where(spread > 0.0, spread, torch.ones_like(spread))


def centers(mu: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    """The codes' mean on each axis, the median where a few far codes own its deviation."""
    return torch.where(deviations(mu) < mu.std(0), mu.median(0).values, mu.mean(0))


def score(parts: Parts, held: Float[Tensor, "m d"]) -> float:
    """Mean log density of codes held out, in nats; minus infinity where it isn't a number."""
    try:
        value = parts.log_prob(held).double().mean().item()
    except FloatingPointError:  # a code so far from all kernels that the square of its distance overflows
        return -math.inf
    return -math.inf if math.isnan(value) else value


def best_width(
    value: Callable[[float], float],
    start: float,
    span: float = 8.0,
    most: float = math.inf,
    coarse: int = COARSE,
    close: float = 0.01,
) -> tuple[float, list[tuple[float, float]]]:
    """The width with the largest value: a coarse grid about ``start``, then a golden section.

    The grid goes from ``start / span`` to ``start * span`` and on past an end that wins, never above
    ``most``; the section until the log of the width is known to ``close``. Returns the width and all that
    were tried with their values.
    """
    step = span ** (2.0 / (coarse - 1))
    grid = [min(start / span * step**i, most) for i in range(coarse)]
    tried = {h: value(h) for h in grid}
    for _ in range(4 * COARSE):
        h = max(tried, key=tried.get)
        beyond = h / step if h == min(tried) else min(h * step, most) if h == max(tried) else h
        if beyond in tried or tried[h] == -math.inf:
            break
        tried[beyond] = value(beyond)
    low, high = math.log(h / step), math.log(min(h * step, most))
    for _ in range(FINE):
        one, other = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
        tried |= {math.exp(x): value(math.exp(x)) for x in (one, other) if math.exp(x) not in tried}
        low, high = (low, other) if tried[math.exp(one)] >= tried[math.exp(other)] else (one, high)
        if high - low < close:
            break
    return max(tried, key=tried.get), list(tried.items())


def chosen_width(
    family: Callable[[Codes, Widths], Parts], codes: Codes, held: Tensor, start: float, **others: Any
) -> Choice:
    """The h with the largest held-out log density, where h is the one width that is free."""

    def value(h: float) -> float:
        return score(family(codes, others | {"h": h}), held)

    h, tried = best_width(value, start)
    rows = tuple((others | {"h": w}, v) for w, v in tried)
    return Choice(others | {"h": h}, dict(tried)[h], rows)


def best_of(rows: list[tuple[Widths, float]]) -> Choice:
    """The choice with the largest value of those tried."""
    widths, value = max(rows, key=lambda row: row[1])
    return Choice(widths, value, tuple(rows))
