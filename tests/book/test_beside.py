"""The pages beside the road: their formulas against numbers, their names against the core."""

import itertools
import math
import re

import pytest
import torch
from beside import PAGES, TEXT, normal
from torch import Tensor, distributions
from torch.func import hessian, jacfwd, jacrev, vmap
from torch.nn import functional

import riemvae_core as rc
from riemvae_core import metrics

pytestmark = pytest.mark.usefixtures("double_by_default")

INWARD, OUTWARD = normal(5, 3), normal(7, 5, seed=1)


def decode(z: Tensor) -> Tensor:
    """A small curved decoder of 3 axes and 7 pixels."""
    return torch.tanh(z @ INWARD.T) @ OUTWARD.T


# how the table was made (reading_the_papers.md)


def test_the_margins_are_differences():
    rows = re.findall(
        r"^\| \w+ \| ([\d.]+) \| ([\d.]+) \(.+?\) \| ([\d.]+) \|", TEXT["reading_the_papers"], re.M
    )
    assert len(rows) == 4
    for theirs, next_best, margin in rows:
        assert float(next_best) - float(theirs) == pytest.approx(float(margin), abs=1e-6)


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
            if cell != "$n<h$":
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
