"""Paths between codes: shortest ones under any metric, cheap ones, and how far they go in pixels.

May import: the ground floor (numerics, neighbors); a path takes its metric as a callable.
Begin with ``geodesic`` in ``geodesics.py``; ``descent.py`` bends the curve, ``flow.py`` shoots one off,
``curves.py`` measures them, ``decoded.py`` follows what they decode to. Chapter 7 derives them.
"""

from riemvae_core.paths.curves import Metric, curve_energy, curve_length, respaced, straight_line
from riemvae_core.paths.decoded import decoded_steps, shortest_decoded
from riemvae_core.paths.flow import exponential_map
from riemvae_core.paths.geodesics import Geodesic, geodesic, low_cost_path

__all__ = [
    "Geodesic",
    "Metric",
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
