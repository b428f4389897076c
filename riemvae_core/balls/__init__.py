"""Gaussian balls: their sizes, prices and overlaps, what noise asks of a decoder, and the bound they give.

May import: the ground floor (numerics, neighbors).
Begin with ``kl_pull`` and ``kl_barrier`` in ``gaussians.py``: chapters 1 and 2 are these few formulas.
``contract.py`` holds chapter 3's, ``likelihood.py`` the importance-weighted bound on the likelihood.
"""

from riemvae_core.balls.contract import (
    AxisTerms,
    BallGradient,
    axis_terms,
    errors_off_center,
    optimal_log_var,
    pathwise_gradient,
    score_gradient,
)
from riemvae_core.balls.gaussians import (
    LOG_2PI,
    Balls,
    bhattacharyya,
    entropy,
    kl_barrier,
    kl_pull,
    kl_to_standard_normal,
    log_prob,
    log_prob_mixture,
    log_volume,
    reparameterize,
    responsibilities,
)
from riemvae_core.balls.likelihood import NLLBound, nll_bound

__all__ = [
    "LOG_2PI",
    "AxisTerms",
    "BallGradient",
    "Balls",
    "NLLBound",
    "axis_terms",
    "bhattacharyya",
    "entropy",
    "errors_off_center",
    "kl_barrier",
    "kl_pull",
    "kl_to_standard_normal",
    "log_prob",
    "log_prob_mixture",
    "log_volume",
    "nll_bound",
    "optimal_log_var",
    "pathwise_gradient",
    "reparameterize",
    "responsibilities",
    "score_gradient",
]
