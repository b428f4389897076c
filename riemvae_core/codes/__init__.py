"""Codes as cluster centers: nearest codes and their gradient, codebooks and their repair, laws over codes.

May import: balls, data and the ground floor.
Begin with ``quantize`` in ``quantizer.py``; ``codebooks.py`` moves the centers, ``fsq.py`` does without any,
``prior.py`` draws new codes. Chapter 4 derives all of it.
"""

from riemvae_core.codes.codebooks import (
    CodebookState,
    KMeans,
    dead_codes,
    ema_update,
    kmeans_codebook,
    kmeans_step,
    reset_dead_codes,
    start_state,
)
from riemvae_core.codes.fsq import fsq_codes, fsq_quantize, fsq_vectors
from riemvae_core.codes.prior import (
    CodePrior,
    CodePriorConfig,
    HistogramPrior,
    codes_as_images,
    histogram_prior,
    make_code_prior,
)
from riemvae_core.codes.quantizer import (
    Quantized,
    count_codes,
    nearest_code,
    perplexity,
    quantize,
    straight_through,
)

__all__ = [
    "CodePrior",
    "CodePriorConfig",
    "CodebookState",
    "HistogramPrior",
    "KMeans",
    "Quantized",
    "codes_as_images",
    "count_codes",
    "dead_codes",
    "ema_update",
    "fsq_codes",
    "fsq_quantize",
    "fsq_vectors",
    "histogram_prior",
    "kmeans_codebook",
    "kmeans_step",
    "make_code_prior",
    "nearest_code",
    "perplexity",
    "quantize",
    "reset_dead_codes",
    "start_state",
    "straight_through",
]
