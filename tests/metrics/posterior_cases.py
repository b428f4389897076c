"""Balls, points and metrics that the tests of the posterior metric share."""

import properties
import torch

from riemvae_core.metrics.posterior import PosteriorMetric

RHO, LAM, TAU = 1.7, 0.05, 0.01


def balls(n=6, d=3, seed=0, dtype=torch.float64):
    return properties.random_tensors(2, (n, d), seed=seed, dtype=dtype)


def make(n=6, d=3, seed=0, dtype=torch.float64, rho=RHO, lam=LAM, tau=TAU):
    return PosteriorMetric(*balls(n, d, seed, dtype), rho, lam, tau)


def points(*shape, seed=9, dtype=torch.float64):
    return properties.random_tensors(1, shape, seed=seed, dtype=dtype)[0]
