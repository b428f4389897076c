"""What else a reader might sample codes from: the prior, a Gaussian, mixtures, a second VAE."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemvae_core.balls import LOG_2PI, kl_to_standard_normal, reparameterize
from riemvae_core.laws.law import held_log_var
from riemvae_core.models import VAE, ModelConfig, fit, make_model
from riemvae_core.numerics import (
    check_finite,
    check_floats,
    check_number,
    standard_normal,
    standard_uniform,
    with_own_gradients,
)


def _check(mu: Tensor, n: int, log_var: Tensor | None = None, least: int = 1) -> Tensor | None:
    """The log variances in mu's dtype, in which draws are made. ValueError for what isn't balls."""
    check_floats(mu=mu)
    if mu.ndim != 2 or len(mu) < least or mu.shape[1] < 1:
        raise ValueError(f"mu must be [m, d] with m at least {least}, got {list(mu.shape)}")
    check_number(1, whole=True, n=n)
    check_finite(mu=mu)
    return None if log_var is None else held_log_var(mu, log_var)


def sample_prior(
    mu: Float[Tensor, "m d"], n: int, generator: torch.Generator | None = None
) -> Float[Tensor, "n d"]:
    """n draws from the prior N(0, I) of the latent space in which the codes ``mu`` live.

    ``mu`` is ``[m, d]`` and gives no more than d, device and dtype. Kingma and Welling (2014), section 3.
    Raises ValueError for shapes and n below 1.

    Example:
        >>> z = rc.sample_prior(torch.zeros(1, 16), 20_000, rc.make_generator(0))
        >>> z.square().sum(-1).mean().item()  # a shell: the squared radius is near d
        16.0
    """
    check_floats(mu=mu)
    _check(mu[:1].new_zeros(mu[:1].shape), n)  # the values play no part
    return standard_normal((n, mu.shape[1]), mu, generator)


def sample_gaussian(
    mu: Float[Tensor, "m d"],
    n: int,
    log_var: Float[Tensor, "m d"] | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n d"]:
    r"""n draws from the Gaussian with the mean and full covariance of the codes.

    With ``log_var`` the covariance is that of the aggregate posterior, which adds the mean of
    $\mathrm{diag}\,\sigma_i^2$. Raises ValueError for shapes, numbers that are not finite, and codes that lie
    in a subspace up to rounding; the axis is named.

    Compared in chapter 9.

    Example:
        >>> mu = torch.tensor([[-1.0, 0.0], [1.0, 0.0], [0.0, -2.0], [0.0, 2.0]])
        >>> rc.sample_gaussian(mu, 20_000, generator=rc.make_generator(0)).var(0)
        tensor([0.5, 2.0])
    """
    log_var = _check(mu, n, log_var, least=2)
    root = covariance_root(mu, log_var).to(mu)
    return mu.mean(0) + standard_normal((n, mu.shape[1]), mu, generator) @ root.T


def covariance_root(
    mu: Float[Tensor, "m d"], log_var: Float[Tensor, "m d"] | None = None, share: float = 1.0
) -> Float[Tensor, "d d"]:
    """The Cholesky root of the codes' covariance plus a share of the balls' mean one, in double precision.

    Raises ValueError, with the axis, for codes that lie in a subspace up to rounding.
    """
    d, codes = mu.shape[1], mu.detach().cpu().double()
    covariance = torch.cov(codes.T, correction=0).reshape(d, d)
    noise = 4.0 * torch.finfo(mu.dtype).eps * codes.abs().amax(0)  # what storing the codes may add to a zero
    if log_var is not None:
        noise, radii = torch.zeros_like(noise), torch.exp(log_var.detach().cpu().double())
        covariance = covariance + share * torch.diag(radii.mean(0))
    scale = covariance.diagonal().sqrt()
    flat = (scale <= noise).nonzero().flatten().tolist()
    if not flat:  # of each axis, the share of its variance that the axes before it don't tell
        root, failed = torch.linalg.cholesky_ex(covariance / scale / scale[:, None])
        told = root.diagonal().square()
        least = 4.0 * d * torch.finfo(scale.dtype).eps + (noise / scale).square()
        before = torch.cat([torch.ones_like(told[:1]), told[:-1]]).cummin(0).values  # which rounding is over
        flat = [int(failed) - 1] if failed else (told * before <= least).nonzero().flatten().tolist()
    if flat:
        seen = "look at rows of unusual leverage, latent_health(mu, log_var).unusual"
        remedy = "give log_var" if log_var is None else seen
        raise ValueError(
            f"mu must span all {d} dimensions, got {len(mu)} codes whose axis {flat[0]} varies only as the "
            f"axes before it do, or not at all: leave this axis out, or {remedy}"
        )
    return scale[:, None] * root


def sample_aggregate_posterior(
    mu: Float[Tensor, "m d"],
    log_var: Float[Tensor, "m d"],
    n: int,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n d"]:
    r"""n draws from $q(z)$, the mean density of all balls $q_i(z)$: a ball at random, a point of it.

    ``mu`` and ``log_var`` hold the balls, a row each; draws have mu's dtype. Its second moment is derived in
    chapter 2. Raises ValueError for shapes, numbers that are not finite, variances that mu's dtype can't hold
    and n below 1.

    Example:
        >>> mu, log_var = torch.tensor([[-1.0], [1.0]]), torch.zeros(2, 1)
        >>> z = rc.sample_aggregate_posterior(mu, log_var, 20_000, rc.make_generator(0))
        >>> z.square().mean().item()  # E mu^2 + E sigma^2
        2.0
    """
    log_var = _check(mu, n, log_var)
    index = _indices(len(mu), n, mu, generator)
    return reparameterize(mu[index], log_var[index], standard_normal((n, mu.shape[1]), mu, generator))


def _indices(m: int, n: int, like: Tensor, generator: torch.Generator | None) -> Tensor:
    single = like.new_empty(
        0, dtype=torch.promote_types(like.dtype, torch.float32)
    )  # half precision tells 2,048 balls apart
    return (standard_uniform((n,), single, generator) * m).long().clamp(max=m - 1)


def sample_mixture(
    mu: Float[Tensor, "m d"],
    n: int,
    components: int = 10,
    log_var: Float[Tensor, "m d"] | None = None,
    generator: torch.Generator | None = None,
) -> Float[Tensor, "n d"]:
    """n draws from a mixture of full Gaussians fitted to the codes by scikit-learn's EM.

    With ``log_var`` it is fitted to one draw from each ball instead of the means. Ten components are what
    Chadebec and Allassonniere (2022) compare with, and so does chapter 9. Raises ValueError for shapes,
    numbers that are not finite, or more components than different codes.

    Example:
        >>> eps = torch.randn(200, 2, generator=rc.make_generator(0))
        >>> mu = torch.cat([eps - 5.0, eps + 5.0])
        >>> z = rc.sample_mixture(mu, 1000, components=2, generator=rc.make_generator(1))
        >>> (z.sum(1).abs() > 2.0).all().item()  # nothing between the two clouds
        True
    """
    log_var = _check(mu, n, log_var, least=2)
    check_number(whole=True, components=components)
    if not 1 <= components <= len(mu):
        raise ValueError(f"components must be from 1 to the number of codes, {len(mu)}, got {components}")
    codes = mu if log_var is None else reparameterize(mu, log_var, standard_normal(mu.shape, mu, generator))
    different = len(torch.unique(codes, dim=0))
    if different < components:
        raise ValueError(
            f"mu must hold at least {components} different codes, one a component, got {different}"
        )
    seed = int(standard_uniform((), mu.new_zeros((), dtype=torch.float32), generator).item() * 2**24)
    weights, means, covariances = fitted_mixture(codes, components, seed)
    # in double precision: a component of few codes is flat but for scikit-learn's floor
    roots = torch.linalg.cholesky(covariances).to(mu)
    weights, means = weights.to(mu.device, torch.promote_types(mu.dtype, torch.float32)), means.to(mu)
    marks = standard_uniform((n,), weights, generator) * weights.sum()
    index = torch.searchsorted(weights.cumsum(0), marks).clamp(max=components - 1)
    eps = standard_normal((n, mu.shape[1]), mu, generator)
    return means[index] + torch.einsum("nij,nj->ni", roots[index], eps)


def fitted_mixture(
    codes: Float[Tensor, "m d"], components: int, seed: int
) -> tuple[Float[Tensor, " k"], Float[Tensor, "k d"], Float[Tensor, "k d d"]]:
    """Weights, means and full covariances of scikit-learn's mixture, in double precision on the CPU.

    In one thread: its matrices are small, and beside other work BLAS threads that wait for each other made
    ten components of 12,000 codes take 38 s instead of one.
    """
    from sklearn.mixture import GaussianMixture  # slow to import, so only when asked for
    from threadpoolctl import threadpool_limits

    least = 1e-6 * min(1.0, codes.var().item())  # scikit-learn's own floor is for codes of about unit size
    fitted = GaussianMixture(components, random_state=seed, max_iter=500, reg_covar=least)
    with threadpool_limits(1):
        fitted.fit(codes.detach().cpu().double().numpy())
    weights, means, covariances = (
        torch.from_numpy(a) for a in (fitted.weights_, fitted.means_, fitted.covariances_)
    )
    return weights, means, covariances


class SecondStageLosses(NamedTuple):
    """Per code: minus the log density that the decoder gives it, KL (both in nats), and their sum."""

    total: Float[Tensor, " n"]
    reconstruction: Float[Tensor, " n"]
    kl: Float[Tensor, " n"]


class SecondStage(nn.Module):
    r"""A VAE for codes as images ``[n, d, 1, 1]``, its decoder $N(g(z),s^2 I)$ with learned $s$."""

    def __init__(self, vae: VAE) -> None:
        super().__init__()
        self.vae, self.config = vae, vae.config
        self.log_std = nn.Parameter(next(vae.parameters()).new_zeros(()))

    def losses(self, x: Float[Tensor, "n c h w"], eps: Float[Tensor, "n d"]) -> SecondStageLosses:
        """The negative evidence bound of each code and its parts; x holds the codes as ``[n, d, 1, 1]``."""
        mu, log_var = self.vae.encode(x)
        miss = (x - self.vae.decode(reparameterize(mu, log_var, eps))).flatten(1).square().sum(-1)
        constant = x[0].numel() * (self.log_std + 0.5 * LOG_2PI)
        reconstruction = 0.5 * miss * torch.exp(-2.0 * self.log_std) + constant
        kl = kl_to_standard_normal(mu, log_var)
        return SecondStageLosses(reconstruction + kl, reconstruction, kl)

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, "n d"]:
        r"""n codes: $g(z)+s\epsilon$ with z from the prior N(0, I)."""
        like = self.log_std
        codes = self.vae.decode(standard_normal((n, self.config.latent_dim), like, generator)).flatten(1)
        return codes + torch.exp(self.log_std) * standard_normal(codes.shape, like, generator)


@with_own_gradients
def sample_two_stage(
    mu: Float[Tensor, "m d"],
    log_var: Float[Tensor, "m d"],
    n: int,
    generator: torch.Generator | None = None,
    epochs: int = 50,
    width: int = 256,
    seed: int = 0,
    **settings: Any,
) -> Float[Tensor, "n d"]:
    r"""n draws from a second VAE that is trained here on draws from the balls, of as many dimensions as they.

    Dai and Wipf (2019), section 4: the codes, which fill their space, have a density that a VAE can learn,
    even where the images' own VAE missed it. Trained on one draw from each ball, each coordinate
    standardized. ``settings`` go to ``fit``. Raises ValueError for shapes and numbers that are not finite.

    Example:
        >>> mu = 7.0 + 0.1 * torch.randn(500, 2, generator=rc.make_generator(0))
        >>> settings = {"epochs": 1, "width": 8}
        >>> z = rc.sample_two_stage(mu, torch.full_like(mu, -9.0), 1000, rc.make_generator(1), **settings)
        >>> z.mean(0)  # in the units of the codes
        tensor([7.0, 7.0])
    """
    log_var = _check(mu, n, log_var, least=2)
    return trained_second_stage(mu, log_var, generator, epochs, width, seed, **settings)(n, generator)


def trained_second_stage(
    mu: Float[Tensor, "m d"],
    log_var: Float[Tensor, "m d"],
    generator: torch.Generator | None,
    epochs: int,
    width: int,
    seed: int = 0,
    **settings: Any,
) -> Callable[[int, torch.Generator | None], Tensor]:
    """What draws n codes with a generator, once a second VAE is trained on a draw from each ball."""
    d = mu.shape[1]
    codes = reparameterize(mu, log_var, standard_normal(mu.shape, mu, generator)).detach()
    codes = codes.to(torch.promote_types(mu.dtype, torch.float32))
    center, spread = codes.mean(0), codes.std(0).clamp_min(1e-12)
    config = ModelConfig((d, 1, 1), latent_dim=d, width=width, linear_output=True)
    model = SecondStage(make_model("vae", config, seed)).to(mu.device)
    data = ((codes - center) / spread).float().reshape(-1, d, 1, 1)
    settings = {"batch_size": min(256, len(mu)), "progress": False} | settings
    fit(model, data, epochs=epochs, seed=seed, **settings)

    def draw(n: int, generator: torch.Generator | None) -> Tensor:
        return (center + spread * model.sample(n, generator).to(center)).to(mu)

    return draw
