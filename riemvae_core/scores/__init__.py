"""The room of scores."""

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
