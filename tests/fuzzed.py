"""Arguments as nobody should give them, and files that lost bytes: what the fuzz of the doors draws from."""

import math
import os
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

# RIEMVAE_FUZZ=10 runs ten times as many cases as a run of the suite does
TIMES = float(os.environ.get("RIEMVAE_FUZZ", "1"))
NAMED = (ValueError, TypeError, FloatingPointError, OSError)

FLOATS = (torch.float32, torch.float64, torch.float16, torch.bfloat16)
OTHERS = (torch.int64, torch.uint8, torch.int32, torch.bool, torch.complex64)
NUMBERS = (
    0,
    1,
    -1,
    2,
    3,
    7,
    0.5,
    -0.5,
    1e-300,
    1e300,
    math.nan,
    math.inf,
    -math.inf,
    2**70,
    True,
    None,
    "3",
    [2],
)


def fuzz(cases: int):
    """Runs a test once for each of so many seeds, which hypothesis draws and names where one fails."""

    def decorate(test):
        counted = settings(max_examples=max(1, int(cases * TIMES)), deadline=None)
        return pytest.mark.usefixtures("no_hook")(counted(given(st.integers(0, 2**40))(test)))

    return decorate


def source(seed: int) -> random.Random:
    """One stream for a case's choices; numbers come from torch's own, seeded alike."""
    return random.Random(seed)


def numbers(rng: random.Random, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Healthy numbers: normal, rounded to a few values, or constant."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(rng.randrange(2**40)))
    kind = rng.choice(("normal", "normal", "rounded", "constant"))
    if kind == "rounded":
        x = x.round()
    elif kind == "constant":
        x = torch.full_like(x, rng.choice((0.0, 0.1, -3.0)))
    return x.to(dtype)


def ill(rng: random.Random, x: Tensor) -> object:
    """Something else in a tensor's place: another shape, dtype or type, or numbers that are out of bounds."""
    kind = rng.choice(("shape", "dtype", "type", "number", "number", "scale", "row", "empty"))
    if kind == "shape":
        return numbers(rng, *(rng.randrange(5) for _ in range(rng.randrange(5))))
    if kind == "dtype":
        return x.to(rng.choice(FLOATS + OTHERS))
    if kind == "type":
        return rng.choice(
            (x.numpy() if x.dtype != torch.bfloat16 else None, x.tolist(), None, "x", 3, 0.5, np.nan)
        )
    if kind == "scale":
        return x * rng.choice((1e-30, 1e-12, 1e12, 1e30, 3e38))
    if kind == "row":
        return x[0] if x.ndim else x[None]
    if kind == "empty":
        return x[:0] if x.ndim else x.new_zeros(0)
    changed = x.clone()
    if changed.is_floating_point() and changed.numel():
        changed.view(-1)[rng.randrange(changed.numel())] = rng.choice((math.nan, math.inf, -math.inf))
    return changed


def one_ill(rng: random.Random, arguments: dict[str, object]) -> dict[str, object]:
    """The arguments, of which one is replaced by something ill, or none in one case of four."""
    if rng.random() < 0.25:
        return arguments
    name = rng.choice(list(arguments))
    old = arguments[name]
    return arguments | {name: ill(rng, old) if isinstance(old, Tensor) else rng.choice(NUMBERS)}


def is_bad(value: object) -> bool:
    """Whether a floating tensor holds a number that isn't finite."""
    return isinstance(value, Tensor) and value.is_floating_point() and not bool(value.isfinite().all())


def answer(call, arguments: dict[str, object], *names: str) -> object:
    """What the call returns, or None where it raised an error that names an argument; others fail."""
    try:
        return call(**arguments)
    except NAMED as error:
        known = (*arguments, *names)
        if isinstance(error, np.linalg.LinAlgError) or not any(name in str(error) for name in known):
            pytest.fail(f"{type(error).__name__}: {error} names none of {known}")
        return None


def damaged(rng: random.Random, raw: bytes) -> bytes:
    """A file's bytes, cut, lengthened, or with some of them changed."""
    kind = rng.choice(("cut", "flip", "flip", "fill", "more", "head"))
    if kind == "cut":
        return raw[: rng.randrange(len(raw))]
    if kind == "more":
        return raw + rng.randbytes(rng.randrange(1, 50))
    changed = bytearray(raw)
    end = min(len(raw), 64) if kind == "head" else len(raw)
    for _ in range(rng.choice((1, 1, 2, 20))):
        at = rng.randrange(end)
        changed[at] = 0 if kind == "fill" else changed[at] ^ (1 << rng.randrange(8))
    return bytes(changed)
