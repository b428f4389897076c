"""Models, images, encoders and decoders that don't fit are named."""

import math
from collections import namedtuple
from types import SimpleNamespace

import properties
import pytest
import torch
from foreign_models import (
    make,
    our_model,
)
from torch import nn
from torch.distributions import MultivariateNormal

import riemvae_core as rc
from riemvae_core.space.adapters import adapt


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
        ((FLAT[:39], FLAT[:39]), ("mu as [40, ...] for 40 items", "[39, 2]")),
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
        (
            torch.zeros(3, 1, 8, 8, dtype=torch.uint8),
            ("unsigned", "torch.uint8", "data.float() / 255", "long"),
        ),
        (torch.zeros(3), ("[n, ...]", "a tensor [3]")),
        ([[]], ("got list of 0",)),
        (["a.png"], ("got str",)),
        ([], ("at least one item",)),
        (torch.zeros(0, 1, 8, 8), ("at least one item",)),
        ([torch.zeros(2, 1, 8, 8), torch.zeros(2, 1, 4, 4)], ("[n, 1, 8, 8]", "[2, 1, 4, 4]")),
    ],
)
def test_images_that_are_none_are_named(images, words):
    with pytest.raises(ValueError, match="data must") as caught:
        rc.latent_space(make("mlp"), images)
    properties.message_names(caught.value, *words)


@pytest.mark.usefixtures("no_hook")
def test_wrong_shapes_and_numbers_are_named(space, x):
    with pytest.raises(ValueError, match=r"data must all be \[n, 1, 8, 8\], got a batch \[2, 8, 8\]"):
        space.encode(torch.zeros(2, 8, 8))
    with pytest.raises(ValueError, match=r"z must be \[\*batch, 3\], got \(5, 2\)"):
        space.decode(torch.zeros(5, 2))
    with pytest.raises(
        ValueError, match=r"b must be images \[\*batch, 1, 8, 8\] or codes \[\*batch, 3\], got"
    ):
        space.geodesic(x[0], torch.zeros(4))
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, got 0"):
        rc.latent_space(our_model(), x, batch_size=0)
    with pytest.raises(ValueError, match="n must be a whole number of at least 2, got 1"):
        space.interpolate(space.mu[:2], 1)
    with pytest.raises(ValueError, match="background"):
        rc.latent_space(our_model(), x, background=-1.0)
