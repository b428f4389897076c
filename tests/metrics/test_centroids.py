"""Medoids against brute force, and the rules for rho against what they claim."""

import itertools
import math
import sys

import numpy as np
import properties
import pytest
import torch
from scipy.spatial import KDTree
from scipy.spatial.distance import cdist

from riemvae_core.metrics import centroids
from riemvae_core.metrics.centroids import choose_medoids, matched_rho, nearest_neighbor_rho
from riemvae_core.numerics import make_generator


def clusters(n_each=8, dtype=torch.float64):
    """Four clusters far apart, in the order a a a ... b b b ..."""
    corners = 20.0 * torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=dtype)
    (noise,) = properties.random_tensors(1, (4 * n_each, 2), seed=1, dtype=dtype)
    return corners.repeat_interleave(n_each, 0) + noise


def cost(mu, medoids):
    return cdist(mu, mu[medoids]).min(1).sum()


def test_without_a_number_every_ball_is_kept():
    mu = clusters()
    assert choose_medoids(mu, None).tolist() == choose_medoids(mu, len(mu)).tolist() == list(range(len(mu)))


def test_clusters_apart_get_their_own_medoids():
    mu = clusters()
    table = cdist(mu, mu)
    best = [s + int(table[s : s + 8, s : s + 8].sum(1).argmin()) for s in range(0, 32, 8)]
    assert choose_medoids(mu, 4, make_generator(0)).tolist() == best


@pytest.mark.parametrize("seed", range(5))
def test_two_medoids_of_a_cloud_are_the_best_two(seed):
    (mu,) = properties.random_tensors(1, (14, 3), seed=seed)
    found = choose_medoids(mu, 2, make_generator(0)).tolist()
    best = min(cost(mu, list(pair)) for pair in itertools.combinations(range(14), 2))
    # a swap more than which no swap improves; on so few points it is the best or next to it
    assert cost(mu, found) <= 1.05 * best


def test_medoids_depend_on_the_generator_alone():
    (mu,) = properties.random_tensors(1, (300, 2))
    state = torch.get_rng_state()
    a, b, c = (choose_medoids(mu, 20, make_generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(a, a.unique())
    assert len(a) == 20


def test_many_points_are_thinned_first(monkeypatch):
    mu = clusters(200)
    whole = cost(mu, choose_medoids(mu, 4, make_generator(0)))
    monkeypatch.setattr(centroids, "SUBSET", 100)
    thinned = choose_medoids(mu, 4, make_generator(0))
    assert sorted(int(i) // 200 for i in thinned) == [0, 1, 2, 3]
    # 25 points of a cluster in place of 200: the medoid misses the median by at most a few 1/sqrt(25) of a
    # radius, which the mean distance (about 1.25 radii) feels in second order
    assert cost(mu, thinned) < 1.1 * whole
    assert len(choose_medoids(mu, 80, make_generator(0))) == 80  # 2 k points where that is more


def test_medoids_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "kmedoids", None)
    with pytest.raises(ImportError, match=r"pip install 'riemvae-core\[medoids\]'"):
        choose_medoids(clusters(), 4)


# --- rho


def test_matched_rho_is_the_root_of_d_if_every_ball_is_kept():
    mu, log_var = properties.random_tensors(2, (6, 5))
    assert matched_rho(mu, log_var, torch.arange(6)) == math.sqrt(5)


def test_matched_rho_is_the_mean_over_draws_from_all_posteriors():
    mu, (log_var,) = clusters(), properties.random_tensors(1, (32, 2), seed=2)
    keep = choose_medoids(mu, 4, make_generator(0))
    n = 20_000
    draws = mu + torch.exp(0.5 * log_var) * properties.random_tensors(1, (n, 32, 2), seed=3)[0]
    center, var = mu[keep].repeat_interleave(8, 0), log_var[keep].repeat_interleave(8, 0).exp()
    squared = ((draws - center).square() / var).sum(-1)
    deviation = (squared.var(0).sum() / n).sqrt().item() / 32
    assert abs(matched_rho(mu, log_var, keep) ** 2 - squared.mean().item()) < 5 * deviation


def test_matched_rho_has_no_unit():
    mu, (log_var,) = clusters(), properties.random_tensors(1, (32, 2), seed=2)
    keep = choose_medoids(mu, 4, make_generator(0))
    larger = matched_rho(1000 * mu, log_var + 2 * math.log(1000), keep)
    assert larger == pytest.approx(matched_rho(mu, log_var, keep), rel=1e-12)


def test_balls_on_one_point_stand_for_themselves():
    mu, log_var = torch.zeros(3, 2).double(), torch.tensor([[0.0, 0.0], [2.0, 2.0], [0.0, 0.0]]).double()
    # balls 1 and 2 are kept and are their own: d each; ball 0 goes to either
    squared = 3 * matched_rho(mu, log_var, torch.tensor([1, 2])) ** 2
    assert squared in (pytest.approx(2 + 2 + 2 * math.exp(-2)), pytest.approx(2 + 2 + 2))


@pytest.mark.parametrize("budget", [1, 10**9])
def test_the_papers_rho_is_the_largest_distance_to_a_nearest_neighbor(budget, monkeypatch):
    chunks = centroids.chunks
    monkeypatch.setattr(centroids, "chunks", lambda n, bytes_each: chunks(n, bytes_each, budget))
    (points,) = properties.random_tensors(1, (40, 3))
    distances, _ = KDTree(points.numpy()).query(points.numpy(), k=2)
    assert nearest_neighbor_rho(points) == pytest.approx(np.max(distances[:, 1]), rel=1e-12)


# --- errors and devices


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("number", [0, 33, 2.0, "all"])
def test_wrong_numbers_of_centroids_are_named(number):
    with pytest.raises(ValueError, match="n_centroids must be None or an integer from 1 to 32") as caught:
        choose_medoids(clusters(), number)
    properties.message_names(caught.value, repr(number))


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(("points", "words"), [(1, "at least 2 centroids, got 1"), (4, "each of them twice")])
def test_centroids_without_a_neighbor_are_named(points, words):
    with pytest.raises(ValueError, match="rho='paper' needs") as caught:
        nearest_neighbor_rho(torch.zeros(points, 2))
    properties.message_names(caught.value, words)


@pytest.mark.usefixtures("meta_by_default")
def test_centroids_are_made_where_the_balls_are():
    mu, log_var = properties.random_tensors(2, (50, 2))
    keep = choose_medoids(mu, 5, make_generator(0))
    assert keep.device.type == choose_medoids(mu, None).device.type == "cpu"
    assert matched_rho(mu, log_var, keep) > 0
    assert nearest_neighbor_rho(mu[keep]) > 0
