"""The room of paths."""

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
