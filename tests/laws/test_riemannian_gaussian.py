"""The Riemannian Gaussian: flat, hyperbolic and round spaces, in which the law of the distance is known."""

import math

import numpy as np
import properties
import pytest
import torch
from scipy.stats import chi2, kstest

from riemvae_core import sample_riemannian_gaussian
from riemvae_core.laws.riemannian_gaussian import RiemannianDraws
from riemvae_core.laws.uniform import SamplingWarning
from riemvae_core.metrics import ConstantMetric, HalfPlaneMetric
from riemvae_core.numerics import make_generator


def radial(area, sigma, end):
    """Distribution function of the distance where a circle of radius r has ``area(r)``, and log C."""
    r = np.linspace(0.0, end, 20_001)
    density = area(r) * np.exp(-(r**2) / (2 * sigma))
    cdf = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * (r[1] - r[0]))])
    return lambda t: np.interp(t, r, cdf / cdf[-1]), math.log(cdf[-1])


def test_in_a_flat_space_it_is_the_normal_law():
    matrix = torch.tensor([[4.0, 1.0], [1.0, 0.5]], dtype=torch.float64)
    center = torch.tensor([1.0, -2.0], dtype=torch.float64)
    draws = sample_riemannian_gaussian(ConstantMetric(matrix), center, 0.3, 100, make_generator(0))
    gap = draws.z - center
    m2 = torch.einsum("ni,ij,nj->n", gap, matrix, gap) / 0.3
    assert kstest(m2, chi2(2).cdf).pvalue > 1e-3
    assert (draws.z.mean(0) - center).abs().max() < 5 * math.sqrt(0.3 * torch.linalg.inv(matrix).max() / 100)
    assert draws.log_normalizer == pytest.approx(math.log(2 * math.pi * 0.3), abs=1e-6)
    assert draws.ess == pytest.approx(400)
    assert draws.converged
    assert draws.cut == 0.0


@pytest.mark.parametrize("sigma", [0.5, 1.5])
def test_on_the_half_plane_distances_have_their_law(sigma):
    center = torch.tensor([0.3, 1.7], dtype=torch.float64)
    draws = sample_riemannian_gaussian(
        HalfPlaneMetric(), center, sigma, 700, make_generator(1), check_shortest=False
    )
    gap = (draws.z - center).square().sum(-1) / (2 * draws.z[:, 1] * center[1])
    distance = torch.arccosh(1 + gap)
    # a hyperbolic circle of radius r has length 2 pi sinh r
    cdf, log_c = radial(lambda r: 2 * math.pi * np.sinh(r), sigma, 12.0)
    assert kstest(distance, cdf).pvalue > 1e-3
    assert abs(draws.log_normalizer - log_c) < 5 * draws.log_normalizer_error
    assert 0 < draws.log_normalizer_error < 0.05


class RoundMetric:
    """The unit sphere, seen from one pole: 4 / (1 + |z|^2)^2 I."""

    def __call__(self, z):
        scale = 4.0 / (1.0 + z.square().sum(-1, keepdim=True)).square()
        return torch.diag_embed(scale.expand(z.shape))


def test_on_the_sphere_paths_beyond_half_a_turn_are_left_out():
    center = torch.tensor([0.5, 0.0], dtype=torch.float64)
    draws = sample_riemannian_gaussian(RoundMetric(), center, 1.5, 50, make_generator(2))
    # a velocity is longer than pi with probability exp(-pi^2 / 2 sigma) = 0.037; of 400, 15 +- 3.8
    assert abs(400 * draws.cut - 14.9) < 4 * 3.8
    z2, c2, gap = draws.z.square().sum(-1), center.square().sum(), (draws.z - center).square().sum(-1)
    distance = 2 * torch.arcsin((gap / ((1 + z2) * (1 + c2))).sqrt())
    cdf, log_c = radial(lambda r: 2 * math.pi * np.sin(r), 1.5, math.pi)
    assert kstest(distance, cdf).pvalue > 1e-3
    assert abs(draws.log_normalizer - log_c) < 5 * draws.log_normalizer_error


def test_a_pool_that_is_too_poor_warns():
    with pytest.warns(SamplingWarning, match="did not converge"):
        draws = sample_riemannian_gaussian(
            HalfPlaneMetric(), torch.tensor([0.0, 1.0]).double(), 12.0, 100, make_generator(3), False
        )
    assert not draws.converged


@pytest.mark.usefixtures("no_hook")
def test_bad_input_is_named():
    center = torch.zeros(2, dtype=torch.float64)
    with pytest.raises(ValueError, match="center must be") as error:
        sample_riemannian_gaussian(HalfPlaneMetric(), center[None], 1.0, 1)
    properties.message_names(error.value, [1, 2])
    with pytest.raises(ValueError, match="sigma must be a finite number above 0, got"):
        sample_riemannian_gaussian(HalfPlaneMetric(), center, -1.0, 1)
    with pytest.raises(ValueError, match="sigma must be a finite number above 0, got"):
        sample_riemannian_gaussian(HalfPlaneMetric(), center, math.inf, 1)
    with pytest.raises(ValueError, match="center must be finite, got nan in row 1"):
        sample_riemannian_gaussian(HalfPlaneMetric(), center + center.new_tensor([0.0, torch.nan]), 1.0, 1)
    with pytest.raises(ValueError, match="metric must be positive definite at center"):
        sample_riemannian_gaussian(lambda z: -torch.diag_embed(torch.ones_like(z)), center, 1.0, 1)


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_live_where_the_center_does(dtype):
    center = torch.tensor([0.0, 1.0], dtype=dtype, device="cpu")
    draws = sample_riemannian_gaussian(HalfPlaneMetric(), center, 0.2, 5, make_generator(0), False)
    assert isinstance(draws, RiemannianDraws)
    assert draws.z.device.type == "cpu"
    assert draws.z.dtype == dtype
    assert torch.isfinite(draws.z).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_by_name(dtype):
    with pytest.raises(
        ValueError, match=f"center must be float32 or float64, got {dtype}: take center.float"
    ):
        sample_riemannian_gaussian(ConstantMetric(torch.eye(2)), torch.zeros(2).to(dtype), 1.0, 3)
