"""How good drawn images are: distances between sets of features, coverage, novelty.

May import: models, paths, metrics, codes, balls, data and the ground floor.
Begin with ``sampler_distance`` in ``generation.py``; all take features, one row an image, whatever made them.
"""

from riemvae_core.scores.features import FEATURES, image_features
from riemvae_core.scores.folds import memorization
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
    "FEATURES",
    "DensityCoverage",
    "PrecisionRecall",
    "SamplerDistance",
    "density_coverage",
    "frechet_distance",
    "image_features",
    "memorization",
    "novelty",
    "precision_recall",
    "sampler_distance",
]
