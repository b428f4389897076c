"""The doors of samplers and metrics: counts, generators and points that won't do are named."""

import re

import properties
import pytest
import torch

import riemvae_core as rc
from riemvae_core.laws import fit_law, hmc, mixture_of_metric
from riemvae_core.metrics import PosteriorMetric, PullbackMetric
from riemvae_core.numerics import check_number

MU, LOG_VAR = properties.random_tensors(2, (20, 2), dtype=torch.float32)
METRIC = PosteriorMetric.fit(MU, LOG_VAR - 2.0)
ORIGIN = torch.zeros(2, device="cpu")
FEW = {"hmc": {"draws": 4, "warm_up": 1, "chains": 2}, "smc": {"sweeps": 1}, "importance": {}}


def flat(z):
    return torch.eye(2, device="cpu").expand(*z.shape[:-1], 2, 2)


def normal(z):
    return -0.5 * z.square().sum(-1), -z


def uniform(method, **settings):
    return rc.sample_uniform(METRIC, 4, rc.make_generator(0), method, **FEW[method] | settings)


def released(**settings):
    return rc.sample_as_released(METRIC, MU, **{"n": 2, "steps": 1} | settings)


def curved(metric=flat, center=ORIGIN, **settings):
    return rc.sample_riemannian_gaussian(
        metric, center, **{"sigma": 1.0, "n": 2, "check_shortest": False} | settings
    )


def path(**settings):
    return rc.shortest_decoded(torch.tanh, MU[:1], MU[1:2], **{"n_points": 5, "max_steps": 2} | settings)


def moved(n_steps):
    start = hmc.evaluate_target(normal, MU)
    return hmc.leapfrog(normal, start, torch.zeros_like(MU), 0.1, n_steps)


COUNTS = {  # what is counted: the least count, and who counts
    "chains": (1, lambda v: uniform("hmc", chains=v)),
    "warm_up": (1, lambda v: uniform("hmc", warm_up=v)),
    "draws": (4, lambda v: uniform("hmc", draws=v)),
    "islands": (2, lambda v: uniform("smc", islands=v)),
    "particles": (4, lambda v: uniform("smc", particles=v)),
    "sweeps": (1, lambda v: uniform("smc", sweeps=v)),
    "most": (1, lambda v: uniform("importance", most=v)),
    "n of released": (1, lambda v: released(n=v)),
    "steps": (0, lambda v: released(steps=v)),
    "n_leapfrog": (1, lambda v: released(n_leapfrog=v)),
    "n of a curved Gaussian": (1, lambda v: curved(n=v)),
    "n of a mixture": (1, lambda v: mixture_of_metric(METRIC).sample(v)),
    "n of a law": (1, lambda v: fit_law(MU, kind="prior").sample(v)),
    "n_steps": (0, moved),
    "draws of chains": (1, lambda v: hmc.run_chains(normal, MU, v, 1)),
    "n_steps of chains": (1, lambda v: hmc.run_chains(normal, MU, 1, 1, v)),
    "n_points": (3, lambda v: path(n_points=v)),
}


@pytest.mark.usefixtures("no_hook")
@pytest.mark.parametrize("name", COUNTS)
def test_a_count_is_a_whole_number_and_large_enough(name):
    least, call = COUNTS[name]
    for value in (least - 1, 2.5, "3", True, torch.tensor(5, device="cpu"), 10**20):
        words = f"{name.split()[0]} must be a whole number of at least {least}, got {value!r}"
        with pytest.raises(ValueError, match=re.escape(words)):
            call(value)


@pytest.mark.usefixtures("no_hook")
def test_numbers_of_other_kinds_and_points_are_named():
    listed, other = [[0.0, 0.0]], torch.zeros(3, device="cpu")
    generator = "generator must be a torch.Generator, as rc.make_generator(0) makes it, got int"
    for words, call in {
        generator: lambda: fit_law(MU, LOG_VAR, "isotropic", generator=3),
        "step must be a finite number above 0, got '1'": lambda: released(step="1"),
        "step must be a finite number above 0, got 0": lambda: released(step=0),
        "sigma must be a finite number above 0, got '1'": lambda: curved(sigma="1"),
        "tol must be a finite number above 0, got 0.0": lambda: path(tol=0.0),
        "tol must be a finite number above 0, got '1'": lambda: path(tol="1"),
        "tol must be a finite number above 0, got -1": lambda: rc.geodesic(flat, MU[0], MU[1], tol=-1),
        "tol must be a finite number above 0, got 'x'": lambda: rc.exponential_map(flat, MU, MU, tol="x"),
        "rho must be a finite number above 0, got '3'": lambda: PosteriorMetric(MU, LOG_VAR, "3", 0.0, 0.0),
        "lam must be a finite number of at least 0, got True": lambda: PosteriorMetric(
            MU, MU, 1.0, True, 1.0
        ),
        "lam must be a finite number above 0, got 'x'": lambda: PosteriorMetric.fit(MU, LOG_VAR, lam="x"),
        "background must be a finite number above 0, got '3'": lambda: PosteriorMetric.fit(
            MU, LOG_VAR, background="3"
        ),
        "components must be a whole number, got '3'": lambda: rc.sample_mixture(MU, 2, "3"),
        "mu must be a tensor of floating numbers, got list": lambda: rc.sample_prior(listed, 2),
        "mu must be a tensor of floating numbers, got list:": lambda: rc.sample_as_released(
            METRIC, listed, 2
        ),
        "center must be a tensor of floating numbers, got list": lambda: curved(center=[0.0, 0.0]),
        "metric must map center [1, 3] to [1, 3, 3] of torch.float32, got [1, 2, 2]": lambda: curved(
            center=other
        ),
        "metric must map center [1, 2] to [1, 2, 2] of torch.float64, got [1, 2, 2] torch.float32": (
            lambda: curved(center=ORIGIN.double())
        ),
        "metric must map center [1, 2] to [1, 2, 2] of torch.float32, got float": lambda: curved(
            lambda z: 1.0
        ),
        "start must be a tensor of floating numbers, got list": lambda: uniform("hmc", start=listed),
        "z must be a tensor of floating numbers, got list": lambda: METRIC.log_volume_and_grad(listed),
        "z must have mu's dtype torch.float32, got torch.float64": lambda: METRIC.log_volume_and_grad(
            MU.double()
        ),
        "z must be [*batch, 2], got (20, 3)": lambda: METRIC.log_diagonal_and_slope(MU[:, [0, 1, 1]], MU),
        "v must have z's shape (20, 2), got (20, 1)": lambda: METRIC.log_diagonal_and_slope(MU, MU[:, :1]),
        "v must be a tensor of floating numbers, got list": lambda: METRIC.log_diagonal_and_slope(MU, listed),
        "z must be a tensor of floating numbers, got list:": lambda: PullbackMetric(torch.tanh)(listed),
        "z must be a tensor of floating numbers, got list: ": lambda: PullbackMetric(torch.tanh).jacobian(
            listed
        ),
        "z must be a tensor of floating numbers, got list: torch": lambda: mixture_of_metric(
            METRIC
        ).log_density(listed),
    }.items():
        with pytest.raises(ValueError, match=re.escape(words)):
            call()


def test_a_positive_number_is_above_0():
    check_number(positive=True, tol=1e-300, n=1)
    for value in (0, 0.0, -1.0):
        with pytest.raises(ValueError, match=re.escape(f"tol must be a finite number above 0, got {value}")):
            check_number(positive=True, tol=value)
