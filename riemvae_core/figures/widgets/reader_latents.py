"""A reader's own latents: checked, handed between page and kernel, their metric and a slice through it."""

import base64
import math
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from riemvae_core.balls import Balls
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import make_generator

LIMIT = 1_000_000  # numbers in mu
MOST_BALLS = 2_000  # that draw the metric; of more, a random subset does


def checked_latents(mu, log_var) -> Balls:
    """mu and log_var as float32 or float64 tensors of one shape on the CPU, or a ValueError."""
    balls = Balls(checked_array("mu", mu), checked_array("log_var", log_var))
    if balls.log_var.shape != balls.mu.shape:
        shapes = tuple(balls.mu.shape), tuple(balls.log_var.shape)
        raise ValueError(f"log_var must have mu's shape {shapes[0]}, got {shapes[1]}")
    dtype = torch.promote_types(balls.mu.dtype, balls.log_var.dtype)
    return Balls(*(part.to(dtype) for part in balls))


def checked_array(name: str, value) -> Tensor:
    """One of the two as a float32 or float64 tensor ``[n, d]`` on the CPU, or a ValueError that names it."""
    value = torch.as_tensor(value).detach().cpu()
    if not value.is_floating_point():
        raise ValueError(f"{name} must hold floats, got {value.dtype}")
    if value.ndim != 2 or len(value) < 2 or value.shape[1] < 1:
        raise ValueError(f"{name} must be [n, d] with n at least 2, got {list(value.shape)}")
    if value.numel() > LIMIT:
        rows = LIMIT // value.shape[1]
        raise ValueError(
            f"{name} must hold at most {LIMIT:,} numbers, got {value.numel():,}: "
            f"thin it to {rows:,} random rows"
        )
    if not bool(torch.isfinite(value).all()):
        raise ValueError(f"{name} must be finite, got {int((~torch.isfinite(value)).sum())} that are not")
    return value if value.dtype == torch.float64 else value.float()


def packed_latents(name: str, mu: Float[Tensor, "n d"], log_var: Float[Tensor, "n d"]) -> dict:
    """Latents as page and kernel hand them to each other: base64 of little-endian bytes, row by row."""
    code = "f8" if mu.dtype == torch.float64 else "f4"
    mu_text, log_var_text = (
        base64.b64encode(np.ascontiguousarray(part.numpy(), f"<{code}").tobytes()).decode()
        for part in (mu, log_var)
    )
    return {"name": name, "dtype": code, "shape": list(mu.shape), "mu": mu_text, "log_var": log_var_text}


def unpacked_latents(packed: dict) -> Balls:
    """The tensors that were packed."""
    return Balls(*(unpacked_array(packed[part], packed["dtype"], packed["shape"]) for part in Balls._fields))


def unpacked_array(text: str, code: str, shape: list[int]) -> Tensor:
    """Numbers from base64 of their little-endian bytes."""
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), f"<{code}").reshape(shape).copy())


def metric_balls(n: int) -> Int[Tensor, " k"] | None:
    """The rows that draw the metric, in rising order: None for all of them, 2,000 random ones of more."""
    if n <= MOST_BALLS:
        return None
    return torch.randperm(n, generator=make_generator(0), device="cpu")[:MOST_BALLS].sort().values


def own_metric(mu: Float[Tensor, "n d"], log_var: Float[Tensor, "n d"]) -> PosteriorMetric:
    """The figure's metric of a reader's balls: ``PosteriorMetric.fit`` of ``metric_balls``."""
    keep = metric_balls(len(mu))
    return PosteriorMetric.fit(mu, log_var) if keep is None else PosteriorMetric.fit(mu[keep], log_var[keep])


def widest_axes(mu: Float[Tensor, "n d"], log_var: Float[Tensor, "n d"]) -> list[int]:
    """The two axes whose mean KL is largest, in order; one axis stands alone as [0, -1]."""
    if mu.shape[1] == 1:
        return [0, -1]
    kl = (mu.square() + torch.expm1(log_var) - log_var).mean(0)
    return sorted(kl.sort(descending=True, stable=True).indices[:2].tolist())


def in_view(z: Float[Tensor, "n d"], axes: list[int]) -> Float[Tensor, "n k"]:
    """The coordinates along two axes, ``[n, 2]``; 0 along one that isn't there, -1."""
    return torch.stack([z[:, axis] if axis >= 0 else torch.zeros_like(z[:, 0]) for axis in axes], -1)


class Slice(NamedTuple):
    """A plane through a ball's center along two axes, and the square of it that is shown."""

    axes: list[int]
    point: Float[Tensor, " d"]
    center: tuple[float, float]
    half: float

    @property
    def start(self) -> list[float]:
        """Where the ball's center is in the plane."""
        return in_view(self.point[None], self.axes)[0].tolist()

    def points(self, n: int) -> Float[Tensor, "n n d"]:
        """The midpoints of n x n cells, row by row from the top, in all dimensions."""
        ticks = ((torch.arange(n, dtype=torch.float64, device="cpu") + 0.5) / n * 2.0 - 1.0) * self.half
        z = self.point.double().expand(n, n, -1).clone()
        for axis, along in zip(self.axes, ((ticks + self.center[0]), (self.center[1] - ticks)), strict=True):
            if axis >= 0:
                z[..., axis] = along[None] if axis == self.axes[0] else along[:, None]
        return z


def slice_through(metric: PosteriorMetric, axes: list[int], point: Float[Tensor, " d"]) -> Slice:
    """The figure's slice: all balls of the metric are in it, each to one and a half radii."""
    center, half = [0.0, 0.0], 0.0
    for side, axis in enumerate(axes):
        if axis >= 0:
            mu, reach = metric.mu[:, axis], 1.5 * torch.exp(0.5 * metric.log_var[:, axis])
            low, high = (mu - reach).min().item(), (mu + reach).max().item()
            center[side], half = (low + high) / 2, max(half, (high - low) / 2)
    return Slice(axes, point, tuple(center), half)


def color_range(values: Float[Tensor, "n n"]) -> tuple[float, float]:
    """Four round steps, from what all but 5% of a field exceed to its largest value."""
    ordered = values[torch.isfinite(values)].sort().values
    low, most = ordered[int(0.05 * (len(ordered) - 1))].item(), ordered[-1].item()
    power = 1.0
    while True:
        for step in (power * k for k in (0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)):
            start = math.floor(low / step) * step
            if start + 4 * step >= most:
                return start, start + 4 * step
        power *= 10.0
