"""From a trained model and its data to a latent space, in one call."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from riemvae_core.metrics import PosteriorMetric
from riemvae_core.space.adapters import adapt
from riemvae_core.space.conditions import Condition, as_condition, rows
from riemvae_core.space.encoding import encode_all, warn_of_chance, warn_of_order, warn_of_sigma
from riemvae_core.space.fingerprint import fingerprint
from riemvae_core.space.inputs import Data
from riemvae_core.space.latent import LatentSpace


def latent_space(
    model: Any,
    data: Data,
    condition: Any = None,
    key: str | int | None = None,
    *,
    batch_size: int = 256,
    radius: float | None = None,
    **settings: Any,
) -> LatentSpace:
    r"""Encode data with a trained model and fit the metric that their balls draw.

    model: an ``nn.Module`` that has methods ``encode`` and ``decode`` or modules ``encoder`` and ``decoder``
    (which a pythae model has), compiled or in parallel if you like, or a pair ``(encode, decode)`` of
    callables. ``encode`` takes a batch and returns (mu, log_var), the mean and log variance of diagonal
    Gaussians: a pair, a ``torch.distributions.Normal``, or an object or dict with either under its usual name
    (pythae's ``embedding`` and ``log_covariance``; the ``latent_dist`` of diffusers; ``qz``). ``decode``
    takes codes and returns images, or a law of them: of a Categorical its probabilities count, else its mean.
    data: a tensor or array ``[n, ...]``, an iterable of such batches or of tuples that begin with one (a
    DataLoader, in its own order), or a Dataset; numbers in the range that the model was trained on, or whole
    ones, such as tokens, which stay whole. Pass images flat if the model takes them so.
    condition: what encode and decode take beside: labels, lengths, a mask, one row an item or one for all. A
    tensor is their second input, a tuple holds more, a dict gives them by their names; one of the two may
    take none. A text names the entry of dict batches. Where the model can't do without, batches ``(x, y)``
    bring their own.
    key: which entry of dict or tuple batches holds the items. The space then takes such batches, and tensors.
    batch_size: at most so many items or codes go through the model at once.
    radius: for a model without variances (an autoencoder) the radius of every ball, in units of z; the metric
    is then this choice's as much as the model's.
    settings: go to ``PosteriorMetric.fit`` (n_centroids, background, rho, lam, generator).

    The model is used as it is: in eval mode, which every submodule leaves again for its own, without
    gradients, on its device and in its dtype (half precision gives codes in float32), global generators
    untouched. Callables of a pair are put in eval mode too where they are modules or methods of one; a lambda
    around a model isn't, so call ``model.eval()`` first.

    Codes with several axes, such as the ``[c, h, w]`` of a diffusers ``AutoencoderKL``, are flattened to
    ``c * h * w`` axes and given their shape back before they are decoded. diffusers itself clamps their log
    variances to [-30, 20]; its ``scaling_factor`` is not applied.

    A model whose latent law is not a diagonal Gaussian in the very space that it decodes (flows, hyperbolic
    space) doesn't suit. Raises ValueError for a model, data, a condition or returned values that are not as
    said, and names the first item that gave no finite ball. Warns where a loader shuffles, where what came
    second looks like deviations instead of log variances, and where the first batch or its first codes, once
    more, come out otherwise, since chance has a part in eval mode too.

    Used in chapter 11.

    Example:
        >>> from riemvae_core.models import zoo
        >>> images = rc.load_images("digits", "test").images
        >>> space = rc.latent_space(zoo.load("digits-vae-2d"), images)
        >>> space
        LatentSpace(360 balls in 2 dimensions, images [1, 8, 8], cpu)
        >>> draws = space.sample_uniform(16, rc.make_generator(0))
        >>> space.decode(draws.z).shape
        torch.Size([16, 1, 8, 8])
    """
    adapter = adapt(model, radius)
    found = encode_all(adapter, data, batch_size, as_condition(condition), key, twice=True)
    warn_of_order(data)
    warn_of_sigma(found)
    flat = found.mu.flatten(1), found.log_var.flatten(1)
    metric = PosteriorMetric.fit(*flat, **settings)
    shapes, unseen = (tuple(found.mu.shape[1:]), found.item_shape), fingerprint(adapter, ())
    told = {"condition": found.condition, "key": key}
    space = LatentSpace(*flat, metric, *shapes, batch_size, adapter, unseen, **told)
    decoded = decode_some(space)  # so that a decode which can't be used is named here
    warn_of_chance(found, *_decode_twice(space))
    return replace(space, made_by=unseen._replace(decoded_shape=decoded))


def decode_some(space: LatentSpace) -> tuple[int, ...]:
    """The shape of an image that the model decodes of the space's first codes, with their own condition."""
    return tuple(space.decode(*_some(space)).shape[1:])


def _some(space: LatentSpace) -> tuple[Tensor, Condition | None]:
    """The space's first codes and what the model gets beside them."""
    some = space.mu[:2]
    given = rows(space.condition, 0, len(some)) if space.adapter.decodes_with(space.condition) else None
    return some, given


@torch.no_grad()
def _decode_twice(space: LatentSpace) -> list[Tensor]:
    """Images of the first codes, and again, with no generator set back between the two."""
    z, given = _some(space)
    with space.adapter.at_rest():
        return [space.adapter.images(z.reshape(-1, *space.code_shape), given) for _ in range(2)]
