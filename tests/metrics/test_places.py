"""What every metric refuses at its door, and what it says of values that no float holds."""

import math

import properties
import pytest
import torch

from riemvae_core.metrics import (
    ConstantMetric,
    HalfPlaneMetric,
    PullbackMetric,
    SphereMetric,
    choose_medoids,
    matched_rho,
    nearest_neighbor_rho,
)
from riemvae_core.metrics.places import check_places, check_values

METRICS = [ConstantMetric(torch.eye(2)), HalfPlaneMetric(), SphereMetric(), PullbackMetric(torch.sinh)]
TWO = torch.ones(5, 2)


def spoiled(value):
    return TWO.index_put((torch.tensor(3), torch.tensor(1)), torch.tensor(value))


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_points_that_are_no_numbers_are_named(metric, value):
    for function in (metric, metric.log_volume):
        with pytest.raises(ValueError, match="z must be finite") as caught:
            function(spoiled(value))
        properties.message_names(caught.value, "row 3", "1 of 5", f"{value}")
        with pytest.raises(ValueError, match="z must be finite") as caught:
            function(torch.stack([TWO, spoiled(value)]))
        properties.message_names(caught.value, "row 8", "1 of 10")


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda bad: ConstantMetric(bad[2:4]), "matrix"),
        (lambda bad: choose_medoids(bad, 2), "mu"),
        (lambda bad: choose_medoids(bad, None), "mu"),
        (lambda bad: matched_rho(bad, TWO, torch.tensor([0])), "mu"),
        (lambda bad: matched_rho(TWO, bad, torch.tensor([0])), "log_var"),
        (nearest_neighbor_rho, "centroids"),
    ],
)
@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_what_a_metric_is_made_of_must_be_finite(call, name, value):
    with pytest.raises(ValueError, match=f"{name} must be finite, got {value} in row [13]"):
        call(spoiled(value))


@pytest.mark.parametrize("mode", ["forward", "reverse"])
def test_a_decoder_that_leaves_the_floats_is_named_with_its_place(mode):
    """The square of cosh is past float32 at 50 and nothing like it in float64."""
    z = torch.tensor([[1.0, 2.0], [50.0, 0.0]])
    with pytest.raises(FloatingPointError) as caught:
        PullbackMetric(torch.sinh, mode)(z)
    properties.message_names(caught.value, "is inf", "[50.0, 0.0]", "float32", "decode")
    g = PullbackMetric(torch.sinh, mode)(z.double())
    properties.close(g, torch.diag_embed(torch.cosh(z.double()).square()))
    with pytest.raises(
        ValueError, match=r"decode must return finite numbers, got others at z = \[1.0, 2.0\]"
    ):
        PullbackMetric(lambda z: z / (z - z), mode)(z)


@pytest.mark.parametrize("z", [torch.zeros(2), torch.zeros(3, 2), torch.zeros(0, 2), torch.zeros(2, 0, 2)])
def test_what_is_finite_passes_in_any_shape(z):
    check_places(z, 2)
    for values in (torch.ones(z.shape), torch.ones(z.shape[:-1]), torch.ones((*z.shape, 2))):
        check_values("G", values, z, "", positive=True)


def test_only_a_positive_one_must_be_above_zero():
    z, least = torch.zeros(2, 2), torch.finfo(torch.float32).tiny
    check_values("a log", torch.tensor([-1.0, 0.0]), z, "")
    for value in (-1.0, 0.0, 0.5 * least):
        with pytest.raises(
            FloatingPointError, match=r"G is .* at z = \[0.0, 0.0\], out of torch.float32's range: go"
        ):
            check_values("G", torch.tensor([1.0, value]), z, "go", positive=True)
