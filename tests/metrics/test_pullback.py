"""The pullback of decoders whose Jacobian is known, and the laws of a metric."""

import functools
import math

import properties
import pytest
import torch
from torch import nn

from riemvae_core.metrics import pullback
from riemvae_core.metrics.pullback import PullbackMetric
from riemvae_core.numerics import chunks


def sphere(z):
    """The unit sphere in R^3 in polar angles."""
    theta, phi = z.unbind(-1)
    return torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], dim=-1)


@pytest.fixture
def network():
    """A smooth decoder from R^3 to images of 2 x 4 x 4 that no formula describes."""
    torch.manual_seed(0)
    layers = (nn.Linear(3, 8), nn.SiLU(), nn.Linear(8, 32), nn.Unflatten(1, (2, 4, 4)), nn.Conv2d(2, 2, 3))
    return nn.Sequential(*layers, nn.Sigmoid()).double().requires_grad_(False)


@pytest.fixture
def z():
    return properties.random_tensors(1, (5, 3), seed=4)[0]


def jacobian_of(decode, point):
    """The Jacobian at one point by reverse mode."""
    return torch.autograd.functional.jacobian(lambda p: decode(p[None]).flatten(), point)


def test_a_linear_decoder_pulls_back_its_gram_matrix(z):
    (a,) = properties.random_tensors(1, (7, 3))
    metric = PullbackMetric(lambda z: z @ a.T + 2.0)
    properties.close(metric(z), (a.T @ a).expand(5, 3, 3))
    properties.close(metric.log_volume(z), torch.linalg.svdvals(a).log().sum().expand(5))


def test_the_sphere_in_space_pulls_back_to_the_metric_of_its_angles():
    angles = torch.rand(20, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.3
    metric, sin = PullbackMetric(sphere), angles[:, 0].sin()
    properties.close(metric(angles), torch.diag_embed(torch.stack([torch.ones_like(sin), sin.square()], -1)))
    properties.close(metric.log_volume(angles), sin.log())


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_its_jacobian_is_that_of_each_point(network, z, mode):
    one_by_one = torch.stack([jacobian_of(network, point) for point in z])
    metric = PullbackMetric(network, mode)
    properties.close(metric.jacobian(z), one_by_one)
    properties.close(metric(z), one_by_one.mT @ one_by_one)
    assert torch.linalg.eigvalsh(metric(z)).min() > 0
    properties.close(metric(z), metric(z).mT)


def test_a_stochastic_decoder_adds_the_two_pullbacks(network, z):
    def std(z):
        return torch.exp(z @ torch.ones(3, 5, dtype=z.dtype))

    both = PullbackMetric(lambda z: (network(z), std(z)))
    properties.close(both(z), PullbackMetric(network)(z) + PullbackMetric(std)(z))


def test_other_coordinates_give_the_same_lengths(network, z):
    """With z = phi(w) the metric in w is J^T G(phi(w)) J, J the Jacobian of phi."""

    def phi(w):
        return torch.sinh(w) + 0.1 * w.roll(1, -1)

    j = torch.stack([jacobian_of(phi, point) for point in z])
    properties.close(PullbackMetric(lambda w: network(phi(w)))(z), j.mT @ PullbackMetric(network)(phi(z)) @ j)


@pytest.mark.parametrize("batch", [(), (1,), (2, 3), (0,), (2, 0)])
def test_any_batch_of_points(network, batch):
    (z,) = properties.random_tensors(1, (*batch, 3))
    metric = PullbackMetric(network)
    assert metric(z).shape == (*batch, 3, 3)
    assert metric.log_volume(z).shape == batch


def test_a_decoder_of_one_number_a_point(z):
    metric = PullbackMetric(lambda z: z.prod(-1))
    gradient = z.prod(-1, keepdim=True) / z
    properties.close(metric(z), gradient[:, :, None] * gradient[:, None, :])
    assert (metric.log_volume(z) < math.log(1e-6)).all()  # of rank 1 in three dimensions


def test_batches_are_their_rows_and_chunks_change_nothing(network, z, monkeypatch):
    metric = PullbackMetric(network)
    properties.close(metric(z), torch.stack([metric(point) for point in z]))
    whole = metric(z)
    monkeypatch.setattr(pullback, "chunks", functools.partial(chunks, budget=10_000))
    properties.close(metric(z), whole)
    properties.leaves_inputs_alone(metric, z)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_it_can_be_differentiated_and_vmapped(network, z, mode):
    metric = PullbackMetric(network, mode)
    properties.has_right_gradient(metric, z[:2])
    properties.has_right_gradient(metric.log_volume, z[:2])
    properties.close(torch.func.vmap(metric)(z), metric(z))
    forward = torch.func.vmap(torch.func.jacfwd(metric))(z)
    properties.close(forward, torch.func.vmap(torch.func.jacrev(metric))(z))


def test_it_follows_the_dtype():
    properties.follows_dtype(PullbackMetric(sphere), *properties.random_tensors(1, (4, 2)))


@pytest.mark.usefixtures("meta_by_default")
def test_it_makes_nothing_on_a_default_device():
    (z,) = properties.random_tensors(1, (4, 2))
    assert torch.isfinite(PullbackMetric(sphere)(z)).all()
    assert PullbackMetric(sphere)(z[:0]).device.type == "cpu"


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("decode", "words"),
    [
        (3.0, ("decode", "callable", "float")),
        (lambda z: z.sum(0), ("decode", "[1, ...]", "(3,)")),
        (lambda z: {"mean": z}, ("decode", "[1, ...]", "dict")),
        (lambda z: (z, z, z), ("decode", "pair", "(1, 3), (1, 3), (1, 3)")),
        (lambda z: (z, z[0]), ("decode", "pair", "(1, 3), (3,)")),
        (lambda z: (), ("decode", "pair", "nothing")),
    ],
)
def test_decoders_that_are_none_are_named(decode, words):
    with pytest.raises(ValueError, match="decode must") as caught:
        PullbackMetric(decode)(torch.zeros(1, 3))
    properties.message_names(caught.value, *words)


@pytest.mark.usefixtures("no_hook")
def test_another_mode_is_named():
    with pytest.raises(ValueError, match="mode must be 'forward' or 'reverse', got 'both'"):
        PullbackMetric(sphere, mode="both")


@pytest.mark.usefixtures("no_hook")
def test_a_point_without_an_axis_is_named():
    with pytest.raises(ValueError, match=r"z must be \[\*batch, d\], got a single number"):
        PullbackMetric(sphere)(torch.tensor(1.0))


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_numbers_that_are_none_are_found_at_any_point(mode):
    z = torch.tensor([[0.0, 1.0], [1.0, 2.0], [5.0, 0.5]])
    with pytest.raises(
        ValueError, match=r"decode must return finite numbers, got others at z = \[5.0, 0.5\]"
    ):
        PullbackMetric(lambda z: torch.where(z > 3, math.nan, z), mode)(z)
    assert PullbackMetric(lambda z: z, mode)(z[:2]).isfinite().all()


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_what_torch_can_not_follow_is_no_metric_of_zeros(mode):
    z, unseen = torch.ones(3, 2), torch.no_grad()(lambda z: 2 * z)
    for decode in (lambda z: (2 * z).detach(), lambda z: torch.zeros(len(z), 4), unseen):
        if (mode, decode) == ("forward", unseen):  # which sees through no_grad
            properties.close(PullbackMetric(decode)(z), 4 * torch.eye(2).expand(3, 2, 2))
            continue
        with pytest.raises(
            ValueError, match=r"decode must return what torch can differentiate by z, .* detach"
        ):
            PullbackMetric(decode, mode)(z)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_volume_in_half_precision_is_that_of_its_matrix(dtype):
    metric, z = PullbackMetric(lambda z: torch.cat([z, z.square()], -1)), torch.tensor([[1.0, 2.0]]).to(dtype)
    found = metric.log_volume(z)
    assert found.dtype == dtype
    assert found.item() == pytest.approx(0.5 * math.log((1 + 4) * (1 + 16)), rel=0.01)
