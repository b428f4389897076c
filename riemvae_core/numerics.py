"""Generators, devices, chunks and intervals: what every other module stands on."""

import functools
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from jaxtyping import Float
from scipy.stats import t as student_t
from torch import Tensor


class Interval(NamedTuple):
    """A mean over independent repetitions with the ends of its confidence interval."""

    mean: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        """Write the three numbers with one format: ``f"{interval:.2f}"`` gives ``0.31 [0.28, 0.34]``."""
        spec = spec or ".3g"
        return f"{self.mean:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def default_device() -> torch.device:
    """The fastest device here: CUDA, else Apple's MPS, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    if torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def make_generator(seed: int) -> torch.Generator:
    """A seeded generator on the CPU, so that the same seed gives the same numbers on every device."""
    if not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed must be an integer of at least 0, got {seed!r}")
    return torch.Generator(device="cpu").manual_seed(seed)


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Modules made within get weights drawn from the seed, on the CPU; torch's global generators stay as they
    were.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the other devices too
        yield


def standard_normal(shape: Sequence[int], like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draws from N(0, 1) with the given shape, on the device and with the dtype of ``like``.

    They are drawn where the generator lives (the CPU without one) and moved, so that a seed means the same
    numbers on every device.
    """
    source = generator.device if generator is not None else torch.device("cpu")
    draws = torch.randn(tuple(shape), generator=generator, device=source, dtype=like.dtype)
    return draws.to(like.device)


def standard_uniform(shape: Sequence[int], like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draws from U(0, 1) with the given shape, made and moved as those of ``standard_normal`` are."""
    source = generator.device if generator is not None else torch.device("cpu")
    draws = torch.rand(tuple(shape), generator=generator, device=source, dtype=like.dtype)
    return draws.to(like.device)


def check_points(z: Tensor, d: int) -> None:
    """Raise ValueError unless z ends in an axis of length d."""
    if z.ndim == 0 or z.shape[-1] != d:
        raise ValueError(f"z must be [*batch, {d}], got {tuple(z.shape)}")


def check_images(images: Tensor) -> None:
    """Raise ValueError unless the images are [n, c, h, w] with n at least 1."""
    if images.ndim != 4 or len(images) == 0:
        raise ValueError(f"images must be [n, c, h, w] with n at least 1, got {list(images.shape)}")


def check_image_shape(x: Tensor, shape: tuple[int, int, int]) -> None:
    """Raise ValueError unless x holds images of that shape, [n, *shape]."""
    if x.ndim != 4 or tuple(x.shape[1:]) != shape:
        raise ValueError(f"x must be [n, {', '.join(map(str, shape))}], got {list(x.shape)}")


@functools.cache
def load_forward_mode() -> None:
    """Load torch's forward mode, which warns, once, of a part of torch that it uses itself."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        zero = torch.zeros((), device="cpu")
        torch.func.jvp(torch.sin, (zero,), (zero,))


def chunks(n: int, bytes_each: int, budget: int = 2**27) -> Iterator[slice]:
    """Slices that cover ``range(n)``, each small enough that ``bytes_each`` a row stays within ``budget``
    bytes.

    A slice holds at least one row, however large a row is.
    """
    if n < 0 or bytes_each <= 0 or budget <= 0:
        raise ValueError(
            f"n must be at least 0 and bytes_each and budget positive, got {n}, {bytes_each}, {budget}"
        )
    step = max(1, budget // bytes_each)
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))


def confidence_interval(values: Float[Tensor, " n"] | Sequence[float], level: float = 0.95) -> Interval:
    r"""Mean and two-sided Student interval of repetitions that are independent of each other (seeds, say).

    $\bar y \pm Y\,\text{std}/\sqrt n$, with std the sample's standard deviation and Y the quantile (1 +
    level)/2 of Student's law with n - 1 degrees of freedom. Needs at least two values.
    """
    v = torch.as_tensor(values, dtype=torch.float64, device="cpu").flatten()
    if v.numel() < 2:
        raise ValueError(f"values must hold at least 2 repetitions, got {v.numel()}")
    if not 0.0 < level < 1.0:
        raise ValueError(f"level must lie between 0 and 1, got {level}")
    mean = v.mean().item()
    half = float(student_t.ppf((1.0 + level) / 2.0, v.numel() - 1)) * v.std().item() / v.numel() ** 0.5
    return Interval(mean, mean - half, mean + half)
