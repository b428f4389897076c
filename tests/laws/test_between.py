"""Kernels that the decoder's pullback narrows, and kernels along lines and paths to neighbors."""

import math

import properties
import pytest
import torch
from scipy.stats import multivariate_normal

import riemvae_core as rc
from riemvae_core.laws import between, fit_law, law, local


def decode(z):
    """A decoder that is fast along the first axis, and twice as fast where that is positive."""
    fast = torch.where(z[:, :1] > 0.0, 6.0, 3.0) * z[:, :1]
    return torch.cat([fast, z[:, 1:] + 0.1 * z[:, 1:].sin()], 1)


def some_codes(n=120, d=3, seed=0):
    (mu,) = properties.random_tensors(1, (n, d), seed)
    return law.Codes(mu, None, decode, rc.make_generator(0))


def test_pulled_back_matrices_are_jacobians_squared_in_the_codes_units():
    codes = some_codes()
    jacobians = torch.stack([torch.func.jacrev(lambda z: decode(z[None])[0])(z) for z in codes.mu])
    scaled = jacobians * codes.mu.std(0)
    expected = scaled.mT @ scaled
    properties.close(
        between.pulled_back(codes), expected / expected.diagonal(dim1=1, dim2=2).mean(), rtol=1e-6
    )


def test_the_pullback_kernel_is_its_definition():
    codes = some_codes()
    widths = {"pull": 0.7, "shrinkage": 0.3, "neighbors": 20, "target": "axes", "h": 0.8}
    one = fit_law(codes.mu, kind="pullback", widths=widths, decode=decode)
    unit, pulled = codes.mu.std(0), between.pulled_back(codes)
    y, z, logs = codes.mu / unit, some_codes(15, seed=1).mu, []
    for i in range(len(y)):
        near = y[(y - y[i]).norm(dim=1).argsort()[:20]]
        covariance = torch.cov(near.T, correction=0)
        covariance = 0.7 * covariance + 0.3 * covariance.diagonal().mean() * torch.eye(3).double()
        covariance = 0.64 * torch.linalg.inv(torch.linalg.inv(covariance) + 0.7 * pulled[i])
        logs.append(torch.from_numpy(multivariate_normal(y[i].numpy(), covariance.numpy()).logpdf(z / unit)))
    expected = torch.logsumexp(torch.stack(logs), 0) - math.log(len(y)) - unit.log().sum()
    properties.close(one.log_prob(z), expected, rtol=1e-8)
    kernels = local.LocalKernels(codes, widths, pulled)
    properties.close(local.kernel_parts(kernels, 0.8).log_prob(z), expected, rtol=1e-8)


def test_the_pullback_is_left_out_where_held_out_codes_do_not_ask_for_it():
    codes = some_codes(200, 2)
    one = fit_law(codes.mu, kind="pullback", decode=decode)
    assert one.held_out_log_prob >= max(value for widths, value in one.tried if widths == one.widths) - 1e-9
    assert {widths["pull"] for widths, _ in one.tried} == set(between.PULLS)
    assert one.sample(4, rc.make_generator(0)).shape == (4, 2)
    with pytest.raises(ValueError, match="decode must be given for a law of kind 'pullback', got None"):
        fit_law(codes.mu, kind="pullback")


def test_places_lie_on_lines_to_neighbors():
    mu = torch.tensor([[0.0, 0.0], [1.0, 0.0], [9.0, 0.0], [9.0, 2.0]], dtype=torch.float64, device="cpu")
    places = between.places_on_lines(law.Codes(mu, None, None, None), 1)
    assert places.shape == (4 * 5, 2)
    properties.close(places[:, 1].max(), mu.new_tensor(1.8))
    inside = (places[:, 0] <= 1.0) | (places[:, 0] >= 9.0 - 1e-12)
    assert inside.all()
    properties.close(places[places[:, 0] < 5.0][:, 0].sort().values[:4], mu.new_tensor([0.1, 0.1, 0.3, 0.3]))


def on_an_arc(radius=0.1):
    """Balls on half a circle, wide gaps between them: a line to a far neighbor cuts across the void."""
    angle = torch.linspace(0.0, math.pi, 9, dtype=torch.float64, device="cpu")
    mu = torch.stack([angle.cos(), angle.sin()], 1)
    return law.Codes(mu, torch.full_like(mu, 2.0 * math.log(radius)), None, rc.make_generator(0))


def test_places_on_paths_cost_less_than_those_on_the_same_lines():
    """Where balls lie on an arc, ways to far neighbors bend toward it; to the nearest they hardly do."""
    codes = on_an_arc()
    metric = rc.PosteriorMetric.fit(codes.mu, codes.log_var)
    off = {}
    for neighbors in (1, 6):
        paths, lines = (f(codes, neighbors) for f in (between.places_on_paths, between.places_on_lines))
        off[neighbors] = [(places.norm(dim=1) - 1.0).abs().mean().item() for places in (paths, lines)]
        assert paths.shape == lines.shape == (9 * neighbors * 5, 2)
        assert metric.log_volume(paths).mean() >= metric.log_volume(lines).mean() - 1e-6
    assert off[1][0] == pytest.approx(off[1][1], abs=0.01)
    assert off[6][0] < 0.7 * off[6][1]
    with pytest.raises(
        ValueError, match="log_var must be given for a law of kind 'low-cost paths', got None"
    ):
        fit_law(some_codes().mu, kind="low-cost paths")


def test_paths_stand_at_equal_shares_of_their_way():
    """Ends are those of the pair; five places halve the tenths of a way, whatever it costs."""
    codes = on_an_arc()
    places = between.places_on_paths(codes, 6).unflatten(0, (-1, 5))
    a, b = between.ends(codes, 6, between.MOST_PATHS)
    inner = places.diff(dim=1).norm(dim=2)
    assert (inner.amax(1) < 1.1 * inner.amin(1)).all()
    for end, place in ((a, places[:, 0]), (b, places[:, -1])):
        properties.close((place - end).norm(dim=1), inner.mean(1) / 2.0, rtol=0.1)


@pytest.mark.parametrize("kind", ["pullback", "interpolation", "low-cost paths"])
def test_densities_sum_to_one_and_draws_follow_them(kind):
    codes = some_codes(80, 2)
    one = fit_law(codes.mu, torch.full_like(codes.mu, -2.0), kind, decode=decode)
    side = torch.linspace(-7.0, 7.0, 240, dtype=torch.float64, device="cpu")
    grid, area = torch.cartesian_prod(side, side), (side[1] - side[0]).item() ** 2
    logs = one.log_prob(grid)
    assert torch.logsumexp(logs, 0).exp().item() * area == pytest.approx(1.0, abs=1e-3)
    weights, z = torch.softmax(logs, 0), one.sample(8000, rc.make_generator(1))
    for power in (lambda v: v, torch.square):
        mean = weights @ power(grid)
        error = (weights @ power(grid).square() - mean.square()).sqrt() / 8000**0.5
        assert ((power(z).mean(0) - mean).abs() < 5 * error + 1e-3).all()


def test_no_other_width_of_lines_gives_held_out_codes_more():
    mu, held = some_codes(150).mu, some_codes(100, seed=1).mu
    one = fit_law(mu, kind="interpolation", held_out=held)
    best = one.log_prob(held).mean().item()
    assert best == pytest.approx(one.held_out_log_prob, abs=1e-9)
    for factor in (0.8, 1.25):
        widths = one.widths | {"h": factor * one.widths["h"]}
        assert fit_law(mu, kind="interpolation", held_out=held, widths=widths).held_out_log_prob < best


@pytest.mark.parametrize("kind", ["isotropic", "axes", "kernel", "interpolation"])
def test_an_axis_on_which_no_code_varies_leaves_numbers_finite(kind):
    mu = some_codes(80, 2).mu
    flat = torch.cat([mu, torch.full_like(mu[:, :1], 3.0)], 1)
    one = fit_law(flat, kind=kind)
    assert math.isfinite(one.held_out_log_prob)
    assert torch.isfinite(one.log_prob(one.sample(9, rc.make_generator(0)))).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_beyond_all_squares_have_no_density_and_the_others_theirs(dtype):
    """Of all kinds alike: squares of some laws left the dtype and were an error, of others -inf."""
    mu = some_codes(40, 2).mu.to(dtype)
    far = torch.finfo(dtype).max ** 0.7 * mu.new_tensor([[1.0, 0.0], [-1.0, 2.0]])
    z = torch.cat([mu[:3], far, mu[3:4]])
    for kind, widths in {
        "prior": {}, "gaussian": {"share": 0.0}, "mixture": {"components": 2}, "isotropic": {"h": 0.5},
        "axes": {"h": [0.5, 0.5]}, "ball": {"h": 0.5}, "aggregate posterior": {}, "power": {"h": 1.0},
        "kernel": {"shrinkage": 0.1, "neighbors": 9, "target": "axes", "h": 0.5}, "uniform": {"h": 1.0},
        "averaged": {"h": 1.0, "alpha": 0.1, "floor": -90.0}, "interpolation": {"neighbors": 2, "h": 0.5},
    }.items():  # fmt: skip
        one = fit_law(mu, torch.zeros_like(mu), kind, widths=widths)
        found = one.log_prob(z)
        assert found[3:5].tolist() == [-math.inf] * 2, kind
        properties.close(found[[0, 1, 2, 5]], one.log_prob(mu[:4]), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", ["power", "averaged", "uniform", "kernel", "ball", "gaussian"])
def test_points_may_be_finer_than_codes(kind):
    mu = some_codes(60, 2).mu
    widths = {
        "power": {"h": 1.0},
        "averaged": {"h": 1.0, "alpha": 0.1, "floor": -90.0},
        "uniform": {"h": 1.0},
    }
    one = fit_law(mu.float(), torch.zeros_like(mu), kind, widths=widths.get(kind))
    assert one.log_prob(mu[:3]).dtype == torch.float64
    properties.close(one.log_prob(mu[:3]).float(), one.log_prob(mu[:3].float()), rtol=1e-3, atol=1e-3)
    with pytest.raises(
        ValueError, match=r"mu must be float32 or float64, got torch.float16: take mu.float\(\)"
    ):
        fit_law(mu.half(), kind=kind)
