"""The models that are shipped: what they have learned, and the files that hold them."""

import functools

import properties
import pytest
import torch

from riemvae_core.codes import kmeans_codebook, quantize
from riemvae_core.data import ASSETS, first_of_each_class, load_images
from riemvae_core.models import read_tensors, zoo
from riemvae_core.models.training import evaluate
from riemvae_core.models.vae import make_model
from riemvae_core.numerics import make_generator


@pytest.fixture
def no_training(monkeypatch):
    """Whoever trains, fails."""

    def refuse(name, **_):
        pytest.fail(f"{name} was trained")

    monkeypatch.setattr(zoo, "train", refuse)


# --- what is shipped


@functools.cache
def held_out(name):
    """The model's mean losses on the test images, and the squared error of the mean training image."""
    bundled = zoo.recipe(name).data.removesuffix("-full")  # 2,000 of the test images lie in the package
    train, (test, labels) = load_images(bundled).images, load_images(bundled, "test")
    baseline = (test - train.mean(0)).square().sum((1, 2, 3)).mean().item()
    model = zoo.load(name)
    assert not model.training
    return evaluate(model, test, labels=labels if zoo.recipe(name).labeled else None), baseline


CODERS = [n for n in zoo.names() if zoo.recipe(n).kind != "classifier"]
COLLAPSED = ("fashion-beta-30", "fashion-beta-100")
FEW = ("fashion-vq-4",)  # it can draw four images; see the test beside k-means
BROKEN = ("fashion-vae-16d-round",)  # a decoder that never saw the balls: chapter 3


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("name", [n for n in CODERS if n not in (*COLLAPSED, *FEW, *BROKEN)])
def test_shipped_models_beat_the_mean_image_by_far(name):
    losses, baseline = held_out(name)
    assert losses["total"] < 0.8 * baseline
    assert losses["reconstruction"] < 0.65 * baseline


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("name", BROKEN)
def test_a_decoder_that_never_saw_the_balls_draws_worse_from_them(name):
    broken, kept = held_out(name)[0], held_out("fashion-vae-16d-ball")[0]
    assert broken["reconstruction"] > 1.1 * kept["reconstruction"]


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("name", COLLAPSED)
def test_where_noise_is_too_dear_the_balls_are_the_prior_and_the_image_is_the_mean(name):
    """beta/2 above the largest eigenvalue that two axes can explain: collapse, which chapter 2 shows."""
    losses, baseline = held_out(name)
    assert losses["pull"] + losses["barrier"] < 1e-4
    assert losses["reconstruction"] == pytest.approx(baseline, rel=1e-3)


@pytest.mark.usefixtures("no_training")
def test_more_beta_buys_smaller_kl_at_the_price_of_the_image():
    sweep = [held_out(zoo.beta_name(beta))[0] for beta in zoo.BETAS]
    kl = [losses["pull"] + losses["barrier"] for losses in sweep]
    assert kl == sorted(kl, reverse=True)
    reconstruction = [losses["reconstruction"] for losses in sweep]
    assert reconstruction == sorted(reconstruction)


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("name", [n for n in zoo.names() if zoo.recipe(n).snapshots])
def test_shipped_snapshots_end_at_the_shipped_model(name):
    recipe, kept = zoo.recipe(name), zoo.snapshots(name)
    assert isinstance(kept, zoo.Snapshots)
    assert kept.epochs == recipe.snapshots
    assert kept.epochs[-1] == recipe.epochs
    probes = first_of_each_class(load_images(recipe.data, "test"), zoo.PROBES_PER_CLASS).images
    assert kept.mu.shape == kept.log_var.shape == (len(kept.epochs), len(probes), 2)
    untrained = make_model(recipe.kind, recipe.config, recipe.seed)
    with torch.no_grad():
        last, first = zoo.load(name).encode(probes), untrained.encode(probes)
    # half precision keeps 11 bits of each weight and of each value: 5e-4 of the value, a few times over
    for stored, balls in ((-1, last), (0, first)):
        properties.close(kept.mu[stored], balls.mu, rtol=2e-3, atol=5e-3)
        properties.close(kept.log_var[stored], balls.log_var, rtol=2e-3, atol=5e-3)


@pytest.mark.parametrize("name", zoo.names())
def test_shipped_files_are_small_and_of_the_recipe(name):
    path = zoo.shipped_path(name)
    assert path.stat().st_size < 1e6
    metadata, tensors = read_tensors(path)
    assert metadata == {"recipe": zoo.recipe(name).fingerprint}
    assert {t.dtype for t in tensors.values()} == {torch.float16}


@pytest.mark.usefixtures("no_training")
def test_more_codes_buy_a_better_image_and_all_of_them_are_used():
    sweep = [(k, held_out(f"fashion-vq-{k}")[0]) for k in zoo.CODES]
    reconstruction = [losses["reconstruction"] for _, losses in sweep]
    assert reconstruction == sorted(reconstruction, reverse=True)
    images = load_images("fashion").images
    for k, _ in sweep:
        with torch.no_grad():
            q = zoo.load(f"fashion-vq-{k}").encode(images)
        assert q.used == k
        assert k / 2 < q.perplexity <= k


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize("k", [4, 16])
def test_k_codes_draw_k_images_and_kmeans_chooses_better_ones(k):
    train, test = (load_images("fashion", split).images.flatten(1) for split in ("train", "test"))
    best = kmeans_codebook(train, k, make_generator(0))
    floor = quantize(test, best.codebook).commitment.mean().item()
    assert floor < held_out(f"fashion-vq-{k}")[0]["reconstruction"] < 1.2 * floor


@pytest.mark.usefixtures("no_training")
def test_a_code_in_each_place_beats_one_an_image_and_pulling_beats_snapping():
    error = {
        name: held_out(name)[0]["reconstruction"] for name in zoo.names() if zoo.recipe(name).kind == "vq"
    }
    assert error["fashion-vq-grid"] < 0.5 * error["fashion-vq-256"]
    assert error["fashion-pulled-64"] < error["fashion-vq-64"]


def test_pictures_of_a_study_are_small_and_say_which_images_they_restore():
    pictures = zoo.load_pictures("dimensions")
    images = pictures.pop("images")
    shown = first_of_each_class(load_images("fashion", "test"), 1).images
    assert torch.equal(images, shown)  # a byte a pixel is all that a photograph has
    rows = ("reconstruction", "prior", "gaussian")
    assert set(pictures) == {
        f"{kind}-{d}-{row}" for kind in ("ae", "vae") for d in (2, 8, 32) for row in rows
    }
    for name, row in pictures.items():
        assert row.shape == shown.shape
        error = (row - shown).square().sum((1, 2, 3)).mean().item()
        strangers = (row - shown.roll(1, 0)).square().sum((1, 2, 3)).mean().item()
        assert not name.endswith("reconstruction") or error < 0.5 * strangers
    assert (ASSETS / "studies" / "dimensions.npz").stat().st_size < 3e5
    with pytest.raises(ValueError, match=r"a study with pictures \(dimensions\), got 'packing'"):
        zoo.load_pictures("packing")


def test_in_the_study_of_dimensions_the_prior_is_not_the_autoencoder_s_law():
    """From its own Gaussian it draws nearer to photographs than the VAE, with more than two axes."""
    study = zoo.load_study("dimensions")
    assert len(study.runs) == 18
    for seed in range(3):
        runs = {(r["kind"], r["d"]): r for r in study.runs if r["seed"] == seed}
        for d in (2, 8, 32):
            ae, vae = (runs[kind, d]["frechet"] for kind in ("ae", "vae"))
            assert ae["prior"] > 1.5 * ae["gaussian"]
            assert ae["gaussian"] > ae["reconstruction"]
            assert vae["prior"] < 0.7 * ae["prior"]
            for law in ("reconstruction", "gaussian"):
                assert d == 2 or ae[law] < vae[law]
            assert d == 2 or runs["ae", d]["error"] < runs["vae", d]["error"]
        assert runs["ae", 8]["error"] < 0.8 * runs["ae", 2]["error"]
