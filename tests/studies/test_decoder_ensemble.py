"""The study of ensembles: its parts against oracles, once in small, and what it has committed."""

import functools
import math
import warnings

import decoder_ensemble as study
import pytest
import torch
from torch import nn

import riemvae_core as rc
from riemvae_core.models import zoo


@pytest.fixture(scope="module")
def ensemble():
    return study.Ensemble(2, seed=0, members=3).double().eval().requires_grad_(False)


@pytest.fixture
def places():
    return torch.randn(5, 2, generator=rc.make_generator(0), dtype=torch.float64)


def members(ensemble: study.Ensemble) -> list[nn.Module]:
    """Each decoder by itself, as the core makes it, with the weights that the ensemble began from."""
    seeds = [0, *(1000 * k for k in range(1, 3))]
    return [study.vae(2, seed, study.WIDTH).double().requires_grad_(False) for seed in seeds]


def test_decoders_in_one_tensor_are_the_decoders(ensemble, places):
    torch.testing.assert_close(
        ensemble.images(places), torch.stack([x.decode(places) for x in members(ensemble)])
    )


def test_the_stacked_decoders_metric_is_the_average(ensemble, places, monkeypatch):
    """And a member's share of it is the average image's, plus what the members' derivatives differ."""
    each = torch.stack([rc.PullbackMetric(x.decode).jacobian(places) for x in members(ensemble)])
    found = rc.PullbackMetric(study.stacked(ensemble.images, 3))(places)
    torch.testing.assert_close(found, (each.mT @ each).mean(0))
    apart = each - each.mean(0)
    mean = rc.PullbackMetric(study.average(ensemble.images))(places)
    torch.testing.assert_close(found, mean + (apart.mT @ apart).mean(0))
    monkeypatch.setattr(study, "MEMBERS", 3)
    share, whole = study.disagreement(ensemble, places)
    torch.testing.assert_close(share, (apart.mT @ apart).mean(0).diagonal(dim1=1, dim2=2).sum(1))
    torch.testing.assert_close(whole, found.diagonal(dim1=1, dim2=2).sum(1))


def test_mirrored_disagreement_is_that_of_the_opposite_place(ensemble, places):
    mean = rc.PullbackMetric(study.average(ensemble.images))
    whole = rc.PullbackMetric(study.stacked(ensemble.images, 3))
    found = rc.PullbackMetric(study.mirrored(ensemble.images))(places)
    torch.testing.assert_close(found, mean(places) + whole(-places) - mean(-places))


def test_sampled_steps_are_the_average_over_all_pairs_of_members(ensemble):
    curve = torch.randn(2, 4, 2, generator=rc.make_generator(1), dtype=torch.float64)
    images = ensemble.images(curve.flatten(0, 1)).flatten(2).unflatten(1, (2, 4))
    pairs = [(images[i, :, 1:] - images[j, :, :-1]).square().sum(-1) for i in range(3) for j in range(3)]
    torch.testing.assert_close(study.sampled_squares(ensemble.images, curve), torch.stack(pairs).mean(0))


def test_nearness_is_that_of_every_ball_by_itself():
    g = rc.make_generator(2)
    balls = rc.Balls(torch.randn(7, 3, generator=g).double(), torch.randn(7, 3, generator=g).double())
    z = torch.randn(4, 3, generator=g).double()
    nearest, density = study.against(balls, z)
    sigma = torch.exp(0.5 * balls.log_var)
    squares = ((z[:, None] - balls.mu) / sigma).square().sum(-1)
    torch.testing.assert_close(nearest, squares.amin(1))
    law = torch.distributions.MixtureSameFamily(
        torch.distributions.Categorical(torch.ones(7).double()),
        torch.distributions.Independent(torch.distributions.Normal(balls.mu, sigma), 1),
    )
    torch.testing.assert_close(density, law.log_prob(z))


def test_the_share_within_a_ball_is_a_chords():
    line = torch.tensor([[[-2.0, 0.6], [2.0, 0.6]]])
    share = study.within(line, torch.zeros(2), torch.tensor(1.0)).item()
    assert share == pytest.approx(2 * math.sqrt(1 - 0.6**2) / 4, abs=0.01)


def test_once_in_small(monkeypatch):
    whole = rc.load_images

    @functools.cache
    def load(name, split="train"):
        few = {"train": 200, "test": 800}[split]
        return type(whole(name, split))(*(part[:few] for part in whole(name, split)))

    monkeypatch.setattr(rc, "load_images", load)
    for name, few in {"PAIRS": 3, "EPOCHS": 1, "STEPS": 3, "MEDOIDS": 5}.items():
        monkeypatch.setattr(study, name, few)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", rc.PathWarning)
        run = study.work(2, 0)
    assert {len(values) for values in run["distance"].values()} == {3}
    assert run["radii"].keys() == run["density"].keys() < run["distance"].keys()
    ways = zip(run["distance"]["straight_8"], run["distance"]["chord"], strict=True)
    assert all(way > 0.999 * chord for way, chord in ways)
    assert all(math.isfinite(x) for values in run["density"].values() for x in values)


def test_what_is_committed_is_whole():
    found = zoo.load_study("decoder_ensemble")
    assert found.settings == study.SETTINGS
    pixels = [run["distance"]["pixels"] for run in found.runs if run["d"] == 2]
    assert len(pixels) >= 5
    assert all(row == pytest.approx(pixels[0]) for row in pixels)  # the same pairs in all retrainings
    for run in found.runs:
        assert {len(values) for values in run["distance"].values()} == {study.PAIRS}
        assert run["distance"]["first_8"] == pytest.approx(run["distance"]["straight_8"], rel=0.7)
