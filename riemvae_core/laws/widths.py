"""What the widths of a law may be: widths that nobody chose by likelihood make laws of nonsense otherwise."""

import math
from collections.abc import Mapping
from typing import Any

from riemvae_core.laws.law import Codes, Widths
from riemvae_core.laws.local import TARGETS
from riemvae_core.numerics import check_number

#: the least and the largest that a width may be; a width of kernels is above 0, a floor is any number
RANGES = {"share": (0, math.inf), "shrinkage": (0, 1), "alpha": (0, 1), "pull": (0, math.inf)}
LOCAL = ("kernel", "pullback")


def checked_widths(kind: str, names: tuple[str, ...], widths: Mapping[str, Any], codes: Codes) -> Widths:
    """The widths as plain numbers. Raises ValueError for one that no law of the kind can have.

    ``names`` are those that the kind has; tensors and arrays become numbers, and lists of them.
    """
    if not isinstance(widths, Mapping):
        raise ValueError(f"widths must map names to numbers, as Law.widths does, got {type(widths).__name__}")
    if set(widths) != set(names):
        raise ValueError(
            f"widths must hold {', '.join(names) or 'nothing'} for kind {kind!r}, got "
            f"{', '.join(map(str, widths)) or 'nothing'}"
        )
    plain = {name: v.tolist() if hasattr(v, "tolist") else v for name, v in widths.items()}
    for name, value in plain.items():
        _check(kind, name, value, codes)
    if kind in LOCAL and plain["shrinkage"] == 0 and plain["neighbors"] <= codes.mu.shape[1]:
        raise ValueError(
            f"shrinkage must be above 0 for at most {codes.mu.shape[1]} neighbors, which leave out an axis, "
            f"got {plain['shrinkage']!r} for {plain['neighbors']}"
        )
    return plain


def _check(kind: str, name: str, value: Any, codes: Codes) -> None:
    n, d = codes.mu.shape
    if name == "h" and kind == "axes":
        if not isinstance(value, list | tuple) or len(value) != d:
            raise ValueError(f"h must hold {d} widths for kind 'axes', one an axis, got {value!r}")
        for axis, h in enumerate(value):
            _check_between(f"h[{axis}]", h, kind, 0, math.inf, above=True)
    elif name == "h":
        _check_between(name, value, kind, 0, 1 if kind == "kernel" else math.inf, above=True)
    elif name in RANGES:
        _check_between(name, value, kind, *RANGES[name])
        if name == "share" and value > 0 and codes.log_var is None:
            raise ValueError(f"log_var must be given for a share above 0, got None and share {value!r}")
    elif name == "floor":
        if value != -math.inf:
            check_number(floor=value)
    elif name == "target":
        if value not in TARGETS:
            raise ValueError(f"target must be one of {', '.join(TARGETS)}, got {value!r}")
        if value == "ball" and codes.log_var is None:
            raise ValueError("log_var must be given for the target 'ball', got None")
    else:  # a count
        check_number(1, whole=True, **{name: value})
        least = 2 if name == "neighbors" and kind in LOCAL else 1  # a code counts among its own there
        most = {"components": n, "neighbors": n if kind in LOCAL else n - 1}.get(name, math.inf)
        if not least <= value <= most:
            raise ValueError(f"{name} must be from {least} to {most} for kind {kind!r}, got {value!r}")


def _check_between(
    name: str, value: Any, kind: str, least: float | int, most: float | int, above: bool = False
) -> None:
    check_number(**{name: value})
    if not least <= value <= most or (above and value == least):
        low = f"above {least}" if above else f"at least {least}"
        bound = low if math.isinf(most) else f"{low} and at most {most}"
        raise ValueError(f"{name} must be {bound} for kind {kind!r}, got {value!r}")
