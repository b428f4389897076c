r"""How a codebook learns: k-means, moving averages, and codes that nobody uses brought back to life."""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from riemvae_core.codes.quantizer import at_least_single, check_codebook, count_codes, nearest_code
from riemvae_core.numerics import (
    check_finite,
    check_floats,
    check_held,
    check_number,
    check_points,
    source_of,
)


class CodebookState(NamedTuple):
    """A codebook and the running number of points that each code gets in a batch.

    ``start_state`` makes one, its counts in single precision at least, ``ema_update`` and
    ``reset_dead_codes`` take one to the next.

    Example:
        >>> rc.CodebookState(torch.tensor([[0.0], [8.0]]), counts=torch.ones(2)).counts
        tensor([1.00, 1.00])
    """

    codebook: Float[Tensor, "k d"]
    counts: Float[Tensor, " k"]


class KMeans(NamedTuple):
    """Centers, the mean squared distance of a point to the nearest, and how they were found.

    ``steps`` of Lloyd's were taken; ``converged`` says that the last moved nothing.

    Example:
        >>> found = rc.kmeans_codebook(torch.tensor([[0.0], [1.0], [8.0], [10.0]]), 2, rc.make_generator(0))
        >>> found.distortion, found.converged
        (tensor(0.625), True)
    """

    codebook: Float[Tensor, "k d"]
    distortion: Float[Tensor, ""]
    steps: int
    converged: bool


def start_state(codebook: Float[Tensor, "k d"]) -> CodebookState:
    """A codebook from which moving averages start, every code with the weight of one point.

    Counts of a codebook in half precision are in single. Raises ValueError unless the codebook is ``[k, d]``
    with at least one code.

    Example:
        >>> rc.start_state(torch.tensor([[0.0], [8.0]])).counts
        tensor([1.00, 1.00])
    """
    check_codebook(codebook)
    return CodebookState(codebook, torch.ones_like(codebook[:, 0], dtype=at_least_single(codebook.dtype)))


def _check_state(state: CodebookState) -> None:
    check_codebook(state.codebook)
    check_finite(counts=state.counts)
    (k, _), counts, dtype = state.codebook.shape, state.counts, state.codebook.dtype
    known = dtype, at_least_single(dtype)
    if counts.shape != (k,) or counts.dtype not in known or bool((counts < 0).any()):
        came = f"{list(counts.shape)} {counts.dtype}, {int((counts < 0).sum())} of them negative"
        raise ValueError(f"counts must be [{k}] of {known[1]}, one a code and at least 0, got {came}")


def sum_by_code(z: Float[Tensor, "*batch d"], codes: Int[Tensor, "*batch"], k: int) -> Float[Tensor, "k d"]:
    """The sum of the points of each code, in single precision at least; zero for a code without any."""
    check_finite(z=z)
    if codes.shape != z.shape[:-1]:
        raise ValueError(f"codes must have z's leading shape {tuple(z.shape[:-1])}, got {tuple(codes.shape)}")
    points = z.reshape(-1, z.shape[-1]).to(at_least_single(z.dtype))
    return points.new_zeros(k, z.shape[-1]).index_add_(0, codes.flatten().long(), points)


def kmeans_step(z: Float[Tensor, "*batch d"], codebook: Float[Tensor, "k d"]) -> Float[Tensor, "k d"]:
    r"""One step of Lloyd's k-means: every code moves to the mean of the points that are nearest to it.

    A code without points stays. The sum of squared distances never grows. Half precision is summed in single.
    Lloyd (1982); derived in chapter 4. Raises ValueError for shapes that don't fit.

    Example:
        >>> rc.kmeans_step(torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([[0.0], [8.0]]))
        tensor([[1.00],
                [9.00]])
    """
    codes = nearest_code(z, codebook)
    sums, counts = sum_by_code(z, codes, len(codebook)), count_codes(codes, len(codebook))[:, None]
    means = sums / counts.to(sums.dtype).clamp(min=1.0)
    return torch.where(counts > 0, means.to(codebook.dtype), codebook)


@torch.no_grad()
def kmeans_codebook(
    z: Float[Tensor, "*batch d"], k: int, generator: torch.Generator | None = None, max_steps: int = 100
) -> KMeans:
    """A codebook by k-means: seeded by k-means++ of scikit-learn, then Lloyd's steps until nothing moves.

    Arthur and Vassilvitskii (2007). ``converged`` is False where ``max_steps`` came first. Raises
    ValueError for fewer points than codes, and points that aren't finite.

    Example:
        >>> z = torch.tensor([[0.0], [1.0], [8.0], [10.0]])
        >>> rc.kmeans_codebook(z, 2, rc.make_generator(0)).codebook.flatten().sort().values
        tensor([0.50, 9.00])
    """
    from sklearn.cluster import kmeans_plusplus
    from threadpoolctl import threadpool_limits

    check_floats(z=z)
    check_number(whole=True, k=k, max_steps=max_steps)
    points = z.reshape(-1, z.shape[-1]) if z.ndim and z.numel() else z
    if points.ndim != 2 or not points.numel() or not 1 <= k <= len(points) or max_steps < 1:
        raise ValueError(
            f"k must be from 1 to the number of points and max_steps at least 1, "
            f"got {k} and {max_steps} for z {list(z.shape)}"
        )
    check_finite(z=points)
    if (size := points.abs().max().item()) > 1e150:
        raise ValueError(f"z must be at most 1e150 in size, so that squares are finite, got {size:g}")
    seed = int(torch.randint(2**31, (), generator=generator, device=source_of(generator)))
    with threadpool_limits(1):  # small products: threads that wait for each other cost more than they save
        seeds, _ = kmeans_plusplus(points.cpu().double().numpy(), k, random_state=seed)
    points = points.to(at_least_single(z.dtype))  # sums of many leave half precision
    codebook = torch.as_tensor(seeds, dtype=points.dtype, device=z.device)
    steps, converged = 0, False
    while steps < max_steps and not converged:
        moved = kmeans_step(points, codebook)
        steps, converged, codebook = steps + 1, torch.equal(moved, codebook), moved
    nearest = codebook[nearest_code(points, codebook)]
    return KMeans(codebook, (points - nearest).square().sum(-1).mean(), steps, converged)


def smooth_counts(counts: Float[Tensor, " k"], smoothing: float = 1e-5) -> Float[Tensor, " k"]:
    r"""Laplace's smoothing, $\tilde N_k = \frac{N_k+\delta}{\sum_jN_j+K\delta}\sum_jN_j$.

    ``smoothing`` is $\delta$. The total stays what it was and no count is 0.
    """
    total = counts.sum()
    return (counts + smoothing) / (total + len(counts) * smoothing) * total


@torch.no_grad()
def ema_update(
    state: CodebookState,
    z: Float[Tensor, "*batch d"],
    codes: Int[Tensor, "*batch"],
    decay: float = 0.99,
    smoothing: float = 1e-5,
) -> CodebookState:
    r"""Move the codes to moving averages of their points: k-means on batches, which forgets.

    $N_k \leftarrow \alpha N_k + (1-\alpha)\,n_k$ and $S_k \leftarrow \alpha S_k + (1-\alpha)\sum_{k^*(z)=k}
    z$ with the ``decay`` $\alpha$, then $e_k = S_k/\tilde N_k$ with ``smooth_counts``; van den Oord et al.
    (2017), appendix A.1. The state needs no $S_k$, since $S_k = \tilde N_k e_k$. With decay 0 and no
    smoothing this is ``kmeans_step``. A code that gets no points stays until $N_k$ is as small as the
    smoothing, which then draws it to the origin: reset it before. Of a codebook in half precision sums and
    counts are in single; codes are rounded to half, in which a step of less than a thousandth (a hundredth
    in bfloat16) is lost: train a codebook in single. Raises ValueError for shapes that don't fit, numbers
    that aren't finite, or that the codebook's dtype can't hold, and a decay outside of 0 to 1.

    Example:
        >>> z, codebook = torch.tensor([[0.0], [2.0], [9.0]]), torch.tensor([[0.0], [8.0]])
        >>> codes = rc.nearest_code(z, codebook)
        >>> rc.ema_update(rc.start_state(codebook), z, codes, decay=0.0, smoothing=0.0)
        CodebookState(codebook=tensor([[1.00],
                [9.00]]), counts=tensor([2.00, 1.00]))
    """
    _check_state(state)
    check_points(z, state.codebook.shape[-1])
    check_finite(z=z)
    check_held(state.codebook.dtype, z=z)
    check_number(decay=decay, smoothing=smoothing)
    if not 0.0 <= decay < 1.0 or not 0.0 <= smoothing <= 1e30:
        raise ValueError(f"decay must be in [0, 1) and smoothing at least 0, got {decay} and {smoothing}")
    k, z = len(state.codebook), z.to(state.codebook.dtype)
    before = state.counts.to(at_least_single(z.dtype))
    sums = state.codebook * smooth_counts(before, smoothing)[:, None]
    counts = torch.lerp(count_codes(codes, k).to(before.dtype), before, decay)
    sums = torch.lerp(sum_by_code(z, codes, k), sums, decay)
    smoothed = smooth_counts(counts, smoothing)[:, None]
    means = (sums / smoothed).to(state.codebook.dtype)
    return CodebookState(torch.where(smoothed > 0, means, state.codebook), counts)


def dead_codes(counts: Float[Tensor, " k"], threshold: float) -> Bool[Tensor, " k"]:
    """Which codes are dead: those that get fewer than ``threshold`` points a batch in the running count.

    Dhariwal et al. (2020) (random restarts). Raises ValueError for counts that aren't finite.

    Example:
        >>> rc.dead_codes(torch.tensor([5.0, 0.2, 1.0]), threshold=1.0)
        tensor([False,  True, False])
    """
    check_finite(counts=counts)
    check_number(threshold=threshold)
    if abs(threshold) > 1e30:
        raise ValueError(f"threshold must be at most 1e30, got {threshold}")
    return counts < threshold


@torch.no_grad()
def reset_dead_codes(
    state: CodebookState, z: Float[Tensor, "n d"], noise: Float[Tensor, " n"], threshold: float
) -> CodebookState:
    """Put each dead code on a point of the batch, drawn without replacement, with the count ``threshold``.

    ``noise`` are independent draws of any continuous law, one a point (``torch.rand(n, generator=g)``): the
    points with the largest are taken, so chance comes from the caller. Where there are more dead codes than
    points, the rest has to wait for another batch. A revived code that wins no point in the next batch is
    dead again, and tries its luck elsewhere. Dhariwal et al. (2020) (random restarts). Raises
    ValueError for shapes that don't fit and numbers that aren't finite, or that the codebook can't hold.

    Example:
        >>> state = rc.CodebookState(torch.tensor([[0.0], [99.0]]), torch.tensor([5.0, 0.0]))
        >>> z, noise = torch.tensor([[1.0], [2.0]]), torch.tensor([0.1, 0.9])
        >>> rc.reset_dead_codes(state, z, noise, threshold=1.0).codebook
        tensor([[0.00],
                [2.00]])
    """
    _check_state(state)
    check_points(z, state.codebook.shape[-1])
    check_finite(z=z, noise=noise)
    check_held(state.codebook.dtype, z=z)
    if z.ndim != 2 or noise.shape != z.shape[:1]:
        raise ValueError(
            f"z must be [n, d] and noise [n], got {list(z.shape)} and {list(noise.shape)}: one value a point"
        )
    dead = dead_codes(state.counts, threshold).nonzero().flatten()[: len(z)]
    codebook, counts = state.codebook.clone(), state.counts.clone().to(at_least_single(state.counts.dtype))
    codebook[dead] = z[noise.topk(len(dead)).indices].to(codebook)
    counts[dead] = threshold
    return CodebookState(codebook, counts)
