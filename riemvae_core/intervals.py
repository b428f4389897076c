"""How far a mean over repetitions can be trusted."""

import re
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.numerics import check_finite, check_number

_MINUS_ZERO = re.compile(r"-(?=0(\.0*)?%?$)")  # a small negative number, rounded


class Interval(NamedTuple):
    """A mean over independent repetitions with the ends of its confidence interval.

    ``confidence_interval`` returns it; a format is applied to all three numbers.

    Example:
        >>> f"{rc.Interval(mean=0.31, low=0.28, high=0.34):.2f}"
        '0.31 [0.28, 0.34]'
    """

    mean: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """Write the three numbers with one format: ``f"{interval:.2f}"`` gives ``0.31 [0.28, 0.34]``.

        What rounds to zero has no sign.
        """
        spec = spec or ".3g"
        mean, low, high = (_MINUS_ZERO.sub("", format(number, spec)) for number in self)
        return f"{mean} [{low}, {high}]"


def confidence_interval(values: Float[Tensor, " n"] | Sequence[float], level: float = 0.95) -> Interval:
    r"""Mean and two-sided Student interval of repetitions that are independent of each other (seeds, say).

    $\bar y \pm Y\,\text{std}/\sqrt n$, with std the sample's standard deviation and Y the quantile (1 +
    level)/2 of Student's law with n - 1 degrees of freedom. Used in chapter 9. Raises ValueError for fewer
    than two values, for one that isn't a finite number, or a level outside of 0 to 1.

    Example:
        >>> f"{rc.confidence_interval([1.0, 2.0, 3.0]):.2f}"
        '2.00 [-0.48, 4.48]'
    """
    try:
        v = torch.as_tensor(values, dtype=torch.float64, device="cpu").flatten()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"values must be numbers, one a repetition, got {values!r:.60}") from error
    if v.numel() < 2:
        raise ValueError(f"values must hold at least 2 repetitions, got {v.numel()}")
    check_finite(values=v)
    check_number(level=level)
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    from scipy.special import stdtrit  # scipy is slow to import, so only when asked for

    mean = v.mean().item()
    half = float(stdtrit(v.numel() - 1, (1.0 + level) / 2.0)) * v.std().item() / v.numel() ** 0.5
    return Interval(mean, mean - half, mean + half)
