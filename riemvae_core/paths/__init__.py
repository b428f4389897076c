"""Paths between codes: shortest ones under any metric, cheap ones, and how far they go in pixels.

May import: the ground floor (numerics, neighbors); a path takes its metric as a callable.
Begin with ``geodesic`` in ``geodesics.py``; ``search.py`` looks for it from the curves of ``starts.py``,
``descent.py`` bends them, in few dimensions ``newton.py``, ``flow.py`` shoots one off, ``curves.py`` measures
them in the ``forms.py`` of a metric, ``decoded.py`` follows what they decode to, ``notices.py`` refuses and
warns. Chapter 8 derives them.
"""

from riemvae_core.paths.curves import Metric, curve_energy, curve_length, respaced, straight_line
from riemvae_core.paths.decoded import decoded_steps, shortest_decoded
from riemvae_core.paths.flow import exponential_map
from riemvae_core.paths.geodesics import geodesic, low_cost_path
from riemvae_core.paths.notices import PathWarning
from riemvae_core.paths.search import Geodesic

__all__ = [
    "Geodesic",
    "Metric",
    "PathWarning",
    "curve_energy",
    "curve_length",
    "decoded_steps",
    "exponential_map",
    "geodesic",
    "low_cost_path",
    "respaced",
    "shortest_decoded",
    "straight_line",
]
