"""Laws that more than one function of the core obeys, and the inputs that hypothesis draws for them."""

import re
from collections.abc import Callable

import hypothesis.extra.numpy as hnp
import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

VALUES = st.floats(-4.0, 4.0, allow_subnormal=False)


@st.composite
def tensors(draw, count: int, max_batch_dims: int = 2) -> tuple[Tensor, ...]:
    """``count`` float64 tensors of one shape ``[*batch, d]`` with values from -4 to 4."""
    batch = draw(hnp.array_shapes(min_dims=0, max_dims=max_batch_dims, min_side=1, max_side=4))
    shape = (*batch, draw(st.integers(1, 5)))
    arrays = [draw(hnp.arrays(np.float64, shape, elements=VALUES)) for _ in range(count)]
    return tuple(torch.from_numpy(a) for a in arrays)


def random_tensors(count: int, shape: tuple[int, ...], seed: int = 0, dtype=torch.float64) -> list[Tensor]:
    """``count`` standard normal tensors from a seed, for tests in which the values don't matter."""
    generator = torch.Generator(device="cpu").manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=dtype, device="cpu") for _ in range(count)]


def close(actual: Tensor, expected: Tensor, rtol: float | None = None, atol: float | None = None) -> None:
    """Equal up to rounding, of the same shape and dtype: by default to 1e-10, in single precision to 1e-5."""
    rounding = 1e-10 if actual.dtype == torch.float64 else 1e-5
    rtol, atol = (rounding if tolerance is None else tolerance for tolerance in (rtol, atol))
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)


def numbers(text: str) -> list[float]:
    """The numbers that a page shows: two digits of one value may differ where it lies between them."""
    return [float(n.replace(",", "")) for n in re.findall(r"-?\d[\d,]*\.?\d*", text.replace("−", "-"))]


def follows_dtype(function: Callable[..., Tensor], *inputs: Tensor, rtol: float = 1e-4) -> None:
    """float32 in gives float32 out, float64 gives float64, and the two agree to single precision."""
    double = function(*inputs)
    single = function(*(t.float() for t in inputs))
    assert double.dtype == torch.float64
    assert single.dtype == torch.float32
    close(single.double(), double, rtol=rtol, atol=rtol)


def ignores_axis_order(function: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Renaming the latent axes, the same way in every input, changes no value."""
    order = torch.arange(inputs[0].shape[-1], device="cpu").flip(0).roll(1)
    close(function(*(t[..., order] for t in inputs)), function(*inputs))


def acts_on_each_ball(function: Callable[..., Tensor], *inputs: Tensor) -> None:
    """A batch is worked on ball by ball: its values are those of its rows, one by one."""
    rows = zip(*(t.reshape(-1, t.shape[-1]) for t in inputs), strict=True)
    one_by_one = torch.stack([function(*row) for row in rows])
    together = function(*inputs)
    close(together.reshape(one_by_one.shape), one_by_one)


def has_right_gradient(function: Callable[..., Tensor], *inputs: Tensor) -> None:
    """Autograd agrees with finite differences in float64."""
    assert torch.autograd.gradcheck(function, [t.clone().requires_grad_() for t in inputs])


def leaves_inputs_alone(function: Callable[..., Tensor], *inputs: Tensor) -> None:
    """No argument is changed in place."""
    before = [t.clone() for t in inputs]
    function(*inputs)
    assert all(torch.equal(a, b) for a, b in zip(inputs, before, strict=True))


def message_names(error: BaseException, *words: object) -> None:
    """An error's message holds the argument, what was expected and what came."""
    missing = [str(word) for word in words if str(word) not in str(error)]
    assert not missing, f"{missing} not in {error}"
