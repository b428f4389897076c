"""The metric of posterior balls against its formula written out, and its own laws."""

import math

import properties
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from posterior_cases import LAM, RHO, TAU, balls, make, points

from riemvae_core.metrics import ball_sums
from riemvae_core.metrics.ball_sums import BallSums
from riemvae_core.metrics.posterior import PosteriorMetric
from riemvae_core.numerics import load_forward_mode, make_generator


def written_out(z, mu, log_var, rho, lam, tau):
    """Eq. (7) for one point, ball by ball, with full matrices."""
    g = lam * torch.exp(-tau * (z @ z)) * torch.eye(len(z), dtype=z.dtype)
    for center, logs in zip(mu, log_var, strict=True):
        inverse = torch.linalg.inv(torch.diag(torch.exp(logs)))
        distance = (z - center) @ inverse @ (z - center)
        g = g + inverse * torch.exp(-distance / rho**2)
    return g


# --- the formula


@pytest.mark.parametrize("batch", [(), (1,), (4,), (2, 3), (0,), (2, 0)])
def test_the_metric_is_eq_7(batch):
    metric, z = make(), points(*batch, 3)
    g = metric(z)
    assert g.shape == (*batch, 3, 3)
    for row, point in zip(g.reshape(-1, 3, 3), z.reshape(-1, 3), strict=True):
        properties.close(row, written_out(point, *balls(), RHO, LAM, TAU))
    properties.close(metric.diagonal(z), g.diagonal(dim1=-2, dim2=-1))
    properties.close(metric.log_diagonal(z), metric.diagonal(z).log())
    properties.close(metric.log_volume(z), 0.5 * torch.linalg.slogdet(g).logabsdet)


@given(properties.tensors(3, max_batch_dims=0), st.floats(0.3, 10), st.floats(1e-3, 1), st.floats(0, 1))
def test_the_metric_is_eq_7_for_any_ball_and_background(triple, rho, lam, tau):
    z, mu, log_var = triple
    metric = PosteriorMetric(mu[None], log_var[None], rho, lam, tau)
    properties.close(metric(z), written_out(z, mu[None], log_var[None], rho, lam, tau), rtol=1e-8)


def test_the_metric_is_symmetric_and_positive_definite():
    g = make()(10 * points(50, 3))
    assert torch.equal(g, g.mT)
    assert torch.linalg.eigvalsh(g).min() > 0


def test_general_laws():
    mu, log_var = balls()

    def log_volume(z, mu, log_var):
        return PosteriorMetric(mu, log_var, RHO, LAM, TAU).log_volume(z)

    properties.follows_dtype(log_volume, points(4, 3), mu, log_var)
    properties.ignores_axis_order(log_volume, points(4, 3), mu, log_var)
    properties.leaves_inputs_alone(log_volume, points(4, 3), mu, log_var)
    properties.acts_on_each_ball(make().log_volume, points(2, 4, 3))
    order = [3, 0, 5, 1, 4, 2]
    properties.close(
        log_volume(points(4, 3), mu[order], log_var[order]), log_volume(points(4, 3), mu, log_var)
    )


def test_its_balls_do_not_follow_what_becomes_of_the_codes():
    mu, log_var = (t.requires_grad_() for t in balls())
    assert not PosteriorMetric(mu, log_var, RHO, LAM, TAU).log_volume(points(2, 3)).requires_grad


@pytest.mark.parametrize("log_radius", [0.0, math.log(1e-6)])
@pytest.mark.parametrize(("cache_bytes", "store_bytes", "block"), [(1, 1, 1), (100, 300, 2), (2000, 2000, 5)])
def test_chunks_and_blocks_do_not_change_the_values(log_radius, cache_bytes, store_bytes, block, monkeypatch):
    mu, log_var = balls()
    log_var[3:] += 2 * log_radius
    metric, z = PosteriorMetric(mu, log_var, RHO, LAM, TAU), torch.cat([points(7, 3), mu])
    whole = (*metric.log_volume_and_grad(z), metric.log_volume(z))
    for name, value in (("CACHE_BYTES", cache_bytes), ("STORE_BYTES", store_bytes), ("BLOCK", block)):
        monkeypatch.setattr(ball_sums, name, value)
    for part, other in zip((*metric.log_volume_and_grad(z), metric.log_volume(z)), whole, strict=True):
        properties.close(part, other, rtol=1e-8)


def test_rows_are_few_enough_for_memory_and_many_enough_for_speed(monkeypatch):
    """All weights of a chunk stay within 31 MB, a block within 2 MB; few balls come with many points."""
    rows = []
    monkeypatch.setattr(
        BallSums, "sums", lambda self, z, b: (rows.append(len(z)), (torch.ones_like(z), b))[1]
    )
    for n in (10, 1000, 60_000, 400_000):
        PosteriorMetric(torch.zeros(n, 1), torch.zeros(n, 1), RHO, LAM, TAU).log_volume(
            torch.zeros(60_000, 1)
        )
        assert max(rows) * 4 * n <= 31 * 2**20
        assert max(rows) * 4 * min(n, 1024) <= 2**21
        assert max(rows) >= (128 if n < 100_000 else 16)
        rows.clear()


# --- derivatives


@pytest.mark.parametrize("shape", [(3,), (5, 3), (2, 2, 3), (0, 3)])
@pytest.mark.parametrize("log_radius", [0.0, math.log(1e-6)])
def test_the_closed_form_gradient_is_autograds(shape, log_radius):
    """Balls of radius 1e-6 are those measured by differences; the points lie among them."""
    mu, log_var = balls()
    metric = PosteriorMetric(mu * math.exp(log_radius) + 1.0, log_var + 2 * log_radius, RHO, LAM, TAU)
    z = (points(*shape) * math.exp(log_radius) + 1.0).requires_grad_()
    value, gradient = metric.log_volume_and_grad(z)
    assert not value.requires_grad
    properties.close(value, metric.log_volume(z).detach())
    (expected,) = torch.autograd.grad(metric.log_volume(z).sum(), z)
    properties.close(gradient, expected, rtol=1e-8)


def test_derivatives_are_finite_differences():
    metric = make()
    properties.has_right_gradient(metric.log_volume, points(3, 3))
    properties.has_right_gradient(metric, points(2, 3))
    assert torch.autograd.gradgradcheck(metric.log_volume, points(2, 3).requires_grad_())
    z, h = points(4, 3), 1e-6
    steps = [h * axis for axis in torch.eye(3, dtype=torch.float64)]
    slopes = [(metric.log_volume(z + s) - metric.log_volume(z - s)) / (2 * h) for s in steps]
    # rounding of values of about 1 over the step, 1e-16/1e-6, and its square, 1e-12
    properties.close(metric.log_volume_and_grad(z)[1], torch.stack(slopes, dim=-1), rtol=1e-8, atol=1e-8)


def test_it_can_be_vmapped_and_differentiated_forward():
    load_forward_mode()
    metric, z = make(), points(4, 3)
    properties.close(torch.func.vmap(metric)(z), metric(z))
    forward = torch.func.vmap(torch.func.jacfwd(metric))(z)
    properties.close(forward, torch.func.vmap(torch.func.jacrev(metric))(z))


# --- errors and devices

TWO, BAD = torch.zeros(5, 2), torch.zeros(5, 2).index_fill(0, torch.tensor([3]), math.nan)


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: PosteriorMetric(TWO, TWO[:3], 1, 1, 1), ("log_var", "mu's shape (5, 2)", "(3, 2)")),
        (lambda: PosteriorMetric(TWO[0], TWO[0], 1, 1, 1), ("mu", "[n, d]", "(2,)")),
        (lambda: PosteriorMetric(TWO[:0], TWO[:0], 1, 1, 1), ("mu", "at least 1", "(0, 2)")),
        (lambda: PosteriorMetric(TWO, TWO.double(), 1, 1, 1), ("both", "torch.float32", "torch.float64")),
        (lambda: PosteriorMetric(TWO.half(), TWO.half(), 1, 1, 1), ("float32", "torch.float16")),
        (lambda: PosteriorMetric(BAD, TWO, 1, 1, 1), ("mu", "finite", "nan", "row 3")),
        (lambda: PosteriorMetric(TWO, BAD, 1, 1, 1), ("log_var", "finite", "row 3")),
        (lambda: PosteriorMetric(TWO, TWO - 700, 1, 1, 1), ("log_var", "-690 to 690", "0", "-700")),
        (lambda: PosteriorMetric(TWO.numpy(), TWO, 1, 1, 1), ("mu", "tensor", "ndarray")),
        (lambda: PosteriorMetric.fit(BAD, TWO, 2), ("mu", "finite", "row 3")),
        (lambda: PosteriorMetric(TWO, TWO, 1, 1, 1)(BAD), ("z", "finite", "row 3")),
        (lambda: PosteriorMetric(TWO, TWO, 1, 1, 1).log_volume(BAD[3]), ("z", "finite", "row 0")),
        (lambda: PosteriorMetric(TWO, TWO, 1, 1, 1).log_volume_and_grad(-BAD), ("z", "finite", "row 3")),
        (lambda: PosteriorMetric(TWO, TWO, 0, 1, 1), ("rho", "above 0", "0.0")),
        (lambda: PosteriorMetric(TWO, TWO, 1, -1, 1), ("lam", "at least 0", "-1.0")),
        (lambda: PosteriorMetric(TWO, TWO, 1, 1, math.inf), ("tau", "finite", "inf")),
        (lambda: PosteriorMetric(TWO, TWO, 1, 1, 1)(torch.zeros(4, 3)), ("z", "[*batch, 2]", "(4, 3)")),
        (lambda: PosteriorMetric(TWO, TWO, 1, 1, 1)(torch.tensor(1.0)), ("z", "[*batch, 2]", "()")),
        (lambda: PosteriorMetric(TWO, TWO, 1, 1, 1)(TWO.double()), ("z", "torch.float32", "torch.float64")),
        (lambda: PosteriorMetric.fit(TWO, TWO[:1]), ("log_var", "mu's shape", "(1, 2)")),
        (lambda: PosteriorMetric.fit(TWO, TWO, background=0), ("background", "above 0", "0.0")),
        (lambda: PosteriorMetric.fit(TWO, TWO, rho="best"), ("rho", "'matched' or 'paper'", "'best'")),
        (lambda: PosteriorMetric.fit(TWO, TWO, rho=-1), ("rho", "above 0", "-1.0")),
        (lambda: PosteriorMetric.fit(TWO, TWO, lam=0.0), ("lam", "above 0", "0.0")),
        (lambda: PosteriorMetric.fit(TWO, TWO, 6), ("n_centroids", "1 to 5", "6")),
    ],
)
def test_what_is_wrong_is_named(call, words):
    with pytest.raises(ValueError, match="must") as caught:
        call()
    properties.message_names(caught.value, *words)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda m, z: m(z.flip(0)), ("G is 0", "[100.0, 1.0]", "log_volume", "float64")),
        (lambda m, z: m.diagonal(z[1]), ("G is 0", "[100.0, 1.0]", "float32")),
        (lambda m, z: m(z[:1]), ("G is inf", "[0.0, 1.0]", "float64")),
        (lambda m, z: m.log_volume(1e30 * z), ("log_volume is", "float64")),
        (lambda m, z: m.log_volume_and_grad(1e30 * z), ("log_volume is", "float64")),
        (lambda m, z: m.log_diagonal(1e30 * z), ("log_diagonal is", "float64")),
    ],
)
def test_a_value_beyond_its_floats_is_named_with_its_place(call, words):
    """Without a background G is 0 in float32 far from all balls, and infinite in balls that are too small."""
    metric = PosteriorMetric(torch.tensor([[0.0, 1.0]]), torch.tensor([[-100.0, 2.0]]), 1.0, 0.0, 0.0)
    z = torch.tensor([[0.0, 1.0], [100.0, 1.0]])
    with pytest.raises(FloatingPointError) as caught:
        call(metric, z)
    properties.message_names(caught.value, *words)
    wide = PosteriorMetric(metric.mu.double(), torch.zeros(1, 2).double(), 2.0, 0.0, 0.0)
    assert torch.isfinite(wide(torch.tensor([[30.0, 1.0]]).double())).all()


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize("log_radius", [0.0, -14.0])
def test_nothing_is_made_on_a_default_device(log_radius):
    mu, log_var = balls(20, 3)
    metric = PosteriorMetric.fit(mu, log_var + 2 * log_radius, 5, generator=make_generator(0))
    z = points(4, 3)
    values = (metric(z), *metric.log_volume_and_grad(z), metric.log_volume(z[:0]))
    assert {v.device.type for v in values} == {"cpu"}
    assert all(torch.isfinite(v).all() for v in values)
