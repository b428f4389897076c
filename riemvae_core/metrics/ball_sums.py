r"""Sums over many balls, weighted by how near they are: the arithmetic behind the metric they draw."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor

# how large an error in a log volume (d/2 of those in a weight's log) rounding of expanded squares may cause
TOLERANCE = {torch.float32: 1e-3, torch.float64: 1e-8}
# a weight's log is raised to this, as exp of a hugely negative number is slow
FLOOR = {torch.float32: -80.0, torch.float64: -600.0}
# weights so raised stay below exp(-30) of a sum if the logs of precisions spread by no more than this
SPREAD = {dtype: -floor - 30.0 for dtype, floor in FLOOR.items()}
# weights are worked on in blocks of points x balls that stay in a processor's cache, of so many balls or more
CACHE_BYTES, BLOCK = 2**21, 1024
# all weights of a chunk of points; from 32 MB on, a common allocator asks the system for new pages every time
STORE_BYTES = 31 * 2**20


def _middle(mu: Float[Tensor, "n d"]) -> Float[Tensor, " d"]:
    return mu.sort(0).values[len(mu) // 2]


def _has_float64(device: torch.device) -> bool:
    return device.type != "mps"


class BallSums:
    r"""Weights $\omega_i(z)=\exp(-\sum_k(z_k-\mu_{ik})^2/(\rho\sigma_{ik})^2)$ of balls and sums over them.

    Works in ``dtype``, float64 where the balls' own precision would lose digits and the device has it. Balls
    whose expanded square still loses too many are kept last, from ``n_expanded`` on, and measured by
    differences. Squares are expanded about the coordinates' medians, which one unusual row doesn't move.
    Where radii differ so much that even in float64 a far ball's precision outweighs what its weight has
    fallen to, sums are taken in logs, at the price of a pass over all pairs for each axis. Points must come
    in ``dtype``.
    """

    def __init__(self, mu: Float[Tensor, "n d"], log_var: Float[Tensor, "n d"], rho: float) -> None:
        self.rho, tolerance = rho, TOLERANCE[mu.dtype] / max(0.5 * mu.shape[1], 10.0)
        wide = torch.float64 if _has_float64(mu.device) else torch.float32
        gap = mu.to(wide) - _middle(mu).to(wide)
        size = 4.0 * (torch.exp(-log_var.to(wide)) * gap.square()).sum(1) / rho**2
        spread = math.log(len(mu)) - log_var.min().item() + max(log_var.max().item(), 0.0)
        keeps = bool((size * torch.finfo(mu.dtype).eps <= tolerance).all()) and spread <= SPREAD[mu.dtype]
        self.dtype = mu.dtype if keeps else wide
        self._uneven = spread > SPREAD[self.dtype]
        by_difference = ~(size * torch.finfo(self.dtype).eps <= tolerance)
        order = torch.argsort(by_difference.to(torch.uint8), stable=True)
        self.n, self.n_expanded = len(mu), len(mu) - int(by_difference.sum())
        self._mu, self._log_var = mu.to(self.dtype)[order], log_var.to(self.dtype)[order]
        precision = torch.exp(-self._log_var)
        self._center = _middle(self._mu)
        offset = self._mu - self._center
        constant = (precision * offset.square()).sum(1, keepdim=True)
        self._factors = torch.cat([precision, precision * offset, constant], dim=1)  # [n, 2d + 1]
        # a diagonal above this loses nothing to weights that were raised to the floor
        self._floor = FLOOR[self.dtype]
        self._least = math.exp(0.5 * self._floor) * precision.sum(0)

    @property
    def precision(self) -> Float[Tensor, "n d"]:
        r"""The precisions $\sigma_{ik}^{-2}$ of the balls in the order kept here."""
        return self._factors[:, : self._mu.shape[1]]

    @property
    def chunk_rows(self) -> int:
        """So many points at a time keep a block within ``CACHE_BYTES``, all blocks within ``STORE_BYTES``."""
        size = self.dtype.itemsize
        return max(1, min(CACHE_BYTES // (size * min(self.n, BLOCK)), STORE_BYTES // (size * self.n)))

    def _blocks(self, m: int) -> Iterator[slice]:
        size = max(BLOCK, CACHE_BYTES // (self.dtype.itemsize * max(m, 1)))
        for start, stop in ((0, self.n_expanded), (self.n_expanded, self.n)):
            for first in range(start, stop, size):
                yield slice(first, min(first + size, stop))

    def _features(self, z: Float[Tensor, "m d"]) -> Float[Tensor, "m e"]:
        rows = (z - self._center) / self.rho
        most = torch.finfo(rows.dtype).max  # beyond it sums are no numbers, which their caller names
        last = torch.full_like(rows[:, :1], -min(1.0 / self.rho**2, most))
        return torch.cat([-rows.square(), rows * (2.0 / self.rho), last], dim=1)

    def _expanded(
        self, features: Float[Tensor, "m e"], block: slice, out: Tensor | None = None
    ) -> Float[Tensor, "m b"]:
        return torch.mm(features, self._factors[block].T, out=out)

    def _by_difference(self, z: Float[Tensor, "m d"], block: slice) -> Float[Tensor, "m b"]:
        scaled, logs = self.precision[block] / self.rho**2, z.new_zeros(())
        for axis in range(z.shape[1]):
            logs = logs - scaled[:, axis] * (z[:, axis, None] - self._mu[block, axis]).square()
        return logs

    def _log_weights(self, z: Float[Tensor, "m d"]) -> list[Float[Tensor, "m b"]]:
        features, blocks = self._features(z), self._blocks(len(z))
        return [
            self._expanded(features, b) if b.start < self.n_expanded else self._by_difference(z, b)
            for b in blocks
        ]

    def _in_logs(
        self, logs: Float[Tensor, "m n"], log_background: Float[Tensor, "m 1"]
    ) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m 1"]]:
        """What ``sums`` returns, however unlike the radii are."""
        parts = [torch.cat([logs - v, log_background], dim=1).logsumexp(1) for v in self._log_var.T]
        log_diagonal = torch.stack(parts, dim=1)
        shift = log_diagonal.mean(1, keepdim=True).detach()
        return torch.exp(log_diagonal - shift), shift

    def _pull_in_logs(
        self,
        z: Float[Tensor, "m d"],
        log_background: Float[Tensor, "m 1"],
        along: Float[Tensor, "m d"] | None,
    ) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m 1"], Float[Tensor, "m d"]]:
        """What ``sums_and_pull`` returns, however unlike the radii are."""
        logs, precision = torch.cat(self._log_weights(z), dim=1), self.precision
        diagonal, shift = self._in_logs(logs, log_background)
        log_along = (-torch.log(diagonal) if along is None else torch.log(along)) - shift
        parts = zip(self._log_var.T, log_along.T, strict=True)
        shares = sum(torch.exp(logs - v + a[:, None]) for v, a in parts)
        gaps = zip(z.T, self._mu.T, precision.T, strict=True)
        return diagonal, shift, torch.stack([(shares * (x[:, None] - mu)) @ p for x, mu, p in gaps], dim=1)

    def sums(
        self, z: Float[Tensor, "m d"], log_background: Float[Tensor, "m 1"]
    ) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m 1"]]:
        r"""The diagonal $G_{kk}=\sum_i\omega_i\sigma_{ik}^{-2}$ plus background, over exp(shift); shift.

        The shift is the largest log among background and weights, so nothing underflows. Torch
        can differentiate it. The logs of all weights are stored, one number for each pair of point and ball.
        """
        logs, blocks = self._log_weights(z), self._blocks(len(z))
        if self._uneven:
            return self._in_logs(torch.cat(logs, dim=1), log_background)
        largest = torch.cat([log_background, *(x.amax(1, keepdim=True) for x in logs)], dim=1)
        shift = largest.amax(1, keepdim=True).detach()
        diagonal = torch.exp(log_background - shift)
        for block, x in zip(blocks, logs, strict=True):
            diagonal = diagonal + torch.exp((x - shift).clamp(min=self._floor)) @ self.precision[block]
        return diagonal, shift

    def sums_and_pull(
        self,
        z: Float[Tensor, "m d"],
        log_background: Float[Tensor, "m 1"],
        store: Float[Tensor, " p"],
        along: Float[Tensor, "m d"] | None = None,
    ) -> tuple[Float[Tensor, "m d"], Float[Tensor, "m 1"], Float[Tensor, "m d"]]:
        r"""Diagonal and shift as ``sums`` has them, and the pull of the balls, in place and without a graph.

        The pull along axis k is $\sum_iy_i\,\omega_i\,\sigma_{ik}^{-2}(z_k-\mu_{ik})$ with
        $y_i=\sum_l\sigma_{il}^{-2}/G_{ll}$; $-1/\rho^2$ times it is the balls' part of the gradient of
        $\tfrac12\sum_l\log G_{ll}$. With ``along``, numbers of at least 0, it has these in the place of
        $1/G_{ll}$ and is over exp(shift), as the diagonal is. Weights are at most 1, so the shift is 0 unless
        the sums of some point would drown. ``store`` keeps all weights: room for m n numbers in ``dtype``,
        reused because memory fresh from the system is slow to touch.
        """
        if self._uneven:
            return self._pull_in_logs(z, log_background, along)
        (m, d), features, precision = z.shape, self._features(z), self.precision
        parts = ((b, store[m * b.start : m * b.stop]) for b in self._blocks(m))
        blocks = [(block, part.view(m, block.stop - block.start)) for block, part in parts]

        def fill(block: slice, logs: Tensor) -> None:
            if block.start < self.n_expanded:
                self._expanded(features, block, out=logs)
            else:
                logs.copy_(self._by_difference(z, block))

        shift = torch.zeros_like(log_background)
        diagonal = torch.exp(log_background).expand(m, d).clone()
        for block, weights in blocks:
            fill(block, weights)
            diagonal.addmm_(weights.clamp_(min=self._floor).exp_(), precision[block])
        if not bool(((diagonal > self._least) & torch.isfinite(diagonal)).all()):
            shift = log_background.clone()
            for block, logs in blocks:
                fill(block, logs)
                torch.maximum(shift, logs.amax(1, keepdim=True), out=shift)
            diagonal = torch.exp(log_background - shift).expand(m, d).clone()
            for block, weights in blocks:
                diagonal.addmm_(weights.sub_(shift).clamp_(min=self._floor).exp_(), precision[block])
        along = 1.0 / diagonal if along is None else along
        sums, pull = z.new_zeros(m, 2 * d), torch.zeros_like(z)
        scratch = z.new_empty(max(weights.numel() for _, weights in blocks))
        for block, weights in blocks:
            scaled = scratch[: weights.numel()].view_as(weights)
            torch.mm(along, precision[block].T, out=scaled)
            scaled.mul_(weights)
            if block.start < self.n_expanded:
                sums.addmm_(scaled, self._factors[block, : 2 * d])
                continue
            for axis in range(d):
                gap = z[:, axis, None] - self._mu[block, axis]
                pull[:, axis] += (scaled * gap) @ precision[block, axis]
        return diagonal, shift, pull + (z - self._center) * sums[:, :d] - sums[:, d:]
