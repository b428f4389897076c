r"""The metric that a decoder pulls back from the space of images."""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.metrics.places import check_places, check_values
from riemvae_core.numerics import check_floats, chunks, load_forward_mode

ROWS = 64  # of a Jacobian that reverse mode works on at once
CUT = (
    "decode must return what torch can differentiate by z, got images that don't depend on it: look for "
    "detach, no_grad or whole numbers in it"
)


class PullbackMetric:
    r"""The pullback of the Euclidean metric of images by a decoder, $G(z)=J(z)^\top J(z)$, J its Jacobian.

    decode: maps points ``[n, d]`` to images ``[n, ...]``, each row for itself (so a network in eval mode), or
    to a pair (mean, standard deviation) of such tensors. A pair gives the expected metric of a stochastic
    decoder, $J_\mu^\top J_\mu+J_\sigma^\top J_\sigma$; Arvanitidis, Hansen and Hauberg (2018), eq. (9).

    mode: ``forward`` takes d forward-mode derivatives at once (torch.func), the cheaper way as long as an
    image has more numbers than a code has axes; ``reverse`` takes one derivative for each number of an image,
    for decoders that torch can't follow forward.

    Points are worked through in chunks within a memory budget; every method can be differentiated again. G is
    positive definite where J has full rank. Raises ValueError if z ends in no axis, decode returns something
    else than it should, a number that isn't finite or one that torch can't differentiate, or mode is another
    word.

    Example:
        >>> polar = lambda z: z[:, :1] * torch.stack([z[:, 1].cos(), z[:, 1].sin()], -1)
        >>> torch.exp(rc.PullbackMetric(polar).log_volume(torch.tensor([2.0, 0.5])))  # the radius
        tensor(2.00)
    """

    def __init__(
        self,
        decode: Callable[[Tensor], Tensor | tuple[Tensor, Tensor]],
        mode: Literal["forward", "reverse"] = "forward",
    ) -> None:
        if not callable(decode):
            raise ValueError(f"decode must be callable, got {type(decode).__name__}")
        if mode not in ("forward", "reverse"):
            raise ValueError(f"mode must be 'forward' or 'reverse', got {mode!r}")
        self.decode, self.mode = decode, mode

    def _decode_flat(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n p"]:
        """The decoder's output as one row a point; mean and standard deviation side by side."""
        images = self.decode(z)
        pair = images if isinstance(images, tuple) else (images,)
        if len(pair) not in (1, 2) or not all(
            isinstance(x, Tensor) and x.shape[:1] == z.shape[:1] for x in pair
        ):
            got = [tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__ for x in pair]
            raise ValueError(
                f"decode must return a tensor [{len(z)}, ...] or a pair (mean, standard deviation) of them, "
                f"got {', '.join(map(str, got)) or 'nothing'}"
            )
        return torch.cat([x.flatten(1) if x.ndim > 1 else x[:, None] for x in pair], dim=1)

    def jacobian(self, z: Float[Tensor, "n d"]) -> Float[Tensor, "n p d"]:
        """The derivatives of all p numbers that decode returns, mean and standard deviation side by side.

        Raises ValueError, with the place, where decode returns NaN or infinity.
        """
        check_floats(z=z)
        images, jacobians = self._reverse(z) if self.mode == "reverse" else self._forward(z)
        with suppress(RuntimeError):  # within vmap numbers can't be read
            if not math.isfinite(images.detach().sum().item()) and (bad := ~images.isfinite().all(1)).any():
                place = z.detach()[int(bad.nonzero()[0])].tolist()
                raise ValueError(f"decode must return finite numbers, got others at z = {place}")
        return jacobians

    def _forward(self, z: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n p"], Float[Tensor, "n p d"]]:
        load_forward_mode()

        def along(direction: Tensor) -> tuple[Tensor, Tensor]:
            return torch.func.jvp(self._decode_flat, (z,), (direction.expand_as(z),), strict=True)

        axes = torch.eye(z.shape[-1], dtype=z.dtype, device=z.device)
        try:
            images, jacobians = torch.func.vmap(along, out_dims=(0, -1))(axes)
        except RuntimeError as error:
            if "independent of the inputs" in str(error):
                raise ValueError(CUT) from error
            raise
        return images[0], jacobians

    def _reverse(self, z: Float[Tensor, "n d"]) -> tuple[Float[Tensor, "n p"], Float[Tensor, "n p d"]]:
        def twice(point: Tensor) -> tuple[Tensor, Tensor]:
            image = self._decode_flat(point[None])[0]
            if not image.requires_grad:
                raise ValueError(CUT)
            return image, image

        row = torch.func.jacrev(twice, has_aux=True, chunk_size=ROWS)
        return torch.func.vmap(row)(z)[::-1]

    def __call__(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d d"]:
        """G(z) as a matrix."""
        check_floats(z=z)
        if z.ndim == 0:
            raise ValueError("z must be [*batch, d], got a single number")
        check_places(z, z.shape[-1])
        d, flat = z.shape[-1], z.reshape(-1, z.shape[-1])
        if len(flat) == 0:
            return z.new_zeros(*z.shape, d)
        with torch.no_grad():
            bytes_each = max(4 * d * self._decode_flat(flat[:1]).numel() * z.element_size(), 1)
        jacobians = (self.jacobian(flat[s]) for s in chunks(len(flat), bytes_each))
        matrices = torch.cat([j.mT @ j for j in jacobians]).reshape(*z.shape, d)
        check_values("J^T J", matrices, z, "see what decode returns there, or take z nearer to the codes")
        return matrices

    def log_volume(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        r"""Log of the volume element, $\tfrac12\log\det G(z)$; minus infinity where J loses rank."""
        matrices = self(z)
        wide = torch.promote_types(matrices.dtype, torch.float32)  # half precision has no determinants
        return (0.5 * torch.linalg.slogdet(matrices.to(wide)).logabsdet).to(matrices.dtype)
