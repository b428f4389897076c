"""The pages beside the road: their formulas against numbers, their names against the core."""

import itertools
import math
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributions
from torch.func import grad, hessian, jacfwd, jacrev, vmap
from torch.nn import functional

import riemvae_core as rc
from riemvae_core import metrics
from riemvae_core.laws import hmc
from riemvae_core.numerics import load_forward_mode

BOOK = Path(__file__).resolve().parents[2] / "book"
PAGES = ("reading_the_papers", "other_models", "hessians", "measuring_images")
TEXT = {page: (BOOK / f"{page}.md").read_text(encoding="utf8") for page in PAGES}


@pytest.fixture(autouse=True)
def double():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    load_forward_mode()
    yield
    torch.set_default_dtype(before)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


INWARD, OUTWARD = normal(5, 3).double(), normal(7, 5, seed=1).double()


def decode(z: Tensor) -> Tensor:
    """A small curved decoder of 3 axes and 7 pixels."""
    return torch.tanh(z @ INWARD.T) @ OUTWARD.T


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


# how the table was made, and momenta that depend on the place (reading_the_papers.md)


def test_the_margins_are_differences():
    rows = re.findall(
        r"^\| \w+ \| ([\d.]+) \| ([\d.]+) \(.+?\) \| ([\d.]+) \|", TEXT["reading_the_papers"], re.M
    )
    assert len(rows) == 4
    for theirs, next_best, margin in rows:
        assert float(next_best) - float(theirs) == pytest.approx(float(margin), abs=1e-6)


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


# Hessians (hessians.md, other_models.md)


def expected_hessian(z: Tensor) -> Tensor:
    """The mean Hessian of a Bernoulli decoder's error, over all 128 black-and-white images."""
    p = decode(z).sigmoid()

    def error(at: Tensor, x: Tensor) -> Tensor:
        return functional.binary_cross_entropy_with_logits(decode(at), x, reduction="sum")

    images = torch.tensor(list(itertools.product((0.0, 1.0), repeat=7)))
    chance = torch.where(images > 0, p, 1 - p).prod(1)
    return torch.einsum("n,nij->ij", chance, vmap(hessian(error), (None, 0))(z, images))


def test_a_bernoulli_decoder_s_mean_hessian_is_fisher_pulled_back():
    z = normal(3, seed=4)
    wanted, j, p = expected_hessian(z), jacrev(lambda at: decode(at).sigmoid())(z), decode(z).sigmoid()
    assert torch.allclose(j.T @ (j / (p * (1 - p))[:, None]), wanted)
    round_pixels = rc.PullbackMetric(lambda at: 2 * decode(at).sigmoid().sqrt().arcsin())
    assert torch.allclose(round_pixels(z[None])[0], wanted)


def test_a_learned_variance_adds_twice_the_speed_of_its_logarithm():
    z, spread = normal(3, seed=4), 0.3 * normal(7, 3, seed=5)

    def divergence(to: Tensor) -> Tensor:
        here = distributions.Normal(decode(z), torch.exp(spread @ z))
        there = distributions.Normal(decode(to), torch.exp(spread @ to))
        return distributions.kl_divergence(here, there).sum()

    j, weight = jacrev(decode)(z), torch.exp(-2 * spread @ z)
    assert torch.allclose(hessian(divergence)(z), j.T @ (j * weight[:, None]) + 2 * spread.T @ spread)


@pytest.mark.parametrize(("width", "tolerance"), [(0.01, 1e-4), (0.5, 0.05)])
def test_a_discretized_logistic_reads_a_pixel_a_tenth_better_than_a_gaussian(width, tolerance):
    """Both of variance 1, on gray steps of this width."""
    scale, edges = math.sqrt(3) / math.pi, torch.arange(-15, 15, width)

    def chances(mean: Tensor) -> Tensor:
        return ((edges - mean) / scale).sigmoid().diff()

    mean = torch.tensor(0.3 * width)
    fisher = (jacfwd(chances)(mean).square() / chances(mean)).sum().item()
    assert fisher == pytest.approx(math.pi**2 / 9, rel=tolerance)


def test_one_image_s_hessian_is_speed_less_bend_and_can_fail():
    z, x = normal(3, seed=4), normal(7, seed=6)
    j, second = jacrev(decode)(z), hessian(decode)(z)
    bend = torch.einsum("p,pij->ij", x - decode(z), second)
    found = 0.5 * hessian(lambda at: (x - decode(at)).square().sum())(z)
    assert torch.allclose(found, j.T @ j - bend)
    rows = re.findall(
        r"^\| .* \| ([\d.]+) \| ([\d.]+) \| \$?(-?[\d.]+)\$? \| (?:no|yes) \|$", TEXT["hessians"], re.M
    )
    assert len(rows) == 3
    for place, row in zip((0.0, 0.5, 1.0), rows, strict=True):
        half = 0.5 * hessian(lambda at: (1 - at**2) ** 2)(torch.tensor(place)).item()
        speed, bent = 4 * place**2, 2 * (1 - place**2)
        assert [float(entry) for entry in row] == pytest.approx([speed, bent, half])


def test_a_linear_decoder_s_ball_has_the_conditional_variance():
    j, beta = normal(6, 3, seed=7), 0.8
    a = torch.eye(3) + 2 / beta * j.T @ j
    images = j @ j.T + beta / 2 * torch.eye(6)  # their covariance, with that of the noise
    exact = torch.eye(3) - j.T @ torch.linalg.solve(images, j)  # what they leave of the prior's
    assert torch.allclose(torch.linalg.inv(exact), a)
    ball = rc.optimal_log_var(j.square().sum(0), beta).exp()
    assert torch.allclose(ball, 1 / a.diagonal())
    assert (ball < exact.diagonal()).all()


def test_the_aggregate_s_hessian_is_the_average_less_a_covariance():
    mu, log_var, z = normal(6, 3, seed=9), normal(6, 3, seed=10), normal(3, seed=4)
    w = rc.responsibilities(z[None], mu, log_var)[0]
    pulls = (z - mu) * torch.exp(-log_var)
    covariance = torch.cov(pulls.T, correction=0, aweights=w)
    found = -hessian(lambda at: rc.log_prob_mixture(at[None], mu, log_var)[0])(z)
    assert torch.allclose(found, torch.diag(w @ torch.exp(-log_var)) - covariance)
    two = torch.tensor([[-1.5], [1.5]])
    middle = -hessian(lambda at: rc.log_prob_mixture(at[None], two, torch.zeros(2, 1))[0])(torch.zeros(1))
    assert middle.item() == pytest.approx(1 - 1.5**2)


def test_the_sum_of_the_balls_is_no_hessian():
    metric = rc.PosteriorMetric(normal(6, 3, seed=9), normal(6, 3, seed=10), 1.7, 0.01, 0.1)
    slopes = jacrev(lambda at: metric(at[None])[0])(normal(3, seed=4))
    assert (slopes - slopes.transpose(1, 2)).abs().max() > 0.1


# the bias of a Frechet distance (measuring_images.md)


def bias(eigenvalues: Tensor, n: int) -> float:
    pairs = eigenvalues[:, None] * eigenvalues / (eigenvalues[:, None] + eigenvalues)
    return ((3 * eigenvalues.sum() + pairs.sum() - pairs.diagonal().sum()) / n).item()


def test_two_samples_of_one_law_are_as_far_apart_as_the_page_says():
    eigenvalues, n = torch.tensor([4.0, 2.0, 1.0, 0.5, 0.25, 0.1]), 400
    samples = normal(100, 2, n, 6, seed=11) * eigenvalues.sqrt()
    found = torch.tensor([rc.frechet_distance(*pair) for pair in samples])
    assert found.mean().item() == pytest.approx(bias(eigenvalues, n), abs=4 * found.std().item() / 10 + 2e-3)


def test_the_table_of_floors_is_computed():
    told = re.findall(r"^\| ([\d,]+) \| (flat|falling as .*?) \| (.+) \|$", TEXT["measuring_images"], re.M)
    assert len(told) == 4
    for h, spectrum, cells in told:
        order = torch.arange(1, int(h.replace(",", "")) + 1).double()
        eigenvalues = torch.ones_like(order) if spectrum == "flat" else 1 / order
        for n, cell in zip((1_000, 10_000, 50_000), cells.split(" | "), strict=True):
            if not cell.startswith("outside"):
                assert bias(eigenvalues, n) / eigenvalues.sum() == pytest.approx(float(cell), rel=0.05)


# names


@pytest.mark.parametrize("page", PAGES)
def test_every_name_of_the_core_exists(page):
    names = set(re.findall(r"`rc\.(\w+)", TEXT[page]))
    assert [name for name in names if not hasattr(rc, name)] == []
    assert [
        name for name in re.findall(r"`space\.(\w+)", TEXT[page]) if not hasattr(rc.LatentSpace, name)
    ] == []


def test_the_known_metrics_that_are_named_exist():
    named = re.findall(r"`(\w+Metric)`", "".join(TEXT.values()))
    assert {"SphereMetric", "HalfPlaneMetric"} <= set(named)
    assert [name for name in named if not hasattr(metrics, name)] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_with_its_conclusion_and_ends_with_questions(page):
    opening = TEXT[page].split("\n# ", 1)[1].split("\n\n")[1]
    assert opening.startswith("**")
    assert "\n## Questions people ask\n" in TEXT[page]
