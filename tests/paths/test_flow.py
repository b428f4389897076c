"""The exponential map along circles, and against shortest paths."""

import properties
import pytest
import torch
from path_cases import HALF_PLANE, LEAN, SPHERE, on_sphere, pairs, points

from riemvae_core.metrics import (
    ConstantMetric,
)
from riemvae_core.paths import flow, geodesics

# --- exponential map


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 1e-4)])
def test_exponential_map_of_the_half_plane_runs_along_circles(dtype, tolerance):
    s = torch.tensor([0.0, 0.5, 1.0, 3.0], dtype=dtype)
    z, v = points(0.0, 1.0, dtype=dtype).expand(4, 2), torch.stack([s, torch.zeros_like(s)], -1)
    end = geodesics.exponential_map(HALF_PLANE, z, v)
    properties.close(end, torch.stack([s.tanh(), 1.0 / s.cosh()], -1), rtol=tolerance, atol=tolerance)


def test_exponential_map_of_the_sphere_runs_along_great_circles():
    z, v = points(1.1, 0.2), points(0.4, -0.9)
    jacobian = torch.autograd.functional.jacobian(on_sphere, z)
    velocity = jacobian @ v
    speed = velocity.norm()
    expected = speed.cos() * on_sphere(z) + speed.sin() * velocity / speed
    properties.close(on_sphere(flow.exponential_map(SPHERE, z, v)), expected, rtol=1e-8, atol=1e-8)


def test_exponential_map_of_a_constant_metric_is_addition():
    z, v = properties.random_tensors(2, (2, 3, 2))
    end = flow.exponential_map(ConstantMetric(LEAN), z, v)
    properties.close(end, z + v)
    properties.close(flow.exponential_map(HALF_PLANE, points(0.5, 2.0), points(0.0, 0.0)), points(0.5, 2.0))


def test_batches_of_the_exponential_map_equal_singles_and_inputs_stay():
    z = pairs(5)[0]
    (v,) = properties.random_tensors(1, (5, 2), seed=3)
    before = z.clone(), v.clone()
    properties.acts_on_each_ball(lambda z, v: flow.exponential_map(HALF_PLANE, z, v), z, v)
    assert torch.equal(z, before[0])
    assert torch.equal(v, before[1])


def test_geodesic_and_exponential_map_undo_each_other():
    z = pairs(5)[0]
    (v,) = properties.random_tensors(1, (5, 2), seed=3)
    end = flow.exponential_map(HALF_PLANE, z, v)
    path = geodesics.geodesic(HALF_PLANE, z, end)
    speed = v.norm(dim=-1) / z[:, 1]
    assert path.converged.all()
    properties.close(path.length, speed, rtol=1e-3)
    # halfway in time is halfway along the path of 65 points
    middle = geodesics.geodesic(HALF_PLANE, z, end, n_points=65).curve[:, 32]
    properties.close(flow.exponential_map(HALF_PLANE, z, 0.5 * v), middle, rtol=1e-3, atol=1e-3)


def test_a_geodesic_that_leaves_the_space_is_an_error():
    def disk(z):
        return (1.0 - z.square().sum(-1))[..., None, None] * torch.eye(2, dtype=z.dtype)

    with pytest.raises(FloatingPointError, match=r"point 1 got to time 0\.393 of 1"):
        flow.exponential_map(disk, points((0.0, 0.0), (0.0, 0.0)), points((0.1, 0.0), (2.0, 0.0)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused_by_name(dtype):
    z = torch.ones(2).to(dtype)
    with pytest.raises(
        ValueError, match=f"z and v must have the same dtype, float32 or float64, got {dtype}"
    ):
        flow.exponential_map(lambda z: torch.eye(2).to(z).expand(*z.shape, 2), z, z)
