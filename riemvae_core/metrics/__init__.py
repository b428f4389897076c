"""Riemannian metrics: what the posterior balls draw, a decoder's pullback, and known ones for comparison.

May import: balls, data and the ground floor.
Begin with ``PosteriorMetric`` in ``posterior.py``: eq. (7), its volume, how its numbers are chosen. A metric
is any callable from points to matrices; ``known.py`` has the shortest, to copy when you write your own.
"""

from riemvae_core.metrics.centroids import choose_medoids, matched_rho, nearest_neighbor_rho
from riemvae_core.metrics.known import ConstantMetric, HalfPlaneMetric, SphereMetric
from riemvae_core.metrics.posterior import PosteriorMetric
from riemvae_core.metrics.pullback import PullbackMetric

__all__ = [
    "ConstantMetric",
    "HalfPlaneMetric",
    "PosteriorMetric",
    "PullbackMetric",
    "SphereMetric",
    "choose_medoids",
    "matched_rho",
    "nearest_neighbor_rho",
]
