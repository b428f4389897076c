"""Hamiltonian Monte Carlo on many chains at once, for any log density that comes with its gradient."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.numerics import check_floats, check_number, standard_normal, standard_uniform

#: what chains run on: points ``[n, d]`` to the log density there ``[n]``, nats, and its gradient ``[n, d]``
Target = Callable[[Tensor], tuple[Tensor, Tensor]]
#: nats of energy by which a path may miss its start before it is given up
LOST = 1000.0
# what helps where a density under- or overflows
REMEDY = "take float64, or give the metric a log_volume(z), the log of sqrt det G without the determinant"


class State(NamedTuple):
    """Positions, the log density there and its gradient.

    The log density is in nats.

    Example:
        >>> from riemvae_core.laws import hmc
        >>> normal = lambda z: (-0.5 * z.square().sum(-1), -z)
        >>> hmc.evaluate_target(normal, torch.tensor([[3.0, 4.0]])).gradient
        tensor([[-3.0, -4.0]])
    """

    z: Float[Tensor, "n d"]
    log_density: Float[Tensor, " n"]
    gradient: Float[Tensor, "n d"]


class Chains(NamedTuple):
    """Draws of each chain in order, their log density, the mean acceptance and the step size.

    Returned by ``run_chains``; ``acceptance`` is from 0 to 1, log densities are in nats.

    Example:
        >>> from riemvae_core.laws import hmc
        >>> normal = lambda z: (-0.5 * z.square().sum(-1), -z)
        >>> chains = hmc.run_chains(
        ...     normal, torch.zeros(9, 2), 20, 20, n_steps=4, generator=rc.make_generator(0)
        ... )
        >>> chains.z.shape
        torch.Size([9, 20, 2])
    """

    z: Float[Tensor, "chains draws d"]
    log_density: Float[Tensor, "chains draws"]
    acceptance: float
    step: float


class StepSize(NamedTuple):
    r"""Dual averaging of a log step size. Hoffman and Gelman (2014), section 3.2.1, with their constants.

    ``log_step`` is the step to try next, ``log_mean`` the one to keep when the adaptation ends.

    Example:
        >>> from riemvae_core.laws import hmc
        >>> start = hmc.StepSize.start(0.1)
        >>> accepted, rejected = (math.exp(start.updated(share).log_step) for share in (1.0, 0.0))
        >>> rejected < 10 * 0.1 < accepted
        True
    """

    log_step: float
    log_mean: float
    center: float
    missed: float = 0.0
    count: int = 0

    @classmethod
    def start(cls, step: float) -> "StepSize":
        """Begin at a positive step; the search leans to ten times as much."""
        if not (step > 0 and math.isfinite(step)):
            raise ValueError(f"step must be positive and finite, got {step}")
        return cls(math.log(step), math.log(step), math.log(10.0 * step))

    def updated(self, acceptance: float, wanted: float = 0.8) -> "StepSize":
        """The state after one more move that was accepted with this probability."""
        count = self.count + 1
        missed = self.missed + (wanted - acceptance - self.missed) / (count + 10.0)
        log_step = self.center - math.sqrt(count) / 0.05 * missed
        share = count**-0.75
        return StepSize(
            log_step, share * log_step + (1.0 - share) * self.log_mean, self.center, missed, count
        )


def target_of(metric) -> Target:
    r"""$z\mapsto(\log\sqrt{\det G},\ \nabla\log\sqrt{\det G})$: the metric's own gradient, else autograd's.

    A metric without ``log_volume`` is asked for its matrix, whose determinant is taken in log space. The
    target raises ValueError for answers of a wrong shape and where the volume has no gradient.

    Example:
        >>> from types import SimpleNamespace
        >>> from riemvae_core.laws import hmc
        >>> hill = SimpleNamespace(log_volume=lambda z: -0.5 * z.square().sum(-1))
        >>> hmc.target_of(hill)(torch.tensor([[3.0, 4.0]]))
        (tensor([-12.5]), tensor([[-3., -4.]]))
    """
    if hasattr(metric, "log_volume_and_grad"):
        return metric.log_volume_and_grad

    def log_volume(z: Tensor) -> Tensor:
        if hasattr(metric, "log_volume"):
            return _shaped("metric's log_volume", metric.log_volume(z), z.shape[:-1])
        return 0.5 * torch.logdet(_shaped("metric", metric(z), (*z.shape, z.shape[-1])))

    def value_and_grad(z: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            value = log_volume(z)
            gradient = None
            if value.requires_grad:
                (gradient,) = torch.autograd.grad(value.sum(), z, allow_unused=True)
        if gradient is None:
            raise ValueError(
                "metric must vary and be followed by autograd, got a volume without a gradient: a constant "
                "metric has infinite volume, and no uniform law"
            )
        return value.detach(), gradient

    return value_and_grad


def _shaped(name: str, answer: object, shape: Sequence[int]) -> Tensor:
    """The answer; ValueError unless it is a tensor of that shape: another would spread over all chains."""
    if not isinstance(answer, Tensor) or answer.shape != shape:
        got = list(answer.shape) if isinstance(answer, Tensor) else type(answer).__name__
        raise ValueError(f"{name} must return a tensor of shape {list(shape)} for z [n, d], got {got}")
    return answer


def evaluate_target(
    target: Target, z: Float[Tensor, "n d"], name: str = "log_density", zero: bool = False
) -> State:
    """The state at z. Raises FloatingPointError, with the name and the place, where a value isn't finite.

    ``z`` is ``[n, d]``. ``zero`` allows a density of zero, minus infinity in log space; the gradient there is
    set to zero.

    Example:
        >>> from riemvae_core.laws import hmc
        >>> normal = lambda z: (-0.5 * z.square().sum(-1), -z)
        >>> hmc.evaluate_target(normal, torch.tensor([[3.0, 4.0]])).log_density
        tensor([-12.5])
    """
    log_density, gradient = target(z)
    good = torch.isfinite(log_density) & torch.isfinite(gradient).all(-1)
    if zero and not good.all():
        empty = torch.isneginf(log_density)
        good, gradient = good | empty, torch.where(empty[:, None], torch.zeros_like(gradient), gradient)
    if not good.all():
        i = int((~good).nonzero()[0])
        raise FloatingPointError(
            f"{name} is {log_density[i].item()} at z = {z[i].tolist()}, its gradient {gradient[i].tolist()}: "
            + REMEDY
        )
    return State(z, log_density, gradient)


def leapfrog(
    target: Target,
    state: State,
    momentum: Float[Tensor, "n d"],
    step: float | Float[Tensor, "n 1"],
    n_steps: int,
    scale: float | Float[Tensor, " d"] = 1.0,
    name: str = "log_density",
) -> tuple[State, Float[Tensor, "n d"]]:
    r"""Follow $\dot z = h\odot\xi,\ \dot\xi = -h\odot\nabla U(z)$ for n_steps of the leapfrog.

    ``scale`` is h, the length of a unit step in each coordinate (the root of an inverse mass). Reversible,
    volume preserving, energy error of second order in ``step``. A path whose energy rises by more than 1000
    nats, or that meets a density of zero, is given up: it stops, and its log density is minus infinity.
    Neal (2011), section 2.3; derived in chapter 6. Raises FloatingPointError where the target isn't finite.

    Example:
        >>> from riemvae_core.laws import hmc
        >>> normal = lambda z: (-0.5 * z.square().sum(-1), -z)
        >>> start = hmc.evaluate_target(normal, torch.ones(1, 1))
        >>> end, v = hmc.leapfrog(normal, start, torch.zeros(1, 1), step=0.1, n_steps=10)
        >>> end.z.item() - math.cos(1.0)  # the path is cos t
        0.00
        >>> hmc.leapfrog(normal, end, -v, step=0.1, n_steps=10)[0].z.item()  # and leads back
        1.000
    """
    check_number(0, whole=True, n_steps=n_steps)
    kick = 0.5 * step * scale
    before = state.log_density - 0.5 * momentum.square().sum(-1)
    lost = torch.zeros_like(state.log_density, dtype=torch.bool)
    for _ in range(n_steps):
        momentum = momentum + kick * state.gradient
        z = torch.where(lost[:, None], state.z, state.z + 2.0 * kick * momentum)
        state = evaluate_target(target, z, name, zero=True)
        momentum = momentum + kick * state.gradient
        lost = lost | ~(before - (state.log_density - 0.5 * momentum.square().sum(-1)) < LOST)
        momentum = torch.where(lost[:, None], torch.zeros_like(momentum), momentum)
    return state._replace(log_density=state.log_density.masked_fill(lost, -torch.inf)), momentum


def hmc_step(
    target: Target,
    state: State,
    step: float,
    n_steps: int,
    scale: float | Float[Tensor, " d"] = 1.0,
    generator: torch.Generator | None = None,
    name: str = "log_density",
) -> tuple[State, Float[Tensor, " n"]]:
    r"""One move of every chain and the probability with which each was accepted; leaves the target invariant.

    Momentum from N(0, I); accepted where $\log u < H_0 - H_1$ with $H=U+\tfrac12\|\xi\|^2$. Each chain's
    step is ``step`` times a draw from U(0.8, 1.2), which breaks the periods of a path.

    Duane et al. (1987); built up in chapter 6. Raises FloatingPointError where the target isn't finite.

    Example:
        >>> from riemvae_core.laws import hmc
        >>> normal = lambda z: (-0.5 * z.square().sum(-1), -z)
        >>> start = hmc.evaluate_target(normal, torch.ones(8, 2))
        >>> moved, probability = hmc.hmc_step(normal, start, 0.01, 10, generator=rc.make_generator(0))
        >>> probability.min().item()  # a small step keeps the energy
        1.00
    """
    momentum = standard_normal(state.z.shape, state.z, generator)
    jitter = 0.8 + 0.4 * standard_uniform((len(state.z), 1), state.z, generator)
    proposed, end = leapfrog(target, state, momentum, step * jitter, n_steps, scale, name)
    gain = proposed.log_density - state.log_density
    log_ratio = gain - 0.5 * (end.square() - momentum.square()).sum(-1)
    log_u = torch.log(standard_uniform((len(state.z),), state.z, generator))
    accepted = log_u < log_ratio
    moved = State(*(_choose(accepted, new, old) for new, old in zip(proposed, state, strict=True)))
    return moved, torch.exp(log_ratio.clamp(max=0.0))


def _choose(accepted: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(accepted.reshape(-1, *[1] * (new.ndim - 1)), new, old)


def run_chains(
    target: Target,
    start: Float[Tensor, "chains d"],
    draws: int,
    warm_up: int = 200,
    n_steps: int = 8,
    scale: float | Float[Tensor, " d"] = 1.0,
    generator: torch.Generator | None = None,
    name: str = "log_density",
) -> Chains:
    """Run every row of ``start`` as a chain: adapt one step size while warming up, then keep each draw.

    ``start`` is ``[chains, d]``; ``z`` of the result ``[chains, draws, d]``. Used in chapter 6. Raises
    ValueError for counts below 1, FloatingPointError where the target isn't finite.

    Example:
        >>> from riemvae_core.laws import hmc
        >>> normal = lambda z: (-0.5 * z.square().sum(-1), -z)
        >>> chains = hmc.run_chains(
        ...     normal, torch.zeros(200, 1), 40, 40, n_steps=4, generator=rc.make_generator(0)
        ... )
        >>> chains.z.var().item()
        1.0
    """
    check_number(1, whole=True, draws=draws, warm_up=warm_up, n_steps=n_steps)
    check_floats(start=start)
    if start.ndim != 2 or len(start) == 0:
        raise ValueError(f"start must be [chains, d], got {list(start.shape)}")
    state = evaluate_target(target, start.detach(), name)
    size = StepSize.start(0.5 * start.shape[1] ** -0.25)
    for _ in range(warm_up):
        state, accepted = hmc_step(target, state, math.exp(size.log_step), n_steps, scale, generator, name)
        size = size.updated(accepted.mean().item())
    step = math.exp(size.log_mean)
    kept, values, total = [], [], 0.0
    for _ in range(draws):
        state, accepted = hmc_step(target, state, step, n_steps, scale, generator, name)
        kept.append(state.z)
        values.append(state.log_density)
        total += accepted.mean().item()
    return Chains(torch.stack(kept, 1), torch.stack(values, 1), total / draws, step)
