"""Curves of a space: what their ends are, the shortest of decoded images, strips of images along them."""

from typing import Any

import torch
from torch import Tensor

from riemvae_core.numerics import check_finite, check_number, chunks
from riemvae_core.paths import Geodesic, shortest_decoded
from riemvae_core.space.conditions import alike, each, rows
from riemvae_core.space.encoding import end_codes
from riemvae_core.space.tensors import as_tensor


def both_ends(space: Any, a: Any, b: Any, condition: Any, images: bool, codes: bool) -> tuple[Tensor, Tensor]:
    """Both ends as codes ``[*batch, d]``: those that are images as the centers of their balls."""
    if images and codes:
        raise ValueError("images and codes must not both be True: encode the end that is an image first")
    kind = "images" if images else "codes" if codes else None
    d, found = space.mu.shape[1], []
    for name, x in (("a", a), ("b", b)):
        x, form, batch = end_codes(name, x, d, space.image_shape, space._code_shape(), kind)
        if form == "images":
            told = condition
            if condition is not None or space._model().encodes_with(space.condition):
                told = alike(space.condition, condition, batch, "an image")
            x = space.encode(x.reshape(-1, *space.image_shape), told).mu
        found.append(x.reshape(*batch, d).to(space.mu))
        if not torch.isfinite(found[-1]).all():
            raise ValueError(f"{name} must be finite, got NaN or infinity in a code")
    return found[0], found[1]


def shortest_between(
    space: Any, a: Tensor, b: Tensor, n_points: int, condition: Any, **settings: Any
) -> Geodesic:
    """``shortest_decoded`` between codes ``[*batch, d]``, with the space's model at rest."""
    if a.shape != b.shape:
        raise ValueError(f"a and b must be of one shape, got codes {list(a.shape)} and {list(b.shape)}")
    batch, d = tuple(a.shape[:-1]), a.shape[-1]
    given = space._decoded_with(condition, batch, "a pair")

    def decode(z: Tensor) -> Tensor:
        along = each(lambda p: p if len(p) < 2 else p.repeat_interleave(len(z) // len(p), 0), given)
        found = []
        for s in chunks(max(len(z), 1), 1, space.batch_size):
            parts = space._decode("derivable", z[s], rows(along, s.start, min(s.stop, len(z))))
            found.append(torch.cat([part.flatten(1) for part in parts], 1))
        return torch.cat(found)

    path = shortest_decoded(decode, a.reshape(-1, d), b.reshape(-1, d), n_points, **settings)
    return Geodesic(*(part.reshape(batch + part.shape[1:]) for part in path))


def strip(space: Any, curve: Any, n: int, condition: Any) -> Tensor:
    """n decoded images ``[*batch, n, ...]`` at even steps along curves ``[*batch, t, d]``."""
    check_number(2, whole=True, n=n)
    curve, d = as_tensor(curve, "curve"), space.mu.shape[1]
    check_finite(curve=curve)
    if curve.ndim < 2 or curve.shape[-2] < 2 or curve.shape[-1] != d:
        raise ValueError(f"curve must be [*batch, t, {d}] with t at least 2, got {list(curve.shape)}")
    curve = curve.float() if curve.dtype.itemsize < 4 else curve  # half precision can't count steps
    given = space._decoded_with(condition, tuple(curve.shape[:-2]), "a curve")
    at = torch.linspace(0, curve.shape[-2] - 1, int(n), dtype=curve.dtype, device=curve.device)
    left = at.long().clamp(max=curve.shape[-2] - 2)
    z = torch.lerp(curve[..., left, :], curve[..., left + 1, :], (at - left)[:, None])
    return space.decode(z, each(lambda p: p if len(p) == 1 else p.repeat_interleave(n, 0), given))
