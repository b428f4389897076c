"""What fitted laws are made of: searches for a width, mixtures, frames of kernels, each beside an oracle."""

import math

import numpy as np
import properties
import pytest
import torch
from scipy.stats import kstest
from sklearn.mixture import GaussianMixture
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

import riemvae_core as rc
from riemvae_core.laws import baselines, kernels, law, local, parametric


def some_codes(n=60, d=3):
    mu, log_var = properties.random_tensors(2, (n, d))
    return law.Codes(mu, 0.3 * log_var - 1.0, None, rc.make_generator(0))


@pytest.mark.parametrize("best", [0.011, 0.3, 1.0, 900.0])
def test_the_best_width_is_found_within_a_percent_also_past_the_first_grid(best):
    h, tried = law.best_width(lambda h: -(math.log(h / best) ** 2), 1.0)
    assert h == pytest.approx(best, rel=0.01)
    assert len(tried) < 45
    assert max(tried, key=lambda row: row[1])[0] == h


def test_a_width_has_a_largest_value_and_a_search_an_end():
    h, tried = law.best_width(lambda h: h, 0.5, most=1.0)
    assert h == 1.0
    assert max(w for w, _ in tried) <= 1.0
    assert law.best_width(lambda h: -math.inf, 1.0)[0] > 0.0
    assert law.best_width(lambda h: h, 1.0)[0] > 100.0


def test_a_density_that_is_no_number_scores_least():
    z = torch.zeros(2, 1, device="cpu")
    assert law.score(law.Parts(None, lambda z: z[:, 0] + 3.0), z) == 3.0
    assert law.score(law.Parts(None, lambda z: z[:, 0] * math.nan), z) == -math.inf

    def out_of_range(z):
        raise FloatingPointError

    assert law.score(law.Parts(None, out_of_range), z) == -math.inf


def test_the_best_of_some_is_the_one_with_the_largest_value():
    choice = law.best_of([({"h": 1.0}, -3.0), ({"h": 2.0}, -1.0), ({"h": 3.0}, -2.0)])
    assert isinstance(choice, law.Choice)
    assert (choice.widths, choice.log_prob, len(choice.tried)) == ({"h": 2.0}, -1.0, 3)
    codes = some_codes()
    choice = law.chosen_width(lambda codes, widths: kernels.of_balls(*codes[:2]), codes, codes.mu, 1.0, k=7)
    assert choice.widths["k"] == 7


def test_balls_of_equal_weight_are_the_aggregate_posterior():
    codes = some_codes()
    parts, z = kernels.of_balls(codes.mu, codes.log_var), some_codes(9).mu + 0.1
    properties.close(parts.log_prob(z), rc.log_prob_mixture(z, codes.mu, codes.log_var))
    assert kstest(parts.sample(4000, rc.make_generator(0))[:, 0], oracle_cdf(codes)).pvalue > 1e-3
    first = kernels.first_width(codes, z)
    apart = torch.cdist(z, codes.mu).min(1).values.median().item()
    assert first == pytest.approx(apart / 3**0.5)


def oracle_cdf(codes):
    spread = torch.exp(0.5 * codes.log_var[:, 0])
    return lambda t: (
        torch.special.ndtr((torch.as_tensor(t)[:, None] - codes.mu[:, 0]) / spread).mean(1).numpy()
    )


def test_a_full_mixture_is_torchs():
    weights = torch.tensor([0.2, 0.8], dtype=torch.float64, device="cpu")
    means, parts = properties.random_tensors(1, (2, 3))[0], properties.random_tensors(1, (2, 3, 3), seed=1)[0]
    roots = torch.linalg.cholesky(parts @ parts.mT + 0.1 * torch.eye(3, dtype=torch.float64, device="cpu"))
    oracle = MixtureSameFamily(Categorical(weights), MultivariateNormal(means, scale_tril=roots))
    mixture = parametric.FullMixture(weights, means, roots, means)
    z = properties.random_tensors(1, (50, 3), seed=2)[0]
    properties.close(mixture.log_prob(z), oracle.log_prob(z))
    drawn = mixture.sample(20_000, rc.make_generator(0))
    assert ((drawn.mean(0) - oracle.mean) / oracle.variance.sqrt()).abs().max() < 5 / 20_000**0.5
    assert (drawn.var(0) / oracle.variance - 1).abs().max() < 0.05


def test_roots_and_mixtures_of_codes_are_numpys_and_scikit_learns():
    codes = some_codes()
    root = baselines.covariance_root(codes.mu, codes.log_var, 0.3)
    expected = np.cov(codes.mu.numpy().T, ddof=0) + 0.3 * np.diag(np.exp(codes.log_var.numpy()).mean(0))
    properties.close(root @ root.T, torch.from_numpy(expected))
    weights, means, _ = baselines.fitted_mixture(codes.mu, 2, seed=3)
    oracle = GaussianMixture(2, random_state=3, max_iter=500, reg_covar=1e-6 * codes.mu.var().item())
    oracle.fit(codes.mu.numpy())
    properties.close(weights, torch.from_numpy(oracle.weights_), rtol=1e-6)
    properties.close(means, torch.from_numpy(oracle.means_), rtol=1e-6, atol=1e-8)
    draw = baselines.trained_second_stage(codes.mu, codes.log_var, codes.generator, 1, 8)
    assert draw(7, codes.generator).shape == (7, 3)


def test_frames_are_means_steps_and_roots_of_neighbors():
    codes = some_codes()
    widths = {"neighbors": 12, "shrinkage": 0.25, "target": "axes"}
    made = local.LocalKernels(codes, widths)
    mean, step, root = made.frames(slice(0, 5))
    y = (codes.mu - codes.mu.mean(0)) / codes.mu.std(0)
    near = y[torch.cdist(y[:5], y).argsort(1)[:, :12]]
    properties.close(mean, near.mean(1))
    properties.close(mean + step, y[:5])
    covariance = torch.stack([torch.cov(x.T, correction=0) for x in near])
    size = covariance.diagonal(dim1=1, dim2=2).mean(1)
    target = torch.diag_embed(size[:, None].expand(5, 3))
    properties.close(root @ root.mT, 0.75 * covariance + 0.25 * target)
    drawn = made.draw(6000, 1e-4, rc.make_generator(0))  # no width: the codes themselves
    assert torch.cdist(drawn, codes.mu).min(1).values.max() < 1e-3
    options = local.shapes(codes)
    assert options["neighbors"] == (20, 10, 30)
    choice = local.searched(lambda shape: local.LocalKernels(codes, shape), options, 0.9 * codes.mu, 1.0)
    assert choice.log_prob >= max(value for _, value in choice.tried) - 1e-9
    made = law.Family(("h",), None, None)
    assert made.needs == ""
