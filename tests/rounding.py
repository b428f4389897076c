"""Another processor's rounding: a pytest plugin that moves the last bits of what sums behind the scenes.

Matrix products, convolutions and reductions add in an order that processors, threads and shapes decide. Under
``pytest -p rounding`` each of their results is moved by up to two units in the last place, by a pattern that
depends on the operation and its shape alone: the same call on the same input still gives the same bits, any
other way to the same number doesn't. Whole numbers stay, as sums of whole numbers are exact everywhere.
"""

import zlib

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

SUMMED = {
    "mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot",
    "convolution", "convolution_backward", "sum", "mean", "var", "var_mean", "std", "prod", "cumsum",
    "cumprod", "logsumexp", "logcumsumexp", "_softmax", "_log_softmax", "_softmax_backward_data",
    "_log_softmax_backward_data", "linalg_vector_norm", "norm", "_cdist_forward", "_euclidean_dist",
    "linalg_cholesky_ex", "linalg_inv_ex", "_linalg_solve_ex", "linalg_solve_triangular", "triangular_solve",
    "cholesky_solve", "cholesky_inverse", "_linalg_eigh", "_linalg_svd", "_linalg_slogdet", "_linalg_det",
    "index_add", "scatter_add", "native_layer_norm", "native_group_norm", "native_batch_norm",
}  # fmt: skip
UNITS = 2.0


def moved(value: torch.Tensor, name: str) -> torch.Tensor:
    """The value, off by at most ``UNITS`` units in the last place."""
    seed = zlib.crc32(repr((name, tuple(value.shape))).encode())
    generator = torch.Generator(device="cpu").manual_seed(seed)
    noise = torch.rand(value.shape, generator=generator, dtype=value.dtype, device="cpu") * 2 - 1
    other = value * (1 + UNITS * torch.finfo(value.dtype).eps * noise)
    return torch.where(value == value.round(), value, other)


def sums(part: object) -> bool:
    """Whether a part of a result holds sums: pivots and counts beside them are whole numbers."""
    return isinstance(part, torch.Tensor) and part.is_floating_point() and part.device.type == "cpu"


class OtherRounding(TorchDispatchMode):
    """Runs each operation, then moves the results of those that sum."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        name = func._schema.name.partition("::")[2]
        if name not in SUMMED:
            return result
        parts = result if isinstance(result, tuple) else (result,)
        changed = tuple(moved(part, name) if sums(part) else part for part in parts)
        return changed if isinstance(result, tuple) else changed[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item):
    """A test with its fixtures under the other rounding."""
    with OtherRounding():
        return (yield)
