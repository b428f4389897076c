"""Models that no one here designed, and one of ours: what they encode and decode, how they are left."""

import math
from collections import namedtuple
from contextlib import nullcontext
from types import SimpleNamespace

import properties
import pytest
import torch
from diffusers import AutoencoderKL
from pythae.models import VAE as PythaeVAE
from pythae.models import VAEConfig
from torch import nn
from torch.distributions import Bernoulli, Independent, MultivariateNormal, Normal
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

import riemvae_core as rc
from riemvae_core.metrics import ConstantMetric
from riemvae_core.space.adapters import Adapter, adapt, batches

# --- the models


class ExampleVAE(nn.Module):
    """The fully connected VAE of many tutorials: five layers, flat images, names of its own."""

    def __init__(self):
        super().__init__()
        self.fc1, self.fc21, self.fc22 = nn.Linear(64, 32), nn.Linear(32, 3), nn.Linear(32, 3)
        self.fc3, self.fc4 = nn.Linear(3, 32), nn.Linear(32, 64)

    def encode(self, x):
        h = functional.relu(self.fc1(x.flatten(1)))
        return self.fc21(h), self.fc22(h)

    def decode(self, z):
        return torch.sigmoid(self.fc4(functional.relu(self.fc3(z))))


class ConvEncoder(nn.Module):
    """Convolutions with GroupNorm and SiLU; says what it finds in a dict."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv2d(1, 8, 3, 2, 1), nn.GroupNorm(2, 8), nn.SiLU()),
            *(nn.Conv2d(8, 8, 3, 2, 1), nn.GroupNorm(2, 8), nn.SiLU(), nn.Flatten()),
        )
        self.head = nn.Linear(32, 6)

    def forward(self, x):
        mean, logvar = self.head(self.body(x)).chunk(2, dim=1)
        return {"mean": mean, "logvar": logvar}


class ConvVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = ConvEncoder()
        self.decoder = nn.Sequential(
            *(nn.Linear(3, 32), nn.Unflatten(1, (8, 2, 2)), nn.GroupNorm(2, 8), nn.SiLU()),
            *(nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.GroupNorm(2, 8), nn.SiLU()),
            *(nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Sigmoid()),
        )


class MovingVAE(nn.Module):
    """What eval mode stops: Dropout and BatchNorm."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            *(nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(16, 6), nn.Unflatten(1, (2, 3))),
        )
        self.decoder = nn.Sequential(
            *(nn.Linear(3, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5)),
            *(nn.Linear(16, 64), nn.Unflatten(1, (1, 8, 8))),
        )
        self.broken = False

    def encode(self, x):
        if self.broken:
            raise RuntimeError("out of order")
        return self.encoder(x).unbind(1)

    def decode(self, z):
        if self.broken:
            raise RuntimeError("out of order")
        return self.decoder(z)


def pythae_model():
    return PythaeVAE(VAEConfig(input_dim=(1, 8, 8), latent_dim=3))


def diffusers_model():
    return AutoencoderKL(
        in_channels=1,
        out_channels=1,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        block_out_channels=(8, 8),
        layers_per_block=1,
        latent_channels=1,
        norm_num_groups=4,
        sample_size=8,
    )


def our_model():
    return rc.make_model("vae", rc.ModelConfig((1, 8, 8), latent_dim=3, width=16, depth=1), seed=0)


MODELS = {
    "mlp": ExampleVAE,
    "conv": ConvVAE,
    "pythae": pythae_model,
    "diffusers": diffusers_model,
    "ours": our_model,
    "moving": MovingVAE,
}


def make(name: str) -> nn.Module:
    """A model by name with weights from a seed, in train mode as a constructor leaves it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return MODELS[name]().train()


# What each model's own documentation says of its encoder and decoder.
ENCODERS = {
    "mlp": lambda model, x: model.encode(x),
    "conv": lambda model, x: tuple(model.encoder(x).values()),
    "pythae": lambda model, x: (model.encoder(x).embedding, model.encoder(x).log_covariance),
    "diffusers": lambda model, x: (model.encode(x).latent_dist.mean, model.encode(x).latent_dist.logvar),
    "ours": lambda model, x: model.encode(x),
    "moving": lambda model, x: model.encode(x),
}
DECODERS = {
    "mlp": lambda model, z: model.decode(z).reshape(-1, 1, 8, 8),
    "conv": lambda model, z: model.decoder(z),
    "pythae": lambda model, z: model.decoder(z).reconstruction,
    "diffusers": lambda model, z: model.decode(z.reshape(-1, 1, 4, 4)).sample,
    "ours": lambda model, z: model.decode(z),
    "moving": lambda model, z: model.decode(z),
}


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    """Forty images of 8 x 8."""
    return rc.load_images("digits").images[:40]


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
        parts = list(batches(form, batch_size))
        assert max(len(part) for part in parts) <= batch_size
        assert torch.equal(torch.cat(parts), x)


def test_no_batch_is_larger_than_said(x):
    model, seen = make("mlp"), []
    for layer in (model.fc1, model.fc3):
        layer.register_forward_pre_hook(lambda module, inputs: seen.append(len(inputs[0])))
    space = rc.latent_space(model, x, batch_size=16)
    space.decode(space.mu)
    assert seen == [16, 16, 8, 2, 16, 16, 8]  # two codes are decoded at once to see whether it works


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


# --- a latent space


@pytest.fixture(scope="module")
def space(x) -> rc.LatentSpace:
    """Of our own model in float64."""
    return rc.latent_space(our_model().double(), x)


def test_its_metric_is_the_one_that_fits_its_balls(space, x):
    assert repr(space) == "LatentSpace(40 balls in 3 dimensions, images [1, 8, 8], cpu)"
    settings = {"n_centroids": 10, "background": 0.01, "rho": 1.5, "lam": 0.1}
    for chosen in ({}, settings):
        fitted = rc.latent_space(our_model().double(), x, generator=rc.make_generator(1), **chosen).metric
        expected = rc.PosteriorMetric.fit(space.mu, space.log_var, generator=rc.make_generator(1), **chosen)
        properties.close(fitted(space.mu), expected(space.mu))
        assert (fitted.rho, fitted.lam, fitted.tau) == (expected.rho, expected.lam, expected.tau)


def test_samplers_and_paths_are_those_of_the_core(space, x):
    g = rc.make_generator
    for settings in ({}, {"method": "importance", "most": 32}):
        expected = rc.sample_uniform(space.metric, 8, g(0), **settings)
        assert torch.equal(space.sample_uniform(8, generator=g(0), **settings).z, expected.z)
    a, b = space.mu[0], space.mu[1]
    for ours, core in ((space.geodesic, rc.geodesic), (space.low_cost_path, rc.low_cost_path)):
        expected = core(space.metric, a, b, 8, nodes=space.mu)
        properties.close(ours(x[0], b, 8, nodes=space.mu).curve, expected.curve)
    sigma = torch.exp(0.5 * space.log_var[0])
    path = space.geodesic(x[:2], x[2:4], 8, metric=ConstantMetric(torch.diag(sigma**-2)))
    properties.close(path.length, ((space.mu[2:4] - space.mu[:2]) / sigma).norm(dim=-1), rtol=1e-6)


def test_its_health_is_that_of_its_balls(space):
    report = space.health(rc.make_generator(3))
    expected = rc.latent_health(space.mu, space.log_var, space.metric, rc.make_generator(3))
    assert str(report) == str(expected)
    assert report.metric.n_centroids == len(space.mu)


def test_any_batch_of_codes_is_decoded(space):
    for batch in ((), (1,), (2, 3), (0,)):
        (z,) = properties.random_tensors(1, (*batch, 3))
        images = space.decode(z)
        assert images.shape == (*batch, 1, 8, 8)
    (z,) = properties.random_tensors(1, (600, 3))
    properties.close(space.decode(z)[300], space.decode(z[300]))


def test_a_space_on_some_axes_holds_the_others(space, x):
    """Its balls are the others' columns; a decoded code has the means of the axes that were left out."""
    some = space.on_axes([2, 0], background=0.01)
    assert repr(some) == "LatentSpace(40 balls in 2 of 3 dimensions, images [1, 8, 8], cpu)"
    assert torch.equal(some.mu, space.mu[:, [2, 0]])
    properties.close(some.encode(x[:5]).log_var, space.log_var[:5, [2, 0]])
    expected = rc.PosteriorMetric.fit(some.mu, some.log_var, background=0.01)
    properties.close(some.metric(some.mu), expected(some.mu))
    (z,) = properties.random_tensors(1, (4, 2))
    whole = torch.stack([z[:, 1], space.mu[:, 1].mean().expand(4), z[:, 0]], 1)
    properties.close(some.decode(z), space.decode(whole))
    jacobian = space.pullback()(whole)
    properties.close(some.pullback()(z), jacobian[:, [[2], [0]], [2, 0]])
    one = some.on_axes(torch.tensor([1]))  # of the two that were left: the model's axis 0
    assert repr(one) == "LatentSpace(40 balls in 1 of 3 dimensions, images [1, 8, 8], cpu)"
    held = space.mu.mean(0).expand(4, 3).clone()
    held[:, 0] = z[:, 0]
    properties.close(one.decode(z[:, :1]), space.decode(held))
    assert one.geodesic(x[0], x[1], 8).curve.shape == (8, 1)


def test_dead_axes_are_left_out_unless_axes_are_named():
    mu, log_var = torch.randn(50, 3, generator=rc.make_generator(0)), torch.full((50, 3), -4.0)
    mu[:, 1], log_var[:, 1] = 0.0, 0.0
    space = rc.latent_space((lambda x: (mu[: len(x)], log_var[: len(x)]), lambda z: z), torch.zeros(50, 3))
    assert space.on_axes().axes.tolist() == [0, 2]
    collapsed = space.on_axes([1])
    with pytest.raises(ValueError, match="axes must be named where every axis is dead, got None"):
        collapsed.on_axes()


@pytest.mark.parametrize("axes", [[], [0, 0], [3], [-1]])
def test_axes_that_are_none_are_named(space, axes):
    with pytest.raises(ValueError, match="axes must be different numbers from 0 to 2, at least one, got"):
        space.on_axes(axes)


def test_strips_go_from_end_to_end_in_even_steps(x):
    """With a decoder that does nothing a strip is the curve itself."""
    space = rc.latent_space((lambda x: (x.flatten(1)[:, 18:20], x.flatten(1)[:, :2]), lambda z: z), x)
    angles = torch.linspace(0.0, math.pi, 301)
    curve = torch.stack([angles.cos(), angles.sin()], -1)
    properties.close(space.interpolate(curve, 4), curve[::100], rtol=1e-6, atol=1e-6)
    properties.close(
        space.interpolate(curve, 601)[1::2], curve.unfold(0, 2, 1).mean(-1), rtol=1e-5, atol=1e-6
    )
    a, b = properties.random_tensors(2, (5, 2), dtype=torch.float32)
    straight = space.interpolate(torch.stack([a, b], -2), 3)
    properties.close(straight, torch.stack([a, (a + b) / 2, b], -2), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "mode"), [("conv", "forward"), ("moving", "forward"), ("diffusers", "reverse")]
)
def test_the_pullback_is_that_of_the_model_at_rest(name, mode, x):
    model = make(name).double()
    space = rc.latent_space(model, x)
    z = space.mu[:2]
    found = space.pullback(mode)(z)
    model.eval().requires_grad_(False)
    jacobians = [
        torch.autograd.functional.jacobian(lambda p: DECODERS[name](model, p[None]).flatten(), p) for p in z
    ]
    properties.close(found.detach(), torch.stack([j.T @ j for j in jacobians]))


def test_a_shortest_path_in_the_decoders_metric(x):
    """In the pullback's metric the path is no longer than the straight line, measured between images."""
    model = make("conv").double()
    space = rc.latent_space(model, x)
    path = space.geodesic(x[0], x[1], 16, metric=space.pullback())
    straight = space.decode(torch.lerp(*space.mu[:2, None], torch.linspace(0, 1, 500)[:, None].double()))
    assert path.converged
    assert path.length <= straight.diff(dim=0).flatten(1).norm(dim=1).sum() * (1 + 1e-4)
    chord = (straight[-1] - straight[0]).norm()
    assert path.length > chord


# --- models without variances


def test_an_autoencoder_needs_a_radius(x):
    model = rc.make_model("ae", rc.ModelConfig((1, 8, 8), latent_dim=3, width=16, depth=1), seed=0)
    with pytest.raises(ValueError, match="encode must return a pair") as caught:
        rc.latent_space(model, x)
    properties.message_names(
        caught.value, "(mu, log_var)", "a tensor [40, 3]", "without variances", "radius="
    )
    space = rc.latent_space(model, x, radius=0.25)
    properties.close(space.mu, model.encode(x), rtol=1e-5, atol=1e-6)
    properties.close(space.log_var.exp(), torch.full((40, 3), 0.25**2), rtol=1e-6)
    with pytest.raises(ValueError, match=r"radius must be None for a model that gives log_var, got 0\.25"):
        rc.latent_space(our_model(), x, radius=0.25)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("radius", [0.0, -1.0, math.inf, math.nan])
def test_a_radius_that_is_none_is_named(radius):
    with pytest.raises(ValueError, match=f"radius must be None or a positive number, got {radius}"):
        adapt(our_model(), radius)


# --- what doesn't fit is named


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("model", "words"),
    [
        (nn.Linear(2, 2), ("got Linear",)),
        (nn.ModuleDict({"encoder": nn.Identity()}), ("got ModuleDict",)),
        ((lambda x: x,), ("tuple of 1",)),
        ((lambda x: x, 3), ("tuple of 2 (function, int)",)),
        ("vae", ("got str",)),
        (SimpleNamespace(weights=1), ("SimpleNamespace with weights",)),
    ],
)
def test_models_that_are_none_are_named(model, words, x):
    with pytest.raises(ValueError, match=r"model must be an nn\.Module with encode") as caught:
        rc.latent_space(model, x)
    properties.message_names(caught.value, "(encode, decode)", *words)


FLAT = torch.zeros(40, 2)
Two = namedtuple("Two", "mean std")


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (FLAT, ("pair (mu, log_var)", "tensor [40, 2]")),
        ((FLAT, FLAT, FLAT), ("pair (mu, log_var)", "tuple of 3 (a tensor [40, 2]")),
        (Two(FLAT, FLAT), ("log_var under one of", "Two with mean, std")),
        ({"mean": FLAT, "std": FLAT}, ("logvar", "dict with mean, std")),
        (SimpleNamespace(mu=FLAT), ("log_covariance", "SimpleNamespace with mu")),
        (MultivariateNormal(FLAT, torch.eye(2)), ("MultivariateNormal",)),
        ((FLAT, None), ("pair", "NoneType")),
        ((FLAT.long(), FLAT.long()), ("pair", "torch.int64")),
        (None, ("pair", "NoneType")),
        ((FLAT, FLAT[:, :1]), ("log_var of mu's shape [40, 2]", "[40, 1]")),
        ((FLAT[:39], FLAT[:39]), ("mu as [40, ...] for 40 images", "[39, 2]")),
        ((FLAT[:, 0], FLAT[:, 0]), ("mu as [40, ...]", "[40]")),
        ((FLAT[:, :0], FLAT[:, :0]), ("mu as [40, ...]", "[40, 0]")),
        ((FLAT / 0, FLAT), ("finite numbers", "80 in mu")),
        ((FLAT, FLAT.where(FLAT.new_tensor([True, False]) > 0, torch.inf)), ("finite", "40 in log_var")),
    ],
)
def test_what_encode_may_not_return_is_named(returned, words, x):
    with pytest.raises(ValueError, match="encode must return") as caught:
        rc.latent_space((lambda x: returned, lambda z: z), x)
    properties.message_names(caught.value, *words)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("decode", "got"),
    [
        (lambda z: z[:1], "a tensor [1, 2]"),
        (lambda z: z.sum(), "a tensor []"),
        (lambda z: (z, z), "tuple of 2"),
        (lambda z: {"loss": z}, "dict with loss"),
        (lambda z: None, "NoneType"),
    ],
)
def test_what_decode_may_not_return_is_named(decode, got, x):
    with pytest.raises(ValueError, match=r"decode must return one tensor \[2, ...\] for 2 codes") as caught:
        rc.latent_space((lambda x: (FLAT, FLAT), decode), x)
    properties.message_names(caught.value, "reconstruction", got)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(3, 1, 8, 8, dtype=torch.uint8), ("floating", "torch.uint8")),
        (torch.zeros(3), ("[n, ...]", "a tensor [3]")),
        ([{"image": torch.zeros(3, 64)}], ("tuples", "dict with image")),
        ([[]], ("got list of 0",)),
        (["a.png"], ("got str",)),
        ([], ("at least one image",)),
        (torch.zeros(0, 1, 8, 8), ("at least one image",)),
        ([torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 4, 4)], ("[n, 1, 8, 8]", "[2, 1, 4, 4]")),
    ],
)
def test_images_that_are_none_are_named(images, words):
    with pytest.raises(ValueError, match="images must") as caught:
        rc.latent_space(make("mlp"), images)
    properties.message_names(caught.value, *words)


@pytest.mark.usefixtures("no_hook")
def test_wrong_shapes_and_numbers_are_named(space, x):
    with pytest.raises(ValueError, match=r"images must all be \[n, 1, 8, 8\], got a batch \[2, 8, 8\]"):
        space.encode(torch.zeros(2, 8, 8))
    with pytest.raises(ValueError, match=r"z must be \[\*batch, 3\], got \(5, 2\)"):
        space.decode(torch.zeros(5, 2))
    with pytest.raises(
        ValueError, match=r"b must be images \[\*batch, 1, 8, 8\] or codes \[\*batch, 3\], got"
    ):
        space.geodesic(x[0], torch.zeros(4))
    with pytest.raises(ValueError, match="batch_size must be an integer of at least 1, got 0"):
        rc.latent_space(our_model(), x, batch_size=0)
    with pytest.raises(ValueError, match="n and curve's points must be at least 2, got 1 and 2"):
        space.interpolate(space.mu[:2], 1)
    with pytest.raises(ValueError, match="background"):
        rc.latent_space(our_model(), x, background=-1.0)


def test_an_adapter_knows_its_parts():
    model = make("diffusers")
    adapter = adapt(model, radius=None)
    assert isinstance(adapter, Adapter)
    assert adapter.modules == (model,)
    assert adapter.home is next(model.parameters())
    assert adapt((lambda x: x, lambda z: z)).home is None
