"""A latent space: its metric, samplers and paths are the core's, on some axes, without variances."""

import math

import numpy as np
import properties
import pytest
import torch
from foreign_models import (
    DECODERS,
    make,
    our_model,
)

import riemvae_core as rc
from riemvae_core.metrics import ConstantMetric
from riemvae_core.space.tensors import axis_numbers


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


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("form", [torch.tensor, np.array, list, tuple])
def test_a_mask_of_axes_is_a_mask(space, form):
    """On two axes numbers and masks have one shape: neither is taken for the other."""
    for mask in ([True, False, True], [False, True, True], [False, False, True]):
        kept = [k for k in range(3) if mask[k]]
        assert space.on_axes(form(mask)).axes.tolist() == kept
        assert space.on_axes(form(kept)).axes.tolist() == kept
        assert axis_numbers(form(mask), 3) == axis_numbers(form(kept), 4) == kept
    two = space.on_axes([0, 1])
    assert two.on_axes(form([True, False])).axes.tolist() == [0]
    assert two.on_axes(form([1, 0])).axes.tolist() == [1, 0]
    assert torch.equal(space.on_axes(~space.health().dead).mu, space.on_axes().mu)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("axes", "told"),
    [
        ([1.9], r"axes must be whole numbers \[k\], or a mask \[3\] of bool, got a tensor"),
        (torch.tensor([0.0, 1.0]), "of torch.float32"),
        ([True, False], r"axes must be whole .* got a tensor \[2\] of torch.bool"),
        ([[0, 1]], r"got a tensor \[1, 2\] of torch.int64"),
        (1, r"got a tensor \[\] of torch.int64"),
        ("10", "axes must hold numbers, got str"),
        (["1", "0"], "axes must hold numbers, got list of 2"),
        ({1, 0}, "axes must hold numbers, got set"),
        ([False, False, False], r"axes must be different numbers from 0 to 2, at least one, got \[\]"),
    ],
)  # fmt: skip
def test_what_numbers_no_axes_is_named(space, axes, told):
    with pytest.raises(ValueError, match=told):
        space.on_axes(axes)


@pytest.mark.parametrize("axes", [[], [0, 0], [3], [-1]])
def test_axes_that_are_none_are_named(space, axes):
    with pytest.raises(ValueError, match="axes must be different numbers from 0 to 2, at least one, got"):
        space.on_axes(axes)


def test_strips_go_from_end_to_end_in_even_steps(x):
    """With a decoder that does nothing a strip is the curve itself."""
    space = rc.latent_space((lambda x: (x.flatten(1)[:, 18:20], x.flatten(1)[:, :2] - 1), lambda z: z), x)
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
