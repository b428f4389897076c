"""Hostile places for a sampler: each has an answer of its own, in closed form or by quadrature."""

import math
import warnings
from typing import NamedTuple

import properties
import pytest
import torch
from torch import Tensor

from riemvae_core.laws import SamplingWarning, sample_uniform
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator

N = 500


class Case(NamedTuple):
    """Balls of one law: rho is the root of d, so that a ball alone has volume (2 pi)^(d/2)."""

    mu: Tensor
    log_var: Tensor
    group: Tensor  # of each ball
    log_shares: Tensor  # of each group's volume over that of one ball alone
    lam: float = 0.0
    tau: float = 0.0


def alone(d: int) -> float:
    return 0.5 * d * math.log(2 * math.pi)


def scattered(n: int, d: int, gap: float, dtype=torch.float64) -> Tensor:
    """n centers on a line along a diagonal, ``gap`` apart."""
    at = torch.arange(n, dtype=dtype, device="cpu")
    return gap * (at - at.mean())[:, None].expand(n, d) / math.sqrt(d)


def apart(log_var: Tensor, gap: float, mu: Tensor | None = None, **more) -> Case:
    """Balls that don't touch weigh the same, whatever their radii."""
    n, d = log_var.shape
    mu = scattered(n, d, gap, log_var.dtype) if mu is None else mu
    return Case(mu, log_var, torch.arange(n, device="cpu"), torch.zeros(n).double(), **more)


def copies(sizes: tuple[int, ...], d: int, gap: float, log_var: float = 0.0, dtype=torch.float64) -> Case:
    """B copies of a ball weigh B^(d/2)."""
    group = torch.repeat_interleave(torch.tensor(sizes, device="cpu"))
    mu = scattered(len(sizes), d, gap, dtype)[group]
    shares = 0.5 * d * torch.log(torch.tensor(sizes, dtype=torch.float64, device="cpu"))
    return Case(mu, torch.full_like(mu, log_var), group, shares)


def in_the_plane(mu: Tensor, log_var: Tensor, groups: int = 2) -> Case:
    """Round balls in the plane weigh the same even where they overlap."""
    group = torch.arange(len(mu), device="cpu") * groups // len(mu)
    return Case(mu, log_var[:, None].expand(-1, 2), group, group.bincount().double().log())


def pair(d: int, gap: float, dtype=torch.float64) -> Case:
    r"""(w_1 + w_2)^p, p = d/2, by the binomial theorem: sum_k C(p, k) exp(-k (p - k) gap^2 / (p d))."""
    p = d // 2
    terms = [math.lgamma(p + 1) - math.lgamma(k + 1) - math.lgamma(p - k + 1) for k in range(p + 1)]
    terms = [t - k * (p - k) / p * gap**2 / d for k, t in enumerate(terms)]
    mu = torch.cat([scattered(2, d, gap, dtype), torch.full((1, d), 400.0, dtype=dtype, device="cpu")])
    whole = torch.logsumexp(torch.tensor(terms, dtype=torch.float64, device="cpu"), 0).item()
    group = torch.tensor([0, 0, 1], device="cpu")
    return Case(mu, torch.zeros_like(mu), group, torch.tensor([whole, 0.0], device="cpu"))


def simplex(d: int, gap: float, twins: int, dtype=torch.float64) -> Case:
    r"""d balls, all ``gap`` apart, around a middle where none is, and copies of another far away.

    With p = d/2 the volume is p! exp(-p c / 2) times the coefficient of x^p in (sum_k x^k exp(c k^2 / (2 p))
    / k!)^d, c = gap^2 / d: the multinomial theorem, each product of Gaussians integrated.
    """
    p, c = d // 2, gap**2 / d
    one = [c * k * k / (2 * p) - math.lgamma(k + 1) for k in range(p + 1)]
    one = torch.tensor(one, dtype=torch.float64, device="cpu")
    whole = one
    for _ in range(d - 1):
        whole = torch.stack([torch.logsumexp(whole[: k + 1] + one[: k + 1].flip(0), 0) for k in range(p + 1)])
    crowd = math.lgamma(p + 1) - 0.5 * p * c + whole[p]
    mu = torch.cat([gap / math.sqrt(2) * torch.eye(d), torch.full((twins, d), 40.0)]).to(dtype)
    group = (torch.arange(len(mu), device="cpu") >= d).long()
    return Case(mu, torch.zeros_like(mu), group, torch.tensor([crowd, 0.5 * d * math.log(twins)]).double())


def mixed(n: int, d: int, low: float, high: float, dtype=torch.float64) -> Tensor:
    """Log variances from low to high, another order on each axis."""
    at = torch.linspace(low, high, n, dtype=dtype, device="cpu")
    return torch.stack([at.roll(3 * k) for k in range(d)], 1)


def unusual(d: int, times: float, dtype) -> Case:
    """Twenty balls and one whose center and log variances are many times as large."""
    case = apart(torch.full((21, d), -3.0, dtype=dtype, device="cpu"), 9.0)
    case.mu[13] *= times
    case.mu[13, 0] += 500.0
    case.log_var[13] *= times
    return case


single = torch.float32
(eps,) = properties.random_tensors(1, (60, 2))
CASES = {
    "two groups 10 apart": copies((3, 20), 2, 12.0),
    "two groups 1000 apart": copies((3, 4), 8, 1000.0),
    "two groups 1000 apart, single": copies((3, 4), 8, 1000.0, dtype=single),
    "two groups, tiny, single": copies((1, 3), 4, 1.0, -16.0, single),
    "three groups of copies": copies((1, 2, 4), 4, 30.0),
    "copies on a line": copies((1, 40), 1, 30.0),
    "copies in 16": copies((2, 2, 3), 16, 50.0),
    "copies in 64, single": copies((3, 3), 64, 60.0, dtype=single),
    "two hundred copies": copies((200, 201), 16, 60.0, -2.0),
    "one axis": apart(mixed(9, 1, -4.0, 0.0), 60.0),
    "one axis, single": apart(mixed(9, 1, -4.0, 0.0, single), 60.0),
    "log_var from -50": apart(mixed(12, 3, -50.0, -1.0), 30.0),
    "log_var from -50, single": apart(mixed(12, 3, -50.0, -1.0, single), 30.0),
    "log_var from -50 to 4": apart(mixed(10, 2, -50.0, 4.0), 400.0),
    "all at -50": apart(torch.full((8, 5), -50.0).double(), 3.0),
    "all at -30, single": apart(torch.full((8, 5), -30.0, device="cpu"), 3.0),
    "all at 20": apart(torch.full((8, 5), 20.0).double(), 1e6),
    "all at 20, single": apart(torch.full((8, 5), 20.0, device="cpu"), 1e6),
    "a far tiny ball": apart(torch.tensor([[0.0] * 4, [0.0] * 4, [-45.0] * 4]).double(), 300.0),
    "a far tiny ball, single": apart(torch.tensor([[0.0] * 4, [0.0] * 4, [-35.0] * 4]), 300.0),
    "a giant": apart(torch.tensor([[-9.0] * 3, [-9.0] * 3, [20.0] * 3]).double(), 5.0),
    "a giant, single": apart(torch.tensor([[-9.0] * 3, [-9.0] * 3, [20.0] * 3]), 5.0),
    "one row 255 times off": unusual(6, 200.0, torch.float64),
    "one row 255 times off, single": unusual(6, 200.0, single),
    "one row 100 times off in 16, single": unusual(16, 100.0, single),
    "with a background": apart(torch.full((6, 3), -2.0).double(), 40.0, lam=1e-4, tau=1e-5),
    "in 32": apart(torch.full((30, 32), -1.0).double(), 40.0),
    "in 64, single": apart(mixed(30, 64, -6.0, -1.0, single), 90.0),
    "in a subspace": apart(
        torch.zeros(9, 12).double(), 0.0, torch.eye(9, 12, dtype=torch.float64, device="cpu") * 30
    ),
    "far from the origin": apart(torch.full((5, 4), -4.0).double(), 0.0, scattered(5, 4, 9.0) + 1e6),
    "far from the origin, single": apart(
        torch.full((5, 4), -4.0, device="cpu"), 0.0, scattered(5, 4, 9.0, single) + 1e3
    ),
    "a cloud in the plane": in_the_plane(eps, -2.0 + eps[:, 0], 1),
    "near-copies in the plane": in_the_plane(
        torch.cat([1e-4 * eps, eps + 60.0]), torch.full((120,), -1.0).double()
    ),
    "near-copies in the plane, single": in_the_plane(
        torch.cat([1e-3 * eps, eps + 60.0]).float(), torch.full((120,), -1.0, device="cpu")
    ),
    "a grid": in_the_plane(
        torch.cartesian_prod(*[torch.arange(8.0, dtype=torch.float64, device="cpu")] * 2),
        torch.zeros(64).double(),
        1,
    ),
    "a circle": in_the_plane(
        9.0 * torch.stack([torch.arange(90.0).double().cos(), torch.arange(90.0).double().sin()], 1),
        torch.zeros(90).double(),
        1,
    ),
    "a chain": in_the_plane(scattered(80, 2, 0.7), torch.full((80,), -0.5).double(), 1),
    "two in 16, 5 apart": pair(16, 5.0),
    "two in 16, 8 apart, single": pair(16, 8.0, single),
    "two in 64, 8 apart": pair(64, 8.0),
    "a simplex in 16": simplex(16, 6.0, 1),
    "a simplex in 16, twins": simplex(16, 5.5, 4),
    "a simplex in 64, single": simplex(64, 9.0, 3, single),
    "a simplex in 64": simplex(64, 12.0, 2),
}


# balls whose spread the digits of their centers can't hold
COARSE = {
    "log_var from -50, single",
    "all at -30, single",
    "a far tiny ball, single",
    "one row 255 times off",
    "one row 255 times off, single",
    "one row 100 times off in 16, single",
}


@pytest.mark.parametrize("name", CASES)
def test_the_answer_is_right_or_it_is_not_vouched_for(name):
    case = CASES[name]
    d = case.mu.shape[1]
    metric = PosteriorMetric(case.mu, case.log_var, math.sqrt(d), case.lam, case.tau)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", SamplingWarning)
        draws = sample_uniform(metric, N, make_generator(1))
    # each of these places is within reach, but some draws are copies of centers: so far, all else is right
    assert draws.converged == (not told) == (name not in COARSE)
    assert all("can't tell draws from centers" in str(warning.message) for warning in told)
    log_shares = case.log_shares.double()
    if case.lam > 0:
        log_shares = torch.cat(
            [log_shares, log_shares.new_tensor([0.5 * d * math.log(case.lam / case.tau / d)])]
        )
    exact = alone(d) + torch.logsumexp(log_shares, 0).item()
    # what smc does not know of its own error, and 1e-4 nats for each axis in single precision
    rounding = 1e-3 + (1e-4 * d if case.mu.dtype == single else 0.0)
    assert abs(draws.log_volume - exact) < 5 * draws.log_volume_error + rounding
    distance = ((draws.z[:, None] - case.mu).double().square() * torch.exp(-case.log_var.double())).sum(-1)
    nearest, ball = distance.amin(-1), (distance + case.log_var.double().sum(-1)).argmin(-1)
    found = case.group[ball]
    if case.lam > 0:
        found = torch.where(nearest > 60, len(case.log_shares), found)
    shares = torch.softmax(log_shares, 0)
    counts = found.bincount(minlength=len(shares)) / N
    # five deviations of as many independent draws
    assert ((counts - shares).abs() < 5 * (shares * (1 - shares) / min(N, draws.ess)).sqrt() + 2 / N).all()


@pytest.mark.parametrize("low", [-50.0, -12.0, 0.0])
@pytest.mark.parametrize("lam", [0.0, 0.3])
def test_on_a_line_the_integral_says_it(low, lam):
    mu = torch.tensor([[-1.0], [0.0], [0.5], [0.5], [3.0]], dtype=torch.float64)
    log_var = torch.tensor([[0.0], [-1.0], [-2.0], [1.0], [low]], dtype=torch.float64)
    metric = PosteriorMetric(mu, log_var, 1.0, lam, 0.1)
    draws = sample_uniform(metric, N, make_generator(0))
    wide = torch.linspace(-60.0, 60.0, 200_001, dtype=torch.float64, device="cpu")
    near = 3.0 + math.exp(0.5 * low) * torch.linspace(-12.0, 12.0, 20_001, dtype=torch.float64, device="cpu")
    x = torch.cat([wide, near]).sort().values
    exact = torch.trapezoid(torch.exp(metric.log_volume(x[:, None])), x).item()
    assert draws.converged
    assert abs(draws.log_volume - math.log(exact)) < 5 * draws.log_volume_error + 1e-5


@pytest.mark.parametrize("unit", [1e-8, 1e6])
def test_the_unit_of_the_codes_changes_nothing(unit):
    mu, log_var = properties.random_tensors(2, (50, 6))
    first, second = (
        sample_uniform(
            PosteriorMetric(s * mu, log_var + 2 * math.log(s), math.sqrt(6), 0.0, 0.0), N, make_generator(2)
        )
        for s in (1.0, unit)
    )
    assert first.converged
    assert second.log_volume == pytest.approx(first.log_volume, abs=1e-6)
    properties.close(second.z / unit, first.z, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_volume_element_is_right_where_radii_are_unlike(dtype):
    mu, log_var, z = properties.random_tensors(3, (30, 4), dtype=dtype)
    log_var = log_var - 1.0
    mu[7], log_var[7] = mu[7] + 229.0, -599.0  # a far ball whose precision no weight makes small
    metric = PosteriorMetric(mu, log_var, 2.0, 0.1, 0.1)
    gap = z.double()[:, None] - mu.double()
    log_weights = -(gap.square() * torch.exp(-log_var.double())).sum(-1, keepdim=True) / 4.0
    balls = torch.logsumexp(log_weights - log_var.double(), 1)
    background = math.log(0.1) - 0.1 * z.double().square().sum(-1, keepdim=True)
    exact = 0.5 * torch.logaddexp(balls, background).sum(-1)
    rounding = {torch.float32: 1e-5, torch.float64: 1e-10}[dtype]
    properties.close(metric.log_volume(z).double(), exact, atol=rounding, rtol=rounding)
    value, gradient = metric.log_volume_and_grad(z)
    properties.close(value.double(), exact, atol=rounding, rtol=rounding)
    without = PosteriorMetric(mu[torch.arange(30) != 7], log_var[torch.arange(30) != 7], 2.0, 0.1, 0.1)
    properties.close(gradient, without.log_volume_and_grad(z)[1], atol=10 * rounding, rtol=10 * rounding)
    assert metric.log_volume(mu[7]).item() == pytest.approx(2 * 599, abs=0.01)


@pytest.mark.usefixtures("no_hook")
def test_radii_too_large_for_the_dtype_are_named():
    mu = torch.zeros(9, 3, device="cpu")
    log_var = mu.clone()
    log_var[5, 1] = 255.0
    with pytest.raises(ValueError, match=r"exp\(log_var\) must be finite, got inf in row 5"):
        PosteriorMetric.fit(mu, log_var)
