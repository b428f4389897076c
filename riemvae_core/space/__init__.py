"""A reader's own model as a latent space: its balls, metric, draws, paths, health, in a few lines.

May import: laws, scores and all below them.
Begin with ``latent_space`` in ``making.py`` and ``LatentSpace`` in ``latent.py``; ``adapters.py`` says which
models are understood, ``outputs.py`` what they may return, ``inputs.py`` and ``conditions.py`` what they get,
``health.py`` what the report measures, with ``overlaps.py`` and, of single rows, ``crowds.py``, ``files.py``
what is kept; ``comparison.py`` fits and scores laws, ``verdict.py`` says which to take; ``curves.py`` has
curves between images. Chapter 11 shows most of it at work.
"""

from riemvae_core.space import health
from riemvae_core.space.comparison import compare_laws
from riemvae_core.space.crowds import Crowd
from riemvae_core.space.health import HealthReport, MetricHealth, latent_health
from riemvae_core.space.latent import LatentSpace
from riemvae_core.space.law_table import LawRow, LawTable
from riemvae_core.space.loading import load_space
from riemvae_core.space.making import latent_space

__all__ = [
    "Crowd",
    "HealthReport",
    "LatentSpace",
    "LawRow",
    "LawTable",
    "MetricHealth",
    "compare_laws",
    "health",
    "latent_health",
    "latent_space",
    "load_space",
]
