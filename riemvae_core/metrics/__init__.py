"""The room of metrics."""

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
