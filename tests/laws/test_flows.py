"""Learned laws: densities that sum to one, draws that follow them, epochs that held-out codes choose."""

import sys

import properties
import pytest
import torch

import riemvae_core as rc
from riemvae_core.laws import fit_law, flows

KINDS = ["flow", "flow matching"]


def ring(n, seed=0, d=2):
    """Codes about a circle: a law that no Gaussian has."""
    eps, around = properties.random_tensors(2, (n, d), seed)
    mu = 0.25 * eps
    mu[:, :2] += 2.0 * torch.nn.functional.normalize(around[:, :2])
    return 7.0 + mu


@pytest.fixture(scope="module", params=[("flow", 25), ("flow matching", 100)], ids=KINDS)
def fitted(request):
    kind, epochs = request.param
    return fit_law(ring(400), kind=kind, held_out=ring(300, 1), widths={"epochs": epochs})


def test_a_flow_sums_to_one_and_has_the_moments_of_its_draws(fitted):
    n = 160 if fitted.kind == "flow" else 70  # splines have kinks, velocities cost more
    side = torch.linspace(2.0, 12.0, n, dtype=torch.float64, device="cpu")
    grid, area = torch.cartesian_prod(side, side), (side[1] - side[0]).item() ** 2
    logs = fitted.log_prob(grid)
    assert torch.logsumexp(logs, 0).exp().item() * area == pytest.approx(1.0, abs=1e-3)
    weights, z = torch.softmax(logs, 0), fitted.sample(4000, rc.make_generator(3))
    for power in (lambda v: v - 7.0, lambda v: (v - 7.0).square()):
        mean = weights @ power(grid)
        error = (weights @ power(grid).square() - mean.square()).sqrt() / 4000**0.5
        assert ((power(z).mean(0) - mean).abs() < 5 * error).all()
    assert z.dtype == torch.float64


def test_a_flow_learns_a_ring_that_a_gaussian_misses(fitted):
    gaussian = fit_law(ring(400), kind="gaussian", held_out=ring(300, 1))
    assert fitted.held_out_log_prob > gaussian.held_out_log_prob + 0.3


@pytest.mark.parametrize("kind", KINDS)
def test_epochs_are_those_that_held_out_codes_like_best(kind, monkeypatch):
    monkeypatch.setitem(flows.ASKED, kind, (1, 2, 12, 13))
    monkeypatch.setitem(flows.PATIENCE, kind, 2)
    law = fit_law(ring(200), kind=kind, held_out=ring(60, 1))
    values = {widths["epochs"]: value for widths, value in law.tried}
    assert list(values) == [1, 2, 12, 13]
    assert law.widths["epochs"] == max(values, key=values.get)
    assert law.log_prob(ring(60, 1)).mean().item() == pytest.approx(law.held_out_log_prob, abs=0.01)
    monkeypatch.setitem(flows.PATIENCE, kind, 0)
    assert len(fit_law(ring(200), kind=kind, held_out=ring(60, 1)).tried) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_sampler_and_density_are_one_law_at_d_16(kind):
    mu = ring(200, d=16)
    law = fit_law(mu, kind=kind, widths={"epochs": 15})
    other = fit_law(mu, kind="gaussian", widths={"share": 0.0})
    z = other.sample(1000, rc.make_generator(0))
    ratio = (law.log_prob(z) - other.log_prob(z)).exp()  # at the Gaussian's draws: the law's own mass
    assert abs(ratio.mean().item() - 1.0) < 5 * ratio.std().item() / 1000**0.5
    z = law.sample(1000, rc.make_generator(1))
    shell = (z[:, :2] - 7.0).norm(dim=1)
    assert (shell.mean() - (mu[:, :2] - 7.0).norm(dim=1).mean()).abs() < 0.2
    properties.close(law.sample(4, rc.make_generator(2)), law.sample(4, rc.make_generator(2)))
    assert law.log_prob(z[:0]).shape == (0,)


def test_without_the_package_a_flow_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "zuko", None)
    for kind in KINDS:
        with pytest.raises(ImportError, match=r"need the package zuko: pip install 'riemvae-core\[flows\]'"):
            fit_law(ring(40), kind=kind)
    with pytest.raises(ImportError, match="zuko"):
        flows.zuko()


def test_a_velocity_is_one_a_row_whether_time_is_one_for_all_or_not():
    velocity, x = flows.Velocity(3), properties.random_tensors(1, (5, 3), dtype=torch.float32)[0]
    t = torch.full((5, 1), 0.3, device="cpu")
    properties.close(velocity.forward(t, x), velocity.forward(t[0, 0], x))
