"""Models that no one here designed: what they encode and decode, how they are left."""

from collections import namedtuple
from contextlib import nullcontext
from functools import reduce
from types import SimpleNamespace

import properties
import pytest
import pythae.models
import torch
from foreign_models import DECODERS, MODELS, make, our_model
from torch import nn
from torch.distributions import Bernoulli, Independent, Normal
from torch.utils.data import DataLoader, TensorDataset

import riemvae_core as rc
from riemvae_core.space.adapters import Adapter, adapt
from riemvae_core.space.inputs import batches

# What each model's own documentation says of its encoder and decoder.
ENCODERS = {
    "mlp": lambda model, x: model.encode(x),
    "conv": lambda model, x: tuple(model.encoder(x).values()),
    "pythae": lambda model, x: (model.encoder(x).embedding, model.encoder(x).log_covariance),
    "diffusers": lambda model, x: (model.encode(x).latent_dist.mean, model.encode(x).latent_dist.logvar),
    "ours": lambda model, x: model.encode(x),
    "moving": lambda model, x: model.encode(x),
}


def state_of(model: nn.Module) -> tuple:
    """All that must not change: modes, weights, statistics, gradients, and torch's global generator."""
    return (
        [m.training for m in model.modules()],
        [v.clone() for v in model.state_dict().values()],
        [(p.requires_grad, p.grad) for p in model.parameters()],
        torch.get_rng_state(),
    )


def assert_same_state(one: tuple, other: tuple) -> None:
    assert one[0] == other[0]
    assert all(torch.equal(a, b) for a, b in zip(one[1], other[1], strict=True))
    assert one[2] == other[2]
    assert torch.equal(one[3], other[3])


def test_models_out_of_sight_keep_the_generators_of_all_gpus(monkeypatch):
    """Behind two lambdas a model may be on any of them."""
    seen, unseen, forked = adapt(our_model()), adapt((lambda x: x, lambda z: z)), []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.random, "fork_rng", lambda devices: forked.append(devices) or nullcontext())
    with unseen.at_rest(), seen.at_rest():
        pass
    assert forked == [[0, 1], []]


# --- foreign models, five lines each


@pytest.mark.parametrize("name", MODELS)
def test_a_model_in_five_lines(name, x):
    model, g = make(name), rc.make_generator(0)
    space = rc.latent_space(model, x)
    draws = space.sample_uniform(16, generator=g)
    images = space.decode(draws.z)
    path = space.geodesic(x[:2], x[2:4], n_points=8)
    assert isinstance(space, rc.LatentSpace)
    assert draws.converged
    assert images.shape == (16, 1, 8, 8)
    assert path.curve.shape == (2, 8, space.mu.shape[1])
    properties.close(path.curve[:, 0], space.encode(x[:2]).mu, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_balls_and_images_are_the_models_own(name, x):
    model = make(name)
    space = rc.latent_space(model, x, batch_size=7)
    (z,) = properties.random_tensors(1, (2, 5, space.mu.shape[1]), dtype=torch.float32)
    images = space.decode(z)
    with torch.no_grad():
        model.eval()
        mu, log_var = ENCODERS[name](model, x)
        expected = DECODERS[name](model, z.flatten(0, 1))
    properties.close(space.mu, mu.flatten(1), rtol=1e-4, atol=1e-5)
    properties.close(space.log_var, log_var.flatten(1), rtol=1e-4, atol=1e-5)
    properties.close(images, expected.reshape(2, 5, 1, 8, 8), rtol=1e-4, atol=1e-5)
    assert not images.requires_grad
    assert not space.mu.requires_grad


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_left_as_it_was(name, x):
    model = make(name)
    parts = list(model.modules())
    parts[-1].training = False  # partly in eval mode
    next(model.parameters()).requires_grad_(False)
    before = state_of(model)
    with pytest.warns(UserWarning, match="data is a DataLoader that shuffles: rows of mu"):
        space = rc.latent_space(model, DataLoader(TensorDataset(x), 16, shuffle=True))
    space.decode(space.mu)
    space.low_cost_path(x[0], x[1], 8)
    space.pullback("reverse")(space.mu[:1])
    assert_same_state(state_of(model), before)


def test_a_model_that_fails_is_left_as_it_was_and_says_where(x):
    model = make("moving")
    model.encoder[2].eval()
    space = rc.latent_space(model, x)
    model.broken, before = True, state_of(model)
    with pytest.raises(RuntimeError, match="out of order") as caught:
        rc.latent_space(model, x)
    assert caught.value.__notes__ == [
        "This came from the model's own encode, called with a tensor [40, 1, 8, 8] of torch.float32 on cpu."
    ]
    with pytest.raises(RuntimeError, match="out of order") as caught:
        space.decode(space.mu[:3])
    properties.message_names(Exception(*caught.value.__notes__), "decode", "[3, 3]")
    assert_same_state(state_of(model), before)


def test_at_rest_gives_every_module_its_own_mode_back():
    model = make("moving")
    model.decoder.eval()
    before = state_of(model)
    with adapt(model).at_rest():
        assert not any(m.training for m in model.modules())
        torch.rand(3)
    assert_same_state(state_of(model), before)


# --- how to hand over a model, and its images


@pytest.mark.parametrize("form", ["bound methods", "modules"])
def test_a_pair_rests_as_the_model_it_comes_from(form, x):
    model = make("moving" if form == "bound methods" else "pythae")
    pair = (model.encode, model.decode) if form == "bound methods" else [model.encoder, model.decoder]
    before, whole = state_of(model), rc.latent_space(model, x)
    space = rc.latent_space(pair, x)
    properties.close(space.mu, whole.mu)
    properties.close(space.decode(space.mu), whole.decode(whole.mu))
    assert_same_state(state_of(model), before)


def test_a_pair_of_lambdas_repairs_what_does_not_fit(x):
    """An encoder that returns both halves in one tensor, a decoder of logits."""
    split = nn.Linear(64, 4).requires_grad_(False)
    space = rc.latent_space(
        (lambda x: split(x.flatten(1)).chunk(2, dim=1), lambda z: Bernoulli(logits=z @ split.weight[:2])), x
    )
    both = split(x.flatten(1))
    properties.close(torch.cat([space.mu, space.log_var], 1), both, rtol=1e-5, atol=1e-5)
    pixels = torch.sigmoid(space.mu @ split.weight[:2]).reshape(-1, 1, 8, 8)
    properties.close(space.decode(space.mu), pixels, rtol=1e-5, atol=1e-5)


def forms_of_balls(mu, log_var):
    std = torch.exp(0.5 * log_var)
    yield mu, log_var
    yield [mu, log_var]
    yield Normal(mu, std)
    yield Independent(Normal(mu, std), 1)
    yield rc.Balls(mu, log_var)
    yield namedtuple("Found", "z mu logvar std")(mu + std, mu, log_var, std)
    yield SimpleNamespace(loc=mu, log_variance=log_var, mean=None)
    yield {"z_mean": mu, "z_log_var": log_var}
    yield {"latent_dist": SimpleNamespace(mean=mu, logvar=log_var)}


def test_balls_in_all_their_forms(x):
    mu, log_var = properties.random_tensors(2, (40, 2))
    forms = list(forms_of_balls(mu, log_var))
    assert len(forms) == 9
    for form in forms:
        found = adapt((lambda x, form=form: form, lambda z: z)).balls(x)
        properties.close(found[0], mu)
        properties.close(found[1], log_var)


@pytest.mark.parametrize("name", ["sample", "reconstruction", "recon", "recon_x", "x_recon", "x_hat"])
def test_images_in_all_their_forms(name):
    (z,) = properties.random_tensors(1, (5, 2))
    for form in (lambda z: {name: z + 1}, lambda z: SimpleNamespace(**{name: z + 1, "loss": 0.0})):
        assert torch.equal(adapt((lambda x: (x, x), form)).images(z), z + 1)


def forms_of_images(x):
    y = torch.arange(len(x))
    yield x
    yield [x[:10], x[10:11], x[11:]]
    yield (part for part in x.split(9))
    yield DataLoader(TensorDataset(x, y), batch_size=16)
    yield TensorDataset(x, y)
    yield [(part, "a label") for part in x.split(30)]


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_images_come_in_batches_in_their_order(batch_size, x):
    for form in forms_of_images(x):
        parts = [batch for batch, _ in batches(form, batch_size)]
        assert max(len(part) for part in parts) <= batch_size
        assert torch.equal(torch.cat(parts), x)


def test_no_batch_is_larger_than_said(x):
    model, seen = make("mlp"), []
    for layer in (model.fc1, model.fc3):
        layer.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    space = rc.latent_space(model, x, batch_size=16)
    space.decode(space.mu)
    # the first batch twice, and two codes: whether decode works, and whether chance has a part
    assert seen == [16, 16, 16, 8, 2, 2, 2, 16, 16, 8]


# --- dtypes and devices


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_codes_follow_the_models_dtype(dtype, x):
    model = make("mlp").to(dtype)
    space = rc.latent_space(model, x)
    codes = torch.float64 if dtype == torch.float64 else torch.float32
    assert space.mu.dtype == space.log_var.dtype == codes
    assert space.sample_uniform(4, generator=rc.make_generator(0)).z.dtype == codes
    assert space.decode(space.mu.double()).dtype == dtype
    exact = rc.latent_space(make("mlp").double(), x).mu
    tolerance = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 3e-2}[dtype]
    properties.close(space.mu.double(), exact, rtol=tolerance, atol=tolerance)


@pytest.mark.filterwarnings("ignore::riemvae_core.PathWarning")  # four points resolve little
@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize("name", ["ours", "lambdas"])
def test_nothing_is_made_on_a_default_device(name, x):
    (w,) = properties.random_tensors(1, (64, 3), dtype=torch.float32)
    pair = (lambda x: (x.flatten(1) @ w, x.flatten(1) @ w / 9), lambda z: z @ w.T)
    space = rc.latent_space(our_model() if name == "ours" else pair, x)
    path = space.geodesic(x[0], space.mu[1], n_points=4)
    images = space.interpolate(path.curve, 3)
    draws = space.sample_uniform(4, generator=rc.make_generator(0))
    assert {t.device.type for t in (space.mu, path.curve, images, draws.z)} == {"cpu"}
    assert torch.isfinite(space.pullback()(draws.z)).all()


def test_an_adapter_knows_its_parts():
    model = make("diffusers")
    adapter = adapt(model, radius=None)
    assert isinstance(adapter, Adapter)
    assert adapter.modules == (model,)
    assert adapter.home is next(model.parameters())
    assert adapt((lambda x: x, lambda z: z)).home is None


@pytest.mark.parametrize("name", ["VAE_IAF", "VAE_LinNF", "PoincareVAE", "VQVAE"])
def test_a_model_that_decodes_another_space_than_it_encodes_is_refused(name, x):
    """Of VQ-VAE also with a radius, with which its centers could pass for balls."""
    config = getattr(pythae.models, f"{name}Config", None) or getattr(pythae.models, f"{name}_Config")
    model = getattr(pythae.models, name)(config(input_dim=(1, 8, 8), latent_dim=4))
    with pytest.raises(ValueError, match="model must decode the space that its Gaussians lie in") as caught:
        rc.latent_space(model, x, radius=0.1)
    properties.message_names(caught.value, name)


FLOWS = {
    "VAE_IAF": lambda model, z: model.iaf_flow.inverse(z).out,
    "VAE_LinNF": lambda model, z: reduce(lambda z, flow: flow(z).out, model.net, z),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_becomes_a_part_of_the_decoder(x, name):
    """As the message says that refuses the model."""
    config = getattr(pythae.models, f"{name}_Config")(input_dim=(1, 8, 8), latent_dim=4)
    model, flow = getattr(pythae.models, name)(config).eval(), FLOWS[name]
    space = rc.latent_space((model.encoder, lambda z: model.decoder(flow(model, z))), x)
    with torch.no_grad():
        told = model.encoder(x)
        moved = flow(model, told.embedding)
        torch.testing.assert_close(space.mu, told.embedding)
        torch.testing.assert_close(space.decode(space.mu), model.decoder(moved).reconstruction)
        assert not torch.allclose(moved, told.embedding)
