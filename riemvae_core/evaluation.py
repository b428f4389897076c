"""How good samples are, and what state a latent space is in: one door to the modules that measure it."""

from riemvae_core.balls.likelihood import NLLBound, nll_bound
from riemvae_core.models.classifier import Classifier, ClassifierConfig, ClassifierLosses, make_classifier
from riemvae_core.scores.generation import (
    DensityCoverage,
    PrecisionRecall,
    SamplerDistance,
    density_coverage,
    frechet_distance,
    novelty,
    precision_recall,
    sampler_distance,
)
from riemvae_core.space.health import HealthReport, MetricHealth, latent_health

__all__ = [
    "Classifier",
    "ClassifierConfig",
    "ClassifierLosses",
    "DensityCoverage",
    "HealthReport",
    "MetricHealth",
    "NLLBound",
    "PrecisionRecall",
    "SamplerDistance",
    "density_coverage",
    "frechet_distance",
    "latent_health",
    "make_classifier",
    "nll_bound",
    "novelty",
    "precision_recall",
    "sampler_distance",
]
