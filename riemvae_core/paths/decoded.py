"""Paths measured where their decoded images lie: chords, and shortest paths without a Jacobian."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.numerics import check_finite, check_number, with_own_gradients
from riemvae_core.paths.curves import straight_line
from riemvae_core.paths.notices import tell
from riemvae_core.paths.search import Geodesic

Decode = Callable[[Tensor], Tensor]


def decoded_steps(decode: Decode, curve: Float[Tensor, "*batch t d"]) -> Float[Tensor, "*batch s"]:
    r"""How far apart neighboring images of a curve are, $\|g(\gamma_{t+1})-g(\gamma_t)\|$.

    Their sum is the decoded length, a sum of chords: never more than the curve's length in the pullback
    metric $J^\top J$, and nearly as much where points are dense; in gray levels (chapter 8). ``decode`` maps
    codes ``[n, d]`` to images ``[n, ...]``. Raises ValueError for a curve of fewer than two points or with
    numbers that aren't finite, or images that are not one of floating numbers for each code;
    FloatingPointError where images aren't finite.

    Example:
        >>> rc.decoded_steps(lambda z: z**2, torch.tensor([[0.0], [1.0], [2.0]]))
        tensor([1.00, 3.00])
    """
    steps = _steps(decode, curve)
    bad = ~torch.isfinite(steps)
    if bool(bad.any()):
        *row, step = bad.nonzero()[0].tolist()
        raise FloatingPointError(
            f"decode must return finite images, got others at step {step}{f' of curve {row}' if row else ''}"
        )
    return steps


def _steps(decode: Decode, curve: Tensor) -> Tensor:
    check_finite(curve=curve)
    if curve.ndim < 2 or curve.shape[-2] < 2 or curve.shape[-1] < 1:
        raise ValueError(f"curve must be [*batch, t, d] with t at least 2, got {tuple(curve.shape)}")
    flat = curve.reshape(-1, curve.shape[-1])
    images = decode(flat)
    if not isinstance(images, Tensor) or images.shape[:1] != flat.shape[:1]:
        came = tuple(images.shape) if isinstance(images, Tensor) else type(images).__name__
        raise ValueError(f"decode must return a tensor [{len(flat)}, ...], got {came}")
    if not images.is_floating_point():
        raise ValueError(f"decode must return floating numbers, got {images.dtype}, whose differences wrap")
    images = images.float() if images.dtype.itemsize < 4 else images  # half precision can't tell neighbors
    pixels = images.flatten(1) if images.ndim > 1 else images[:, None]
    pixels = pixels.reshape(*curve.shape[:-1], pixels.shape[1])
    return torch.linalg.vector_norm(pixels.diff(dim=-2), dim=-1)


@with_own_gradients
def shortest_decoded(
    decode: Decode,
    a: Float[Tensor, "b d"],
    b: Float[Tensor, "b d"],
    n_points: int = 65,
    *,
    waves: int = 16,
    max_steps: int = 300,
    tol: float = 1e-4,
) -> Geodesic:
    r"""The straight line from a to b, bent until its decoded images make the shortest way: a geodesic of
    $J^\top J$ that needs no Jacobian.

    The energy of the chords, the squared steps of ``decoded_steps`` over the time of one, is minimized over
    straight lines plus ``waves`` sine waves $\sin(j\pi t)/j$, in which the energy of a flat decoder is a
    plain sum of squares. Chords are the discretization of Shao, Kumar and Fletcher (2018); they cut corners,
    so the length is slightly below that of the decoded curve. One search, from the straight line: the minimum
    is a local one.

    ``length`` is the sum of the chords, ``energy`` as above. A path has converged when its length does not
    change by more than 0.5% with four times the points, and a gradient step would lower its energy by no more
    than ``tol`` of it; others are told by a ``PathWarning``. ``max_steps`` iterations of L-BFGS, which moves
    all pairs together. Raises ValueError for ends of different shapes or with numbers that aren't finite, for
    settings out of range and for a ``decode`` that autograd can't follow; FloatingPointError for images on a
    straight line that aren't finite.

    Example:
        >>> polar = lambda z: z[:, :1] * torch.stack([z[:, 1].cos(), z[:, 1].sin()], -1)
        >>> a, b = torch.tensor([[[1.0, 0.0]], [[1.0, math.pi / 2]]]).double()
        >>> rc.shortest_decoded(polar, a, b).length.item()  # the chord of a quarter circle
        1.414
    """
    check_finite(a=a, b=b)
    if a.ndim != 2 or a.shape != b.shape or a.shape[1] < 1 or a.dtype != b.dtype:
        raise ValueError(
            f"a and b must both be [n, d], got {tuple(a.shape)} {a.dtype} and {tuple(b.shape)} {b.dtype}"
        )
    check_number(3, whole=True, n_points=n_points)
    check_number(1, whole=True, waves=waves, max_steps=max_steps)
    check_number(positive=True, tol=tol)
    line, reach = straight_line(a, b, n_points).detach(), (b - a).detach().norm(dim=-1)[:, None, None]
    size = a.new_zeros(len(a), waves, a.shape[1]).requires_grad_()

    def bent(sizes: Tensor, n: int) -> Tensor:
        times = torch.arange(n, dtype=a.dtype, device=a.device) / (n - 1)
        order = torch.arange(1, waves + 1, dtype=a.dtype, device=a.device)[:, None]
        shapes = math.sqrt(2.0) * torch.sin(math.pi * order * times) / (math.pi * order)
        shapes[:, [0, -1]] = 0.0
        base = line if n == n_points else straight_line(line[:, 0], line[:, -1], n)
        return base + reach * torch.einsum("bmd,mt->btd", sizes, shapes)

    def energies(sizes: Tensor) -> Tensor:
        return (n_points - 1) * _steps(decode, bent(sizes, n_points)).square().sum(-1)

    with torch.no_grad():
        if len(a):
            decoded_steps(decode, line)
        start = energies(size)
        # ends that decode alike have no energy to be a share of, nor one whose inverse is a number
        start = torch.where(start > n_points * torch.finfo(a.dtype).tiny, start, torch.ones_like(start))
    search = torch.optim.LBFGS([size], max_iter=max_steps, history_size=20, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        with torch.enable_grad():
            total = (energies(size) / start).sum()
            if not total.requires_grad:
                raise ValueError("decode must be followed by autograd, got images without a graph")
            (grad,) = torch.autograd.grad(total, size)
        size.grad = grad.contiguous()
        return total.detach()

    if len(a):
        search.step(closure)
        closure()
    with torch.no_grad():
        curve = bent(size, n_points)
        steps, fine = (_steps(decode, bent(size, n)) for n in (n_points, 4 * n_points - 3))
        energy, length = (n_points - 1) * steps.square().sum(-1), steps.sum(-1)
        # what a step wins where the Hessian is 2, as in a flat metric
        gain = 0.25 * size.grad.square().sum((1, 2)) * start if len(a) else energy
        done = (gain <= tol * energy) & ((fine.sum(-1) - length).abs() <= 5e-3 * length)
        spent = torch.full_like(length, search.state[size]["func_evals"] if len(a) else 0, dtype=torch.long)
    tell("shortest_decoded", done, spent >= max_steps, "Raise max_steps, n_points or waves (chapter 8).")
    return Geodesic(curve.detach(), length, energy, done, spent)
