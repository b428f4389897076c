"""Shortest paths of decoded images: sheets whose geodesics are known; the geodesic solver as a witness."""

import math

import properties
import pytest
import torch

from riemvae_core.metrics import PullbackMetric
from riemvae_core.models import zoo
from riemvae_core.paths import PathWarning
from riemvae_core.paths.curves import curve_length, straight_line
from riemvae_core.paths.decoded import decoded_steps, shortest_decoded
from riemvae_core.paths.geodesics import Geodesic, geodesic


def on_sphere(z):
    theta, phi = z.unbind(-1)
    return torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], -1)


def bent_sheet(z):
    """A flat sheet in curved coordinates, rolled up: straight lines of z are not its shortest paths."""
    x, y = z[..., 0] + 0.4 * z[..., 1].square(), z[..., 1]
    return torch.stack([x.cos(), x.sin(), y], -1)


def ends(*rows):
    return torch.tensor(rows, dtype=torch.float64, device="cpu")


def test_steps_are_chords():
    curve = ends((0.0, 0.0), (math.pi / 2, 0.0), (math.pi / 2, math.pi / 2))
    chords = decoded_steps(on_sphere, curve)
    assert chords.tolist() == pytest.approx([math.sqrt(2.0)] * 2)
    assert decoded_steps(on_sphere, curve.expand(4, 5, 3, 2)).shape == (4, 5, 2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ends_that_decode_alike_are_a_path_and_leave_the_other_pairs_alone(dtype):
    a, b = ends((0.1, 0.2), (0.5, 0.5)).to(dtype), ends((0.1, 0.2), (1.0, 0.0)).to(dtype)
    both, alone = shortest_decoded(torch.tanh, a, b, 17), shortest_decoded(torch.tanh, a[1:], b[1:], 17)
    assert both.converged.all()
    assert both.length[0] == both.energy[0] == 0.0
    properties.close(both.curve[0], a[:1].expand(17, 2))
    properties.close(both.length[1:], alone.length, rtol=1e-4)
    flat = shortest_decoded(lambda z: 0.0 * z + 1.0, a[1:], b[1:], 17)
    assert flat.converged.item()
    assert flat.length.item() == 0.0
    dark = shortest_decoded(lambda z: 1e-14 * torch.tanh(z), a[1:], b[1:], 17)  # no energy is too small
    properties.close(dark.length, 1e-14 * alone.length, rtol=1e-4)


def test_many_chords_are_the_length_in_the_pullback_metric():
    line = straight_line(ends((0.5, 0.0)), ends((1.5, 2.0)), 400)
    length = curve_length(PullbackMetric(on_sphere), line)
    assert decoded_steps(on_sphere, line).sum(-1).item() == pytest.approx(length.item(), rel=1e-5)


def test_great_circles():
    a, b = ends((0.6, 0.0), (1.2, 0.3)), ends((1.0, 1.5), (1.3, 2.8))
    path = shortest_decoded(on_sphere, a, b)
    angle = torch.acos((on_sphere(a) * on_sphere(b)).sum(-1))
    assert isinstance(path, Geodesic)
    assert path.converged.all()
    properties.close(path.length, angle, rtol=5e-4)
    assert torch.equal(path.curve[:, 0], a)
    assert torch.equal(path.curve[:, -1], b)
    assert (path.energy >= path.length.square() * (1 - 1e-12)).all()
    properties.close(path.energy, path.length.square(), rtol=1e-4)


def test_a_flat_sheet_in_curved_coordinates():
    a, b = ends((0.0, -1.5), (0.3, 0.0)), ends((0.5, 1.5), (-1.0, 2.0))
    flat = [torch.stack([z[:, 0] + 0.4 * z[:, 1].square(), z[:, 1]], -1) for z in (a, b)]
    path = shortest_decoded(bent_sheet, a, b)
    assert path.converged.all()
    properties.close(path.length, (flat[1] - flat[0]).norm(dim=-1), rtol=1e-3)


def test_agrees_with_the_geodesic_of_the_pullback_on_a_trained_decoder():
    model = zoo.load("digits-vae-2d").double().requires_grad_(False)
    a, b = ends((-1.0, 0.5), (0.2, -1.0)), ends((0.8, 0.9), (0.5, 0.4))
    path = shortest_decoded(model.decode, a, b)
    witness = geodesic(PullbackMetric(model.decode), a, b)
    straight = decoded_steps(model.decode, straight_line(a, b, 65)).sum(-1)
    assert path.converged.all()
    assert witness.converged.all()
    properties.close(path.length, witness.length, rtol=3e-3)
    assert (path.length < straight).all()


@pytest.mark.filterwarnings("ignore::riemvae_core.PathWarning")
def test_weights_get_no_gradient_and_pairs_may_be_none():
    model = zoo.load("digits-vae-2d")
    path = shortest_decoded(model.decode, torch.zeros(2, 2), torch.ones(2, 2), max_steps=3)
    assert all(p.grad is None for p in model.parameters())
    assert not path.curve.requires_grad
    none = shortest_decoded(model.decode, torch.zeros(0, 2), torch.zeros(0, 2))
    assert none.curve.shape == (0, 65, 2)
    assert none.converged.shape == (0,)


def test_a_search_that_is_cut_says_so():
    a, b = ends((0.4, 0.0)), ends((0.5, 2.8))
    with pytest.warns(PathWarning, match="shortest_decoded: 1 of 1 pairs"):
        assert not shortest_decoded(on_sphere, a, b, max_steps=1).converged
    assert shortest_decoded(on_sphere, a, b).converged


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: decoded_steps(on_sphere, ends((0.0, 0.0))), ("curve", "t at least 2", "(1, 2)")),
        (lambda: decoded_steps(lambda z: z[:1], torch.zeros(3, 2)), ("decode", "[3, ...]", "(1, 2)")),
        (lambda: shortest_decoded(on_sphere, torch.zeros(2, 2), torch.zeros(3, 2)), ("a and b", "(3, 2)")),
        (
            lambda: shortest_decoded(on_sphere, torch.zeros(2, 2), torch.zeros(2, 2), n_points=2),
            ("n_points", "at least 3", "got 2"),
        ),
    ],
)
def test_wrong_input_is_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)
