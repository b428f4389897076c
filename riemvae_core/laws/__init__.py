"""Laws of codes and how to draw from them: a metric's uniform law above all, and what it is held against.

May import: models, paths, metrics, codes, balls, data and the ground floor.
Begin with ``sample_uniform`` in ``uniform.py``: it tries ``samplers.py``, then ``smc.py``, and says which.
``mixture.py`` proposes, ``hmc`` takes the steps, ``diagnostics.py`` judges. Chapters 6, 7 and 9.
``fit_law`` in ``fitting.py`` is the door to laws whose widths are chosen by codes held out, a file a family.
"""

from riemvae_core.laws import hmc
from riemvae_core.laws.baselines import (
    sample_aggregate_posterior,
    sample_gaussian,
    sample_mixture,
    sample_prior,
    sample_two_stage,
)
from riemvae_core.laws.crowds import proposal_of_metric
from riemvae_core.laws.diagnostics import effective_sample_size, split_r_hat
from riemvae_core.laws.fitting import KINDS, LEAST_CODES, fit_law
from riemvae_core.laws.law import Law, NoDensityError
from riemvae_core.laws.mixture import BallMixture, mixture_of_metric
from riemvae_core.laws.released import ReleasedDraws, ReleasedRules, released_log_density, sample_as_released
from riemvae_core.laws.riemannian_gaussian import RiemannianDraws, sample_riemannian_gaussian
from riemvae_core.laws.samplers import R_HAT_LIMIT, UniformDraws, local_scale, sample_by_importance
from riemvae_core.laws.uniform import SamplingWarning, sample_uniform

__all__ = [
    "KINDS",
    "LEAST_CODES",
    "R_HAT_LIMIT",
    "BallMixture",
    "Law",
    "NoDensityError",
    "ReleasedDraws",
    "ReleasedRules",
    "RiemannianDraws",
    "SamplingWarning",
    "UniformDraws",
    "effective_sample_size",
    "fit_law",
    "hmc",
    "local_scale",
    "mixture_of_metric",
    "proposal_of_metric",
    "released_log_density",
    "sample_aggregate_posterior",
    "sample_as_released",
    "sample_by_importance",
    "sample_gaussian",
    "sample_mixture",
    "sample_prior",
    "sample_riemannian_gaussian",
    "sample_two_stage",
    "sample_uniform",
    "split_r_hat",
]
