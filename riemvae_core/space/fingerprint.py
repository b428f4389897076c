"""What a latent space remembers of the model that made it, so that no other one takes its place."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from riemvae_core.space.adapters import Adapter


class Fingerprint(NamedTuple):
    """A model's class, the dtypes and the count of its numbers, and the sha256 of its weights and buffers.

    ``sha256`` is None where there is nothing to compare: functions without a module in sight, modules without
    weights, and weights that have no bytes of their own (sparse or quantized ones). ``radius`` is the one its
    balls were given, if they were; ``decoded_shape`` that of an image which it decoded.
    """

    kind: str
    dtypes: tuple[str, ...]
    numbers: int
    sha256: str | None
    radius: float | None
    decoded_shape: tuple[int, ...]


def fingerprint(adapter: Adapter, decoded_shape: tuple[int, ...]) -> Fingerprint:
    """The fingerprint of a model, each module counted once: names, dtypes, shapes and bytes of its tensors.

    The same on every device and behind ``torch.compile``. BatchNorm's count of batches, which eval mode never
    reads, is left out; its running statistics are not.
    """
    modules = {id(m): m for m in (getattr(m, "_orig_mod", m) for m in adapter.modules)}.values()
    kind = ", ".join(type(m).__name__ for m in modules) or "functions"
    tensors = [pair for module in modules for pair in _tensors(module)]
    dtypes = {str(t.dtype).removeprefix("torch.") for _, t in tensors if t.is_floating_point()}
    digest = hashlib.sha256()
    try:
        for name, tensor in tensors:
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)};".encode())
            digest.update(as_bytes(tensor))
        sha256 = digest.hexdigest() if tensors else None
    except (RuntimeError, TypeError, NotImplementedError):
        sha256 = None
    numbers = sum(t.numel() for _, t in tensors)
    radius = None if adapter.radius is None else float(adapter.radius)
    return Fingerprint(kind, tuple(sorted(dtypes)), numbers, sha256, radius, decoded_shape)


def check_fingerprint(made_by: Fingerprint, model: Fingerprint, name: str) -> None:
    """Raise ValueError unless a model is the one that made the space in a file of that name.

    A space that was made by a model without a sha256 takes any.
    """
    if made_by.sha256 in (None, model.sha256):
        return
    wanted = f"model must be the one that made the space in {name}, {_say(made_by)}"
    if model.sha256 is None:
        raise ValueError(
            f"{wanted}, handed over as it was to latent_space, got {_say(model)} that can't be compared"
        )
    if model.dtypes != made_by.dtypes:
        raise ValueError(
            f"{wanted}, got one in another dtype, {_say(model)}: load its weights as {_dtypes(made_by)}"
        )
    if (model.kind, model.numbers) == (made_by.kind, made_by.numbers):
        raise ValueError(
            f"{wanted}, got the same kind with other weights (sha256 {made_by.sha256[:12]} expected, "
            f"{model.sha256[:12]} came): load those it had, or make the space anew with latent_space"
        )
    raise ValueError(f"{wanted}, got another, {_say(model)}")


def as_bytes(tensor: Tensor) -> memoryview:
    """The bytes of a tensor's numbers in their order, wherever it lies."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return memoryview(flat.view(torch.uint8).numpy())


def _tensors(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """What a module's ``state_dict`` holds and eval mode reads, by names without what compiling adds."""
    state = {name.replace("_orig_mod.", ""): value for name, value in module.state_dict().items()}
    for name, value in sorted(state.items()):
        if isinstance(value, Tensor) and not name.endswith("num_batches_tracked"):
            yield name, value


def _dtypes(of: Fingerprint) -> str:
    return ", ".join(of.dtypes) or "whole numbers"


def _say(of: Fingerprint) -> str:
    return f"{of.kind} of {of.numbers:,} numbers in {_dtypes(of)}" if of.numbers else of.kind
