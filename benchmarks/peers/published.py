r"""The published sampler of Chadebec and Allassonniere (2022), written anew from what its released code does.

Same functions and arguments as there, so that ``samplers.py --clone FOLDER`` can run that very code instead.
What makes it slow is kept: precisions as matrices, tensors ``[chains, N, d, d]`` for the metric and for its
slope, a determinant, and the force computed twice in each leapfrog step. So are the departures from
$\sqrt{\det G}$ that ``riemvae_core.laws`` names.
"""

from types import SimpleNamespace

import torch
from torch import Tensor


def build_metrics(
    model: SimpleNamespace, mu: Tensor, log_var: Tensor, idx: Tensor | None = None, T: float = 0.3,
    lbd: float = 1e-4,
) -> SimpleNamespace:  # fmt: skip
    """Keep the centroids ``idx``, their precisions, and the two numbers of the metric on ``model``."""
    model.centroids = mu if idx is None else mu[idx]
    model.diagonals = torch.exp(-(log_var if idx is None else log_var[idx]))
    model.precisions = torch.diag_embed(model.diagonals)
    model.T, model.lbd = T, lbd
    return model


def weights(model: SimpleNamespace, z: Tensor) -> Tensor:
    """The weight of each centroid at each point, ``[chains, N, 1, 1]``."""
    gap = (model.centroids - z[:, None])[..., None]
    return torch.exp(-(gap.mT @ model.precisions[None] @ gap) / model.T**2)


def half_log_det(model: SimpleNamespace, z: Tensor) -> Tensor:
    """Half the log of the determinant, which is clamped first."""
    g = (model.precisions[None] * weights(model, z)).sum(1) + model.lbd * torch.eye(z.shape[1])
    return 0.5 * g.det().clamp(0.0, 1e10).log()


def force(model: SimpleNamespace, z: Tensor) -> Tensor:
    """The gradient of the log of the determinant, with lambda once for each centroid."""
    omega = weights(model, z).squeeze(-1)
    slope = -2.0 * model.diagonals * (z[:, None] - model.centroids) / model.T**2 * omega
    above = (slope[:, :, None, :] * model.diagonals[None, :, :, None]).sum(1)
    below = (model.diagonals * omega + model.lbd).sum(1)
    return (above / below[:, :, None]).sum(1)


@torch.no_grad()
def hmc_sampling(
    model: SimpleNamespace, mu: Tensor, n_samples: int = 1, mcmc_steps_nbr: int = 1000, n_lf: int = 10,
    eps_lf: float = 0.01,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The chains' last states and all their states."""
    start = z = mu[torch.randint(0, len(mu), (n_samples,))]
    path = torch.zeros(n_samples, mcmc_steps_nbr, mu.shape[1])
    for i in range(mcmc_steps_nbr):
        momentum = 0.5 * torch.randn_like(z)
        before = -half_log_det(model, z) + 0.5 * momentum.square().sum(1)
        for _ in range(n_lf):
            momentum = momentum + 0.5 * eps_lf * force(model, z)
            z = z + eps_lf * momentum
            momentum = momentum + 0.5 * eps_lf * force(model, z)
        after = -half_log_det(model, z) + 0.5 * momentum.square().sum(1)
        moved = torch.rand(n_samples) < torch.exp(-after) / torch.exp(-before)
        start = z = torch.where(moved[:, None], z, start)
        path[:, i] = z
    return z, path
