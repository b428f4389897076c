r"""Curves on a latent space: their length and energy in any metric, and how their points are spaced.

A curve is a tensor ``[*batch, t, d]``: t points at equal times in [0, 1], joined by straight pieces. A metric
is any callable that takes ``z [*batch, d]`` to ``G(z) [*batch, d, d]``.
"""

import functools
from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.numerics import check_finite, check_number, chunks
from riemvae_core.paths.forms import form_of

#: A metric as paths take it: any callable from points z ``[*batch, d]`` to matrices G(z) ``[*batch, d, d]``.
Metric = Callable[[Tensor], Tensor]

ORDER = 8  # Gauss points on each straight piece, for the numbers that are reported


def gauss_rule(order: int, like: Tensor) -> tuple[Float[Tensor, " q"], Float[Tensor, " q"]]:
    """Points and weights of the Gauss-Legendre rule on [0, 1], with the device and dtype of ``like``."""
    points, weights = _legendre(order)
    return tuple(
        torch.as_tensor(v, dtype=like.dtype, device=like.device) for v in ((points + 1) / 2, weights / 2)
    )


@functools.cache
def _legendre(order: int) -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(order)


def piece_squares(
    metric, curve: Float[Tensor, "*batch t d"], order: int, signed: bool = False
) -> Float[Tensor, "*batch s q"]:
    r"""$\Delta^\top G\,\Delta$ of each of the s = t - 1 straight pieces $\Delta$ at its Gauss points."""
    d, form = curve.shape[-1], form_of(metric)
    points, _ = gauss_rule(order, curve)
    step = curve.diff(dim=-2).reshape(-1, 1, d)
    z = curve[..., :-1, :].reshape(-1, 1, d) + points[:, None] * step
    parts = []
    for s in chunks(len(z), 2 * order * form.numbers(d) * curve.element_size()):
        parts.append(form.squares(z[s], step[s].expand_as(z[s])))
    squares = torch.cat(parts) if parts else z[..., 0]
    squares = squares.reshape(*curve.shape[:-2], curve.shape[-2] - 1, order)
    return squares if signed else squares.clamp_min(0.0)


def _check_curve(curve: Tensor) -> None:
    check_finite(curve=curve)
    if curve.ndim < 2 or curve.shape[-2] < 2 or curve.shape[-1] < 1:
        raise ValueError(f"curve must be [*batch, t, d] with t at least 2, got {tuple(curve.shape)}")


def _check_squares(metric, curve: Tensor, order: int) -> Tensor:
    """The pieces' squares; FloatingPointError, by curve and point, where one is NaN, infinite or negative."""
    _check_curve(curve)
    check_number(1, whole=True, order=order)
    squares = piece_squares(metric, curve, order, signed=True)
    if squares.numel():
        bad = ~torch.isfinite(squares) | (squares < -1e-6 * squares.detach().abs().amax())
        if bool(bad.any()):
            *row, piece, _ = bad.nonzero()[0].tolist()
            raise FloatingPointError(
                "metric must be finite and positive semidefinite, got a squared speed of "
                f"{squares[bad][0].item()} on piece {piece}" + (f" of curve {row}" if row else "")
            )
    return squares.clamp_min(0.0)


def curve_length(
    metric: Metric, curve: Float[Tensor, "*batch t d"], *, order: int = ORDER
) -> Float[Tensor, "*batch"]:
    r"""Length of a curve, $\int_0^1\sqrt{\dot\gamma^\top G(\gamma)\,\dot\gamma}\,dt$, in the metric's units.

    The curve is taken as straight pieces between its points, each integrated with ``order`` Gauss points, so
    a metric that changes within a piece is seen. Chadebec and Allassonniere (2022), eq. (4). A metric
    with a ``log_diagonal`` is asked for that alone. Raises ValueError for a curve of fewer than two points or
    with numbers that aren't finite, or a metric of a wrong shape; FloatingPointError where the metric isn't
    finite and positive semidefinite along the curve.

    Example:
        >>> from riemvae_core.metrics import HalfPlaneMetric
        >>> rc.curve_length(HalfPlaneMetric(), torch.tensor([[0.0, 1.0], [0.0, math.e]]))  # log e
        tensor(1.000)
    """
    squares = _check_squares(metric, curve, order)
    return (squares.sqrt() * gauss_rule(order, curve)[1]).sum((-2, -1))


def curve_energy(
    metric: Metric, curve: Float[Tensor, "*batch t d"], *, order: int = ORDER
) -> Float[Tensor, "*batch"]:
    r"""Energy of a curve, $\int_0^1\dot\gamma^\top G(\gamma)\,\dot\gamma\,dt$ with no half.

    The points stand at equal times in [0, 1]. By Cauchy and Schwarz it is at least the squared length, and
    equal to it at constant speed (derived in chapter 8); this holds for the sums computed here too, since
    both use the same rule (``curve_length``). Raises ValueError as that does.

    Example:
        >>> from riemvae_core.metrics import ConstantMetric
        >>> plain, uneven = ConstantMetric(torch.eye(1)), torch.tensor([[0.0], [1.0], [4.0]])
        >>> rc.curve_length(plain, uneven) ** 2, rc.curve_energy(plain, uneven)
        (tensor(16.00), tensor(20.00))
    """
    squares = _check_squares(metric, curve, order)
    return squares.shape[-2] * (squares * gauss_rule(order, curve)[1]).sum((-2, -1))


def length_of(form, curve: Float[Tensor, "*batch t d"], order: int = ORDER) -> Float[Tensor, "*batch"]:
    """``curve_length`` within a search, where a curve may have none that is finite."""
    return piece_lengths(form, curve, order).sum(-1)


def energy_of(form, curve: Float[Tensor, "*batch t d"]) -> Float[Tensor, "*batch"]:
    """``curve_energy`` within a search."""
    _, weights = gauss_rule(ORDER, curve)
    return (curve.shape[-2] - 1) * (piece_squares(form, curve, ORDER) * weights).sum((-2, -1))


def straight_line(
    a: Float[Tensor, "*batch d"], b: Float[Tensor, "*batch d"], n: int
) -> Float[Tensor, "*batch n d"]:
    r"""n points from a to b at equal distances, both ends exact: $a+t(b-a)$ for t from 0 to 1.

    n is at least 2. Raises ValueError for ends of different shapes or dtypes, or that are not finite.

    Example:
        >>> from riemvae_core.paths import straight_line
        >>> straight_line(torch.tensor([0.0]), torch.tensor([4.0]), n=3).flatten()
        tensor([0.00, 2.00, 4.00])
    """
    check_finite(a=a, b=b)
    if a.shape != b.shape or a.ndim < 1 or a.dtype != b.dtype:
        raise ValueError(
            f"b must have a's shape and dtype, {tuple(a.shape)} {a.dtype}, got {tuple(b.shape)} {b.dtype}"
        )
    check_number(2, whole=True, n=n)
    t = torch.arange(n, dtype=a.dtype, device=a.device)[:, None] / (n - 1)
    return torch.lerp(a.unsqueeze(-2), b.unsqueeze(-2), t)


def piece_lengths(metric, curve: Float[Tensor, "*batch t d"], order: int) -> Float[Tensor, "*batch s"]:
    """Length of each straight piece of a curve."""
    _, weights = gauss_rule(order, curve)
    return (piece_squares(metric, curve, order).sqrt() * weights).sum(-1)


def respaced(
    curve: Float[Tensor, "*batch t d"], pieces: Float[Tensor, "*batch s"], n: int
) -> Float[Tensor, "*batch n d"]:
    """n points at equal distances along a curve whose pieces have the lengths ``pieces``; the ends stay.

    ``pieces`` may be measured in any metric. A curve of no finite, positive length keeps its own spacing.
    Raises ValueError for shapes that don't fit and numbers that are NaN or, in ``curve``, not finite. Used in
    chapter 8.

    Example:
        >>> from riemvae_core.paths import respaced
        >>> respaced(torch.tensor([[0.0], [1.0], [4.0]]), torch.tensor([1.0, 3.0]), n=3).flatten()
        tensor([0.00, 2.00, 4.00])
    """
    _check_curve(curve)
    check_number(2, whole=True, n=n)
    if pieces.shape != (*curve.shape[:-2], curve.shape[-2] - 1):
        raise ValueError(
            f"pieces must be one length for each piece of a curve {tuple(curve.shape)}, got "
            f"{tuple(pieces.shape)}"
        )
    bad = pieces.isnan() | (pieces < 0.0)
    if bool(bad.any()):
        first = bad.nonzero()[0].tolist()
        raise ValueError(f"pieces must be at least 0, got {pieces[bad][0].item()} at {first}")
    return spaced(curve, pieces, n)


def spaced(
    curve: Float[Tensor, "*batch t d"], pieces: Float[Tensor, "*batch s"], n: int
) -> Float[Tensor, "*batch n d"]:
    """``respaced`` within a search, where lengths may be NaN."""
    total = pieces.sum(-1, keepdim=True)
    pieces = torch.where(torch.isfinite(total) & (total > 0), pieces, torch.ones_like(pieces))
    along = torch.cat([torch.zeros_like(total), pieces.cumsum(-1)], -1)
    share = torch.arange(1, n - 1, dtype=curve.dtype, device=curve.device) / (n - 1)
    wanted = along[..., -1:] * share
    right = torch.searchsorted(along, wanted).clamp(1, curve.shape[-2] - 1)
    before, after = along.gather(-1, right - 1), along.gather(-1, right)
    t = ((wanted - before) / (after - before).clamp_min(torch.finfo(curve.dtype).tiny)).clamp(0.0, 1.0)
    rows = right.unsqueeze(-1).expand(*right.shape, curve.shape[-1])
    inner = torch.lerp(curve.gather(-2, rows - 1), curve.gather(-2, rows), t.unsqueeze(-1))
    return torch.cat([curve[..., :1, :], inner, curve[..., -1:, :]], -2)


def at_constant_speed(metric, curve: Float[Tensor, "*batch t d"], n: int) -> Float[Tensor, "*batch n d"]:
    """n points on a curve at equal distances along it, measured in the metric; the ends stay."""
    within = torch.arange(1, 5, dtype=curve.dtype, device=curve.device)[:, None] / 4
    inner = torch.lerp(curve[..., :-1, None, :], curve[..., 1:, None, :], within).flatten(-3, -2)
    dense = torch.cat([curve[..., :1, :], inner], -2)
    return spaced(dense, piece_lengths(metric, dense, 2), n)


def at_mixed_spacing(
    metric, curve: Float[Tensor, "*batch t d"], n: int
) -> tuple[Float[Tensor, "*batch n d"], Float[Tensor, "*batch s"]]:
    """n points whose distances along the curve are equal, in the mean of plain length and the metric's.

    So neither a cheap stretch nor a dear one is left without points. With them the times of the pieces at
    constant speed, 1 in sum; a piece of next to no length keeps a little time.
    """
    plain, own = curve.diff(dim=-2).norm(dim=-1), piece_lengths(metric, curve, 2)
    mixed = plain / plain.sum(-1, keepdim=True) + own / own.sum(-1, keepdim=True)
    points = spaced(curve, mixed, n)
    own = piece_lengths(metric, points, 2)
    times = (own / own.sum(-1, keepdim=True)).nan_to_num(1.0) + 1e-6
    return points, times / times.sum(-1, keepdim=True)
