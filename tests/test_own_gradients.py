"""What takes gradients of its own: the same within torch.inference_mode, and its warnings name the caller."""

import subprocess
import sys

import properties
import pytest
import torch

import riemvae_core as rc
from riemvae_core.metrics import HalfPlaneMetric
from riemvae_core.numerics import with_own_gradients

MU, OTHERS = properties.random_tensors(2, (40, 2), seed=3)
LOG_VAR = torch.full_like(MU, -2.0)


class Hill:
    def log_volume(self, z):
        return -0.5 * z.square().sum(-1)


def curved(z):
    return torch.cat([z, z.square()], -1)


def fitted():
    """A metric that is made where it is used."""
    return rc.PosteriorMetric.fit(MU * 1, LOG_VAR * 1)


def ends():
    return MU[:2] * 1, MU[2:4] * 1


def generator():
    return rc.make_generator(0)


def law(kind):
    return rc.fit_law(MU * 1, LOG_VAR * 1, kind, held_out=OTHERS * 1, widths={"epochs": 2})


USES = {
    "exponential_map": lambda: rc.exponential_map(HalfPlaneMetric(), MU[:1].exp() * 1, MU[1:2] * 1),
    "exponential_map, balls": lambda: rc.exponential_map(fitted(), *ends()),
    "exponential_map, pullback": lambda: rc.exponential_map(rc.PullbackMetric(curved), *ends()),
    "geodesic": lambda: rc.geodesic(fitted(), *ends()).curve,
    "low_cost_path": lambda: rc.low_cost_path(fitted(), *ends()).curve,
    "shortest_decoded": lambda: rc.shortest_decoded(curved, *ends()).curve,
    "sample_riemannian_gaussian": lambda: (
        rc.sample_riemannian_gaussian(fitted(), MU[0] * 1, 0.1, 20, generator(), False).z
    ),
    "sample_uniform": lambda: rc.sample_uniform(fitted(), 20, generator()).z,
    "sample_uniform, start": lambda: rc.sample_uniform(Hill(), 20, generator(), start=OTHERS[:4] * 1).z,
    "sample_two_stage": lambda: rc.sample_two_stage(MU * 1, LOG_VAR * 1, 5, generator(), epochs=1, width=4),
    "flow": lambda: law("flow").sample(5, generator()),
    "flow matching": lambda: law("flow matching").sample(5, generator()),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("use", USES)
def test_inference_mode_changes_nothing(use):
    """All that comes in was made there, too."""
    expected = USES[use]()
    with torch.inference_mode():
        found = USES[use]()
    assert torch.equal(expected.detach(), found.detach())


def test_a_model_is_trained_within_inference_mode():
    model = rc.make_model("vae", rc.ModelConfig((1, 4, 4), latent_dim=2, width=4, depth=1), seed=0)
    before = [p.detach().clone() for p in model.parameters()]
    with torch.inference_mode():
        rc.fit(model, torch.rand(8, 1, 4, 4), epochs=1, progress=False)
    assert any(not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True))


def test_gradients_stay_off_where_the_caller_has_turned_them_off():
    with torch.no_grad():
        assert with_own_gradients(torch.is_grad_enabled)() is False
    assert with_own_gradients(torch.is_grad_enabled)() is True


def test_a_metric_that_autograd_loses_is_no_constant_one():
    """Without a graph there is no force: the path would be a straight line."""
    z, v = torch.tensor([[0.0, 1.0], [1.0, 0.0]], dtype=torch.float64, device="cpu")
    with pytest.raises(ValueError, match="metric must be differentiable by autograd"):
        rc.exponential_map(torch.no_grad()(HalfPlaneMetric()), z, v)
    flat = torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64, device="cpu"))
    properties.close(rc.exponential_map(lambda z: flat.expand(*z.shape, 2), z, v), z + v)


WARNS = """
import sys, warnings, torch
import riemvae_core as rc
generator = rc.make_generator(0)
mu = torch.randn(40, 2, generator=generator)
metric = rc.PosteriorMetric.fit(mu, 0 * mu - 2)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    rc.geodesic(metric, mu[:2], mu[2:4], max_steps=1)
    rc.low_cost_path(metric, mu[:2], mu[2:4], max_steps=1)
    rc.shortest_decoded(lambda z: torch.cat([z, z**2], -1), mu[:2], mu[2:4], max_steps=1)
    rc.sample_uniform(metric, 20, generator, method="hmc", start=mu[:2], draws=4, warm_up=1)
print(*(f"{one.filename}:{one.lineno}" for one in caught))
"""


def test_warnings_name_the_line_that_called():
    """In a process of its own: the checks of annotations that tests switch on add frames."""
    done = subprocess.run([sys.executable, "-c", WARNS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"<string>:{line}" for line in range(9, 13)]
