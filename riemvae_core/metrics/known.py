r"""Metrics whose geodesics are known: a constant one, the hyperbolic half-plane, the sphere."""

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.metrics.places import check_places
from riemvae_core.numerics import check_finite


class ConstantMetric:
    r"""The same symmetric positive definite matrix everywhere; its geodesics are straight lines.

    $\mathrm{dist}(a,b)=\sqrt{(b-a)^\top G(b-a)}$, the Mahalanobis distance (chapter 1). Raises ValueError if
    the matrix is not ``[d, d]``, symmetric and positive definite.

    Example:
        >>> from riemvae_core.metrics import ConstantMetric
        >>> metric = ConstantMetric(torch.tensor([[9.0, 0.0], [0.0, 16.0]]))
        >>> rc.curve_length(metric, torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
        tensor(5.00)
    """

    def __init__(self, matrix: Float[Tensor, "d d"]) -> None:
        check_finite(matrix=matrix)
        if matrix.dtype not in (torch.float32, torch.float64):
            raise ValueError(f"matrix must be float32 or float64, got {matrix.dtype}: take matrix.float()")
        square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1] > 0
        if not square or not torch.allclose(matrix, matrix.T):
            raise ValueError(
                f"matrix must be [d, d] and symmetric, got {tuple(matrix.shape)}: {matrix.tolist()}"
            )
        factor, failed = torch.linalg.cholesky_ex(matrix)
        if bool(failed):
            raise ValueError(f"matrix must be positive definite, got {matrix.tolist()}")
        self.matrix = matrix
        self._log_volume = factor.diagonal().log().sum()

    def __call__(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch d d"]:
        """The matrix, once for each point."""
        check_places(z, len(self.matrix))
        return self.matrix.expand(*z.shape, -1)

    def log_volume(self, z: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
        r"""$\tfrac12\log\det G$ for each point."""
        check_places(z, len(self.matrix))
        return self._log_volume.expand(z.shape[:-1])


class HalfPlaneMetric:
    r"""The hyperbolic upper half-plane, $G(z)=z_2^{-2}I$ for $z_2$ above 0, of curvature -1.

    $\mathrm{dist}(a,b)=\operatorname{arccosh}\big(1+\|b-a\|^2/(2a_2b_2)\big)$; its geodesics are half circles
    about points of the first axis, and vertical lines. do Carmo (1992); chapter 8 tries its solvers on it.
    Raises ValueError unless z is ``[*batch, 2]``.

    Example:
        >>> from riemvae_core.metrics import HalfPlaneMetric
        >>> rc.curve_length(HalfPlaneMetric(), torch.tensor([[0.0, 1.0], [0.0, math.e]]))  # log e
        tensor(1.000)
    """

    def __call__(self, z: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2 2"]:
        """G(z) as a matrix."""
        check_places(z, 2)
        return torch.diag_embed(z[..., 1:].pow(-2).expand(z.shape))

    def log_volume(self, z: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
        r"""$-2\log z_2$."""
        check_places(z, 2)
        return -2.0 * torch.log(z[..., 1])


class SphereMetric:
    r"""The unit sphere in polar angles, $G(z)=\mathrm{diag}(1,\sin^2z_1)$, of curvature 1.

    Its geodesics are great circles. The poles, $z_1=0$ and $z_1=\pi$, are no points of this chart. do Carmo
    (1992); chapter 8 tries its solvers on it. Raises ValueError unless z is ``[*batch, 2]``.

    Example:
        >>> from riemvae_core.metrics import SphereMetric
        >>> equator = torch.tensor([[math.pi / 2, 0.0], [math.pi / 2, math.pi]])
        >>> rc.curve_length(SphereMetric(), equator)
        tensor(3.142)
    """

    def __call__(self, z: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch 2 2"]:
        """G(z) as a matrix."""
        check_places(z, 2)
        polar = z[..., 0]
        return torch.diag_embed(torch.stack([torch.ones_like(polar), torch.sin(polar).square()], dim=-1))

    def log_volume(self, z: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch"]:
        r"""$\log|\sin z_1|$."""
        check_places(z, 2)
        return torch.log(torch.sin(z[..., 0]).abs())
