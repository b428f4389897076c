"""Metrics whose uniform law the tests know."""

import properties
import torch

from riemvae_core.metrics import PosteriorMetric

METHODS = ["importance", "smc", "hmc"]


def metric_of(mu, log_var, rho, lam, background):
    """A metric whose background has this share of the volume of N balls that are apart."""
    tau = lam / rho**2 * (background * len(mu)) ** (-2.0 / mu.shape[1])
    return PosteriorMetric(mu, log_var, rho, lam, tau)


def random_metric(n, d, rho, seed=0, spread=1.0, background=0.05, dtype=torch.float64):
    mu, log_var = properties.random_tensors(2, (n, d), seed=seed, dtype=dtype)
    return metric_of(spread * mu, 0.5 * log_var - 1.0, rho, 0.1, background)
