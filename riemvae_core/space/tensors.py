"""What people hold numbers in, as a tensor: arrays, frames, lists; what holds none is named."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from riemvae_core.space.outputs import say


def as_tensor(thing: Any, name: str) -> Tensor:
    """A dense tensor of the same numbers, without a graph; memory is shared where it can be.

    thing: a tensor, a numpy array, what numpy can read as one (a frame, a list of numbers), or a number.
    Raises ValueError, which names the argument, for masked entries, strings, objects and rows of different
    lengths.
    """
    if isinstance(thing, Tensor):
        if thing.layout is not torch.strided or thing.is_nested or thing.is_quantized:
            raise ValueError(f"{name} must be dense, such as {name}.to_dense(), got {_kind(thing)}")
        if thing.is_meta:
            raise ValueError(f"{name} must hold numbers, got {say(thing)}, where none are")
        return thing.detach()
    if isinstance(thing, list | tuple) and any(isinstance(part, Tensor) for part in thing):
        shapes = sorted({tuple(part.shape) for part in thing if isinstance(part, Tensor)})
        if len(shapes) > 1 or not all(isinstance(part, Tensor) for part in thing):
            raise ValueError(f"{name} must be one tensor or tensors of one shape, got {say(thing)}")
        return torch.stack([part.detach() for part in thing])
    if isinstance(thing, np.ma.MaskedArray) and np.ma.is_masked(thing):
        raise ValueError(
            f"{name} must have no masked entries, got {int(np.ma.getmaskarray(thing).sum()):,} of them: fill "
            f"them, {name}.filled(value), and pass their mask as a condition where the model takes one"
        )
    try:
        array = np.asarray(thing)
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{name} must hold rows of one shape (pad those that are shorter), got {say(thing)}"
        ) from error
    if array.dtype.kind not in "fiubc":
        raise ValueError(f"{name} must hold numbers, got {say(thing)} ({array.dtype})")
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    array = np.ascontiguousarray(array).reshape(array.shape)
    try:
        return torch.from_numpy(array if array.flags.writeable else array.copy())
    except TypeError as error:
        raise ValueError(f"{name} must hold numbers that torch knows, got {say(array)}") from error


def axis_numbers(axes: Any, d: int) -> list[int]:
    """The numbers of some of d axes that a caller named, by themselves or by a mask ``[d]`` of those to keep.

    Raises ValueError for anything else, for numbers that aren't there or come twice, and for none.
    """
    given = as_tensor(axes, "axes")
    if given.dtype == torch.bool and tuple(given.shape) == (d,):
        given = given.nonzero()[:, 0]
    whole = not (given.is_floating_point() or given.is_complex() or given.dtype == torch.bool)
    if given.ndim != 1 or (len(given) and not whole):
        raise ValueError(f"axes must be whole numbers [k], or a mask [{d}] of bool, got {say(given)}")
    found = [int(k) for k in given.tolist()]
    if not found or len(set(found)) < len(found) or not 0 <= min(found) <= max(found) < d:
        raise ValueError(f"axes must be different numbers from 0 to {d - 1}, at least one, got {found}")
    return found


def _kind(x: Tensor) -> str:
    kind = "nested" if x.is_nested else "quantized" if x.is_quantized else str(x.layout)
    return f"{kind}, of {x.dtype}"
