"""How good samples are, and what state a latent space is in: one door to the modules that measure it."""

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

__all__ = [
    "DensityCoverage",
    "PrecisionRecall",
    "SamplerDistance",
    "density_coverage",
    "frechet_distance",
    "novelty",
    "precision_recall",
    "sampler_distance",
]
