"""What fit is given is looked at before the first step; after an error the weights are those before it."""

from typing import NamedTuple

import properties
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from training_cases import DIGITS, QUIET, same_weights, small

from riemvae_core import zoo
from riemvae_core.codes import CodePriorConfig, make_code_prior
from riemvae_core.models import (
    ClassifierConfig,
    ModelConfig,
    VQConfig,
    centers,
    evaluate,
    fit,
    make_classifier,
    make_model,
    read_tensors,
    retrain_decoder,
    save_atomically,
    standardize_codes,
    with_noise,
)


class Foreign(nn.Module):
    """The least that fit can train: one loss an image, from the image and its noise."""

    class Losses(NamedTuple):
        total: Tensor

    class Config(NamedTuple):
        latent_dim: int = 2

    def __init__(self, price=lambda error: error):
        super().__init__()
        self.config, self.price = self.Config(), price
        self.there, self.back = nn.Linear(64, 2), nn.Linear(2, 64)

    def losses(self, x, eps):
        error = (self.back(self.there(x.flatten(1)) + eps) - x.flatten(1)).square().sum(1)
        return self.Losses(self.price(error))


def changed(row, value):
    images = DIGITS.clone()
    images[row, 0, 3, 3] = value
    return images


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("images", "changes", "words"),
    [
        (changed(7, float("nan")), {}, ("images must be finite", "got nan in row 7", "1 of 200")),
        (DIGITS * 255, {}, ("images must lie in [0, 1]", "linear_output=False", "/ 255")),
        (DIGITS * 2 - 1, {}, ("images must lie in [0, 1]", "got -1 in row 0", "add(1) / 2")),
        (changed(9, 1.01), {"likelihood": "bernoulli"}, ("bernoulli", "got 1.01 in row 9", "clamp(0, 1)")),
        (DIGITS * 2 - 1, {"likelihood": "bernoulli"}, ("bernoulli", "got -1 in row 0")),
        ((DIGITS * 255).byte(), {}, ("images", "floating", "torch.uint8", "images.float() / 255")),
        (DIGITS.numpy(), {}, ("images", "tensor", "ndarray", "torch.as_tensor(images)")),
        ([DIGITS], {}, ("images", "tensor", "list")),
        (DIGITS[:, 0], {}, ("images", "[n, c, h, w]", "[200, 8, 8]")),
        (DIGITS.repeat(1, 3, 1, 1), {}, ("images must be [n, 1, 8, 8]", "[200, 3, 8, 8]")),
        (DIGITS.double() * 1e300, {"linear_output": True}, ("images must be finite", "got inf")),
    ],
)
def test_images_that_cannot_be_right_are_named(images, changes, words):
    model, before = small(**changes), small(**changes)
    for run in (lambda: fit(model, images, **QUIET), lambda: evaluate(model, images)):
        with pytest.raises(ValueError, match="must") as caught:
            run()
        properties.message_names(caught.value, *words)
    assert same_weights(model, before)


def test_what_a_linear_output_reaches_may_have_any_range():
    assert fit(small(linear_output=True), 4 * DIGITS - 2, **QUIET).epochs == 3
    labels = torch.arange(200) % 3
    classifier = make_classifier(ClassifierConfig((1, 8, 8), width=2, n_features=3, n_classes=3), 0)
    assert fit(classifier, 255 * DIGITS, labels, **QUIET).epochs == 3


def test_images_come_in_any_floating_dtype():
    double, single = small(), small()
    fit(double, DIGITS.double(), **QUIET)
    fit(single, DIGITS, **QUIET)
    assert same_weights(double, single)
    assert evaluate(double, DIGITS.half()) == pytest.approx(evaluate(double, DIGITS), rel=1e-3)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("model", "labels", "words"),
    [
        (nn.Linear(2, 2), None, ("model", "losses(x, eps)", "total", "Linear")),
        (torch.zeros, None, ("model", "nn.Module")),
        (small().requires_grad_(False), None, ("model", "requires_grad", "VAE frozen")),
        (Foreign(lambda e: e.mean()), None, ("model", "[32]", "not their mean", "'total': []")),
        (Foreign(lambda e: e[:, None].expand(-1, 2)), None, ("model", "[32, 2]")),
        (small(), torch.zeros(200, dtype=torch.long), ("labels must be None", "VAE", "eps")),
        (make_classifier(ClassifierConfig((1, 8, 8)), 0), None, ("labels must be given", "Classifier")),
        (make_classifier(ClassifierConfig((1, 8, 8)), 0), torch.zeros(200), ("labels", "int64", "float32")),
        (make_classifier(ClassifierConfig((1, 8, 8)), 0), [0] * 200, ("labels", "int64", "list")),
        (make_classifier(ClassifierConfig((1, 8, 8)), 0), torch.arange(200), ("0 to 9", "got 10 in row 10")),
        (make_classifier(ClassifierConfig((1, 8, 8)), 0), torch.full((200,), -100), ("0 to 9", "got -100")),
        (make_classifier(ClassifierConfig((1, 8, 8)), 0), torch.arange(9), ("labels must be [200]", "[9]")),
    ],
)
def test_models_and_labels_that_do_not_fit_are_named(model, labels, words):
    with pytest.raises(ValueError, match="must") as caught:
        fit(model, DIGITS, labels, **QUIET)
    properties.message_names(caught.value, *words)


def test_a_model_without_a_noises_length_is_told_so():
    model = Foreign()
    model.config = None
    with pytest.raises(
        ValueError, match=r"model must have config\.latent_dim, .* Foreign with None: labels="
    ):
        fit(model, DIGITS, **QUIET)


def test_a_foreign_model_with_tied_weights_trains(tmp_path):
    model = Foreign()
    model.tied = model.there
    history = fit(model, DIGITS, checkpoint=tmp_path / "run", **QUIET)
    assert history.losses["total"][-1] < history.losses["total"][0]


# --- the weights after an error


def broken(_epoch, model, _means):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("settings", "error"),
    [({"lr": 1e30}, FloatingPointError), ({"callback": broken}, KeyboardInterrupt)],
    ids=["blown up", "interrupted"],
)
def test_an_error_in_the_middle_leaves_the_weights_from_before(settings, error):
    model, before = (small(linear_output=True) for _ in range(2))
    with pytest.raises(error):
        fit(model, DIGITS, **QUIET, **settings)
    assert same_weights(model, before)


def test_weights_that_the_last_step_spoiled_are_not_returned(tmp_path):
    """The square root's slope at 0 is infinite, times 0: finite losses, and gradients that are NaN."""
    model, path = Foreign(lambda e: (e - e.detach()).abs().sqrt() + e.detach()), tmp_path / "run"
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(FloatingPointError, match="is not finite after epoch 1; try a smaller lr"):
        fit(model, DIGITS, epochs=1, batch_size=200, progress=False, checkpoint=path)
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert not path.exists()
    model.there.weight.data.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"model must have finite weights, got others in there\.weight"):
        fit(model, DIGITS, **QUIET)


def test_a_codebook_model_that_blows_up_is_told_by_step_not_by_code():
    model = make_model("vq", VQConfig((1, 8, 8), n_codes=4, width=8, depth=1, linear_output=True), 0)
    with pytest.raises(FloatingPointError, match=r"at step 1 \(epoch 1\); try a smaller lr"):
        fit(model, DIGITS, lr=1e30, **QUIET)


@pytest.mark.parametrize("spoil", ["weights", "counts", "generator", "means", "missing"])
def test_a_damaged_checkpoint_is_refused_and_the_model_kept(tmp_path, spoil):
    path, model, before = tmp_path / "run", small(), small()
    fit(small(), DIGITS, checkpoint=path, **QUIET)
    metadata, tensors = read_tensors(path)
    key = "model.mu_head.weight"
    if spoil == "weights":
        tensors[key][0] = float("nan")
    elif spoil == "counts":
        tensors[key] = tensors[key][:1]
    elif spoil == "generator":
        tensors["generator"] = torch.zeros(3, dtype=torch.uint8)
    elif spoil == "means":
        metadata["means"] = "{"
    else:
        del tensors[key]
    save_atomically(tensors, path, metadata)
    with pytest.raises(
        ValueError, match=r"(?s)checkpoint run must be whole, got a damaged one .*: remove it"
    ):
        fit(model, DIGITS, checkpoint=path, **QUIET)
    assert same_weights(model, before)


# --- siblings: other doors that take images, models and files


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: centers(small(), x), ("images must be finite", "row 7")),
        (lambda x: standardize_codes(small(), x), ("images must be finite", "row 7")),
        (lambda x: retrain_decoder(small(), x, seed=0, **QUIET), ("images must be finite", "row 7")),
        (lambda x: make_classifier(ClassifierConfig((1, 8, 8)), 0).features(x), ("images", "row 7")),
        (lambda x: VQ.encode(x), ("x must be finite", "row 7")),
        (lambda x: VQ.locate(x), ("x must be finite", "row 7")),
        (lambda x: VQ.start_codebook(x), ("images must be finite", "row 7")),
        (lambda x: centers(Foreign(), DIGITS), ("model must be of Autoencoder", "Foreign")),
        (lambda x: standardize_codes(VQ, DIGITS), ("model must be of Autoencoder", "VQVAE")),
        (lambda x: with_noise(small("ae"), "none"), ("model must be a VAE", "Autoencoder")),
        (
            lambda x: retrain_decoder(Foreign(), DIGITS, seed=0, **QUIET),
            ("model must have a decoder", "Foreign"),
        ),
        (lambda x: make_code_prior(CodePriorConfig(3), 0).losses(x[:1]), ("x must be codes",)),
        (lambda x: save_atomically({"a": [1]}, "nowhere", {}), ("tensors must hold tensors", "list in 'a'")),
    ],
)
def test_other_doors_are_as_narrow(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call(changed(7, float("nan")))
    properties.message_names(caught.value, *words)


VQ = make_model("vq", VQConfig((1, 8, 8), n_codes=4, width=8, depth=1), 0)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("config", "values", "word"),
    [
        (ModelConfig, {"beta": float("nan")}, "beta"),
        (ModelConfig, {"beta": "1"}, "beta"),
        (ModelConfig, {"pull": float("inf")}, "pull"),
        (ModelConfig, {"latent_dim": 0}, "latent_dim"),
        (ModelConfig, {"latent_dim": 2.0}, "latent_dim"),
        (ModelConfig, {"image_shape": [1, 8, 8]}, "image_shape"),
        (ModelConfig, {"image_shape": (1, 8, 0)}, "image_shape's w"),
        (ModelConfig, {"noise": "no"}, "noise"),
        (ModelConfig, {"linear_output": 1}, "linear_output"),
        (VQConfig, {"dead_share": float("nan")}, "dead_share"),
        (VQConfig, {"levels": [3, 3]}, "levels"),
        (VQConfig, {"n_codes": 4.5}, "n_codes"),
        (ClassifierConfig, {"n_classes": None}, "n_classes"),
        (CodePriorConfig, {"n_codes": 2, "grid": [2, 2]}, "grid"),
    ],
)
def test_a_configs_value_is_named(config, values, word):
    with pytest.raises(ValueError, match=f"^{word} must be"):
        config(**values)


def test_weights_of_another_model_or_with_nan_are_refused(tmp_path):
    path, name = tmp_path / "w.safetensors", "digits-vae-2d"
    tensors = load_file(zoo.shipped_path(name))
    save_file(tensors | {"model.mu_head.weight": tensors["model.mu_head.weight"] * float("nan")}, path)
    with pytest.raises(
        ValueError, match=r"must hold the weights of digits-vae-2d, .*mu_head.weight must be fin"
    ):
        zoo.load_weights(name, path)
    with pytest.raises(ValueError, match="must hold the weights of fashion-vae-2d, got others"):
        zoo.load_weights("fashion-vae-2d", zoo.shipped_path(name))
