"""What a figure's traits may be set to: the value comes back, or a ValueError that names the trait."""

import math
from collections.abc import Iterable
from typing import Any

from riemvae_core.figures.widgets.assets import probes


def pair(name: str, value: Iterable) -> list[float]:
    """Two finite numbers."""
    values = list(value)
    if len(values) != 2 or not all(isinstance(v, int | float) and math.isfinite(v) for v in values):
        raise ValueError(f"{name} must be two finite numbers, got {value!r}")
    return [float(v) for v in values]


def clipped_pair(name: str, value: Iterable, half: float) -> list[float]:
    """Two finite numbers, each brought to the nearest of [-half, half]."""
    return [min(half, max(-half, v)) for v in pair(name, value)]


def within(name: str, value: float | int, low: float | int, high: float | int) -> float | int:
    """A finite number from low to high."""
    if not (math.isfinite(value) and low <= value <= high):
        raise ValueError(f"{name} must be between {low:g} and {high:g}, got {value}")
    return value


def one_of(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """One of some values."""
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, got {value}")
    return value


def probe_index(name: str, value: int) -> int:
    """The number of one of the 240 probe images of ``fashion``."""
    within(name, value, 0, len(probes("fashion").labels) - 1)
    return value
