r"""The released sampler of Chadebec and Allassonniere (2022), rule by rule, and its true law."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws.hmc import State, evaluate_target, leapfrog
from riemvae_core.metrics import PosteriorMetric
from riemvae_core.numerics import check_finite, check_number, standard_normal, standard_uniform


@dataclass(frozen=True)
class ReleasedRules:
    r"""Where the released code departs from Hamiltonian Monte Carlo on $\sqrt{\det G}$; each can be mended.

    ``momentum_std``: momenta are drawn from N(0, 1/4 I) but priced as N(0, I); 1 mends it.
    ``half_gradient``: the force is the gradient of $\log\det$, not of $\log\sqrt{\det}$; True mends it.
    ``lam_once``: the force holds lambda as many times as there are centroids; True mends it.
    ``max_det``: the determinant is clamped to [0, 1e10] in the acceptance; None mends it, in log space.
    ``background_fades``: lambda has no factor $e^{-\tau\|z\|^2}$, so the volume is infinite; True mends it.

    Read in the authors' code; what each does is derived in chapter 7. Raises ValueError for a
    ``momentum_std`` or ``max_det`` that is not positive.

    Example:
        >>> metric = rc.PosteriorMetric(torch.zeros(1, 2), torch.zeros(1, 2), rho=1.0, lam=0.1, tau=0.5)
        >>> mended = rc.ReleasedRules(1.0, True, True, None, True)  # the uniform law is back
        >>> z = torch.tensor([[0.3, -0.7], [1.5, 2.0]])
        >>> torch.allclose(rc.released_log_density(metric, z, mended), metric.log_volume(z))
        True
    """

    momentum_std: float = 0.5
    half_gradient: bool = False
    lam_once: bool = False
    max_det: float | None = 1e10
    background_fades: bool = False

    def __post_init__(self) -> None:
        if not self.momentum_std > 0 or (self.max_det is not None and not self.max_det > 0):
            raise ValueError(
                "momentum_std must be positive and max_det positive or None, "
                f"got {self.momentum_std}, {self.max_det}"
            )


class ReleasedDraws(NamedTuple):
    """Where the chains ended, where they began, and the mean acceptance of their moves.

    Returned by ``sample_as_released``; ``acceptance`` is from 0 to 1.

    Example:
        >>> metric = rc.PosteriorMetric(torch.zeros(1, 2), torch.zeros(1, 2), rho=1.0, lam=0.1, tau=0.5)
        >>> draws = rc.sample_as_released(metric, torch.zeros(1, 2), 100, rc.make_generator(0), steps=5)
        >>> draws.acceptance > 0.9
        True
    """

    z: Float[Tensor, "n d"]
    start: Float[Tensor, "n d"]
    acceptance: float


class _Parts(NamedTuple):
    priced: PosteriorMetric  # its volume enters the acceptance
    forced: PosteriorMetric  # its volume pulls
    force: float  # ... as many times as this


def _parts(metric: PosteriorMetric, rules: ReleasedRules) -> _Parts:
    tau = metric.tau if rules.background_fades else 0.0
    lams = metric.lam, metric.lam * (1 if rules.lam_once else len(metric.mu))
    made = (PosteriorMetric(metric.mu, metric.log_var, metric.rho, lam, tau) for lam in lams)
    return _Parts(*made, 1.0 if rules.half_gradient else 2.0)


def _priced(log_volume: Tensor, rules: ReleasedRules) -> Tensor:
    """Log of the square root of the determinant as the acceptance sees it, in the precision of the input."""
    if rules.max_det is None:
        return log_volume
    return 0.5 * torch.exp(2.0 * log_volume).clamp(0.0, rules.max_det).log()


def released_log_density(
    metric: PosteriorMetric, z: Float[Tensor, "*batch d"], rules: ReleasedRules | None = None
) -> Float[Tensor, "*batch"]:
    r"""Log density, up to a constant, that the released sampler has after many small steps.

    $\sqrt{\det G}\,\det(G+(n-1)\lambda I)^3$ without the fading of lambda, the first factor at most $10^5$.
    With momenta of standard deviation $\nu$ and a force $c\,\nabla\log\sqrt{\det G'}$ in general $\sqrt{\det
    G}\,(\sqrt{\det G'})^{c(\nu^{-2}-1)}$: paths keep $-c\log\sqrt{\det G'}+\tfrac12\|\xi\|^2$, so that
    proposals are reversible for the power $c/\nu^2$, and the acceptance trades c of it for one $\sqrt{\det
    G}$. ``z`` is ``[*batch, d]``, the result in nats. Derived in chapter 7, and tested against the sampler
    itself.

    Example:
        >>> metric = rc.PosteriorMetric(torch.zeros(1, 2), torch.zeros(1, 2), rho=1.0, lam=0.1, tau=0.0)
        >>> z = torch.tensor([[0.3, -0.7], [1.5, 2.0]])
        >>> rc.released_log_density(metric, z) / metric.log_volume(z)  # one ball: the power 7 of sqrt det G
        tensor([7.0, 7.0])
    """
    rules = rules or ReleasedRules()
    priced, forced, force = _parts(metric, rules)
    extra = force * (rules.momentum_std**-2 - 1.0)
    return _priced(priced.log_volume(z), rules) + extra * forced.log_volume(z)


def sample_as_released(
    metric: PosteriorMetric,
    mu: Float[Tensor, "m d"],
    n: int,
    generator: torch.Generator | None = None,
    steps: int = 100,
    n_leapfrog: int = 10,
    step: float = 0.01,
    rules: ReleasedRules | None = None,
) -> ReleasedDraws:
    r"""Run the published sampler as its code has it: n chains from random rows of ``mu``, their last states.

    ``metric`` holds the centroids; ``mu`` are the codes of the training images. The defaults are the code's:
    100 moves of 10 leapfrog steps of 0.01, under ``ReleasedRules``. Such chains are far too short to reach
    the law ``released_log_density``, which is itself not the uniform law: to compare with, not to use. Zero
    steps return the codes themselves. Raises ValueError for shapes and counts, FloatingPointError where the
    metric gives no finite number.

    Measured in chapters 7 and 9.

    Example:
        >>> metric = rc.PosteriorMetric(torch.zeros(1, 2), torch.zeros(1, 2), rho=1.0, lam=0.1, tau=0.5)
        >>> mu = torch.tensor([[-1.0, 0.0], [1.0, 0.0]])
        >>> draws = rc.sample_as_released(metric, mu, 100, rc.make_generator(0), steps=5)
        >>> moved = (draws.z - draws.start).norm(dim=-1)
        >>> moved.mean().item() < 0.3  # five moves lead nowhere
        True
    """
    check_finite(mu=mu)
    if mu.ndim != 2 or len(mu) == 0 or mu.shape[1] != metric.mu.shape[1]:
        raise ValueError(f"mu must be [m, {metric.mu.shape[1]}], got {list(mu.shape)}")
    check_number(1, whole=True, n=n, n_leapfrog=n_leapfrog)
    check_number(0, whole=True, steps=steps)
    check_number(positive=True, step=step)
    rules = rules or ReleasedRules()
    priced, forced, force = _parts(metric, rules)

    def target(z: Tensor) -> tuple[Tensor, Tensor]:
        log_volume, gradient = forced.log_volume_and_grad(z)
        return force * log_volume, force * gradient

    z = start = mu[(standard_uniform((n,), mu, generator) * len(mu)).long().clamp(max=len(mu) - 1)]
    energy, accepted = -_priced(priced.log_volume(z), rules), 0.0
    state = evaluate_target(target, z, "released log_volume")
    for _ in range(steps):
        momentum = rules.momentum_std * standard_normal(z.shape, z, generator)
        proposed, end = leapfrog(target, state, momentum, step, n_leapfrog, name="released log_volume")
        proposed_energy = -_priced(priced.log_volume(proposed.z), rules)
        log_ratio = energy - proposed_energy + 0.5 * (momentum.square() - end.square()).sum(-1)
        moved = torch.log(standard_uniform((n,), z, generator)) < log_ratio
        energy = torch.where(moved, proposed_energy, energy)
        state = State(
            torch.where(moved[:, None], proposed.z, state.z),
            torch.where(moved, proposed.log_density, state.log_density),
            torch.where(moved[:, None], proposed.gradient, state.gradient),
        )
        accepted += moved.float().mean().item()
    return ReleasedDraws(state.z, start, accepted / max(steps, 1))
