"""Models: the loss put together again from its definition, and what each switch turns."""

import dataclasses

import properties
import pytest
import torch
from torch.nn import functional

from riemvae_core.balls import gaussians
from riemvae_core.models.vae import (
    MODELS,
    VAE,
    Autoencoder,
    AutoencoderLosses,
    Balls,
    ModelConfig,
    VAELosses,
    centers,
    make_model,
    standardize_codes,
)
from riemvae_core.models.vqvae import VQVAE
from riemvae_core.numerics import make_generator

SMALL = ModelConfig(image_shape=(1, 4, 4), latent_dim=3, width=8, depth=1)


def vae(**changes):
    return make_model("vae", dataclasses.replace(SMALL, **changes), seed=1)


@pytest.fixture
def batch():
    """Five images and a draw of noise for each."""
    x = torch.rand(5, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    return x, properties.random_tensors(1, (5, 3), dtype=torch.float32)[0]


def test_the_registry_holds_every_kind():
    assert dict(MODELS) == {"ae": Autoencoder, "vae": VAE, "vq": VQVAE}


def test_vae_losses_add_up_to_the_definition(batch):
    x, eps = batch
    model = vae(beta=0.7)
    losses = model.losses(x, eps)
    mu, log_var = model.encode(x)
    z = mu + torch.exp(0.5 * log_var) * eps
    squared = ((x - torch.sigmoid(model.logits(z))) ** 2).sum((1, 2, 3))
    kl = 0.5 * (mu**2 + log_var.exp() - log_var - 1).sum(-1)
    assert isinstance(losses, VAELosses)
    properties.close(losses.reconstruction, squared, 1e-5, 1e-5)
    properties.close(losses.pull + losses.barrier, kl, 1e-5, 1e-5)
    properties.close(losses.total, squared + 0.7 * kl, 1e-5, 1e-5)


@pytest.mark.parametrize(("beta", "pull", "barrier"), [(1.0, 1.0, 0.0), (2.0, 0.0, 3.0), (0.0, 5.0, 5.0)])
def test_weights_weigh_the_halves_and_do_not_touch_what_is_reported(batch, beta, pull, barrier):
    plain, weighed = vae().losses(*batch), vae(beta=beta, pull=pull, barrier=barrier).losses(*batch)
    for part in ("reconstruction", "pull", "barrier"):
        assert torch.equal(getattr(plain, part), getattr(weighed, part))
    expected = plain.reconstruction + beta * (pull * plain.pull + barrier * plain.barrier)
    properties.close(weighed.total, expected, 1e-6, 1e-6)


def test_without_noise_the_means_are_decoded(batch):
    x, eps = batch
    model = vae(noise=False)
    assert torch.equal(model.losses(x, eps).total, model.losses(x, 100 * eps).total)
    mu = model.encode(x).mu
    properties.close(model.losses(x, eps).reconstruction, model.reconstruction_loss(x, mu))
    noisy = vae()
    assert not torch.equal(noisy.losses(x, eps).total, noisy.losses(x, 2 * eps).total)


def test_bernoulli_reconstruction_is_torchs_cross_entropy(batch):
    x, eps = batch
    model = vae(likelihood="bernoulli")
    z = gaussians.reparameterize(*model.encode(x), eps)
    oracle = functional.binary_cross_entropy(model.decode(z), x, reduction="none").sum((1, 2, 3))
    properties.close(model.losses(x, eps).reconstruction, oracle, 1e-5, 1e-5)


def test_gaussian_reconstruction_is_torchs_squared_error(batch):
    x, z = batch
    oracle = functional.mse_loss(vae().decode(z), x, reduction="none").sum((1, 2, 3))
    properties.close(vae().reconstruction_loss(x, z), oracle, 1e-5, 1e-5)


def test_an_autoencoder_pays_for_its_reconstruction_only(batch):
    x, eps = batch
    model = make_model("ae", dataclasses.replace(SMALL, beta=50.0), seed=1)
    losses = model.losses(x, eps)
    assert isinstance(losses, AutoencoderLosses)
    assert torch.equal(losses.total, losses.reconstruction)
    assert torch.equal(losses.total, model.losses(x).total)
    properties.close(losses.total, (x - model.decode(model.encode(x))).square().sum((1, 2, 3)), 1e-5, 1e-5)


@pytest.mark.parametrize("kind", ["ae", "vae"])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_codes_and_images_have_the_shapes_of_the_contract(kind, network):
    config = ModelConfig(image_shape=(2, 8, 12), latent_dim=3, network=network, width=4, depth=1)
    model = make_model(kind, config, seed=0)
    x = torch.rand(6, 2, 8, 12)
    code = model.encode(x)
    if kind == "vae":
        assert isinstance(code, Balls)
        assert code.mu.shape == code.log_var.shape == (6, 3)
    else:
        assert code.shape == (6, 3)
    assert model.features(x).shape[0] == 6
    for batch in ((), (5,), (2, 3), (0,)):
        assert model.decode(torch.zeros(*batch, 3)).shape == (*batch, 2, 8, 12)


def test_decoding_stays_in_range_unless_the_output_is_linear():
    z = 100 * properties.random_tensors(1, (50, 3), dtype=torch.float32)[0]
    bounded, free = vae().decode(z), vae(linear_output=True).decode(z)
    assert ((bounded >= 0) & (bounded <= 1)).all()
    assert free.min() < 0
    assert free.max() > 1
    properties.close(torch.sigmoid(free), bounded)
    assert torch.equal(free, vae().logits(z))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_models_follow_the_dtype_they_are_given(dtype):
    model = vae().to(dtype)
    x, eps = torch.rand(5, 1, 4, 4, dtype=dtype), torch.randn(5, 3, dtype=dtype)
    assert {part.dtype for part in model.losses(x, eps)} == {dtype}
    assert model.decode(eps).dtype == dtype


@pytest.mark.parametrize("kind", ["ae", "vae"])
def test_weights_come_from_the_seed_and_the_global_generator_is_left_alone(kind, monkeypatch):
    elsewhere = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", elsewhere.append)
    before = torch.get_rng_state()
    a, b, c = (make_model(kind, SMALL, seed).state_dict() for seed in (3, 3, 4))
    assert torch.equal(torch.get_rng_state(), before)
    assert elsewhere == []
    assert all(torch.equal(a[k], b[k]) for k in a)
    assert not any(torch.equal(a[k], c[k]) for k in a)


def test_configurations_are_values():
    assert ModelConfig() == ModelConfig()
    assert hash(ModelConfig()) == hash(ModelConfig())
    with pytest.raises(dataclasses.FrozenInstanceError):
        ModelConfig().beta = 2.0


IMAGES = torch.zeros(2, 1, 4, 4)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: make_model("gan", SMALL, 0), ("kind", "ae, vae, vq", "'gan'")),
        (lambda: make_model("vq", SMALL, 0), ("config", "VQConfig", "'vq'", "ModelConfig")),
        (lambda: ModelConfig(network="grid"), ("network", "'grid'", "VQConfig")),
        (lambda: ModelConfig(likelihood="laplace"), ("likelihood", "gaussian, bernoulli", "'laplace'")),
        (
            lambda: ModelConfig(likelihood="bernoulli", linear_output=True),
            ("linear_output", "False", "got True"),
        ),
        (lambda: ModelConfig(beta=-1.0), ("beta", "at least 0", "-1.0")),
        (lambda: ModelConfig(barrier=-0.5), ("barrier", "at least 0", "-0.5")),
        (lambda: vae().encode(torch.zeros(2, 1, 4, 5)), ("x", "[n, 1, 4, 4]", "[2, 1, 4, 5]")),
        (lambda: vae().encode(torch.zeros(1, 4, 4)), ("x", "[n, 1, 4, 4]", "[1, 4, 4]")),
        (lambda: vae().decode(torch.zeros(2, 4)), ("z", "3 coordinates", "[2, 4]")),
        (lambda: vae().decode(torch.tensor(0.0)), ("z", "3 coordinates", "[]")),
        (lambda: vae().losses(IMAGES, torch.zeros(2, 1)), ("eps", "mu's shape (2, 3)", "(2, 1)")),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)


@pytest.mark.parametrize("kind", ["ae", "vae"])
def test_standardized_codes_draw_the_same_images(kind):
    images = torch.rand(40, 1, 4, 4, generator=make_generator(5), dtype=torch.float64)
    config = ModelConfig(image_shape=(1, 4, 4), latent_dim=3, width=8, depth=1)
    model = make_model(kind, config, seed=2).double()
    with torch.no_grad():
        model.mu_head.bias.add_(4.0)
        standard = standardize_codes(model, images)
        before, after = model.encode(images), standard.encode(images)
        mu, mu_after = (before.mu, after.mu) if kind == "vae" else (before, after)
        torch.testing.assert_close(centers(model, images), mu)
        torch.testing.assert_close(mu_after.mean(0), torch.zeros(3, dtype=torch.float64), atol=1e-12, rtol=0)
        torch.testing.assert_close(mu_after.std(0), torch.ones(3, dtype=torch.float64))
        torch.testing.assert_close(standard.decode(mu_after), model.decode(mu))
        if kind == "vae":
            expected = before.log_var - 2 * mu.std(0).log()
            torch.testing.assert_close(after.log_var, expected)


def test_codes_that_cannot_be_standardized(no_hook):
    images = torch.rand(4, 1, 8, 8, generator=make_generator(5))
    conv = make_model("ae", ModelConfig(image_shape=(1, 8, 8), network="conv", width=4), seed=0)
    assert standardize_codes(conv, images).decode(torch.zeros(1, 2)).shape == (1, 1, 8, 8)
    mlp = make_model("ae", ModelConfig(image_shape=(1, 8, 8), width=4, depth=1), seed=0)
    with pytest.raises(ValueError, match="images must have codes that differ on every axis"):
        standardize_codes(mlp, images[:1].expand(4, -1, -1, -1))
    mlp.decoder[0] = torch.nn.Identity()
    with pytest.raises(ValueError, match="first layer is linear, got Identity"):
        standardize_codes(mlp, images)
