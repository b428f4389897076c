"""Bounds on how likely a model finds images: importance-weighted, with all constants kept."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from riemvae_core.balls.gaussians import LOG_2PI, log_prob, reparameterize
from riemvae_core.numerics import check_images, check_number, check_unit_range, chunks, standard_normal


class NLLBound(NamedTuple):
    """Per image: a bound on its negative log-likelihood, in nats, and how many draws it rests on.

    ``ess``, from 1 to the number of draws, is defined in ``nll_bound``, which returns this.

    Example:
        >>> model = rc.make_model("vae", rc.ModelConfig((1, 4, 4), width=8, depth=1), seed=0)
        >>> rc.nll_bound(model, torch.zeros(3, 1, 4, 4), n_samples=1).ess
        tensor([1.00, 1.00, 1.00])
    """

    nats: Float[Tensor, " n"]
    ess: Float[Tensor, " n"]


def _log_likelihood(
    model: nn.Module, x: Float[Tensor, "n c h w"], z: Float[Tensor, "n d"]
) -> Float[Tensor, " n"]:
    r"""$\log p(x\mid z)$ with its constant: variance $\beta/2$ in every pixel, or Bernoulli."""
    loss, config = model.reconstruction_loss(x, z), model.config
    if config.likelihood == "bernoulli":
        return -loss
    return -loss / config.beta - 0.5 * x[0].numel() * (LOG_2PI + math.log(0.5 * config.beta))


def _check(model: nn.Module, images: Tensor, n_samples: int) -> None:
    if not hasattr(model, "log_var_head"):
        raise ValueError(f"model must be a VAE, which has balls to draw from, got {type(model).__name__}")
    if model.config.likelihood == "gaussian" and not model.config.beta > 0:
        raise ValueError(
            f"model must have beta above 0, its pixels' variance is beta / 2, got {model.config.beta}"
        )
    check_images(images)
    check_number(1, whole=True, n_samples=n_samples)
    if model.config.likelihood == "bernoulli":
        check_unit_range("the probabilities that likelihood 'bernoulli' means", images=images)


@torch.no_grad()
def nll_bound(
    model: nn.Module,
    images: Float[Tensor, "n c h w"],
    n_samples: int,
    generator: torch.Generator | None = None,
) -> NLLBound:
    r"""An upper bound on $-\log p(x)$ of each image under a VAE, in nats: the mean over many draws is one.

    $-\log$ of the mean of $W_j=p(x\mid z_j)\,p(z_j)/q(z_j\mid x)$ over n_samples draws $z_j$ of the image's
    ball; one draw is the ELBO, and more draws make it smaller on average, down to $-\log p(x)$. The loss
    $\|x-g(z)\|^2+\beta\,\mathrm{KL}$ is that of a Gaussian of variance $\beta/2$ in every pixel: its constant
    is part of the bound, so that models of different beta compare. The density is of continuous gray levels
    in [0, 1], and its log can have either sign; for ``bernoulli`` the bound is in earnest for images of zeros
    and ones alone. ``ess`` is $(\sum W)^2/\sum W^2$: near 1, the bound is far from tight.

    Works in eval mode, which is undone, on the model's device, in chunks. Burda et al. (2016),
    section 3. Raises ValueError for a model without balls or with beta 0, for shapes and ranges, and for
    images that aren't finite.

    Example:
        >>> model = rc.make_model("vae", rc.ModelConfig((1, 4, 4), width=8, depth=1), seed=0)
        >>> x = torch.rand(99, 1, 4, 4, generator=rc.make_generator(0))
        >>> one, many = (rc.nll_bound(model, x, k, rc.make_generator(0)).nats.mean() for k in (1, 99))
        >>> bool(many < one)
        True
    """
    _check(model, images, n_samples)
    was_training, like = model.training, next(model.parameters())
    model.eval()
    try:
        size = 64 * images[0].numel() * images.element_size()
        parts = [
            _log_weights(model, images[s].to(like.device), n_samples, size, generator)
            for s in chunks(len(images), size * n_samples)
        ]
    finally:
        model.train(was_training)
    log_w = torch.cat(parts)
    total = torch.logsumexp(log_w, 1)
    return NLLBound(math.log(n_samples) - total, torch.exp(2.0 * total - torch.logsumexp(2.0 * log_w, 1)))


def _log_weights(
    model: nn.Module, x: Tensor, n_samples: int, size: int, generator: torch.Generator | None
) -> Float[Tensor, "n draws"]:
    mu, log_var = (t[:, None] for t in model.encode(x))
    columns = []
    for s in chunks(n_samples, size * len(x)):
        k = s.stop - s.start
        eps = standard_normal((len(x), k, mu.shape[-1]), mu, generator)
        z = reparameterize(mu.expand_as(eps), log_var.expand_as(eps), eps)
        likelihood = _log_likelihood(model, x.repeat_interleave(k, 0), z.flatten(0, 1)).reshape(len(x), k)
        prior = log_prob(z, torch.zeros_like(mu), torch.zeros_like(mu))
        columns.append(likelihood + prior - log_prob(z, mu, log_var))
    return torch.cat(columns, 1)
