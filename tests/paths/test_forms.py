"""The parts of a search, each against a pencil: forms of a metric, spacing, checks, what is told."""

import itertools
import math
import time
from types import SimpleNamespace

import properties
import pytest
import torch
from path_cases import HALF_PLANE, half_ring, points

from riemvae_core.metrics import ConstantMetric, PosteriorMetric
from riemvae_core.paths import (
    PathWarning,
    curve_energy,
    descent,
    forms,
    geodesic,
    low_cost_path,
    notices,
    starts,
    straight_line,
)
from riemvae_core.paths.curves import energy_of, spaced

FLAT = ConstantMetric(torch.eye(2, dtype=torch.float64))


def test_forms_of_a_matrix_act_alike():
    diagonal, v = properties.random_tensors(2, (3, 2))
    dense = torch.diag_embed(diagonal)
    properties.close(forms.applied(diagonal, v), forms.applied(dense, v))
    assert forms.over(dense, v[:, 0]).shape == (3, 1, 1)
    lift = torch.tensor([[0.5], [2.0]], dtype=torch.float64)
    slim, whole = diagonal[:2, None].expand(2, 4, 2), dense[:2, None].expand(2, 4, 2, 2)
    properties.close(torch.diag_embed(descent.lifted(slim, lift)), descent.lifted(whole, lift))
    assert isinstance(forms.form_of(HALF_PLANE), forms.Dense)
    cost = forms.Conformal(FLAT, 1.0, middle=-2.0).log_cost(v)
    properties.close(cost, torch.full((3,), 2.0, dtype=torch.float64))


def test_a_rounded_metric_is_the_one_in_single_precision():
    mu, metric = half_ring(sigma=0.3, dtype=torch.float32)
    rounded, exact, z = forms.Rounded(metric), metric.in_double(), 0.9 * mu.double()
    properties.close(rounded.log_diagonal(z), exact.log_diagonal(z), rtol=1e-4, atol=1e-4)
    for got, wanted in zip(rounded.log_volume_and_grad(z), exact.log_volume_and_grad(z), strict=True):
        properties.close(got, wanted, rtol=1e-3, atol=1e-3)
    assert rounded.log_volume(z).dtype == torch.float64


def test_energies_spacing_and_first_curves():
    line = straight_line(points(0.0, 1.0), points(3.0, 2.0), 5)
    properties.close(energy_of(HALF_PLANE, line), curve_energy(HALF_PLANE, line))
    still = spaced(line, points(math.nan, 1.0, 1.0, 1.0), 5)  # no finite length: its own spacing
    properties.close(still, line)
    curves = starts.first_curves(FLAT, line[:1], line[-1:], 5, line)
    assert len(curves) == 3  # the line, over a grid, over nodes
    for curve in curves:
        properties.close(curve[0], line, rtol=1e-6, atol=1e-6)


def test_checks_let_good_values_pass_and_the_clock_tells_long_searches():
    notices.check_form(forms.form_of(FLAT), torch.ones(1, 2).double(), torch.ones(1, 2).double(), 64)
    form = forms.form_of(FLAT)
    notices.Clock(form, 1, 2, 64, 500, 1)(lambda: time.sleep(10.0))  # a small one isn't timed
    with pytest.warns(PathWarning, match="1 pair in 4096 dimensions with dense.*at most about"):
        notices.Clock(form, 1, 4096, 64, 50_000, 1)(lambda: time.sleep(0.01))
    one, two = torch.tensor([True, False, False]), torch.tensor([False, True, False])
    with pytest.warns(PathWarning, match=r"it: 2 of 3 pairs did not converge \(1, 2\), 1 of them cut short"):
        notices.tell("it", one, two, "More.")
    notices.tell("it", two | True, two, "More.")
    with pytest.warns(PathWarning, match=r"\(0, 1, 2, 3, 4, 5, 6, 7 and 2 more\), 10 of them cut short"):
        notices.tell(
            "it", torch.zeros(12).index_fill(0, torch.tensor([10, 11]), 1) > 0, torch.ones(12) > 0, ""
        )


def test_the_time_that_is_told_is_that_of_all_evaluations_of_all_starts(monkeypatch):
    """A clock that goes on by half a second each time it is read: one evaluation takes that."""
    ticks = itertools.count()
    monkeypatch.setattr(notices, "time", SimpleNamespace(perf_counter=lambda: 0.5 * next(ticks)))
    metric = PosteriorMetric(torch.zeros(2, 8), torch.zeros(2, 8), 1.0, 0.1, 0.1)
    slim, asked = forms.form_of(metric), []
    with pytest.warns(PathWarning, match=r"10000 pairs in 8 dimensions: up to 1500 .* at most about 12 min"):
        notices.Clock(slim, 10_000, 8, 64, 500, 3)(lambda: asked.append(1))
    assert len(asked) == 2  # the first is not timed
    notices.Clock(slim, 10_000, 8, 64, 100, 2)(lambda: asked.append(1))  # 100 seconds: not a word
    assert len(asked) == 4


def test_the_second_end_is_looked_at_too():
    def metric(z):
        return torch.where(z[..., :1, None] > 0.5, -1.0, 1.0) * torch.eye(2, dtype=z.dtype)

    near, far = torch.zeros(2, 2).double(), torch.tensor([[0.0, 0.0], [1.0, 0.0]]).double()
    notices.check_form(forms.form_of(metric), near, near, 64)
    with pytest.raises(ValueError, match=r"semidefinite, got an eigenvalue -1 at b, pair 1"):
        notices.check_form(forms.form_of(metric), near, far, 64)


class OnlyMatrices:
    """Balls' metric that gives matrices alone, and itself in double precision."""

    def __init__(self, metric):
        self.metric = metric

    def __call__(self, z):
        return self.metric(z)

    def in_double(self):
        return OnlyMatrices(self.metric.in_double())


class WithVolumes(OnlyMatrices):
    """As above, with its volumes and no gradient of these."""

    def log_volume(self, z):
        return self.metric.log_volume(z)

    def in_double(self):
        return WithVolumes(self.metric.in_double())


@pytest.mark.parametrize("kind", [OnlyMatrices, WithVolumes])
@pytest.mark.parametrize("find", [geodesic, low_cost_path])
def test_a_metric_in_double_needs_no_closed_forms(find, kind):
    (mu,) = properties.random_tensors(1, (6, 4), dtype=torch.float32)
    metric = PosteriorMetric(mu, torch.zeros_like(mu), rho=2.0, lam=0.1, tau=0.01)
    given, whole = (find(m, mu[:2], mu[2:4], 12, max_steps=60) for m in (kind(metric), metric))
    assert given.length.dtype == torch.float32
    properties.close(given.length, whole.length, rtol=1e-4)
    assert torch.equal(given.converged, whole.converged)
