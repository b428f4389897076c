"""How long a step may be, and what momenta need whose law depends on the place: formulas against numbers."""

import itertools
import math
import re

import pytest
import torch
from beside import TEXT, normal
from torch import Tensor, distributions
from torch.func import grad, hessian, jacrev, vmap

import riemvae_core as rc
from riemvae_core.laws import hmc

pytestmark = pytest.mark.usefixtures("double_by_default")

# the length of a leapfrog step (questions.md, q-step)


def farthest(target, d: int, eta: float) -> float:
    start = hmc.evaluate_target(target, torch.full((1, d), 1e-3))
    end, _ = hmc.leapfrog(target, start, torch.full((1, d), 1e-3), eta, 30)
    return end.z.abs().max().item()


def test_the_narrowest_axis_limits_the_step():
    sigma = torch.tensor([1.0, 0.1])

    def target(z: Tensor) -> tuple[Tensor, Tensor]:
        return -0.5 * (z / sigma).square().sum(-1), -z / sigma**2

    assert farthest(target, 2, 0.199) < 0.1 < 1 < farthest(target, 2, 0.21)


@pytest.mark.parametrize("rho", [1.0, 4.0])
def test_the_law_of_a_lone_ball_limits_it_by_its_smallest_radius(rho):
    log_var = 2 * torch.tensor([[1.0, 1.0, 1.0, 0.1]]).log()
    lone = rc.PosteriorMetric(torch.zeros(1, 4), log_var, rho, lam=1e-300, tau=1.0)
    limit = 2 * rho * 0.1 / math.sqrt(4)
    assert farthest(lone.log_volume_and_grad, 4, 0.98 * limit) < 0.01
    assert farthest(lone.log_volume_and_grad, 4, 1.02 * limit) > 0.1


def test_overlap_makes_no_hump_narrower_than_the_smallest_radius():
    log_var = normal(6, 3, seed=10)
    metric = rc.PosteriorMetric(normal(6, 3, seed=9), log_var, 1.7, 0.01, 0.1)
    curves = vmap(hessian(lambda at: -metric.log_volume(at[None])[0]))(normal(20, 3, seed=14))
    most = 3 / 1.7**2 * torch.exp(-log_var.min())
    assert torch.linalg.eigvalsh(curves).max() <= most


# momenta that depend on the place (reading_the_papers.md)


class Momenta:
    r"""$U+\frac12\log\det G+\frac12\xi^\top G^{-1}\xi$ for a diagonal metric, and its derivatives."""

    def __init__(self, potential, force, diagonal, slopes):
        self.potential, self.force = potential, force  # U, and its gradient
        self.diagonal, self.slopes = diagonal, slopes  # G as a row [n, d], and by coordinates [n, d, d]

    def energy(self, z: Tensor, xi: Tensor) -> Tensor:
        g = self.diagonal(z)
        return self.potential(z) + 0.5 * (g.log() + xi.square() / g).sum(-1)

    def by_z(self, z: Tensor, xi: Tensor) -> Tensor:
        g = self.diagonal(z)
        return self.force(z) + 0.5 * ((1 / g - xi.square() / g.square())[..., None] * self.slopes(z)).sum(-2)

    def by_xi(self, z: Tensor, xi: Tensor) -> Tensor:
        return xi / self.diagonal(z)

    def step(self, z: Tensor, xi: Tensor, eta: float, kicks: int = 15, drifts: int = 15):
        """One step of the generalized leapfrog; a single repetition is the leapfrog's explicit line."""
        middle = xi
        for _ in range(kicks):
            middle = xi - eta / 2 * self.by_z(z, middle)
        there = z
        for _ in range(drifts):
            there = z + eta / 2 * (self.by_xi(z, middle) + self.by_xi(there, middle))
        return there, middle - eta / 2 * self.by_z(there, middle)


def plane_slopes(z: Tensor) -> Tensor:
    first, second = z.unbind(-1)
    falling = -2 * first * torch.exp(-(first**2))
    rows = torch.stack([0.6 * first, 2 * second, falling, torch.zeros_like(first)], -1)
    return rows.unflatten(-1, (2, 2))


def plane_diagonal(z: Tensor) -> Tensor:
    """The metric of the page's table."""
    first, second = z.unbind(-1)
    return torch.stack([1 + 0.3 * first**2 + second**2, 0.5 + torch.exp(-(first**2))], -1)


PLANE = Momenta(lambda z: 0.5 * z.square().sum(-1), lambda z: z, plane_diagonal, plane_slopes)


def test_the_derivatives_are_those_of_the_energy():
    z, xi = normal(2, seed=12), normal(2, seed=13)
    assert torch.allclose(PLANE.by_z(z, xi), grad(PLANE.energy, 0)(z, xi))
    assert torch.allclose(PLANE.by_xi(z, xi), grad(PLANE.energy, 1)(z, xi))


def test_pythaes_default_steps_lose_as_little_as_the_page_says():
    assert "5\\cdot10^{-8}" in TEXT["reading_the_papers"]

    def move(pair: Tensor) -> Tensor:
        return torch.cat(PLANE.step(pair[:2], pair[2:], 0.001, 20, 1))

    lost = 1 - torch.linalg.det(jacrev(move)(torch.tensor([0.4, -0.7, 1.1, 0.8])))
    assert lost.item() == pytest.approx(5e-8, rel=0.1)


@pytest.mark.parametrize(
    ("kicks", "drifts", "volume", "returned", "error"),
    [(20, 20, 1.0, 0.0, -0.003), (1, 1, 0.9932, 0.013, 0.018), (20, 1, 0.9970, 0.012, 0.012)],
)
def test_what_is_left_unsolved_costs_volume_and_the_way_back(kicks, drifts, volume, returned, error):
    """The page's table, row by row."""
    row = rf"\| {volume:g}0* \| .*{returned or 'exact'} \| \${error}\$ \|"
    assert re.search(row, TEXT["reading_the_papers"])
    start, flip = torch.tensor([0.4, -0.7, 1.1, 0.8]), torch.tensor([1.0, 1.0, -1.0, -1.0])

    def move(pair: Tensor) -> Tensor:
        return torch.cat(PLANE.step(pair[:2], pair[2:], 0.2, kicks, drifts))

    assert torch.linalg.det(jacrev(move)(start)).item() == pytest.approx(volume, abs=5e-5)
    back = (flip * move(flip * move(start)) - start).abs().max().item()
    assert back == pytest.approx(returned, abs=5e-4 if returned else 1e-12)
    end = start
    for _ in range(20):
        end = move(end)
    gained = PLANE.energy(end[:2], end[2:]) - PLANE.energy(start[:2], start[2:])
    assert gained.item() == pytest.approx(error, abs=5e-4)


def test_the_weights_of_a_tempered_flow_have_the_evidence_as_their_mean():
    """RHVAE's bound is the mean logarithm of these weights; their mean is p(x), which is known here."""
    x, s2, theta, eta = 0.8, 0.5, (0.4, 0.6, 0.85, 1.0), 0.3

    def log_joint(z: Tensor) -> Tensor:
        return -0.5 * (x - z).square() / s2 - 0.5 * z.square() - math.log(2 * math.pi) - 0.5 * math.log(s2)

    line = Momenta(
        lambda z: -log_joint(z).sum(-1),
        lambda z: z - (x - z) / s2,
        lambda z: 0.5 + torch.exp(-(z**2)),
        lambda z: (-2 * z * torch.exp(-(z**2)))[..., None],
    )
    q = distributions.Normal(0.2, 0.7)
    z0, kick = 0.2 + 0.7 * normal(10_000, 1, seed=2), normal(10_000, 1, seed=3)
    xi0 = kick * (line.diagonal(z0) / theta[0]).sqrt()
    z, xi = z0, xi0
    for before, after in itertools.pairwise(theta):
        z, xi = line.step(z, xi, eta)
        xi = xi * math.sqrt(before / after)
    last = distributions.Normal(0.0, line.diagonal(z).sqrt()).log_prob(xi)
    first = distributions.Normal(0.0, (line.diagonal(z0) / theta[0]).sqrt()).log_prob(xi0)
    log_w = log_joint(z) + last - q.log_prob(z0) - first + 0.5 * math.log(theta[0])
    evidence = math.exp(-0.5 * x**2 / (1 + s2)) / math.sqrt(2 * math.pi * (1 + s2))
    noise = log_w.exp().std().item() / 100
    assert noise < 0.02 * evidence
    assert log_w.exp().mean().item() == pytest.approx(evidence, abs=4 * noise)
    assert log_w.mean() < math.log(evidence)
