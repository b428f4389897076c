"""The metric of posterior balls against its formula written out, exact integrals and its own laws."""

import math

import numpy as np
import properties
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from torch.distributions import Independent, Normal

from riemvae_core.metrics import ball_sums
from riemvae_core.metrics.ball_sums import TOLERANCE, BallSums
from riemvae_core.metrics.posterior import PosteriorMetric
from riemvae_core.numerics import load_forward_mode, make_generator

RHO, LAM, TAU = 1.7, 0.05, 0.01


def balls(n=6, d=3, seed=0, dtype=torch.float64):
    return properties.random_tensors(2, (n, d), seed=seed, dtype=dtype)


def make(n=6, d=3, seed=0, dtype=torch.float64, rho=RHO, lam=LAM, tau=TAU):
    return PosteriorMetric(*balls(n, d, seed, dtype), rho, lam, tau)


def points(*shape, seed=9, dtype=torch.float64):
    return properties.random_tensors(1, shape, seed=seed, dtype=dtype)[0]


def written_out(z, mu, log_var, rho, lam, tau):
    """Eq. (7) for one point, ball by ball, with full matrices."""
    g = lam * torch.exp(-tau * (z @ z)) * torch.eye(len(z), dtype=z.dtype)
    for center, logs in zip(mu, log_var, strict=True):
        inverse = torch.linalg.inv(torch.diag(torch.exp(logs)))
        distance = (z - center) @ inverse @ (z - center)
        g = g + inverse * torch.exp(-distance / rho**2)
    return g


def exact(z, metric):
    """Log volume and gradient by differences in numpy's longest floats: what a computer can know of them."""
    z, mu, log_var = (np.asarray(t, dtype=np.longdouble) for t in (z, metric.mu, metric.log_var))
    gap, rho_squared = z[:, None] - mu, np.longdouble(metric.rho) ** 2
    logs = -(gap**2 * np.exp(-log_var)).sum(-1)[:, :, None] / rho_squared - log_var  # [m, n, d]
    background = np.log(np.longdouble(metric.lam)) - metric.tau * (z**2).sum(-1)
    total = np.logaddexp(np.logaddexp.reduce(logs, axis=1), background[:, None])
    share, empty = np.exp(logs - total[:, None]).sum(-1), np.exp(background[:, None] - total).sum(-1)
    pull = (share[:, :, None] * gap * np.exp(-log_var)).sum(1) / rho_squared
    gradient = -pull - metric.tau * empty[:, None] * z
    return tuple(torch.from_numpy(a.astype(np.float64)) for a in (0.5 * total.sum(-1), gradient))


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


# --- digits


@pytest.mark.parametrize("d", [2, 16, 512])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("radius", [1.0, 0.1, 1e-2, 1e-3, 1e-4, 1e-6])
def test_digits_are_kept_for_small_balls(radius, dtype, d):
    mu, spread, noise = properties.random_tensors(3, (40, d), seed=5, dtype=dtype)
    metric = PosteriorMetric(3 * mu + 1, 0.3 * spread + 2 * math.log(radius), 0.7 * d**0.5, LAM, 1e-4)
    sigma = torch.exp(0.5 * metric.log_var)
    z = metric.mu + metric.rho / d**0.5 * sigma * noise
    value, gradient = metric.log_volume_and_grad(z)
    exact_value, exact_gradient = exact(z, metric)
    # d/2 times the error promised for the log of a weight, and the rounding of the result
    bound = 0.5 * d * TOLERANCE[dtype] + torch.finfo(dtype).eps * exact_value.abs().max()
    assert (value.double() - exact_value).abs().max() < bound
    error = torch.linalg.vector_norm(gradient.double() - exact_gradient, dim=1)
    relative = error / torch.linalg.vector_norm(exact_gradient, dim=1).median()
    assert relative.max() < (1e-5 if dtype == torch.float32 else 1e-9)


def test_without_care_the_expanded_square_loses_every_digit():
    """What the metric guards against: the same product in float32 is off by whole units, not by digits."""
    mu, noise = properties.random_tensors(2, (40, 16), seed=5, dtype=torch.float32)
    precision, z = 1e6, mu + 1e-3 * noise
    expanded = precision * (z.square().sum(1) - 2 * (z * mu).sum(1) + mu.square().sum(1))
    true = precision * (z.double() - mu.double()).square().sum(1)
    assert (expanded.double() - true).abs().max() > 0.5
    metric = PosteriorMetric(mu, torch.full_like(mu, -math.log(precision)), 4.0, LAM, TAU)
    assert (metric.log_volume(z).double() - exact(z, metric)[0]).abs().max() < 1e-4


@pytest.mark.parametrize("radius", [0.5, 1e-2, 1e-6])
def test_a_device_without_float64_measures_by_differences(radius, monkeypatch):
    monkeypatch.setattr(ball_sums, "_has_float64", lambda device: False)
    mu, spread, noise = properties.random_tensors(3, (40, 16), seed=5, dtype=torch.float32)
    metric = PosteriorMetric(mu, 0.3 * spread + 2 * math.log(radius), 3.0, LAM, TAU)
    z = mu + torch.exp(0.5 * metric.log_var) * noise
    value, gradient = metric.log_volume_and_grad(z)
    exact_value, exact_gradient = exact(z, metric)
    properties.close(value.double(), exact_value, rtol=1e-6, atol=8 * 1e-4)
    scale = torch.linalg.vector_norm(exact_gradient, dim=1, keepdim=True)
    properties.close(gradient.double() / scale, exact_gradient / scale, rtol=0.0, atol=1e-4)


def test_only_the_balls_that_need_it_are_measured_by_differences():
    mu, log_var = balls(8, 3)
    log_var[[1, 6]] = 2 * math.log(1e-6)
    metric, z = PosteriorMetric(mu, log_var, RHO, LAM, TAU), torch.cat([mu + 1e-6, points(5, 3)])
    assert metric._balls.n_expanded == 6
    value, gradient = exact(z, metric)
    properties.close(metric.log_volume(z), value, rtol=1e-8)
    properties.close(metric.log_volume_and_grad(z)[1], gradient, rtol=1e-8, atol=1e-8)


# --- far away


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("distance", [1e2, 1e4, 1e6])
def test_far_from_all_balls_the_background_remains(dtype, distance):
    metric = make(dtype=dtype)
    z = distance * torch.tensor([[1.0, -1.0, 0.5]], dtype=dtype)
    value, gradient = metric.log_volume_and_grad(z)
    properties.close(value, 1.5 * (math.log(LAM) - TAU * z.square().sum(-1)), rtol=1e-5)
    properties.close(gradient, -3 * TAU * z, rtol=1e-5)
    assert torch.isfinite(metric.log_diagonal(z)).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_without_a_background_the_nearest_ball_reaches_everywhere(dtype):
    metric = PosteriorMetric(*(t.to(dtype) for t in balls(1)), RHO, 0.0, 0.0)
    z = torch.tensor([[300.0, -200.0, 100.0]], dtype=dtype)
    squared = ((z - metric.mu).square() * torch.exp(-metric.log_var)).sum(-1)
    value, gradient = metric.log_volume_and_grad(z)
    properties.close(value, -1.5 * squared / RHO**2 - 0.5 * metric.log_var.sum(), rtol=1e-5)
    properties.close(gradient, -3 / RHO**2 * (z - metric.mu) * torch.exp(-metric.log_var), rtol=1e-5)


def test_a_fading_background_can_be_less_than_a_far_ball():
    """Both logs are below -1e4, where exp of either is 0: the larger one decides."""
    mu, log_var = torch.tensor([[100.0]]).double(), torch.zeros(1, 1).double()
    metric = PosteriorMetric(mu, log_var, 1.0, LAM, 2.0)
    properties.close(
        metric.log_volume(torch.tensor([[210.0]]).double()), torch.tensor([-0.5 * 110.0**2]).double()
    )
    far = metric.log_volume(torch.tensor([[-250.0]]).double())
    properties.close(far, torch.tensor([-0.5 * 350.0**2]).double())


# --- volumes


def integral(metric, half_width, n, center=0.0):
    """The volume in a cube by the trapezoidal rule, whose error is exponentially small for smooth bumps."""
    d = metric.mu.shape[1]
    axis = torch.linspace(-half_width, half_width, n, dtype=torch.float64)
    z = torch.cartesian_prod(*[axis] * d).reshape(-1, d) + center
    return metric.log_volume(z).exp().sum().item() * (2 * half_width / (n - 1)) ** d


@pytest.mark.parametrize(("d", "n"), [(1, 2001), (2, 301), (3, 61)])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_ball_has_the_same_volume(d, n, seed):
    mu, log_var = balls(1, d, seed)
    metric = PosteriorMetric(mu, 0.5 * log_var, RHO, 0.0, 0.0)
    volume = integral(metric, 8 * RHO / d**0.5 * math.exp(0.25 * log_var.max().item()), n, mu)
    assert volume == pytest.approx((2 * math.pi * RHO**2 / d) ** (d / 2), rel=1e-6)


def test_the_volume_of_two_balls_in_one_dimension_is_scipys_integral():
    metric = PosteriorMetric(torch.tensor([[-1.0], [0.5]]).double(), torch.tensor([[-1.0], [1.0]]).double(),
                             RHO, LAM, TAU)  # fmt: skip

    def element(z):
        bumps = [math.exp(-((z - m) ** 2) / math.exp(v) / RHO**2 - v) for m, v in ((-1.0, -1.0), (0.5, 1.0))]
        return math.sqrt(sum(bumps) + LAM * math.exp(-TAU * z * z))

    expected, _ = quad(element, -60, 60, points=[-1.0, 0.5], limit=400)
    assert integral(metric, 60.0, 20_001) == pytest.approx(expected, rel=1e-8)


def test_in_the_plane_round_balls_make_a_mixture_of_gaussians():
    mu, z = points(5, 2, seed=1), 2 * points(200, 2)
    log_var = points(5, 1, seed=2).expand(5, 2)
    metric = PosteriorMetric(mu, log_var, RHO, LAM, TAU)
    bumps = Independent(Normal(mu, RHO / 2**0.5 * torch.exp(0.5 * log_var)), 1)
    wide = Independent(Normal(torch.zeros(2).double(), torch.full((2,), (2 * TAU) ** -0.5).double()), 1)
    ball = math.pi * RHO**2
    density = ball * bumps.log_prob(z[:, None]).exp().sum(-1) + math.pi * LAM / TAU * wide.log_prob(z).exp()
    properties.close(metric.log_volume(z), density.log())
    # the wide one's share relative to a ball's, from the exact volumes
    assert math.pi * LAM / TAU / ball == pytest.approx(LAM / (TAU * RHO**2))


@pytest.mark.parametrize("d", [1, 2, 3, 16])
def test_balls_that_coincide_weigh_k_to_the_half_d(d):
    mu, log_var = balls(1, d)
    one, five = (PosteriorMetric(mu.expand(k, d), log_var.expand(k, d), RHO, 0.0, 0.0) for k in (1, 5))
    gain = five.log_volume(points(3, d)) - one.log_volume(points(3, d))
    properties.close(gain, torch.full((3,), 0.5 * d * math.log(5), dtype=torch.float64))


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 10**6))
def test_overlap_pays_at_least_its_share(d, n, seed):
    """Minkowski: the volume element of all is at least the sum of those of each, if d is 2 or more."""
    mu, log_var = balls(n, d, seed)
    z = points(4, d, seed=seed + 1)
    singles = [PosteriorMetric(m[None], v[None], RHO, 0.0, 0.0) for m, v in zip(mu, log_var, strict=True)]
    alone = [single.log_volume(z) for single in singles]
    together = PosteriorMetric(mu, log_var, RHO, 0.0, 0.0).log_volume(z)
    assert (together >= torch.logsumexp(torch.stack(alone), 0) - 1e-10).all()


# --- fit


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("background", [1e-3, 0.2])
def test_fit_gives_the_background_the_share_asked_for(d, background):
    """Balls far apart; what the whole volume holds more than the balls is the background."""
    n = 4
    mu = (40.0 * torch.arange(n, dtype=torch.float64) - 60.0)[:, None].expand(n, d) / d
    metric = PosteriorMetric.fit(mu, torch.full((n, d), -4.0).double(), background=background, lam=1e-9)
    ball = n * (2 * math.pi * metric.rho**2 / d) ** (d / 2)
    empty = PosteriorMetric(mu + 1e9, metric.log_var, metric.rho, metric.lam, metric.tau)
    width = 8 / math.sqrt(2 * metric.tau * d / 2)
    share = integral(empty, width, {1: 20_001, 2: 401}[d]) / ball
    assert share == pytest.approx(background, rel=1e-6)


def test_fit_to_balls_apart_makes_the_uniform_law_the_aggregate_posterior():
    mu, log_var = 50 * points(5, 3), points(5, 3, seed=3) - 2
    metric = PosteriorMetric.fit(mu, log_var, lam=1e-12)
    z = mu + torch.exp(0.5 * log_var) * points(5, 3, seed=4)
    posterior = Independent(Normal(mu, torch.exp(0.5 * log_var)), 1).log_prob(z)
    ratio = metric.log_volume(z) - posterior
    properties.close(ratio, ratio.mean().expand(5), rtol=1e-8)


@pytest.mark.parametrize("n_centroids", [None, 10])
def test_fit_does_not_depend_on_the_unit_of_z(n_centroids):
    mu, log_var = points(60, 3), points(60, 3, seed=3) - 3
    c = 1000.0
    small, large = (
        PosteriorMetric.fit(mu * s, log_var + 2 * math.log(s), n_centroids, generator=make_generator(0))
        for s in (1.0, c)
    )
    assert len(small.mu) == (n_centroids or 60)
    assert large.rho == pytest.approx(small.rho)
    assert large.lam * c**2 == pytest.approx(small.lam)
    assert large.tau * c**2 == pytest.approx(small.tau)
    z = points(5, 3, seed=7)
    properties.close(large.log_volume(c * z), small.log_volume(z) - 3 * math.log(c), rtol=1e-8)
    paper = [PosteriorMetric.fit(mu * s, log_var, rho="paper").rho for s in (1.0, c)]
    assert paper[1] == pytest.approx(c * paper[0])  # the paper's rule does


def test_fit_keeps_medoids_and_the_numbers_it_is_given():
    mu, log_var = points(60, 3), points(60, 3, seed=3) - 3
    metric = PosteriorMetric.fit(mu, log_var, 10, 0.01, make_generator(0), rho=2.5, lam=0.3)
    rows = [int((mu == m).all(1).nonzero()) for m in metric.mu]
    assert rows == sorted(set(rows))
    assert torch.equal(metric.log_var, log_var[rows])
    assert (metric.rho, metric.lam) == (2.5, 0.3)
    assert metric.tau == pytest.approx(0.3 / 2.5**2 * (0.01 * 10) ** (-2 / 3))


def test_fit_chooses_a_background_that_leaves_the_balls_alone():
    """With a share large enough that it is wide: 0.02/2 on average over the balls."""
    mu, log_var = 10 * points(60, 3), 0.1 * points(60, 3, seed=3) - 3
    metric = PosteriorMetric.fit(mu, log_var, background=1e6)
    without = PosteriorMetric(mu, log_var, metric.rho, 0.0, 0.0)
    assert metric.tau < 0.01 / mu.square().sum(1).mean()
    added = (metric.log_volume(mu) - without.log_volume(mu)).mean().item()
    assert added == pytest.approx(0.01, rel=0.05)


def test_fit_chooses_a_background_as_wide_as_the_codes():
    mu, log_var = 10 * points(60, 3), points(60, 3, seed=3) - 3
    metric = PosteriorMetric.fit(mu, log_var)
    draws = mu + torch.exp(0.5 * log_var) * points(2000, 60, 3, seed=5)
    # a background alone is N(0, I/(tau d)), for which E |z|^2 = 1/tau; the draws miss theirs by far less
    assert 1 / metric.tau == pytest.approx(draws.square().sum(-1).mean().item(), rel=0.01)


# --- errors and devices

TWO, BAD = torch.zeros(5, 2), torch.tensor([[math.nan, 0.0]])


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: PosteriorMetric(TWO, TWO[:3], 1, 1, 1), ("log_var", "mu's shape (5, 2)", "(3, 2)")),
        (lambda: PosteriorMetric(TWO[0], TWO[0], 1, 1, 1), ("mu", "[n, d]", "(2,)")),
        (lambda: PosteriorMetric(TWO[:0], TWO[:0], 1, 1, 1), ("mu", "at least 1", "(0, 2)")),
        (lambda: PosteriorMetric(TWO, TWO.double(), 1, 1, 1), ("both", "torch.float32", "torch.float64")),
        (lambda: PosteriorMetric(TWO.half(), TWO.half(), 1, 1, 1), ("float32", "torch.float16")),
        (lambda: PosteriorMetric(BAD, TWO[:1], 1, 1, 1), ("mu", "finite", "1")),
        (lambda: PosteriorMetric(TWO[:1], BAD, 1, 1, 1), ("log_var", "finite", "1")),
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


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize("log_radius", [0.0, -14.0])
def test_nothing_is_made_on_a_default_device(log_radius):
    mu, log_var = balls(20, 3)
    metric = PosteriorMetric.fit(mu, log_var + 2 * log_radius, 5, generator=make_generator(0))
    z = points(4, 3)
    values = (metric(z), *metric.log_volume_and_grad(z), metric.log_volume(z[:0]))
    assert {v.device.type for v in values} == {"cpu"}
    assert all(torch.isfinite(v).all() for v in values)
