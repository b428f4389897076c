"""Nets: published parameter counts, the same arithmetic done by hand, shapes, errors."""

import properties
import pytest
import torch
from torch import nn
from torch.nn import functional

from riemvae_core.models import networks
from riemvae_core.models.networks import count_parameters, decoder_layers, make_networks
from riemvae_core.models.vae import VAE, ModelConfig

ACTIVATIONS = {
    "silu": functional.silu,
    "gelu": functional.gelu,
    "tanh": torch.tanh,
    "softplus": functional.softplus,
    "relu": torch.relu,
}


def mlp(**changes):
    settings = {"width": 7, "depth": 2, "activation": "silu"} | changes
    torch.manual_seed(0)
    return make_networks("mlp", (1, 4, 5), 3, **settings)


@pytest.mark.parametrize(("channels", "d", "published"), [(1, 16, 22_755_233), (3, 32, 23_947_203)])
def test_the_papers_conv_net_has_the_parameters_of_its_released_code(channels, d, published):
    config = ModelConfig(image_shape=(channels, 32, 32), latent_dim=d, network="paper-conv")
    with torch.device("meta"):
        model = VAE(config)
        assert count_parameters(model) == published
        assert model.decode(torch.zeros(5, d)).shape == (5, channels, 32, 32)
        assert model.encode(torch.zeros(5, channels, 32, 32)).mu.shape == (5, d)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_an_mlp_is_what_its_definition_says(activation):
    assert set(ACTIVATIONS) == set(networks.ACTIVATIONS)
    body, features, decoder = mlp(activation=activation, decoder_width=6)
    act = ACTIVATIONS[activation]
    x, z = torch.rand(2, 1, 4, 5), torch.randn(2, 3)
    first, second = (m for m in body if isinstance(m, nn.Linear))
    properties.close(body(x), act(second(act(first(x.reshape(2, 20))))), 1e-5, 1e-6)
    assert features == second.out_features == 7
    (w1, b1), (w2, b2), (w3, b3) = decoder_layers(decoder)
    assert [len(b) for b in (b1, b2, b3)] == [6, 6, 20]
    by_hand = act(act(z @ w1.T + b1) @ w2.T + b2) @ w3.T + b3
    properties.close(decoder(z), by_hand.reshape(2, 1, 4, 5), 1e-5, 1e-6)


def test_decoder_layers_are_copies():
    _, _, decoder = mlp()
    before = decoder(torch.ones(1, 3))
    for weight, bias in decoder_layers(decoder):
        weight.zero_()
        bias.zero_()
    assert torch.equal(decoder(torch.ones(1, 3)), before)


def test_depth_zero_is_a_linear_map():
    body, features, decoder = mlp(depth=0)
    assert features == 20
    assert count_parameters(body) == 0
    a, b, zero = torch.randn(4, 3), torch.randn(4, 3), torch.zeros(4, 3)
    properties.close(decoder(a + b) - decoder(b), decoder(a) - decoder(zero), 1e-5, 1e-6)


def test_decoder_width_is_width_unless_given():
    assert count_parameters(mlp(decoder_width=7).decoder) == count_parameters(mlp().decoder)
    assert count_parameters(mlp(decoder_width=9).decoder) == 3 * 9 + 9 + 81 + 9 + 9 * 20 + 20
    assert count_parameters(mlp(decoder_width=9).body) == count_parameters(mlp().body)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("mlp", (2, 3, 5)), ("conv", (1, 28, 28)), ("conv", (3, 8, 12)), ("paper-conv", (1, 32, 32))],
)
def test_every_net_gives_the_shapes_it_promises(name, shape):
    with torch.device("meta"):
        nets = make_networks(name, shape, 4, width=8, decoder_width=6, depth=1, activation="tanh")
        assert isinstance(nets, networks.Networks)
        assert nets.body(torch.zeros(3, *shape)).shape == (3, nets.features)
        assert nets.decoder(torch.zeros(3, 4)).shape == (3, *shape)


@pytest.mark.parametrize("depth", [0, 2])
def test_a_grid_has_a_vector_in_each_place_that_sees_its_surroundings_only(depth):
    body, features, decoder = make_networks("grid", (2, 8, 12), 5, width=4, depth=depth, activation="tanh")
    x = torch.rand(3, 2, 8, 12, requires_grad=True)
    assert body(x).shape == (3, 2, 3, features)
    assert decoder(torch.randn(3, 2, 3, 5)).shape == (3, 2, 8, 12)
    body(x)[0, 0, 0].sum().backward()
    reach = x.grad[0].abs().sum(0) > 0
    assert reach[:4, :4].all()
    assert reach[:, -1].any() == (depth == 2)
    assert not x.grad[1:].any()


def test_only_trained_scalars_are_counted():
    layer = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    assert count_parameters(layer) == 3 * 4 + 4 + 4 + 4
    layer[0].bias.requires_grad_(False)
    assert count_parameters(layer) == 3 * 4 + 4 + 4


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("name", "shape", "changes", "words"),
    [
        ("unet", (1, 8, 8), {}, ("network", "mlp, conv, grid, paper-conv", "'unet'")),
        ("mlp", (1, 8, 8), {"activation": "selu"}, ("activation", "silu, gelu", "'selu'")),
        ("mlp", (1, 8, 8), {"width": 0}, ("width", "positive", "got 0")),
        ("mlp", (1, 8, 8), {"decoder_width": 0}, ("decoder_width", "positive", "got 8, 0")),
        ("mlp", (1, 8, 8), {"depth": -1}, ("depth", "at least 0", "-1")),
        ("mlp", (1, 0, 8), {}, ("image_shape", "positive", "(1, 0, 8)")),
        ("mlp", (8, 8), {}, ("image_shape (c, h, w)", "(8, 8)")),
        ("conv", (1, 30, 28), {}, ("image_shape", "divisible by 4", "30 x 28")),
        ("grid", (1, 30, 28), {}, ("image_shape", "divisible by 4", "'grid'", "30 x 28")),
        ("paper-conv", (1, 28, 28), {}, ("image_shape", "32 x 32", "28 x 28", "pad_to=32")),
    ],
)
def test_bad_settings_are_named(name, shape, changes, words):
    settings = {"width": 8, "depth": 1, "activation": "silu"} | changes
    with pytest.raises(ValueError, match=r"must (be|have)") as caught:
        make_networks(name, shape, 2, **settings)
    properties.message_names(caught.value, *words)


def test_decoder_layers_wants_an_mlp():
    nets = make_networks("conv", (1, 8, 8), 2, width=2, depth=0, activation="silu")
    with pytest.raises(ValueError, match=r"decoder must be an MLP .* got one with convolutions"):
        decoder_layers(nets.decoder)
