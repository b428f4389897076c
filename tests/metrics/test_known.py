"""The constant metric, the half-plane and the sphere: where they come from and the laws they obey."""

import properties
import pytest
import torch

from riemvae_core.metrics.known import ConstantMetric, HalfPlaneMetric, SphereMetric
from riemvae_core.metrics.pullback import PullbackMetric

MATRIX = torch.tensor([[2.0, 0.5], [0.5, 1.0]], dtype=torch.float64)
METRICS = [ConstantMetric(MATRIX), HalfPlaneMetric(), SphereMetric()]


def places(*batch):
    """Points with both coordinates between 0.3 and 1.3: on all three charts."""
    return torch.rand(*batch, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 0.3


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
@pytest.mark.parametrize("batch", [(), (5,), (2, 3), (0,)])
def test_each_is_a_metric_with_its_volume(metric, batch):
    z = places(*batch)
    g = metric(z)
    assert g.shape == (*batch, 2, 2)
    assert torch.equal(g, g.mT)
    assert (torch.linalg.eigvalsh(g) > 0).all()
    properties.close(metric.log_volume(z), 0.5 * torch.linalg.slogdet(g).logabsdet)
    properties.leaves_inputs_alone(metric, z)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
def test_each_can_be_vmapped(metric):
    properties.close(torch.func.vmap(metric)(places(4)), metric(places(4)))


@pytest.mark.parametrize("metric", METRICS[1:], ids=lambda m: type(m).__name__)
def test_curved_ones_have_the_right_derivatives_and_dtype(metric):
    properties.has_right_gradient(metric, places(2))
    properties.has_right_gradient(metric.log_volume, places(2))
    properties.follows_dtype(metric, places(2))


def test_constant_is_the_matrix_everywhere():
    properties.close(ConstantMetric(MATRIX)(places(2, 3)), MATRIX.expand(2, 3, 2, 2))


def test_the_sphere_is_that_of_its_embedding():
    def embed(z):
        theta, phi = z.unbind(-1)
        return torch.stack([theta.sin() * phi.cos(), theta.sin() * phi.sin(), theta.cos()], dim=-1)

    properties.close(SphereMetric()(places(20)), PullbackMetric(embed)(places(20)))


@pytest.mark.parametrize(
    "isometry",
    [
        lambda z: 3.0 * z,
        lambda z: z + torch.tensor([5.0, 0.0], dtype=z.dtype),
        lambda z: z / z.square().sum(-1, keepdim=True),
        lambda z: z * torch.tensor([-1.0, 1.0], dtype=z.dtype),
    ],
    ids=["scaling", "shift along x", "inversion", "mirror"],
)
def test_the_half_plane_does_not_feel_its_isometries(isometry):
    z = places(20)
    j = torch.func.vmap(torch.func.jacrev(isometry))(z)
    properties.close(j.mT @ HalfPlaneMetric()(isometry(z)) @ j, HalfPlaneMetric()(z))


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (torch.eye(3)[:2], ("[d, d]", "(2, 3)")),
        (torch.zeros(0, 0), ("[d, d]", "(0, 0)")),
        (torch.tensor([[1.0, 1.0], [0.0, 1.0]]), ("symmetric", "[1.0, 1.0]")),
        (-torch.eye(2), ("positive definite", "[-1.0, -0.0]")),
    ],
)
def test_matrices_that_are_no_metric_are_named(matrix, words):
    with pytest.raises(ValueError, match="matrix must be") as caught:
        ConstantMetric(matrix)
    properties.message_names(caught.value, *words)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("metric", METRICS, ids=lambda m: type(m).__name__)
def test_points_of_another_dimension_are_named(metric):
    for call in (metric, metric.log_volume):
        with pytest.raises(ValueError, match=r"z must be \[\*batch, 2\], got \(4, 3\)"):
            call(torch.zeros(4, 3))


@pytest.mark.usefixtures("meta_by_default")
def test_nothing_is_made_on_a_default_device():
    for metric in METRICS:
        z = torch.full((3, 2), 0.5, dtype=torch.float64, device="cpu")
        assert torch.isfinite(metric(z)).all()
        assert metric.log_volume(z).device.type == "cpu"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_matrix_of_half_precision_is_refused_by_name(dtype):
    with pytest.raises(
        ValueError, match=f"matrix must be float32 or float64, got {dtype}: take matrix.float"
    ):
        ConstantMetric(torch.eye(2).to(dtype))
