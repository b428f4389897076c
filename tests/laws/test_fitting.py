"""Fitted laws: densities that integrate to one and are those of trusted libraries, widths that win."""

import math
import re
import warnings

import numpy as np
import properties
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.ensemble import RandomForestClassifier
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KernelDensity

import riemvae_core as rc
from riemvae_core.laws import KINDS, Law, fit_law
from riemvae_core.laws.fitting import FAMILIES

ELSEWHERE = ("two-stage", "flow", "flow matching", "pullback", "interpolation", "low-cost paths")
DENSE = [kind for kind in KINDS if kind not in ELSEWHERE]
WITH_WIDTH = ["isotropic", "axes", "ball", "kernel"]


def bent(n, d=2, seed=0, dtype=torch.float64):
    """Codes about a bent line, and balls of different radii."""
    eps, radii, along = properties.random_tensors(3, (n, d), seed)
    mu = 0.25 * eps
    mu[:, 0] += 1.5 * along[:, 0]
    mu[:, 1] += along[:, 0].square() - 1.0
    return mu.to(dtype), (0.4 * radii - 2.5).to(dtype)


@pytest.fixture(scope="module")
def fitted():
    """A law of each kind with a density, fitted to the same 200 codes of a plane."""
    return {kind: fit_law(*bent(200), kind=kind) for kind in DENSE}


@pytest.mark.parametrize("kind", DENSE)
def test_a_density_sums_to_one_and_has_the_moments_of_the_draws(kind, fitted):
    n = 800 if kind == "mixture" else 240  # whose components may be narrow
    x, y = (torch.linspace(*ends, n, dtype=torch.float64, device="cpu") for ends in ((-7, 7), (-5, 14)))
    grid, area = torch.cartesian_prod(x, y), ((x[1] - x[0]) * (y[1] - y[0])).item()
    logs = fitted[kind].log_prob(grid)
    assert torch.logsumexp(logs, 0).exp().item() * area == pytest.approx(1.0, abs=1e-3)
    weights, z, n = torch.softmax(logs, 0), fitted[kind].sample(20_000, rc.make_generator(3)), 20_000
    for power in (lambda v: v, torch.square, lambda v: v[:, :1] * v[:, 1:]):
        mean = weights @ power(grid)
        error = (weights @ power(grid).square() - mean.square()).sqrt() / n**0.5
        assert ((power(z).mean(0) - mean).abs() < 5 * error + 1e-3).all()


# --- beside trusted implementations


def test_the_round_kernel_is_scikit_learns_and_no_bandwidth_of_its_is_better():
    mu, _ = bent(300, 3)
    held, _ = bent(200, 3, seed=1)
    law = fit_law(mu, kind="isotropic", held_out=held)
    oracle = KernelDensity(bandwidth=law.widths["h"]).fit(mu.numpy())
    properties.close(law.log_prob(held), torch.from_numpy(oracle.score_samples(held.numpy())), rtol=1e-6)
    grid = np.geomspace(law.widths["h"] / 3, law.widths["h"] * 3, 80)
    values = [KernelDensity(bandwidth=h).fit(mu.numpy()).score(held.numpy()) / len(held) for h in grid]
    assert law.held_out_log_prob >= max(values) - 1e-4
    assert law.widths["h"] == pytest.approx(grid[int(np.argmax(values))], rel=0.03)


def test_the_mixture_is_scikit_learns_and_no_number_of_components_is_better():
    mu, held = bent(400)[0], bent(300, seed=1)[0]
    law = fit_law(mu, kind="mixture", held_out=held)
    k, least = law.widths["components"], 1e-6 * min(1.0, mu.var().item())
    oracle = GaussianMixture(k, random_state=0, max_iter=500, reg_covar=least).fit(mu.numpy())
    properties.close(law.log_prob(held), torch.from_numpy(oracle.score_samples(held.numpy())), rtol=1e-6)
    assert k > 1
    for other in (1, 2, 3, 5):
        few = GaussianMixture(other, random_state=0, max_iter=500, reg_covar=least).fit(mu.numpy())
        assert few.score(held.numpy()) <= law.held_out_log_prob + 1e-9


def by_hand(mu, log_var, law, z):
    """The local kernels' density in numpy and scipy, from their definition."""
    mu, z = mu.numpy(), z.numpy()
    unit, w = mu.std(0, ddof=1), law.widths
    y, logs = mu / unit, []
    for i in range(len(y)):
        near = y[np.argsort(np.square(y - y[i]).sum(1))[: w["neighbors"]]]
        covariance = np.cov(near.T, ddof=0)
        shape = np.ones(len(unit)) if w["target"] == "axes" else np.exp(log_var[i].numpy()) / unit**2
        target = np.diag(shape / shape.mean()) * np.trace(covariance) / len(unit)
        covariance = (1 - w["shrinkage"]) * covariance + w["shrinkage"] * target
        mean = near.mean(0) + math.sqrt(1 - w["h"] ** 2) * (y[i] - near.mean(0))
        logs.append(multivariate_normal(mean, w["h"] ** 2 * covariance).logpdf(z / unit))
    return torch.from_numpy(logsumexp(np.stack(logs), 0) - math.log(len(mu)) - np.log(unit).sum())


@pytest.mark.parametrize("target", ["axes", "ball"])
def test_the_local_kernel_is_its_definition_at_d_16(target):
    mu, log_var = bent(150, 16)
    widths = {"shrinkage": 0.3, "neighbors": 20, "target": target, "h": 0.6}
    law = fit_law(mu, log_var, "kernel", widths=widths)
    z = bent(40, 16, seed=2)[0]
    properties.close(law.log_prob(z), by_hand(mu, log_var, law, z), rtol=1e-8)


def told_apart(one, other):
    """How often a forest tells rows of two sets from each other, cross-validated."""
    x = torch.cat([one, other]).numpy()
    y = np.repeat([0, 1], [len(one), len(other)])
    forest = RandomForestClassifier(40, min_samples_leaf=5, random_state=0)
    x = np.concatenate([x, np.square(x)], 1)
    return cross_val_score(forest, x, y, cv=4).mean()


def test_a_classifier_cannot_tell_local_draws_from_their_definitions_at_d_16():
    mu, log_var = bent(150, 16)
    widths = {"shrinkage": 0.3, "neighbors": 30, "target": "axes", "h": 0.6}
    z = fit_law(mu, log_var, "kernel", widths=widths).sample(800, rc.make_generator(1))
    rng, y, rows = np.random.default_rng(0), mu.numpy() / mu.numpy().std(0, ddof=1), []
    for i in rng.integers(0, len(y), 800):
        near = y[np.argsort(np.square(y - y[i]).sum(1))[:30]]
        covariance = np.cov(near.T, ddof=0)
        covariance = 0.7 * covariance + 0.3 * np.trace(covariance) / 16 * np.eye(16)
        mean = near.mean(0) + 0.8 * (y[i] - near.mean(0))
        rows.append(rng.multivariate_normal(mean, 0.36 * covariance))
    drawn = torch.from_numpy(np.stack(rows) * mu.numpy().std(0, ddof=1))
    assert abs(told_apart(z, drawn) - 0.5) < 0.05  # four standard errors of 1,600 guesses
    wider = fit_law(mu, log_var, "kernel", widths=widths | {"h": 0.95}).sample(800, rc.make_generator(1))
    assert told_apart(wider, drawn) > 0.55


@pytest.mark.parametrize("kind", [*WITH_WIDTH, "gaussian", "mixture"])
def test_sampler_and_density_are_one_law_at_d_16(kind):
    """The mean of another density over this one, at draws from this one, is 1."""
    mu, log_var = bent(300, 16)
    law = fit_law(mu, log_var, kind)
    h = law.widths.get("h")
    if h is None:
        other = fit_law(0.98 * mu, log_var, kind, widths=law.widths)
    else:
        narrow = [0.97 * x for x in h] if isinstance(h, list) else 0.97 * h
        other = fit_law(mu, log_var, kind, widths={**law.widths, "h": narrow})
    z = law.sample(4000, rc.make_generator(5))
    ratio = (other.log_prob(z) - law.log_prob(z)).exp()
    assert abs(ratio.mean().item() - 1.0) < 5 * ratio.std().item() / 4000**0.5
    assert ratio.std() < 3.0


# --- widths are those with the largest held-out likelihood


@pytest.mark.parametrize("kind", WITH_WIDTH)
def test_no_other_width_gives_held_out_codes_more(kind):
    (mu, log_var), (held, _) = bent(250, 3), bent(150, 3, seed=1)
    law = fit_law(mu, log_var, kind, held_out=held)
    best = law.log_prob(held).mean().item()
    assert best == pytest.approx(law.held_out_log_prob, abs=1e-6)
    assert best >= max(value for _, value in law.tried if value != best) - 1e-6
    h = law.widths["h"]
    many = isinstance(h, list)
    for factor in (0.7, 0.93, 1.07, 1.4):
        for axis in range(len(h)) if many else [None]:
            if not many and kind == "kernel" and factor * h > 1.0:
                continue
            new = [x * (factor if k == axis else 1.0) for k, x in enumerate(h)] if many else factor * h
            other = fit_law(mu, log_var, kind, held, widths={**law.widths, "h": new})
            assert other.held_out_log_prob < best


def test_a_part_is_held_out_where_no_codes_are_given_and_then_counts_too():
    mu, _ = bent(200)
    law, again = (fit_law(mu, kind="isotropic") for _ in range(2))
    assert law.widths == again.widths
    other = fit_law(mu, kind="isotropic", generator=rc.make_generator(1))
    assert other.widths != law.widths
    oracle = KernelDensity(bandwidth=law.widths["h"]).fit(mu.numpy())  # all 200 codes have a kernel
    properties.close(law.log_prob(mu[:9]), torch.from_numpy(oracle.score_samples(mu[:9].numpy())), rtol=1e-6)


def test_the_local_kernel_keeps_second_moments_where_the_round_one_adds_to_them():
    (mu,) = properties.random_tensors(1, (600, 6))
    ratio = {}
    for kind in ("kernel", "isotropic"):
        z = fit_law(mu, kind=kind).sample(20_000, rc.make_generator(0))
        ratio[kind] = (z.var(0) / mu.var(0)).mean().item() - 1.0
    assert ratio["isotropic"] > 0.1
    assert abs(ratio["kernel"]) < 0.5 * ratio["isotropic"]


@pytest.mark.parametrize("kind", ["kernel", "axes"])
def test_units_of_the_axes_play_no_part(kind):
    mu, _ = bent(150, 3)
    unit = mu.new_tensor([1e-3, 1.0, 40.0])
    law, scaled = fit_law(mu, kind=kind), fit_law(unit * mu, kind=kind)
    z = bent(20, 3, seed=4)[0]
    properties.close(scaled.log_prob(unit * z), law.log_prob(z) - unit.log().sum(), rtol=0.02, atol=0.2)


# --- copies


@pytest.mark.parametrize("kind", ["gaussian", "mixture", "isotropic", "kernel", "power"])
def test_copies_of_a_row_neither_gain_weight_nor_choose_widths(kind, fitted):
    mu, log_var = bent(200)
    many = torch.cat([mu, mu[:1].expand(100, 2)]), torch.cat([log_var, log_var[:1].expand(100, 2)])
    law = fit_law(*many, kind=kind)
    assert law.widths == fitted[kind].widths
    z = bent(30, seed=5)[0]
    properties.close(law.log_prob(z), fitted[kind].log_prob(z))


def test_held_out_copies_of_codes_are_not_looked_at():
    (mu, _), (held, _) = bent(200), bent(100, seed=1)
    law = fit_law(mu, kind="isotropic", held_out=torch.cat([held, mu[:80], held[:50]]))
    assert law.widths == fit_law(mu, kind="isotropic", held_out=held.sort(0).values * 0 + held).widths
    with pytest.raises(ValueError, match="held_out must hold codes that are not in mu, got 80 copies"):
        fit_law(mu, kind="isotropic", held_out=mu[:80])


# --- what comes in and goes out


@pytest.mark.parametrize("kind", DENSE)
def test_dtype_shape_and_chance(kind, fitted):
    mu, log_var = bent(200, dtype=torch.float32)
    assert dict(fitted[kind].widths).keys() == set(FAMILIES[kind].names)
    law = fit_law(mu, log_var, kind, bent(50, seed=1)[0], widths=fitted[kind].widths)
    assert isinstance(law, Law)
    assert law.has_density
    z = law.sample(6, rc.make_generator(0))
    assert z.dtype == torch.float32
    properties.close(z, law.sample(6, rc.make_generator(0)))
    properties.close(law.log_prob(z.reshape(2, 3, 2)), law.log_prob(z).reshape(2, 3))
    assert law.log_prob(z[:0]).shape == (0,)
    assert law.log_prob(torch.full((1, 2), 40.0, device="cpu")).item() < -100.0
    assert repr(law).startswith(f"Law({kind}")
    assert law.held_out_log_prob > -100.0


@pytest.mark.usefixtures("meta_by_default")
@pytest.mark.parametrize("kind", ["gaussian", "mixture", "isotropic", "axes", "ball", "kernel"])
def test_nothing_is_made_on_a_default_device(kind):
    law = fit_law(*bent(40), kind=kind)
    z = law.sample(3, rc.make_generator(0))
    assert z.device.type == law.log_prob(z).device.type == "cpu"


def test_two_stages_have_draws_and_no_density():
    law = fit_law(*bent(60), kind="two-stage", widths={"epochs": 2, "width": 8})
    assert not law.has_density
    assert math.isnan(law.held_out_log_prob)
    assert law.sample(5, rc.make_generator(0)).shape == (5, 2)
    with pytest.raises(rc.NoDensityError, match="kind must have a density for log_prob, got two-stage"):
        law.log_prob(torch.zeros(1, 2, dtype=torch.float64))


@pytest.mark.usefixtures("no_hook")
def test_errors_say_what_came():
    mu, log_var = bent(40)
    bad = mu.clone()
    bad[7, 1] = math.nan
    far = log_var.clone()
    far[3, 0] = 800.0
    for words, call in {
        "mu must be finite, got nan in row 7": lambda: fit_law(bad),
        "held_out must be finite, got nan in row 7": lambda: fit_law(mu, held_out=bad),
        "log_var must have mu's shape (40, 2), got (40, 1)": lambda: fit_law(mu, log_var[:, :1]),
        "log_var must be within 709.8 of 0, so that mu's torch.float64": lambda: fit_law(mu, far),
        "kind must be one of prior, gaussian": lambda: fit_law(mu, kind="kde"),
        ", flow matching, got ['kernel']": lambda: fit_law(mu, kind=["kernel"]),
        "log_var must be given for a law of kind 'ball'": lambda: fit_law(mu, kind="ball"),
        "held_out must be [m, 2], got [40, 3]": lambda: fit_law(mu, held_out=mu.new_zeros(40, 3)),
        "mu must be [n, d] with n and d at least 1, got [40]": lambda: fit_law(mu[:, 0]),
        "mu must hold at least 10 different codes, got 1 of 40": lambda: fit_law(mu * 0.0),
        "widths must hold h for kind 'isotropic', got width": lambda: fit_law(
            mu, kind="isotropic", widths={"width": 1.0}
        ),
        "mu must be a tensor of floating numbers, got torch.int64": lambda: fit_law(mu.long()),
        "mu must span all 2 dimensions": lambda: fit_law(mu[:, :1].expand(40, 2).clone(), kind="gaussian"),
        "z must be [*batch, 2], got (3,)": lambda: fit_law(mu, kind="prior").log_prob(mu[:3, 0]),
        "z must be finite, got nan in row 7": lambda: fit_law(mu, kind="prior").log_prob(bad),
        "n must be a whole number of at least 1, got 0": lambda: fit_law(mu, kind="prior").sample(0),
    }.items():
        with pytest.raises(ValueError, match=re.escape(words)):
            call()


def test_few_codes_and_one_axis_will_do():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for kind in ("gaussian", "mixture", "isotropic", "axes", "kernel"):
            law = fit_law(bent(12)[0][:, :1].contiguous(), kind=kind)
            assert math.isfinite(law.log_prob(law.sample(3, rc.make_generator(0))).sum())
