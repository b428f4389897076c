"""The room of space."""

from riemvae_core.space import health
from riemvae_core.space.health import HealthReport, MetricHealth, latent_health
from riemvae_core.space.latent import LatentSpace, latent_space
from riemvae_core.space.loading import load_space

__all__ = [
    "HealthReport",
    "LatentSpace",
    "MetricHealth",
    "health",
    "latent_health",
    "latent_space",
    "load_space",
]
