"""The zoo: its catalogue, what it trains and keeps, its command, its errors."""

import dataclasses
import json
from pathlib import Path

import platformdirs
import properties
import pytest
import torch

from riemvae_core.data import load_images
from riemvae_core.intervals import confidence_interval
from riemvae_core.models import catalogue, checkpoints, read_tensors, save_atomically, train_zoo, zoo
from riemvae_core.models.classifier import ClassifierConfig
from riemvae_core.models.noise import with_noise
from riemvae_core.models.retraining import retrain_decoder
from riemvae_core.models.training import evaluate, fit
from riemvae_core.models.vae import ModelConfig, make_model

TINY = zoo.Recipe(
    "digits",
    "vae",
    ModelConfig(image_shape=(1, 8, 8), width=8, depth=1),
    epochs=3,
    lr=0.01,
    snapshots=(0, 1, 3),
)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache and an empty folder of shipped weights, and a recipe that takes no time."""
    monkeypatch.setenv("RIEMVAE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(zoo, "ASSETS", tmp_path / "assets")
    monkeypatch.setitem(zoo.RECIPES, "tiny", TINY)
    return tmp_path / "cache"


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


# --- the catalogue


def test_the_catalogue_is_the_designs():
    assert set(zoo.names()) == {
        *(f"{data}-{kind}-2d" for data in ("fashion", "digits", "rings") for kind in ("ae", "vae")),
        *(f"fashion-beta-{b}" for b in ("0.03", "0.1", "0.3", "1", "3", "10", "30", "100")),
        *(f"fashion-vae-16d{noise}" for noise in ("", "-ball", "-none", "-round")),
        *(f"fashion-full-beta-{b}-seed-{s}" for b in ("0.01", "1") for s in (0, 1, 2)),
        *(f"fashion-vq-{k}" for k in (4, 16, 64, 256, "grid")),
        "fashion-pulled-64",
        "fashion-classifier",
        "fashion-labels",
    }
    assert zoo.recipe(zoo.beta_name(0.3)).config.beta == 0.3
    assert zoo.recipe(zoo.conv_name(0.01, 2)).seed == 2
    assert zoo.recipe("digits-ae-2d").kind == "ae"


def test_a_fingerprint_changes_with_anything_in_a_recipe():
    changed = [
        dataclasses.replace(TINY, seed=1),
        dataclasses.replace(TINY, epochs=4),
        dataclasses.replace(TINY, snapshots=(3,)),
        dataclasses.replace(TINY, config=dataclasses.replace(TINY.config, beta=1.5)),
    ]
    prints = {recipe.fingerprint for recipe in (TINY, *changed)}
    assert len(prints) == 5
    assert all(len(p) == 12 and int(p, 16) >= 0 for p in prints)
    assert dataclasses.replace(TINY).fingerprint == TINY.fingerprint


def test_the_cache_is_where_the_reader_says(monkeypatch, tmp_path):
    monkeypatch.setenv("RIEMVAE_CACHE", str(tmp_path))
    assert zoo.cache_dir() == tmp_path
    monkeypatch.delenv("RIEMVAE_CACHE")
    assert zoo.cache_dir() == Path(platformdirs.user_cache_dir("riemvae"))


# --- what is not shipped


def test_what_is_not_shipped_is_trained_once(cache, monkeypatch):
    first = zoo.load("tiny", progress=False)
    assert [p.name for p in cache.iterdir()] == [f"tiny-{TINY.fingerprint}.safetensors"]
    by_hand = make_model("vae", TINY.config, TINY.seed)
    fit(by_hand, load_images("digits").images, epochs=3, lr=0.01, progress=False)
    halved = {k: v.half().float() for k, v in by_hand.state_dict().items()}
    assert same(first.state_dict(), halved)
    monkeypatch.setattr(zoo, "fit", lambda *_, **__: pytest.fail("trained twice"))
    assert same(zoo.load("tiny").state_dict(), halved)
    assert zoo.snapshots("tiny").epochs == (0, 1, 3)


def test_weights_of_another_recipe_are_not_used(cache, monkeypatch):
    zoo.load("tiny", progress=False)
    (old,) = cache.iterdir()
    metadata, tensors = read_tensors(old)
    save_atomically({k: torch.zeros_like(v) for k, v in tensors.items()}, zoo.shipped_path("tiny"), metadata)
    assert not any(v.any() for v in zoo.load("tiny").state_dict().values())
    changed = dataclasses.replace(TINY, seed=1)
    monkeypatch.setitem(zoo.RECIPES, "tiny", changed)
    model = zoo.load("tiny", progress=False)
    assert all(v.any() for v in model.state_dict().values())
    assert {p.name for p in cache.iterdir()} == {
        old.name,
        f"tiny-{changed.fingerprint}.safetensors",
    }


@pytest.mark.parametrize("noise", ["none", "round"])
def test_a_decoder_for_a_frozen_encoder(cache, monkeypatch, noise):
    """Its file holds the decoder alone; the loaded model encodes as the VAE does, with its own noise."""
    recipe = dataclasses.replace(TINY, snapshots=(), seed=1, encoder="tiny", noise=noise)
    monkeypatch.setitem(zoo.RECIPES, "other", recipe)
    path = zoo.train("other", progress=False)
    assert {k.split(".")[1] for k in read_tensors(path)[1]} == {"decoder"}
    base, model = zoo.load("tiny"), zoo.load("other")
    x = load_images("digits", "test").images[:9]
    assert torch.equal(base.encode(x).mu, model.encode(x).mu)
    assert not same(base.decoder.state_dict(), model.decoder.state_dict())
    by_hand, _ = retrain_decoder(
        with_noise(base, noise), load_images("digits").images, seed=1, epochs=3, lr=0.01, progress=False
    )
    halved = {k: v.half().float() for k, v in by_hand.decoder.state_dict().items()}
    assert same(model.decoder.state_dict(), halved)
    trained_anew = dataclasses.replace(TINY, seed=5)
    before = recipe.fingerprint
    monkeypatch.setitem(zoo.RECIPES, "tiny", trained_anew)
    assert recipe.fingerprint != before


class Killed(BaseException):
    """Ends a run the way a signal does: nothing in the core catches it."""


def die_at(monkeypatch, call, moment):
    """Let the process end before or after its n-th file, be it a checkpoint, snapshots or the result."""
    count = 0

    def saving(*arguments):
        nonlocal count
        count += 1
        if count == call and moment == "before":
            raise Killed
        save_atomically(*arguments)
        if count == call:
            raise Killed

    for module in (zoo, checkpoints):
        monkeypatch.setattr(module, "save_atomically", saving)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("call", range(1, 8))
def test_an_interrupted_training_ends_as_an_unbroken_one(cache, monkeypatch, call, moment):
    """Files in order: snapshots 0 and 1, checkpoints 1 and 2, snapshot 3, checkpoint 3, result."""
    expected = read_tensors(zoo.train("tiny", progress=False))[1]
    (target,) = cache.iterdir()
    target.unlink()
    with monkeypatch.context() as patched:
        die_at(patched, call, moment)
        with pytest.raises(Killed):
            zoo.train("tiny", progress=False)
    assert target.exists() is (call == 7 and moment == "after")
    assert same(read_tensors(zoo.train("tiny", progress=False))[1], expected)
    assert [p.name for p in cache.iterdir()] == [target.name]


@pytest.mark.parametrize("lost", [True, False])
def test_a_training_whose_snapshots_are_lost_begins_anew(cache, monkeypatch, lost):
    """All of them, or those of an epoch that the checkpoint is past."""
    expected = read_tensors(zoo.train("tiny", progress=False))[1]
    (target,) = cache.iterdir()
    target.unlink()
    with monkeypatch.context() as patched:
        die_at(patched, 4, "after")
        with pytest.raises(Killed):
            zoo.train("tiny", progress=False)
    kept = target.with_suffix(".snapshots")
    first = {k: v for k, v in read_tensors(kept)[1].items() if k.endswith(".0")}
    kept.unlink()
    if not lost:
        save_atomically(first, kept, {})
    assert same(read_tensors(zoo.train("tiny", progress=False))[1], expected)
    assert [p.name for p in cache.iterdir()] == [target.name]


# --- the command


def test_the_command_trains_compares_and_ships(cache, monkeypatch, capsys):
    train_zoo.main(["tiny"])
    (trained,) = cache.iterdir()
    model = zoo.load("tiny")
    loss = evaluate(model, load_images("digits", "test").images)["total"]
    assert capsys.readouterr().out == f"tiny: held-out loss {loss:.4f}\n"
    assert not zoo.shipped_path("tiny").exists()
    train_zoo.main(["tiny", "--ship"])
    assert not trained.exists()
    assert same(zoo.load("tiny").state_dict(), model.state_dict())
    assert list(cache.iterdir()) == []
    from_file = zoo.load_weights("tiny", zoo.shipped_path("tiny"))
    assert same(from_file.state_dict(), model.state_dict())
    assert not from_file.training
    capsys.readouterr()
    monkeypatch.setattr(catalogue, "RECIPES", {"tiny": TINY})
    train_zoo.main([])
    assert capsys.readouterr().out == f"tiny: held-out loss {loss:.4f}, shipped {loss:.4f}\n"


def test_a_classifiers_accuracy_stands_in_its_line(cache, monkeypatch, capsys):
    config = ClassifierConfig(image_shape=(1, 8, 8), width=4, n_features=12)
    monkeypatch.setattr(catalogue, "RECIPES", {"tiny": zoo.Recipe("digits", "classifier", config, epochs=2)})
    train_zoo.main([])
    test = load_images("digits", "test")
    losses = evaluate(zoo.load("tiny"), test.images, labels=test.labels)
    expected = f"tiny: held-out loss {losses['total']:.4f} (accuracy {1 - losses['error']:.2%})\n"
    assert capsys.readouterr().out == expected


# --- studies and errors


def test_studies_come_as_they_were_committed(cache):
    runs = [{"d": d, "seed": seed, "nats": d + seed / 10} for d in (2, 4) for seed in range(3)]
    folder = zoo.ASSETS / "studies"
    folder.mkdir(parents=True)
    (folder / "packing.json").write_text(json.dumps({"settings": {"epochs": 5}, "runs": runs}))
    study = zoo.load_study("packing")
    assert study == zoo.Study({"epochs": 5}, runs)
    assert study.interval(lambda run: run["nats"], d=4) == confidence_interval([4.0, 4.1, 4.2])
    assert study.interval(lambda run: run["nats"]).mean == pytest.approx(3.1)
    with pytest.raises(ValueError, match=r"job must match at least 2 runs, got 1 for \{'d': 2, 'seed': 0\}"):
        study.interval(lambda run: run["nats"], d=2, seed=0)
    with pytest.raises(ValueError, match="name must be one of packing, got 'unpacking'"):
        zoo.load_study("unpacking")


def test_benchmarks_come_as_they_were_committed(cache):
    folder = zoo.ASSETS / "benchmarks"
    folder.mkdir(parents=True)
    (folder / "samplers.json").write_text('{"scale": {"machine": {"threads": 1}, "result": [0.25]}}')
    assert zoo.load_benchmark("samplers") == {"scale": {"machine": {"threads": 1}, "result": [0.25]}}
    with pytest.raises(ValueError, match="name must be one of samplers, got 'walkers'"):
        zoo.load_benchmark("walkers")


@pytest.mark.parametrize("place", ["shipped", "cached"])
def test_a_damaged_file_is_named(cache, place):
    path = zoo.shipped_path("tiny") if place == "shipped" else cache / f"tiny-{TINY.fingerprint}.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(zoo.train("tiny", progress=False).read_bytes()[:-100] if place == "shipped" else b"")
    with pytest.raises(ValueError, match="must be a safetensors file, got one that can't be read") as caught:
        zoo.load("tiny")
    properties.message_names(caught.value, path.name)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: zoo.load("fashion-vae-3d"), ("name", "fashion-vae-2d", "'fashion-vae-3d'")),
        (lambda: zoo.train("nothing"), ("name", "fashion-vae-2d", "'nothing'")),
        (lambda: train_zoo.main(["nothing"]), ("name", "fashion-vae-2d", "'nothing'")),
        (lambda: zoo.load_weights("nothing", Path()), ("name", "fashion-vae-2d", "'nothing'")),
        (
            lambda: zoo.snapshots("digits-vae-2d"),
            ("name", "snapshots", "fashion-beta-0.03", "'digits-vae-2d'"),
        ),
    ],
)
def test_unknown_names_are_answered_with_the_known_ones(call, words):
    with pytest.raises(ValueError, match="name must be") as caught:
        call()
    properties.message_names(caught.value, *words)
