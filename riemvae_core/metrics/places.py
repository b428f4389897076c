"""What every metric refuses: points that are no numbers, and values that left the range of floats."""

import math
import sys

import torch
from torch import Tensor

from riemvae_core.numerics import check_finite, check_points


def check_places(z: Tensor, d: int) -> None:
    """Raise ValueError unless z is finite and ends in an axis of length d; rows count over all of its batch.

    Within ``torch.func.vmap`` no number can be looked at, and none is.
    """
    check_points(z, d)
    try:
        check_finite(z=z.detach().reshape(-1, d))
    except RuntimeError:
        return


def check_values(name: str, values: Tensor, z: Tensor, remedy: str, positive: bool = False) -> None:
    """Raise FloatingPointError, with place and remedy, where a value isn't finite (or normal and above 0).

    ``values`` may have more axes after those of z's batch. Skipped within ``torch.func.vmap``.
    """
    values, least = values.detach(), torch.finfo(values.dtype).tiny if positive else -sys.float_info.max
    try:
        low, high = values.aminmax()  # NaN where a value is
        if values.is_meta or (low.item() >= least and high.item() < math.inf):
            return
    except RuntimeError:  # no numbers at all, or none to be looked at
        return
    rows = values.reshape(z.shape[:-1].numel(), -1)
    bad = ~(rows.isfinite() & (rows >= least))
    row = int(bad.any(1).nonzero()[0])
    value, place = rows[row][bad[row]][0].item(), z.detach().reshape(-1, z.shape[-1])[row].tolist()
    raise FloatingPointError(f"{name} is {value:.6g} at z = {place}, out of {values.dtype}'s range: {remedy}")
