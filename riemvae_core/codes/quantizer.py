"""Codes as cluster centers: the nearest code, the straight-through gradient, the usage of a codebook."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from riemvae_core.neighbors import FAR, middle
from riemvae_core.numerics import (
    check_finite,
    check_floats,
    check_number,
    check_points,
    chunks,
)

# Bytes of products at a time: on a processor they stay in its cache, which makes the search 3 times as fast.
BUDGET = {"cpu": 2**20}
WHOLE = {torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}
# so many codes are counted at most: their counts take 2 GB
MOST_CODES = 2**28


def at_least_single(dtype: torch.dtype) -> torch.dtype:
    """float32 in place of half precision, in which sums of many lose digits or leave its range (65,504)."""
    return torch.promote_types(dtype, torch.float32)


class Quantized(NamedTuple):
    r"""Points moved to their codes, and what that says of the codebook.

    ``z_q`` has the value of the code and hands its gradient to the point. ``codebook_loss``,
    $\|\mathrm{sg}[z]-Q(z)\|^2$, and ``commitment``, $\|z-\mathrm{sg}[Q(z)]\|^2$, are the same number with
    different gradients: the first moves the code, the second the point. ``counts`` says how many points each
    code got; ``used`` is the number of codes that got any, ``perplexity`` the number of equally popular codes
    that would be as unpredictable. Losses are squared distances, summed over the d axes; of points in half
    precision they and the perplexity come in single, since half's own range ends at 65,504. van den Oord et
    al. (2017), eq. (3).

    Example:
        >>> q = rc.quantize(torch.tensor([[0.2], [0.9]]), torch.tensor([[0.0], [1.0], [7.0]]))
        >>> q.commitment, q.counts, q.used
        (tensor([0.04, 0.01]), tensor([1, 1, 0]), tensor(2))
    """

    z_q: Float[Tensor, "*batch d"]
    codes: Int[Tensor, "*batch"]
    codebook_loss: Float[Tensor, "*batch"]
    commitment: Float[Tensor, "*batch"]
    counts: Int[Tensor, " k"]
    used: Int[Tensor, ""]
    perplexity: Float[Tensor, ""]


@torch.no_grad()
def nearest_code(z: Float[Tensor, "*batch d"], codebook: Float[Tensor, "k d"]) -> Int[Tensor, "*batch"]:
    r"""The code nearest to each point, $k^*(z)=\arg\min_k\|z-e_k\|^2$, as its row in the codebook.

    $\|z-e_k\|^2$ less $\|z\|^2$, which is the same for all codes, takes one matrix product; with the origin
    moved to the middle of the codebook it keeps its digits wherever the codes lie (in double precision, where
    one lies far from the others, or products leave single's range). Half precision is worked in in single. Of
    codes equally near, up to rounding, any may be taken. Memory stays within 1 MB on a processor, 128 MB
    elsewhere. van den Oord et al. (2017), eq. (1). Raises ValueError for shapes that don't fit, and points or
    codes that aren't finite, which would be given code 0.

    Example:
        >>> rc.nearest_code(torch.tensor([[0.2], [0.9]]), torch.tensor([[0.0], [1.0], [7.0]]))
        tensor([0, 1])
    """
    check_codebook(codebook)
    check_points(z, codebook.shape[-1])
    check_finite(z=z)
    if codebook.dtype != z.dtype or codebook.device != z.device:
        raise ValueError(
            f"codebook must be of z's dtype and device, {z.dtype} on {z.device}, got {codebook.dtype} on "
            f"{codebook.device}"
        )
    e = codebook.to(at_least_single(z.dtype))
    center = middle(e)
    e = e - center
    half_norm = 0.5 * e.square().sum(-1)
    if not 1e-30 < half_norm.max() <= min(FAR * half_norm.median(), 1e30):  # single precision lost digits
        e = codebook.double()
        center = e.median(0).values  # a mean would follow the code that lies far out
        e = e - center
        half_norm = 0.5 * e.square().sum(-1)
    points = z.reshape(-1, z.shape[-1])
    codes = torch.empty(len(points), dtype=torch.int64, device=z.device)
    for s in chunks(len(points), len(e) * max(z.element_size(), 4), BUDGET.get(z.device.type, 2**27)):
        least, codes[s] = torch.addmm(half_norm, points[s].to(e.dtype) - center, e.T, alpha=-1.0).min(-1)
        if not math.isfinite(least.sum()) and not bool(least.isfinite().all()):  # a sum may be what overflows
            if e.dtype != torch.float64:
                return nearest_code(z.double(), codebook.double())
            raise ValueError(f"z and codebook must be below 1e150 in size, got {z.abs().max():g}")
    return codes.reshape(z.shape[:-1])


def straight_through(z: Float[Tensor, "*batch d"], e: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d"]:
    r"""The value of e with the gradient of z: $z + \mathrm{sg}[e_k - z]$, without its rounding.

    Whatever gradient arrives here goes to z as it is, although e doesn't change when z moves a little; e
    gets none. Bengio et al. (2013); van den Oord et al. (2017), section 3.2. Raises ValueError unless the
    two shapes agree.

    Example:
        >>> z = torch.tensor([0.8], requires_grad=True)
        >>> torch.autograd.grad(rc.straight_through(z, z.round()).square().sum(), z)  # 2 e, not 0
        (tensor([2.00]),)
    """
    check_floats(z=z, e=e)
    if e.shape != z.shape:
        raise ValueError(f"e must have z's shape {tuple(z.shape)}, got {tuple(e.shape)}")
    return e.detach() + (z - z.detach())


def quantize(z: Float[Tensor, "*batch d"], codebook: Float[Tensor, "k d"]) -> Quantized:
    r"""Move each point to its nearest code, $z_q = e_{k^*(z)}$, with the straight-through gradient.

    van den Oord et al. (2017), eqs. (1)-(3). Squared distances are summed over the d axes, one value a point,
    in single precision at least, as the perplexity is. Raises ValueError for shapes that don't fit,
    or no point at all.

    Example:
        >>> z, codebook = torch.tensor([[0.2], [0.9]]), torch.tensor([[0.0], [1.0], [7.0]])
        >>> rc.quantize(z, codebook).z_q.flatten()
        tensor([0.00, 1.00])
    """
    codes = nearest_code(z, codebook)
    if codes.numel() == 0:
        raise ValueError(f"z must hold at least one point, got {tuple(z.shape)}")
    e, wide = functional.embedding(codes, codebook), at_least_single(z.dtype)
    counts = count_codes(codes, len(codebook))
    return Quantized(
        z_q=straight_through(z, e),
        codes=codes,
        codebook_loss=(z.detach().to(wide) - e).square().sum(-1),
        commitment=(z.to(wide) - e.detach()).square().sum(-1),
        counts=counts,
        used=(counts > 0).sum(),
        perplexity=perplexity(counts.to(wide)),
    )


def count_codes(codes: Int[Tensor, "*batch"], k: int) -> Int[Tensor, " k"]:
    """How often each of k codes occurs.

    Raises ValueError for codes that aren't whole numbers, or outside of 0 to k - 1, and for k above $2^{28}$,
    whose counts would not fit into memory.

    Example:
        >>> rc.count_codes(torch.tensor([0, 2, 2]), k=4)
        tensor([1, 0, 2, 0])
    """
    check_codes(codes, k)
    if k > MOST_CODES:
        raise ValueError(f"k must be at most {MOST_CODES:,} codes to be counted, got {k:,}")
    return torch.bincount(codes.flatten(), minlength=k)


def check_codes(codes: Tensor, k: int) -> None:
    """Raise ValueError unless codes are a tensor of whole numbers from 0 to k - 1."""
    check_number(1, whole=True, k=k)
    check_whole(codes)
    if codes.numel() and not 0 <= int(codes.min()) <= int(codes.max()) < k:
        raise ValueError(f"codes must lie in 0 to {k - 1}, got {int(codes.min())} to {int(codes.max())}")


def check_whole(codes: Tensor) -> None:
    """Raise ValueError unless codes are a tensor of whole numbers."""
    if not isinstance(codes, Tensor) or codes.dtype not in WHOLE:
        came = codes.dtype if isinstance(codes, Tensor) else type(codes).__name__
        raise ValueError(f"codes must be a tensor of whole numbers, got {came}")


def perplexity(counts: Float[Tensor, "*batch k"]) -> Float[Tensor, "*batch"]:
    r"""How many equally popular codes would be as unpredictable: $\exp(-\sum_k p_k\log p_k)$, from 1 to k.

    $p_k$ is the share of code k in ``counts``, which needs no norm. Of counts in half precision, whose sums
    leave its range, it comes in single. Used in chapter 4. Raises ValueError where all counts are 0 or one is
    negative or not finite.

    Example:
        >>> rc.perplexity(torch.tensor([[5.0, 5.0, 5.0, 5.0], [20.0, 0.0, 0.0, 0.0]]))
        tensor([4.00, 1.00])
    """
    check_finite(counts=counts)
    if counts.ndim == 0:
        raise ValueError("counts must be [*batch, k], got a single number")
    counts = counts.to(at_least_single(counts.dtype))
    total = counts.sum(-1, keepdim=True)
    if counts.numel() == 0 or not bool((total > 0).all()) or bool((counts < 0).any()):
        raise ValueError(
            f"counts must be at least 0 with a positive sum, got sums {total.flatten().tolist()}"
        )
    return torch.special.entr(counts / total).sum(-1).exp()


def check_codebook(codebook: Tensor) -> None:
    """Raise ValueError unless the codebook is [k, d] with at least one code, all of them finite."""
    check_floats(codebook=codebook)
    if codebook.ndim != 2 or codebook.numel() == 0:
        raise ValueError(f"codebook must be [k, d] with at least one code, got {tuple(codebook.shape)}")
    check_finite(codebook=codebook)
