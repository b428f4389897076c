"""Sequential Monte Carlo: temper from the mixture of the balls to the uniform law."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws.crowds import proposal_of_metric
from riemvae_core.laws.diagnostics import importance_ess, split_r_hat
from riemvae_core.laws.hmc import Target, evaluate_target, hmc_step, target_of
from riemvae_core.laws.mixture import BallMixture
from riemvae_core.laws.samplers import (
    LEAST_ESS,
    NAME,
    R_HAT_LIMIT,
    UniformDraws,
    background_share,
    contradicted,
    local_scale,
    resample,
)
from riemvae_core.numerics import check_number

ERROR_LIMIT, MOST_TEMPERATURES = 0.1, 300


def tempered(mixture: BallMixture, target: Target, temperature: float) -> Target:
    r"""The law $\psi^{1-\zeta}\,(\sqrt{\det G})^\zeta$ at temperature $\zeta$: from mixture to goal."""

    def value_and_grad(z: Tensor) -> tuple[Tensor, Tensor]:
        value, gradient = target(z)
        if temperature == 1.0:
            return value, gradient
        base = mixture.value_and_grad(z)
        return (
            torch.lerp(base.log_density, value, temperature),
            torch.lerp(base.gradient, gradient, temperature),
        )

    return value_and_grad


def next_temperature(log_ratio: Float[Tensor, " m"], temperature: float, share: float = 0.5) -> float:
    """The farthest temperature, at most 1, that leaves a share of the particles effective; by bisection.

    ``log_ratio`` is the log of target over mixture at each particle of the law at ``temperature``.
    """
    low, high = 0.0, 1.0 - temperature
    if importance_ess(high * log_ratio) >= share * len(log_ratio):
        return 1.0
    for _ in range(50):
        middle = 0.5 * (low + high)
        enough = importance_ess(middle * log_ratio) >= share * len(log_ratio)
        low, high = (middle, high) if enough else (low, middle)
    return temperature + low


def sample_by_smc(
    metric,
    n: int,
    generator: torch.Generator | None = None,
    islands: int = 16,
    particles: int | None = None,
    sweeps: int = 4,
    mixture: BallMixture | None = None,
) -> UniformDraws:
    r"""Move populations of particles from the mixture of the balls to $\sqrt{\det G}$ in adaptive steps.

    Each temperature leaves half of the particles effective; they are resampled inside their island and moved
    by ``sweeps`` moves of HMC, whose step follows the acceptance. The islands never meet, so their spread
    gives the error of the volume, r-hat and the effective sample size. ``particles``, of one island, are 128
    or what 4 n takes. Converged: error of log volume at most 0.1, r-hat at most 1.05, ess 400 or more, and
    the weights of the first particles, from the mixture itself, don't contradict that volume.
    ``mixture`` is ``proposal_of_metric(metric)`` where that is known already. Del Moral, Doucet and Jasra
    (2006).
    """
    check_number(1, whole=True, n=n, sweeps=sweeps)
    check_number(2, whole=True, islands=islands)
    if particles is not None:
        check_number(4, whole=True, particles=particles)
    mixture, target = mixture or proposal_of_metric(metric), target_of(metric)
    per = max(128, math.ceil(4 * n / islands)) if particles is None else particles
    z = mixture.sample(islands * per, generator)[0]
    scale, step = local_scale(metric), 0.5 * z.shape[1] ** -0.25
    log_z, now, count, first = torch.zeros(islands, dtype=torch.float64, device="cpu"), 0.0, 0, None
    while now < 1.0:
        value = evaluate_target(target, z, NAME).log_density
        log_ratio = (value - mixture.log_density(z)).cpu().double()
        first = log_ratio if count == 0 else first
        count += 1
        now, before = next_temperature(log_ratio, now) if count < MOST_TEMPERATURES else 1.0, now
        gain = ((now - before) * log_ratio).reshape(islands, per)
        log_z += torch.logsumexp(gain, 1) - math.log(per)
        z = z[_resample_islands(gain, generator).to(z.device)]
        law = tempered(mixture, target, now)
        state, total = evaluate_target(law, z, NAME), 0.0
        for _ in range(sweeps):
            state, accepted = hmc_step(law, state, step, 6, scale, generator, NAME)
            step *= math.exp(accepted.mean().item() - 0.75)
            total += accepted.mean().item()
        z = state.z
    draws = _summary(metric, mixture, state.log_density, z, log_z, n, total / sweeps, generator)
    against = contradicted(first, draws.log_volume - mixture.log_total, draws.log_volume_error)
    return draws._replace(converged=draws.converged and not against)


def _resample_islands(gain: Tensor, generator: torch.Generator | None) -> Tensor:
    per = gain.shape[1]
    chosen = [resample(torch.softmax(row, 0), per, generator) + i * per for i, row in enumerate(gain)]
    return torch.cat(chosen)


def _summary(
    metric,
    mixture: BallMixture,
    log_density: Tensor,
    z: Tensor,
    log_z: Tensor,
    n: int,
    acceptance: float,
    generator: torch.Generator | None,
) -> UniformDraws:
    islands = len(log_z)
    features = torch.cat([z, log_density[:, None]], -1).cpu().double().unflatten(0, (islands, -1))
    share = torch.softmax(log_z, 0)
    spread = (features.mean(1).var(0) / features.flatten(0, 1).var(0).clamp_min(1e-300)).mean().item()
    kish = 1.0 / share.square().sum().item()
    ess = min(len(z), islands / max(spread, 1e-300)) * kish / islands
    r_hat = split_r_hat(features).max().item()
    error = (islands * share).std().item() / math.sqrt(islands)
    weights = (share / features.shape[1]).repeat_interleave(features.shape[1])
    return UniformDraws(
        z=z[resample(weights, n, generator).to(z.device)],
        log_volume=mixture.log_total + torch.logsumexp(log_z, 0).item() - math.log(islands),
        ess=ess,
        acceptance=acceptance,
        r_hat=r_hat,
        background_share=background_share(metric, weights, mixture.log_density_and_last_share(z)[1]),
        converged=error <= ERROR_LIMIT and r_hat <= R_HAT_LIMIT and ess >= LEAST_ESS,
        method="smc",
        log_volume_error=error,
    )
