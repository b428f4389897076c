"""Generators, devices, checks and chunks: what every other module stands on."""

import functools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from numbers import Integral, Real
from typing import TypeVar

import torch
from torch import Tensor

_Returned = TypeVar("_Returned")


def default_device() -> torch.device:
    """The fastest device here: CUDA, else Apple's MPS, else the CPU.

    Example:
        >>> rc.default_device().type in {"cuda", "mps", "cpu"}
        True
    """
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def make_generator(seed: int) -> torch.Generator:
    """A seeded generator on the CPU, so that the same seed gives the same numbers on every device.

    Raises ValueError unless the seed is an integer of at least 0 and below 2**63.

    Example:
        >>> a, b = (torch.rand(3, generator=rc.make_generator(7)) for _ in range(2))
        >>> torch.equal(a, b)
        True
    """
    if not isinstance(seed, Integral) or not 0 <= seed < 2**63:
        raise ValueError(f"seed must be an integer of at least 0 and below 2**63, got {seed!r}")
    return torch.Generator(device="cpu").manual_seed(int(seed))


def source_of(generator: torch.Generator | None) -> torch.device:
    """Where a generator draws, the CPU without one. Raises ValueError for what is none.

    Example:
        >>> from riemvae_core.numerics import source_of
        >>> source_of(rc.make_generator(0))
        device(type='cpu')
    """
    if not isinstance(generator, torch.Generator | None):
        came = type(generator).__name__
        raise ValueError(f"generator must be a torch.Generator, as rc.make_generator(0) makes it, got {came}")
    return torch.device("cpu") if generator is None else generator.device


@contextmanager
def seeded_weights(seed: int) -> Iterator[None]:
    """Modules made within get weights from the seed, on the CPU; torch's global generators stay as they were.

    Example:
        >>> from riemvae_core.numerics import seeded_weights
        >>> before = torch.get_rng_state()
        >>> with seeded_weights(7):
        ...     layer = torch.nn.Linear(2, 3)
        >>> torch.equal(torch.get_rng_state(), before)
        True
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed the other devices too
        yield


def standard_normal(shape: Sequence[int], like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draws from N(0, 1) with the given shape, on the device and with the dtype of ``like``.

    They are drawn where the generator lives (the CPU without one) and moved, so that a seed means the same
    numbers on every device.

    Example:
        >>> eps = rc.standard_normal((10_000,), torch.zeros(1).double(), rc.make_generator(0))
        >>> eps.dtype, eps.mean().item(), eps.std().item()
        (torch.float64, 0.0, 1.0)
    """
    source = source_of(generator)
    return torch.randn(tuple(shape), generator=generator, device=source, dtype=like.dtype).to(like.device)


def standard_uniform(shape: Sequence[int], like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Draws from U(0, 1) with the given shape, made and moved as those of ``standard_normal`` are.

    Example:
        >>> from riemvae_core.numerics import standard_uniform
        >>> standard_uniform((10_000,), torch.zeros(1), rc.make_generator(0)).mean()
        tensor(0.5)
    """
    source = source_of(generator)
    return torch.rand(tuple(shape), generator=generator, device=source, dtype=like.dtype).to(like.device)


def check_floats(**tensors: object) -> None:
    """Raise ValueError unless each is a tensor of floating numbers, and say how to make one of what came.

    Example:
        >>> from riemvae_core.numerics import check_floats
        >>> check_floats(images=torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
        Traceback (most recent call last):
        ...
        ValueError: images must be a tensor of floating numbers, got torch.uint8: take images.float() / 255
    """
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            remedy = f"torch.as_tensor({name}) makes one of an array or of numbers, torch.cat of batches"
            raise ValueError(f"{name} must be a tensor of floating numbers, got {type(x).__name__}: {remedy}")
        if not x.is_floating_point():
            whole = f"{name}.float() / 255" if x.dtype == torch.uint8 else f"{name}.float()"
            remedy = f"torch.view_as_real({name})" if x.is_complex() else whole
            raise ValueError(f"{name} must be a tensor of floating numbers, got {x.dtype}: take {remedy}")


def check_finite(**tensors: object) -> None:
    """Raise ValueError unless each is a tensor of finite floating numbers; the first bad row is named.

    A row is one along the first axis. Costs one sum: only where that isn't finite is each number looked at.

    Example:
        >>> from riemvae_core.numerics import check_finite
        >>> check_finite(fake=torch.tensor([[0.0, 1.0], [2.0, math.nan]]))
        Traceback (most recent call last):
        ...
        ValueError: fake must be finite, got nan in row 1 (1 of 2 rows hold such): leave them out, or ...
    """
    check_floats(**tensors)
    for name, x in tensors.items():
        if x.is_meta or math.isfinite(x.detach().sum().item()):  # no sum is finite with one that is not
            continue
        _name_bad_row(x, ~x.isfinite(), f"{name} must be finite", "leave them out, or mend what made them")


def check_held(dtype: torch.dtype, **tensors: Tensor) -> None:
    """Raise ValueError where a dtype has no finite number for one of the finite tensors; the row is named.

    Example:
        >>> from riemvae_core.numerics import check_held
        >>> check_held(torch.float16, z=torch.tensor([[0.0], [1e5]]))
        Traceback (most recent call last):
        ...
        ValueError: z must be within the range of torch.float16, 65504, got 100000 in row 1 (1 of 2 rows ...
    """
    for name, x in tensors.items():
        if x.is_meta or math.isfinite(x.detach().to(dtype).sum().item()):
            continue
        most = f"{name} must be within the range of {dtype}, {torch.finfo(dtype).max:g}"
        _name_bad_row(x, ~x.to(dtype).isfinite(), most, f"leave them out, or take all in {x.dtype}")


def check_unit_range(why: str, **tensors: Tensor) -> None:
    """Raise ValueError unless each lies in [0, 1] up to a millionth, because of ``why``. NaN passes.

    Example:
        >>> from riemvae_core.numerics import check_unit_range
        >>> check_unit_range("as a share does", x=torch.tensor([0.5, 200.0]))
        Traceback (most recent call last):
        ...
        ValueError: x must lie in [0, 1], as a share does, got 200 in row 1 (1 of 2 rows ...): try x / 255
    """
    for name, x in tensors.items():
        low, high = x.detach().aminmax()
        if not x.is_meta and (low < -1e-6 or high > 1 + 1e-6):
            remedy = " / 255" if high > 2 else ".add(1) / 2" if low < -0.1 else ".clamp(0, 1)"
            bad = (x < -1e-6) | (x > 1 + 1e-6)
            few = x.ndim > 1 and 2 * int(bad.flatten(1).any(1).sum()) < len(x)
            where = " for these rows alone" if few else ""
            _name_bad_row(x, bad, f"{name} must lie in [0, 1], {why}", f"try {name}{remedy}{where}")


def _name_bad_row(x: Tensor, bad: Tensor, expected: str, remedy: str) -> None:
    if bool(bad.any()):
        x, bad = (x[None], bad[None]) if x.ndim == 0 else (x, bad)
        rows = bad.reshape(len(x), -1).any(1).nonzero()[:, 0]
        value, count = x[rows[0]][bad[rows[0]]].flatten()[0].item(), f"{len(rows)} of {len(x)} rows hold such"
        raise ValueError(f"{expected}, got {value:.6g} in row {int(rows[0])} ({count}): {remedy}")


def check_number(
    least: float | int = -math.inf, whole: bool = False, positive: bool = False, **values: object
) -> None:
    """Raise ValueError unless each is a finite number, at least ``least``, whole or positive if asked for.

    Example:
        >>> from riemvae_core.numerics import check_number
        >>> check_number(1, whole=True, epochs=2.5)
        Traceback (most recent call last):
        ...
        ValueError: epochs must be a whole number of at least 1, got 2.5
    """
    for name, value in values.items():
        fits = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
        fits = fits and least <= value < (2**63 if isinstance(value, Integral) else math.inf)
        if not fits or (positive and value <= 0):
            low = f" of at least {least}" if least > -math.inf else " above 0" if positive else ""
            expected = f"a {'whole' if whole else 'finite'} number{low}"
            raise ValueError(f"{name} must be {expected}, got {value!r}")


def check_points(z: Tensor, d: int, name: str = "z") -> None:
    """Raise ValueError unless z, called by its ``name``, ends in an axis of length d.

    Example:
        >>> from riemvae_core.numerics import check_points
        >>> check_points(torch.zeros(5, 3), d=2)
        Traceback (most recent call last):
        ...
        ValueError: z must be [*batch, 2], got (5, 3)
    """
    check_floats(**{name: z})
    if z.ndim == 0 or z.shape[-1] != d:
        raise ValueError(f"{name} must be [*batch, {d}], got {tuple(z.shape)}")


def check_images(images: Tensor) -> None:
    """Raise ValueError unless the images are finite floating numbers, [n, c, h, w] with n at least 1.

    Example:
        >>> from riemvae_core.numerics import check_images
        >>> check_images(torch.zeros(5, 28, 28))
        Traceback (most recent call last):
        ...
        ValueError: images must be [n, c, h, w] with n at least 1, got [5, 28, 28]
    """
    check_floats(images=images)
    if images.ndim != 4 or images.numel() == 0:
        raise ValueError(f"images must be [n, c, h, w] with n at least 1, got {list(images.shape)}")
    check_finite(images=images)


def with_own_gradients(function: Callable[..., _Returned]) -> Callable[..., _Returned]:
    """Let a function that needs gradients of its own work within ``torch.inference_mode``, too.

    Autograd follows nothing there, and no tensor that was made there, so such arguments are copied. A warning
    of the function counts one frame more on its way to the caller.

    Example:
        >>> from riemvae_core.numerics import with_own_gradients
        >>> with torch.inference_mode():
        ...     torch.is_grad_enabled(), with_own_gradients(torch.is_grad_enabled)()
        (False, True)
    """

    @functools.wraps(function)
    def run(*args: object, **named: object) -> _Returned:
        leave = torch.inference_mode(False) if torch.is_inference_mode_enabled() else nullcontext()
        with leave:
            args = tuple(_followed(one) for one in args)
            return function(*args, **{name: _followed(one) for name, one in named.items()})

    return run


def _followed(one: object) -> object:
    return one.clone() if isinstance(one, Tensor) and one.is_inference() else one


@functools.cache
def load_forward_mode() -> None:
    """Load torch's forward mode, which warns, once, of a part of torch that it uses itself.

    Example:
        >>> from riemvae_core.numerics import load_forward_mode
        >>> load_forward_mode()
        >>> torch.func.jvp(torch.square, (torch.tensor(3.0),), (torch.tensor(1.0),))[1]
        tensor(6.00)
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        zero = torch.zeros((), device="cpu")
        torch.func.jvp(torch.sin, (zero,), (zero,))


def chunks(n: int, bytes_each: int, budget: int = 2**27) -> Iterator[slice]:
    """Slices that cover ``range(n)``, so small that ``bytes_each`` a row stay within ``budget`` bytes.

    A slice holds at least one row, however large a row is. Raises ValueError for numbers out of range.

    Example:
        >>> from riemvae_core.numerics import chunks
        >>> list(chunks(5, bytes_each=8, budget=16))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    if n < 0 or bytes_each <= 0 or budget <= 0:
        raise ValueError(
            f"n must be at least 0 and bytes_each and budget positive, got {n}, {bytes_each}, {budget}"
        )
    step = max(1, budget // bytes_each)
    for start in range(0, n, step):
        yield slice(start, min(n, start + step))
