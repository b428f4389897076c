"""Bounds on the likelihood against models whose likelihood is known: linear, or small enough to integrate."""

import itertools
import math

import properties
import pytest
import torch
from torch.distributions import MultivariateNormal

from riemvae_core.balls import likelihood
from riemvae_core.balls.likelihood import NLLBound, nll_bound
from riemvae_core.models import ModelConfig, make_model
from riemvae_core.numerics import chunks, make_generator

SHAPE, PIXELS, BETA = (1, 2, 3), 6, 0.4


def linear_vae():
    """Probabilistic PCA, whose posterior is a ball along the axes, and that ball as the encoder's."""
    config = ModelConfig(SHAPE, latent_dim=2, depth=0, linear_output=True, beta=BETA)
    model = make_model("vae", config, seed=0).double()
    columns = torch.linalg.qr(properties.random_tensors(1, (PIXELS, 2))[0]).Q
    weight = columns * torch.tensor([1.5, 0.7], dtype=torch.float64, device="cpu")
    bias = properties.random_tensors(1, (PIXELS,), seed=1)[0]
    variance = BETA / 2
    spread = weight.square().sum(0) + variance
    with torch.no_grad():
        model.decoder[0].weight.copy_(weight)
        model.decoder[0].bias.copy_(bias)
        model.mu_head.weight.copy_((weight / spread).T)
        model.mu_head.bias.copy_(-(weight / spread).T @ bias)
        model.log_var_head.weight.zero_()
        model.log_var_head.bias.copy_(torch.log(variance / spread))
    covariance = weight @ weight.T + variance * torch.eye(PIXELS, dtype=torch.float64, device="cpu")
    return model, MultivariateNormal(bias, covariance)


def images(n=40):
    return properties.random_tensors(1, (n, *SHAPE), seed=2)[0]


@pytest.mark.parametrize("n_samples", [1, 7])
@pytest.mark.parametrize("budget", [2**27, 100_000, 1])
def test_with_the_exact_posterior_every_draw_gives_the_exact_likelihood(monkeypatch, n_samples, budget):
    monkeypatch.setattr(likelihood, "chunks", lambda n, size: chunks(n, size, budget))
    (model, exact), x = linear_vae(), images()
    found = nll_bound(model, x, n_samples, make_generator(0))
    assert isinstance(found, NLLBound)
    properties.close(found.nats, -exact.log_prob(x.flatten(1)))
    properties.close(found.ess, torch.full_like(found.ess, n_samples))


def test_one_draw_is_the_elbo_and_more_draws_close_the_gap():
    """The gap of the ELBO is KL(q || posterior): a ball grown by s has (s^2 - 1 - log s^2) / 2 an axis."""
    (model, exact), x = linear_vae(), images(400)
    grown = 0.6
    with torch.no_grad():
        model.log_var_head.bias.add_(grown)
    gaps = [
        (nll_bound(model, x, k, make_generator(k)).nats + exact.log_prob(x.flatten(1))).mean().item()
        for k in (1, 4, 16, 64, 1000)
    ]
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[0] == pytest.approx(math.exp(grown) - 1 - grown, abs=0.1)
    assert gaps[-1] == pytest.approx(0.0, abs=5e-3)


def test_the_elbo_is_the_training_loss_over_beta_and_its_constant():
    (model, _), x = linear_vae(), images(1).expand(4000, -1, -1, -1)
    loss = model.losses(x, properties.random_tensors(1, (4000, 2), seed=3)[0]).total.mean()
    expected = loss / BETA + PIXELS / 2 * math.log(math.pi * BETA)
    found = nll_bound(model, x, 1, make_generator(3)).nats.mean()
    assert found.item() == pytest.approx(expected.item(), abs=0.1)


def bernoulli_vae():
    config = ModelConfig((1, 2, 2), latent_dim=1, width=5, depth=1, likelihood="bernoulli")
    model = make_model("vae", config, seed=1).double()
    with torch.no_grad():
        model.decoder[0].weight.mul_(4.0)
        model.decoder[2].weight.mul_(4.0)
    pixels = list(itertools.product((0.0, 1.0), repeat=4))
    return model, torch.tensor(pixels, dtype=torch.float64, device="cpu").reshape(16, 1, 2, 2)


def test_bernoulli_bounds_meet_the_integral_over_all_codes():
    model, x = bernoulli_vae()
    z = torch.linspace(-9, 9, 4001, dtype=torch.float64, device="cpu")
    with torch.no_grad():
        p = model.decode(z[:, None]).flatten(1)
    each = (x.flatten(1)[:, None] * p + (1 - x.flatten(1)[:, None]) * (1 - p)).prod(-1)
    exact = -torch.log(torch.trapezoid(each * torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi), z))
    found = nll_bound(model, x, 20_000, make_generator(0))
    properties.close(found.nats, exact, rtol=0.0, atol=0.02)
    assert torch.exp(-found.nats).sum().item() == pytest.approx(1.0, abs=0.01)
    assert exact.std() > 0.1


def test_a_seed_is_a_bound_and_the_mode_is_left_alone():
    (model, _), x = linear_vae(), images()
    with torch.no_grad():
        model.log_var_head.bias.add_(0.3)
    model.train()
    first, again, other = (nll_bound(model, x, 3, make_generator(seed)).nats for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert model.training
    assert (nll_bound(model.eval(), x, 3).ess >= 1 - 1e-9).all()
    assert not model.training


@pytest.mark.usefixtures("meta_by_default")
def test_nothing_is_made_on_a_default_device():
    model, x = bernoulli_vae()
    assert {t.device.type for t in nll_bound(model, x, 3, make_generator(0))} == {"cpu"}


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("change", "arguments", "words"),
    [
        ({"kind": "ae"}, {}, ("model", "VAE", "Autoencoder")),
        ({"beta": 0.0}, {}, ("model", "beta above 0", "got 0.0")),
        ({}, {"n_samples": 0}, ("n_samples", "at least 1", "got 0")),
        ({}, {"images": torch.zeros(0, *SHAPE)}, ("images", "n at least 1", "[0, 1, 2, 3]")),
        ({}, {"images": torch.zeros(SHAPE)}, ("images", "[n, c, h, w]", "[1, 2, 3]")),
        ({}, {"images": torch.zeros(2, 1, 3, 3)}, ("[n, 1, 2, 3]", "[2, 1, 3, 3]")),
    ],
)
def test_what_does_not_fit_is_named(change, arguments, words):
    config = ModelConfig(SHAPE, depth=0, beta=change.get("beta", 1.0))
    model = make_model(change.get("kind", "vae"), config, seed=0).train()
    with pytest.raises(ValueError, match="must") as caught:
        nll_bound(model, **({"images": torch.zeros(2, *SHAPE), "n_samples": 2} | arguments))
    properties.message_names(caught.value, *words)
    assert model.training
