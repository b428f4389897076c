"""How good samples are, and what state a latent space is in: one door to the modules that measure it."""

from riemvae_core.classifier import Classifier, ClassifierConfig, ClassifierLosses, make_classifier
from riemvae_core.generation_scores import (
    DensityCoverage,
    PrecisionRecall,
    SamplerDistance,
    density_coverage,
    frechet_distance,
    novelty,
    precision_recall,
    sampler_distance,
)
from riemvae_core.health import HealthReport, MetricHealth, latent_health
from riemvae_core.likelihood import NLLBound, nll_bound

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
