"""The room of balls."""

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
