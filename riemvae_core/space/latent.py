"""A reader's own model: its balls, their metric, and the core's samplers and paths behind one object."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import one_hot

from riemvae_core.balls import Balls
from riemvae_core.laws import UniformDraws, sample_uniform
from riemvae_core.metrics import PosteriorMetric, PullbackMetric
from riemvae_core.numerics import check_points
from riemvae_core.paths import Geodesic, Metric, geodesic, low_cost_path
from riemvae_core.space.adapters import Adapter, Images, adapt, batches
from riemvae_core.space.files import write_space
from riemvae_core.space.fingerprint import Fingerprint, fingerprint
from riemvae_core.space.health import HealthReport, latent_health


def latent_space(
    model: Any,
    images: Images,
    *,
    batch_size: int = 256,
    radius: float | None = None,
    **settings: Any,
) -> "LatentSpace":
    r"""Encode images with a trained model and fit the metric that their balls draw.

    model: an ``nn.Module`` that has methods ``encode`` and ``decode`` or modules ``encoder`` and ``decoder``
    (which a pythae model has), or a pair ``(encode, decode)`` of callables. ``encode`` takes a batch of
    images and returns (mu, log_var), the mean and log variance of diagonal Gaussians: a pair, a
    ``torch.distributions.Normal``, or an object or dict with the two under their usual names (pythae's
    ``embedding`` and ``log_covariance``; the ``mean`` and ``logvar`` of a diffusers ``latent_dist``).
    ``decode`` takes codes and returns images.
    images: a tensor ``[n, ...]``, an iterable of such batches or of tuples that begin with one (a
    DataLoader), or a Dataset; in the range that the model was trained on. Pass them flat if it takes them so.
    batch_size: at most so many images or codes go through the model at once.
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
    space) doesn't suit. Raises ValueError for a model, images or returned values that are not as said.

    Used in chapter 9.

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
    mu, log_var, image_shape = _encode(adapter, images, batch_size)
    flat = mu.flatten(1), log_var.flatten(1)
    metric = PosteriorMetric.fit(*flat, **settings)
    shapes, unseen = (tuple(mu.shape[1:]), image_shape), fingerprint(adapter, ())
    space = LatentSpace(*flat, metric, *shapes, batch_size, adapter, unseen)
    decoded = space.decode(space.mu[:2])  # so that a decode which can't be used is named here
    return replace(space, made_by=unseen._replace(decoded_shape=tuple(decoded.shape[1:])))


@dataclass(frozen=True, eq=False, repr=False)
class LatentSpace:
    """The balls of encoded images, the metric they draw, and the model that made them; by ``latent_space``,
    and by ``load_space`` from a file.

    ``mu`` and ``log_var`` are the balls, ``[n, d]``; ``metric`` their ``PosteriorMetric``; ``code_shape`` the
    axes of a code in the model's own eyes (d is their product), ``image_shape`` those of an image. In a space
    ``on_axes`` of a larger one d counts ``axes``, those of the model's flat codes that are left, and ``rest``
    ``[product of code_shape]`` holds the values that the others keep. ``adapter`` is the model, None in a
    space loaded without it; ``made_by`` its fingerprint at the time when it made the balls.

    Used in chapter 9.

    Example:
        >>> from riemvae_core.models import zoo
        >>> images = rc.load_images("digits", "test").images
        >>> space = rc.latent_space(zoo.load("digits-vae-2d"), images)
        >>> torch.allclose(space.encode(images[:3]).mu, space.mu[:3], atol=1e-4)
        True
        >>> path = torch.stack([space.mu[0], space.mu[1]])  # a straight line
        >>> space.interpolate(path, n=5).shape
        torch.Size([5, 1, 8, 8])
    """

    mu: Float[Tensor, "n d"]
    log_var: Float[Tensor, "n d"]
    metric: PosteriorMetric
    code_shape: tuple[int, ...]
    image_shape: tuple[int, ...]
    batch_size: int
    adapter: Adapter | None
    made_by: Fingerprint
    axes: Int[Tensor, " d"] | None = None
    rest: Tensor | None = None

    def __repr__(self) -> str:
        n, d = self.mu.shape
        of = "" if self.axes is None else f" of {prod(self.code_shape)}"
        shape, device = list(self.image_shape), self.mu.device
        alone = ", without its model" if self.adapter is None else ""
        return f"LatentSpace({n} balls in {d}{of} dimensions, images {shape}, {device}{alone})"

    def encode(self, x: Images) -> Balls:
        """The balls ``[n, d]`` of images in any of the forms that ``latent_space`` takes."""
        mu, log_var, _ = _encode(self._model(), x, self.batch_size, self.image_shape)
        left = slice(None) if self.axes is None else self.axes
        return Balls(mu.flatten(1)[:, left], log_var.flatten(1)[:, left])

    @torch.no_grad()
    def decode(self, z: Float[Tensor, "*batch d"]) -> Tensor:
        """Images ``[*batch, ...]`` of codes; an image that comes back flat is given the shape it went in."""
        check_points(z, self.mu.shape[1])
        flat = z.reshape(-1, z.shape[-1])
        x = torch.cat([self._decode(part) for part in flat.split(self.batch_size)])
        return x.reshape(*z.shape[:-1], *x.shape[1:])

    def _decode(self, z: Float[Tensor, "m d"]) -> Tensor:
        if self.axes is not None:
            z = self.rest.to(z) + z @ one_hot(self.axes, len(self.rest)).to(z)
        adapter = self._model()
        with adapter.at_rest():
            x = adapter.images(z.reshape(-1, *self.code_shape))
        was_flat = x.ndim == 2 and x.shape[1] == prod(self.image_shape)
        return x.reshape(-1, *self.image_shape) if was_flat else x

    def on_axes(self, axes: Sequence[int] | Tensor | None = None, **settings: Any) -> "LatentSpace":
        r"""The same model on some axes alone: balls, metric, draws, paths and report know no others.

        An idle axis tells nothing of an image and still multiplies the weight of a crowd of K balls by
        $\sqrt K$, so the uniform law is better drawn without. Axes that carry a little do nearly the same,
        and health doesn't call them dead: name those to keep (chapter 9).

        axes: their numbers in this space; None takes those that ``health`` doesn't call dead. The others keep
        the mean of their centers when a code is decoded. ``settings`` go to ``PosteriorMetric.fit``.
        Raises ValueError for axes that aren't there or come twice, for none, and where all are dead.
        """
        d = self.mu.shape[1]
        if axes is None:
            axes = (~self.health().dead).nonzero()[:, 0]
            if not len(axes):
                raise ValueError("axes must be named where every axis is dead, got None")
        axes = [int(k) for k in axes]
        if not axes or len(set(axes)) < len(axes) or not 0 <= min(axes) <= max(axes) < d:
            raise ValueError(f"axes must be different numbers from 0 to {d - 1}, at least one, got {axes}")
        left = torch.tensor(axes, device=self.mu.device)
        held = self.mu.mean(0).index_fill(0, left, 0.0)
        if self.axes is not None:
            held, left = self.rest.index_copy(0, self.axes, held), self.axes[left]
        balls = self.mu[:, axes], self.log_var[:, axes]
        metric = PosteriorMetric.fit(*balls, **settings)
        return replace(self, mu=balls[0], log_var=balls[1], metric=metric, axes=left, rest=held)

    def pullback(self, mode: Literal["forward", "reverse"] = "forward") -> PullbackMetric:
        r"""The metric $J^\top J$ that the decoder pulls back from images, for any function that takes one.

        J holds d numbers for each number of an image: this is for some hundreds of latent axes at most. Where
        torch can't follow a decoder forward (GroupNorm after attention, as in ``AutoencoderKL``), take
        ``reverse``.
        """
        self._model()

        def decode(z: Tensor) -> Tensor:
            with sdpa_kernel(SDPBackend.MATH):  # the one form of attention with all derivatives
                return self._decode(z)

        return PullbackMetric(decode, mode)

    def sample_uniform(
        self, n: int, generator: torch.Generator | None = None, method: str = "auto", **settings: Any
    ) -> UniformDraws:
        """n draws from the uniform law of the metric; see ``sample_uniform`` for what comes with them."""
        return sample_uniform(self.metric, n, generator, method, **settings)

    def geodesic(
        self, a: Tensor, b: Tensor, n_points: int = 64, *, metric: Metric | None = None, **settings: Any
    ) -> Geodesic:
        """Shortest paths from a to b, each images or codes, in the space's metric or in another one.

        What ends in the axes of an image is encoded, to the center of its ball; all else must be codes
        ``[*batch, d]``. ``settings`` go to ``geodesic``. In its own metric a path flees the data (chapter 5),
        and ``low_cost_path`` holds to it.
        """
        metric = self.metric if metric is None else metric
        return geodesic(metric, self._codes("a", a), self._codes("b", b), n_points, **settings)

    def low_cost_path(self, a: Tensor, b: Tensor, n_points: int = 64, **settings: Any) -> Geodesic:
        """Paths of least cost from a to b, images or codes as for ``geodesic``; see ``low_cost_path``."""
        return low_cost_path(self.metric, self._codes("a", a), self._codes("b", b), n_points, **settings)

    def interpolate(self, curve: Float[Tensor, "*batch t d"], n: int = 8) -> Tensor:
        """Strips of n decoded images ``[*batch, n, ...]``, at even steps along curves from end to end.

        A path's ``curve`` has constant speed, so its steps are even in length too. Two points are a curve:
        ``torch.stack([a, b], -2)`` is the straight line.
        """
        if n < 2 or curve.shape[-2] < 2:
            raise ValueError(f"n and curve's points must be at least 2, got {n} and {curve.shape[-2]}")
        at = torch.linspace(0, curve.shape[-2] - 1, n, dtype=curve.dtype, device=curve.device)
        left = at.long().clamp(max=curve.shape[-2] - 2)
        return self.decode(torch.lerp(curve[..., left, :], curve[..., left + 1, :], (at - left)[:, None]))

    def health(self, generator: torch.Generator | None = None) -> HealthReport:
        """What is wrong with this space, in numbers and words; print it. See ``latent_health``."""
        return latent_health(self.mu, self.log_var, self.metric, generator)

    def save(self, path: str | Path) -> None:
        """Write all but the model to one file, safetensors with JSON, for ``load_space`` to read.

        path: taken as it is, nothing is appended (``.safetensors`` is the custom); ``~`` is your home, and
        missing folders are made. The file is written whole or not at all: one that stood there before is
        replaced at the last moment. It holds balls, metric and settings bit for bit in about 8 n d bytes
        (16 n d in float64, and as much again for a metric's own centroids as these take), the class and
        fingerprint of the model as it was when it encoded the images, and neither weights, images nor device.
        Raises OSError where the file can't be written and ValueError for a metric of another class.

        Example:
            >>> import tempfile
            >>> vae = rc.make_model("vae", rc.ModelConfig((1, 8, 8), width=8, depth=1), seed=0)
            >>> space = rc.latent_space(vae, rc.load_images("digits").images[:50])
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     space.save(f"{folder}/digits.safetensors")
            ...     again = rc.load_space(f"{folder}/digits.safetensors", vae)
            >>> again
            LatentSpace(50 balls in 2 dimensions, images [1, 8, 8], cpu)
            >>> torch.equal(again.mu, space.mu)
            True
        """
        write_space(self, path)

    def _model(self) -> Adapter:
        if self.adapter is None:
            raise ValueError(
                "model must be given, as load_space(path, model=...), to encode or decode, got a space "
                f"without the {self.made_by.kind} that made it"
            )
        return self.adapter

    def _codes(self, name: str, x: Tensor) -> Tensor:
        """Codes as they are; images ``[*batch, ...]`` as the centers of their balls."""
        axes, d = len(self.image_shape), self.mu.shape[1]
        if tuple(x.shape[-axes:]) == self.image_shape:
            batch = x.shape[: x.ndim - axes]
            return self.encode(x.reshape(-1, *self.image_shape)).mu.reshape(*batch, d)
        if x.shape[-1:] != (d,):
            raise ValueError(
                f"{name} must be images [*batch, {', '.join(map(str, self.image_shape))}] or codes "
                f"[*batch, {d}], got {list(x.shape)}"
            )
        return x.to(self.mu)


@torch.no_grad()
def _encode(
    adapter: Adapter,
    images: Images,
    batch_size: int,
    image_shape: tuple[int, ...] | None = None,
) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """mu and log_var of all images, in the model's own axes, and the shape of an image."""
    parts = []
    with adapter.at_rest():
        for x in batches(images, batch_size):
            image_shape = image_shape or tuple(x.shape[1:])
            if tuple(x.shape[1:]) != image_shape:
                wanted = ", ".join(map(str, image_shape))
                raise ValueError(f"images must all be [n, {wanted}], got a batch {list(x.shape)}")
            parts.append(adapter.balls(x))
    if not parts:
        raise ValueError("images must hold at least one image, got none")
    mu, log_var = (torch.cat(part) for part in zip(*parts, strict=True))
    return mu, log_var, image_shape
