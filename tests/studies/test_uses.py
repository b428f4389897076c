"""The studies of uses: their parts against oracles, each once in small, and what they have committed."""

import functools
import math

import augmentation
import few_shots
import latent_clusters
import out_of_distribution
import pytest
import torch
import uses

import riemvae_core as rc
from riemvae_core.data import ASSETS
from riemvae_core.models import zoo

NULLS = {
    "augmentation": "copies",
    "few_shots": "isotropic",
    "latent_clusters": "euclid",
    "out_of_distribution": "error",
}


@pytest.fixture
def few(monkeypatch):
    """A few images a class, and models of three axes that have hardly been trained."""
    whole = rc.load_images

    @functools.cache
    def load(name, split="train"):
        data = whole(name, split)
        rows = uses.rows_of(data.labels, {"train": 130, "test": 12}[split], 0)
        rows = rows[torch.randperm(len(rows), generator=rc.make_generator(0))]
        return type(data)(data.images[rows], data.labels[rows])

    monkeypatch.setattr(rc, "load_images", load)
    small = {"latent_dim": 3, "width": 8}
    for module in (augmentation, few_shots, latent_clusters, out_of_distribution):
        monkeypatch.setattr(module, "CONFIG", small)
        monkeypatch.setattr(module, "VAE_STEPS" if module is augmentation else "STEPS", 2)


def test_rows_are_of_each_class_and_never_twice():
    labels = torch.arange(60) % 3
    first, second = uses.rows_of(labels, 5, seed=1), uses.rows_of(labels, 10, seed=1, skip=5)
    assert labels[first].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert labels[second].bincount().tolist() == [10, 10, 10]
    assert not {*first.tolist()} & {*second.tolist()}
    assert first.tolist() != uses.rows_of(labels, 5, seed=2).tolist()


def test_an_image_is_shifted_and_flipped_as_rolls_do_it():
    x = torch.zeros(40, 1, 28, 28)
    x[:, :, 5:20, 4:16] = torch.rand(40, 1, 15, 12, generator=rc.make_generator(0))  # no roll wraps ink
    moved, found = augmentation.shifted(x, rc.make_generator(1)), set()
    for one, other in zip(x[:, 0], moved[:, 0], strict=True):
        ways = {
            (down, right, flip): torch.roll(one, (down, right), (0, 1)).flip(1)
            if flip
            else torch.roll(one, (down, right), (0, 1))
            for down in range(-2, 3)
            for right in range(-2, 3)
            for flip in (False, True)
        }
        same = [way for way, image in ways.items() if torch.equal(image, other)]
        assert len(same) == 1
        found.update(same)
    assert len(found) > 15
    down, right, flip = (set(way) for way in zip(*found, strict=True))
    assert down == right == {*range(-2, 3)}
    assert flip == {False, True}


def test_shapes_keep_their_trace_and_widths_are_the_likeliest_of_codes_left_out():
    mu = torch.randn(7, 3, generator=rc.make_generator(0), dtype=torch.float64)
    shape = few_shots.covariance(mu)
    torch.testing.assert_close(shape, torch.cov(mu.T))
    mixed = few_shots.shrunk(shape[None], 0.3)[0]
    assert mixed.trace().item() == pytest.approx(shape.trace().item())
    torch.testing.assert_close(
        few_shots.shrunk(shape[None], 1.0)[0], shape.trace() / 3 * torch.eye(3).double()
    )
    kernels, h = few_shots.chosen(mu, [few_shots.around(mu, mixed[None])])

    def left_out(width):
        law = [torch.distributions.MultivariateNormal(center, width**2 * mixed) for center in mu]
        logs = [
            torch.logsumexp(torch.stack([law[i].log_prob(mu[j]) for i in range(7) if i != j]), 0)
            for j in range(7)
        ]
        return torch.stack(logs).mean().item() - math.log(6)

    place = (few_shots.WIDTHS - h).abs().argmin().item()
    values = {width: left_out(width) for width in few_shots.WIDTHS[place - 2 : place + 3].tolist()}
    assert max(values, key=values.get) == h
    assert len(values) == 5
    assert kernels.centers is mu


def test_a_shape_of_the_few_does_not_see_the_code_left_out():
    mu = torch.randn(5, 2, generator=rc.make_generator(0), dtype=torch.float64)
    balls = rc.Balls(mu, torch.zeros_like(mu))
    cloud = rc.Balls(
        torch.randn(80, 2, generator=rc.make_generator(1), dtype=torch.float64), torch.zeros(80, 2)
    )
    own = few_shots.laws(balls, cloud, rc.make_generator(0))["own"][0]
    rest = torch.cov(mu[[0, 1, 3, 4]].T)
    torch.testing.assert_close(
        own.seen_shapes[2, 0], 0.9 * rest + 0.05 * rest.trace() * torch.eye(2).double()
    )


def test_distances_by_precisions_are_those_of_loops():
    g = rc.make_generator(0)
    mu, log_var = (torch.randn(2, 9, 4, generator=g, dtype=torch.float64)).unbind()
    p = torch.exp(-log_var)
    wanted = torch.stack(
        [
            torch.stack([((a - b) ** 2 * (v + w) / 2).sum().sqrt() for b, w in zip(mu, p, strict=True)])
            for a, v in zip(mu, p, strict=True)
        ]
    )
    torch.testing.assert_close(latent_clusters.by_precision(mu, p), wanted)
    balls = rc.Balls(mu, log_var)
    metric = rc.PosteriorMetric(mu, log_var, rho=2.0, lam=0.0, tau=0.0)
    flat = rc.PosteriorMetric(mu, log_var, rho=2.0, lam=1.0, tau=0.0)
    ratio = latent_clusters.averaged(mu, balls) / metric.diagonal(mu)  # 1 over the sum of the weights
    torch.testing.assert_close(ratio, ratio[:, :1].expand_as(ratio))
    weights = torch.exp(-((mu[:, None] - mu) ** 2 * p).sum(2) / 4.0).sum(1)
    torch.testing.assert_close(ratio[:, 0], 1.0 / weights)
    assert bool((flat.diagonal(mu) > metric.diagonal(mu)).all())


def test_ways_over_a_graph_follow_a_ring_and_reach_what_no_way_joins():
    angle = torch.linspace(0, math.pi, 60, dtype=torch.float64)
    ring = torch.stack([angle.cos(), angle.sin()], 1)
    ways = latent_clusters.over_graph(torch.cdist(ring, ring))
    assert 2.9 < ways[0, -1].item() < math.pi
    both = torch.cat([ring, ring + 100.0])
    ways = latent_clusters.over_graph(torch.cdist(both, both))
    assert bool(ways.isfinite().all())
    assert ways[:60, 60:].min() > ways[:60, :60].max()


def test_scores_of_clusters_that_are_the_classes():
    labels = torch.arange(60) // 6
    apart = torch.cdist(10.0 * labels[:, None].double(), 10.0 * labels[:, None].double())
    assert latent_clusters.scored(apart, labels, seed=0) == pytest.approx((1.0, 1.0, 0.5))  # 5 of 10 can be


def shares(scores):
    return all(0.0 <= value <= 1.0 for value in scores.values())


def test_augmentation_in_small(few, monkeypatch):
    monkeypatch.setattr(augmentation, "STEPS", 2)
    kept = {name: augmentation.LAWS[name] for name in ("round balls", "shuffled balls", "kernels")}
    monkeypatch.setattr(augmentation, "LAWS", kept)
    result = augmentation.work(12, 0)
    nulls = {"no addition", "copies", "pixel noise", "shifts and flips", "reconstructions", "real images"}
    assert {*result["accuracy"]} == nulls | {*kept}
    assert shares(result["accuracy"])


def test_few_shots_in_small(few, monkeypatch):
    monkeypatch.setattr(few_shots, "TRAIN", 10)
    monkeypatch.setattr(few_shots, "DRAWS", 10)
    few_shots.seen_without.cache_clear()
    result = few_shots.work("absent", 0, 3, 6)
    few_shots.seen_without.cache_clear()
    assert shares(result["coverage"])
    assert shares(result["novelty"])
    assert result["novelty"]["copies"] == 0.0
    assert len(result["distance"]) == 14


def test_clusters_in_small(few):
    result = latent_clusters.work("small", 0)
    assert shares(result["retrieval"])
    assert len(result["rand"]) == len(result["information"]) == 10


def test_elsewhere_in_small(few, monkeypatch):
    monkeypatch.setattr(out_of_distribution, "LAWS", ("gaussian", "ball"))
    out_of_distribution.trained_detector.cache_clear()
    for kind in out_of_distribution.ELSEWHERE:
        assert shares(out_of_distribution.work(kind, 0)["auroc"])
        images = out_of_distribution.images_from(kind, 0)
        assert images.shape[1:] == (1, 28, 28)
        assert images.amin() >= 0.0
        assert images.amax() <= 1.0
    out_of_distribution.trained_detector.cache_clear()


@pytest.mark.parametrize("name", [name for name in NULLS if (ASSETS / "studies" / f"{name}.json").is_file()])
def test_what_is_committed_has_settings_seeds_and_a_table(name):
    study, null = zoo.load_study(name), NULLS[name]
    assert {"by", "data", "vae"} <= {*study.settings}
    by = {}
    for run in study.runs:
        scores = [value for value in run.values() if isinstance(value, dict)]
        assert all(math.isfinite(number) for score in scores for number in score.values())
        by.setdefault(tuple(run[key] for key in study.settings["by"]), []).append(run["seed"])
    assert all(len({*seeds}) >= 3 and len(seeds) % len({*seeds}) == 0 for seeds in by.values())
    lines = [line.split() for line in uses.table(name, null).splitlines()]
    own = [line for line in lines if line[0] == null]
    assert len(own) == len(by) * len(scores)
    assert all(line[-3:] == ["0.000", "[0.000,", "0.000]"] for line in own)


def test_the_table_pairs_seeds_and_averages_all_else(monkeypatch):
    rows = [
        (0, 1, 2.0, 1.0),
        (0, 2, 4.0, 1.0),
        (1, 1, 7.0, 2.0),
        (1, 2, 5.0, 2.0),
        (4, 1, 9.0, 1.0),
        (4, 2, 9.0, 1.0),
    ]
    runs = [{"n": 5, "seed": s, "label": c, "score": {"law": x, "null": y}} for s, c, x, y in rows]
    monkeypatch.setattr(zoo, "load_study", lambda name: zoo.Study({"by": ["n"]}, runs))
    head, law, null = uses.table("any", "null").splitlines()
    assert head == "5: score, and less that of null"
    wanted = rc.confidence_interval([3.0, 6.0, 9.0]), rc.confidence_interval([2.0, 4.0, 8.0])
    assert law.split() == ["law", *f"{wanted[0]:.3f} {wanted[1]:.3f}".split()]
    assert null.split()[-3:] == ["0.000", "[0.000,", "0.000]"]
