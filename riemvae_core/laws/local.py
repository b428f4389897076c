r"""Kernels of local shape: the covariance of a code's neighbors, shrunk, drawn back to where it came from."""

import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.balls import LOG_2PI
from riemvae_core.laws.law import SEARCHED, Choice, Codes, Family, Parts, Widths, best_width, units
from riemvae_core.neighbors import nearest
from riemvae_core.numerics import chunks, standard_normal, standard_uniform

#: numbers of neighbors, shares of the target shape, and shapes of it that are tried
NEIGHBORS, SHRINKAGE, TARGETS = (20, 10, 50, 100), (0.2, 0.02, 0.07, 0.5, 1.0), ("axes", "ball")
#: widths that the search over these looks at
WIDTHS = (0.15, 0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
# of the numbers worked on at once: small enough to stay near the processor
BUDGET = 2**24


class LocalKernels:
    r"""Kernel i: $N(m_i+\sqrt{1-h^2}\,(\mu_i-m_i),\;h^2A_i^{-1})$ with mean and covariance of neighbors.

    Coordinates are centered and in ``units``, the codes' own deviation on each axis, so that units of z play
    no part. Neighbors of a code count itself; its covariance keeps a share ``1 - shrinkage``, the rest is a
    target of the same trace: the same on each axis in these units, or of the shape of its ball.
    """

    def __init__(self, codes: Codes, widths: Widths, pulled: Float[Tensor, "n d d"] | None = None) -> None:
        self.like, wide = codes.mu, torch.float32 if codes.mu.device.type == "mps" else torch.float64
        mu = codes.mu.to(wide)
        self.center, self.unit = mu.mean(0), units(mu)
        self.y = (mu - self.center) / self.unit
        k = min(int(widths["neighbors"]), len(mu))
        self.neighbors = nearest(self.y, self.y, k).indices
        self.shrinkage = float(widths["shrinkage"])
        shape = torch.ones_like(self.y)
        if widths.get("target", "axes") == "ball":
            shape = torch.exp(codes.log_var.to(wide)) / self.unit.square()
        self.shape = shape / shape.mean(1, keepdim=True)
        self.pulled, self.pull = pulled, float(widths.get("pull", 0.0))
        self.reverts = pulled is None

    def frames(
        self, rows: slice | Int[Tensor, " b"]
    ) -> tuple[Float[Tensor, "b d"], Float[Tensor, "b d"], Float[Tensor, "b d d"]]:
        """Means, what is added to them at width 0, and Cholesky roots, of kernels."""
        y, near = self.y[rows], self.y[self.neighbors[rows]]
        mean = near.mean(1)
        apart = near - mean[:, None]
        covariance = (1.0 - self.shrinkage) / near.shape[1] * apart.mT @ apart
        size = apart.square().mean((1, 2)).clamp_min(torch.finfo(y.dtype).tiny)
        covariance = covariance + torch.diag_embed(self.shrinkage * size[:, None] * self.shape[rows])
        if self.pulled is not None:  # (C^-1 + pull J^T J)^-1 without an inverse: with C = L L^T it is
            root = self._root(covariance)  # L (I + pull L^T J^T J L)^-1 L^T
            eye = torch.eye(y.shape[1], dtype=y.dtype, device=y.device)
            inner = eye + self.pull * root.mT @ self.pulled[rows] @ root
            covariance = root @ torch.cholesky_solve(root.mT, torch.linalg.cholesky(inner))
        root = self._root(0.5 * (covariance + covariance.mT))
        return (mean, y - mean, root) if self.reverts else (y, torch.zeros_like(y), root)

    def _root(self, covariance: Float[Tensor, "b d d"]) -> Float[Tensor, "b d d"]:
        root, failed = torch.linalg.cholesky_ex(covariance)
        if bool(failed.any()):
            raise ValueError(
                f"shrinkage must be larger where {self.neighbors.shape[1]} neighbors leave out an axis, got "
                f"{self.shrinkage:g}"
            )
        return root

    def draw(self, n: int, h: float, generator: torch.Generator | None) -> Float[Tensor, "n d"]:
        """n draws: a kernel at random, a point of it."""
        marks = standard_uniform((n,), self.y[:, 0], generator)
        index = (marks * len(self.y)).long().clamp(max=len(self.y) - 1)
        eps, drawn = standard_normal(self.like[:1].expand(n, -1).shape, self.like, generator), []
        for rows in chunks(n, 8 * self._each()):
            mean, step, root = self.frames(index[rows])
            noise = (root @ eps[rows].to(root)[:, :, None]).squeeze(2)
            drawn.append(mean + math.sqrt(1.0 - h * h if self.reverts else 1.0) * step + h * noise)
        return (self.center + self.unit * torch.cat(drawn)).to(self.like)

    def _each(self) -> int:
        return self.y.shape[1] * (self.neighbors.shape[1] + 4 * self.y.shape[1])

    def log_prob(self, z: Float[Tensor, "m d"], widths: tuple[float, ...]) -> Float[Tensor, "h m"]:
        """Log density at z for each of several widths h, which share the costly part."""
        x = (z.to(self.y) - self.center) / self.unit
        if not len(x):
            return x.new_zeros(len(widths), 0)
        whole = [self._log_prob(x[rows], widths) for rows in chunks(len(x), 8 * 8 * x.shape[1])]
        constant = self.unit.log().sum() + 0.5 * x.shape[1] * LOG_2PI + math.log(len(self.y))
        return torch.cat(whole, 1) - constant

    def _log_prob(self, x: Float[Tensor, "m d"], widths: tuple[float, ...]) -> Float[Tensor, "h m"]:
        total = x.new_full((len(widths), len(x)), -math.inf)
        d = x.shape[1]
        for squares, crossed, own, log_det in self._terms(x):
            for i, h in enumerate(widths):
                back = math.sqrt(1.0 - h * h) if self.reverts else 0.0
                constant = 0.5 * (back / h) ** 2 * own + log_det + d * math.log(h)
                logs = torch.add(squares, crossed, alpha=-2.0 * back).mul_(-0.5 / (h * h))
                logs -= constant[:, None]
                total[i] = torch.logaddexp(total[i], torch.logsumexp(logs, 0))
        return total

    def _terms(self, x: Float[Tensor, "m d"]) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """In blocks of kernels and in units of each: squared distances of points from its mean, their product
        with its step, the step's square, and the log of the root's determinant."""
        m, d = x.shape
        eye = torch.eye(d, dtype=x.dtype, device=x.device)
        points = torch.cat([x.T, torch.ones_like(x[:, 0])[None]])
        for rows in chunks(len(self.y), 8 * (self._each() + 2 * m * d), BUDGET):
            mean, step, root = self.frames(rows)
            inverse = torch.linalg.solve_triangular(root, eye, upper=False)
            columns = torch.cat([inverse, -inverse @ mean[:, :, None]], 2)
            gap = (columns.reshape(-1, d + 1) @ points).reshape(-1, d, m)
            step = inverse @ step[:, :, None]
            along = (inverse.mT @ step).squeeze(2)
            yield (
                gap.square_().sum(1),
                along @ x.T - (along * mean).sum(1, keepdim=True),
                step.square().sum((1, 2)),
                root.diagonal(dim1=1, dim2=2).log().sum(1),
            )


def kernel_parts(kernels: LocalKernels, h: float) -> Parts:
    """Draws and density of kernels at one width."""
    return Parts(
        lambda n, generator: kernels.draw(n, h, generator),
        lambda z: kernels.log_prob(z, (h,))[0].to(z.dtype),
    )


def _kernel(codes: Codes, widths: Widths) -> Parts:
    return kernel_parts(LocalKernels(codes, widths), float(widths["h"]))


def searched(
    make: Callable[[Widths], LocalKernels], options: dict[str, tuple], held: Tensor, most: float
) -> Choice:
    """Shapes chosen one after another, each at its best width, on some of the codes held out; then h on all.

    The first option of each name is where the search starts; the first name is asked again at the end.
    """
    some, tried = held[:SEARCHED], []
    seen: dict[tuple, tuple[float, LocalKernels]] = {}

    def value(shape: Widths) -> float:
        if (key := tuple(shape.values())) not in seen:
            kernels = make(shape)
            found = kernels.log_prob(some, WIDTHS).mean(1).tolist()
            tried.extend((shape | {"h": h}, v) for h, v in zip(WIDTHS, found, strict=True))
            seen[key] = max(found), kernels
        return seen[key][0]

    best = {name: choices[0] for name, choices in options.items()}
    for name in (*options, next(iter(options))):
        best = max(({**best, name: choice} for choice in options[name]), key=value)
    kernels = seen[tuple(best.values())][1]

    def at(h: float) -> float:
        return kernels.log_prob(held, (h,)).mean().item()

    start = max((row for row in tried if row[0].items() >= best.items()), key=lambda row: row[1])[0]["h"]
    h, found = best_width(at, start, 1.5, most, coarse=3)
    return Choice(best | {"h": h}, dict(found)[h], (*tried, *((best | {"h": w}, v) for w, v in found)))


def shapes(codes: Codes) -> dict[str, tuple]:
    """What the shape of a kernel may be, of so many codes."""
    most = max(2, len(codes.mu) // 2)
    return {
        "shrinkage": SHRINKAGE,
        "neighbors": tuple(dict.fromkeys(min(k, most) for k in NEIGHBORS)),
        "target": TARGETS[: 1 if codes.log_var is None else None],
    }


def _choose_kernel(codes: Codes, held: Tensor) -> Choice:
    return searched(lambda shape: LocalKernels(codes, shape), shapes(codes), held, 1.0)


LOCAL = {"kernel": Family(("shrinkage", "neighbors", "target", "h"), _kernel, _choose_kernel)}
