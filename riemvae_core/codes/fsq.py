r"""Finite scalar quantization: every axis is rounded to a few levels, and the grid needs no learning.

Mentzer et al. (2023). Axis k has $K_k$ levels, so there are $\prod_k K_k$ codes. A code's number reads its
levels as digits, the first axis the fastest.
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from numbers import Integral
from operator import mul

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.codes.quantizer import (
    MOST_CODES,
    Quantized,
    at_least_single,
    check_codes,
    count_codes,
    perplexity,
    straight_through,
)
from riemvae_core.numerics import check_finite, check_points

MARGIN = 1e-3


def fsq_bound(z: Float[Tensor, "*batch d"], levels: Sequence[int]) -> Float[Tensor, "*batch d"]:
    r"""Squash each axis into the range that rounds to its levels: $\frac{(1+\delta)(K_k-1)}2\tanh(z_k+h)-l$.

    For odd $K_k$ the offset l and the shift h are 0; for even ones l is 1/2, and h such that 0 stays at 0.
    The margin $\delta=10^{-3}$ keeps the outermost levels within reach.
    """
    half, offset = _half_and_offset(z, levels)
    return half * torch.tanh(z + torch.atanh(offset / half)) - offset


def fsq_quantize(z: Float[Tensor, "*batch d"], levels: Sequence[int]) -> Quantized:
    r"""Round the bounded point on every axis, with the straight-through gradient, to values in [-1, 1].

    ``z_q`` is the rounded value over $\lfloor K_k/2\rfloor$, in z's dtype; half precision is worked in in
    single, in which the perplexity comes too. There is no codebook to be learned and nothing to commit to:
    both losses are 0. Raises ValueError for shapes that don't fit, points that aren't finite, an axis of
    fewer than 3 levels or of more than z's dtype tells apart (256 in bfloat16, 2,048 in half precision), and
    for more than $2^{28}$ codes, which can't be counted. Mentzer et al. (2023), section 3.1.

    Example:
        >>> rc.fsq_quantize(torch.tensor([[-5.0], [0.2], [5.0]]), [3]).z_q.flatten()
        tensor([-1.00,  0.00,  1.00])
    """
    width = _width(z, levels)
    check_finite(z=z)
    if z.numel() == 0:
        raise ValueError(f"z must hold at least one point, got {tuple(z.shape)}")
    if (k := math.prod(levels)) > MOST_CODES:
        raise ValueError(
            f"levels must make at most {MOST_CODES:,} codes to be counted, got {k:,} of {_say(levels)}"
        )
    bounded = fsq_bound(z.to(width.dtype), levels)
    # beyond 1,001 levels the margin is half a level and more
    rounded = bounded.detach().round().clamp(-width, width.new_tensor(list(levels)) - 1 - width)
    z_q = (straight_through(bounded, rounded) / width).to(z.dtype)
    codes = fsq_codes(z_q.detach(), levels)
    counts, zeros = count_codes(codes, k), torch.zeros_like(bounded[..., 0])
    return Quantized(z_q, codes, zeros, zeros, counts, (counts > 0).sum(), perplexity(counts.to(width.dtype)))


def fsq_codes(z_q: Float[Tensor, "*batch d"], levels: Sequence[int]) -> Int[Tensor, "*batch"]:
    """The numbers of rounded points; the inverse of ``fsq_vectors``.

    The level on each axis, counted from 0, times the product of the numbers of levels of the axes before it,
    summed: digits of a number with mixed bases. Mentzer et al. (2023), section 3.1. Raises ValueError for
    shapes that don't fit, points beyond the levels, an axis of fewer than 3 levels or of more than the dtype
    tells apart, and for codes beyond int64.

    Example:
        >>> levels, codes = [3, 4], torch.arange(12)
        >>> torch.equal(rc.fsq_codes(rc.fsq_vectors(codes, levels), levels), codes)
        True
    """
    width = _width(z_q, levels, "z_q")
    digits, sizes = (z_q.to(width.dtype) * width + width).round(), width.new_tensor(list(levels))
    if not bool(((digits >= 0) & (digits < sizes)).all()):
        raise ValueError(f"z_q must lie on the levels, from -1 to at most 1 on each axis of {tuple(levels)}")
    digits = digits.long()
    return (digits * torch.tensor(_places(levels), device=z_q.device)).sum(-1)


def fsq_vectors(codes: Int[Tensor, "*batch"], levels: Sequence[int]) -> Float[Tensor, "*batch d"]:
    """The rounded points of codes; all of them are the implicit codebook, ``fsq_vectors(arange(k), levels)``.

    Mentzer et al. (2023), section 3.1. Raises ValueError for a code outside of 0 to k - 1, and
    for codes beyond int64.

    Example:
        >>> rc.fsq_vectors(torch.arange(3), [3]).flatten()
        tensor([-1.00,  0.00,  1.00])
    """
    _check(levels)
    check_codes(codes, math.prod(levels))
    sizes, places = (torch.tensor(values, device=codes.device) for values in (list(levels), _places(levels)))
    digits = codes[..., None] // places % sizes
    return (digits - sizes // 2) / (sizes // 2)


def _places(levels: Sequence[int]) -> list[int]:
    return [1, *accumulate(levels, mul)][: len(levels)]


def _width(z: Tensor, levels: Sequence[int], name: str = "z") -> Tensor:
    """Half the levels of each axis, in single precision at least."""
    _check(levels)
    check_points(z, len(levels), name)
    most = round(2.0 / torch.finfo(z.dtype).eps)
    if max(levels) > most:
        raise ValueError(
            f"levels must be at most {most:,} an axis for {name} of {z.dtype}, which tells no more apart, "
            f"got {_say(levels)}" + (f": take {name}.float()" if z.element_size() < 4 else "")
        )
    return z.new_tensor([size // 2 for size in levels], dtype=at_least_single(z.dtype))


def _half_and_offset(z: Tensor, levels: Sequence[int]) -> tuple[Tensor, Tensor]:
    _check(levels)
    check_points(z, len(levels))
    check_finite(z=z)
    half = z.new_tensor([(size - 1) * (1 + MARGIN) / 2 for size in levels])
    return half, z.new_tensor([0.0 if size % 2 else 0.5 for size in levels])


def _check(levels: Sequence[int]) -> None:
    if (
        not isinstance(levels, Sequence)
        or not levels
        or not all(isinstance(size, Integral) and 3 <= size < 2**31 for size in levels)
    ):
        raise ValueError(f"levels must name at least 3 levels for each axis, got {levels!r}")
    if math.prod(levels) >= 2**63:
        raise ValueError(f"levels must make fewer than 2**63 codes, which int64 holds, got {_say(levels)}")


def _say(levels: Sequence[int]) -> str:
    return repr(tuple(levels)) if len(levels) <= 8 else f"{len(levels)} axes of up to {max(levels):,}"
