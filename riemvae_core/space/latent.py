"""A reader's own model: its balls, their metric, and the core's samplers and paths behind one object."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import one_hot

from riemvae_core.balls import Balls
from riemvae_core.laws import UniformDraws, sample_uniform
from riemvae_core.metrics import PosteriorMetric, PullbackMetric
from riemvae_core.paths import Geodesic, Metric, geodesic, low_cost_path
from riemvae_core.space.adapters import Adapter
from riemvae_core.space.comparison import compare_laws
from riemvae_core.space.conditions import Condition, alike, rows
from riemvae_core.space.curves import both_ends, shortest_between, strip
from riemvae_core.space.encoding import encode_more, flat_codes
from riemvae_core.space.files import write_space
from riemvae_core.space.fingerprint import Fingerprint
from riemvae_core.space.health import HealthReport, latent_health
from riemvae_core.space.inputs import Data
from riemvae_core.space.law_table import LawTable
from riemvae_core.space.tensors import as_tensor, axis_numbers


@dataclass(frozen=True, eq=False, repr=False)
class LatentSpace:
    """The balls of encoded images, the metric they draw, and the model that made them; by ``latent_space``,
    and by ``load_space`` from a file.

    ``mu`` and ``log_var`` are the balls, ``[n, d]``; ``metric`` their ``PosteriorMetric``; ``code_shape`` the
    axes of a code in the model's own eyes (d is their product), ``image_shape`` those of an image. In a space
    ``on_axes`` of a larger one d counts ``axes``, those of the model's flat codes that are left, and ``rest``
    ``[product of code_shape]`` holds the values that the others keep. ``adapter`` is the model, None in a
    space loaded without it; ``made_by`` its fingerprint at the time when it made the balls. ``condition`` is
    what the model got beside the items, as tensors of n rows or of one row for all; ``key`` the entry of
    batches that held them, which tensors, the items themselves, don't need.

    Where a model takes a condition, methods take one too: one row for all, or one for each image, code or
    curve; left out, it is the space's own where that is the same for all items. The metric knows the balls
    alone: draws and paths between codes need no condition, and their images are what the condition makes of
    them.

    Used in chapter 11.

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
    condition: Condition | None = None
    key: str | int | None = None

    def __repr__(self) -> str:
        n, d = self.mu.shape
        of = "" if self.axes is None else f" of {prod(self.code_shape)}"
        shape, device = list(self.image_shape), self.mu.device
        alone = ", without its model" if self.adapter is None else ""
        return f"LatentSpace({n} balls in {d}{of} dimensions, images {shape}, {device}{alone})"

    def encode(self, x: Data, condition: Any = None) -> Balls:
        """The balls ``[n, d]`` of items in any of the forms that ``latent_space`` takes; condition too."""
        return encode_more(self, x, condition)

    @torch.no_grad()
    def decode(self, z: Float[Tensor, "*batch d"] | np.ndarray, condition: Any = None) -> Tensor:
        """Images ``[*batch, ...]`` of codes, in their own shape too; flat images get the shape they went in.

        condition: one row for all codes or one a code, ``[*batch, ...]``. Of a Normal or a Bernoulli an image
        is the mean, of a Categorical the probabilities, classes last.
        """
        z = flat_codes(as_tensor(z, "z"), self.mu.shape[1], self._code_shape())
        batch, flat = z.shape[:-1], z.reshape(-1, z.shape[-1])
        given = self._decoded_with(condition, tuple(batch))
        done = []
        for first in range(0, max(len(flat), 1), self.batch_size):
            part = flat[first : first + self.batch_size]
            x = self._decode("images", part, rows(given, first, first + len(part)), first)
            was_flat = x.ndim == 2 and x.shape[1] == prod(self.image_shape)
            done.append(x.reshape(-1, *self.image_shape) if was_flat else x)
        x = torch.cat(done)
        return x.reshape(*batch, *x.shape[1:])

    def _decode(self, what: str, z: Float[Tensor, "m d"], given: Condition | None, *first: int) -> Any:
        if self.axes is not None:
            z = self.rest.to(z) + z @ one_hot(self.axes, len(self.rest)).to(z)
        adapter = self._model()
        with adapter.at_rest():
            return getattr(adapter, what)(z.reshape(-1, *self.code_shape), given, *first)

    def _decoded_with(self, condition: Any, batch: tuple[int, ...], item: str = "a code") -> Condition | None:
        """What decode gets beside codes ``[*batch, d]``: nothing where it takes nothing."""
        if condition is None and not self._model().decodes_with(self.condition):
            return None
        return alike(self.condition, condition, batch, item)

    def on_axes(
        self, axes: Sequence[int] | Tensor | np.ndarray | None = None, **settings: Any
    ) -> "LatentSpace":
        r"""The same model on some axes alone: balls, metric, draws, paths and report know no others.

        An idle axis tells nothing of an image and still multiplies the weight of a crowd of K balls by
        $\sqrt K$, so the uniform law is better drawn without. Axes that carry a little do nearly the same,
        and health doesn't call them dead: name those to keep (chapter 11).

        axes: their numbers in this space, or a mask ``[d]`` of them; None takes those that ``health`` doesn't
        call dead. The others keep the mean of their centers when a code is decoded. ``settings`` go to
        ``PosteriorMetric.fit``. Raises ValueError for what is neither numbers nor a mask, for axes that
        aren't there or come twice, for none, and where all are dead.
        """
        if axes is None:
            axes = ~self.health().dead
            if not bool(axes.any()):
                raise ValueError("axes must be named where every axis is dead, got None")
        axes = axis_numbers(axes, self.mu.shape[1])
        left = torch.tensor(axes, device=self.mu.device)
        held = self.mu.mean(0).index_fill(0, left, 0.0)
        if self.axes is not None:
            held, left = self.rest.index_copy(0, self.axes, held), self.axes[left]
        balls = self.mu[:, axes], self.log_var[:, axes]
        metric = PosteriorMetric.fit(*balls, **settings)
        return replace(self, mu=balls[0], log_var=balls[1], metric=metric, axes=left, rest=held)

    def pullback(
        self, mode: Literal["forward", "reverse"] = "forward", *, condition: Any = None
    ) -> PullbackMetric:
        r"""The metric $J^\top J$ that the decoder pulls back from images, for any function that takes one.

        J holds d numbers for each number of an image: this is for some hundreds of latent axes at most. Where
        torch can't follow a decoder forward (GroupNorm after attention, as in ``AutoencoderKL``), take
        ``reverse``. condition: one row, for all codes. Of a decoder that returns a Normal J holds the
        derivatives of its mean and of its standard deviation, of a Bernoulli or a Categorical those of the
        probabilities; other laws are refused.
        """
        given = self._decoded_with(condition, (), "row alone")

        def decode(z: Tensor) -> tuple[Tensor, ...]:
            with sdpa_kernel(SDPBackend.MATH):  # the one form of attention with all derivatives
                return self._decode("derivable", z, rows(given, 0, len(z)))

        return PullbackMetric(decode, mode)

    def sample_uniform(
        self, n: int, generator: torch.Generator | None = None, method: str = "auto", **settings: Any
    ) -> UniformDraws:
        """n draws from the uniform law of the metric; see ``sample_uniform`` for what comes with them."""
        return sample_uniform(self.metric, n, generator, method, **settings)

    def geodesic(
        self,
        a: Tensor | np.ndarray,
        b: Tensor | np.ndarray,
        n_points: int = 64,
        *,
        metric: Metric | None = None,
        condition: Any = None,
        images: bool = False,
        codes: bool = False,
        **settings: Any,
    ) -> Geodesic:
        """Shortest paths from a to b, each images or codes, in the space's metric or in another one.

        What ends in the axes of an image is encoded, to the center of its ball, with ``condition``: one row
        for all images or one each, ``[*batch, ...]``, for both ends. All else must be codes ``[*batch, d]``
        or of ``code_shape``. Where a shape fits both, ``images=True`` or ``codes=True`` says which both ends
        are. ``settings`` go to ``geodesic``. In its own metric a path flees the data (chapter 5), and
        ``low_cost_path`` holds to it.
        """
        metric = self.metric if metric is None else metric
        return geodesic(metric, *both_ends(self, a, b, condition, images, codes), n_points, **settings)

    def low_cost_path(
        self,
        a: Tensor | np.ndarray,
        b: Tensor | np.ndarray,
        n_points: int = 64,
        *,
        condition: Any = None,
        images: bool = False,
        codes: bool = False,
        **settings: Any,
    ) -> Geodesic:
        """Paths of least cost from a to b, images or codes as for ``geodesic``; see ``low_cost_path``."""
        return low_cost_path(
            self.metric, *both_ends(self, a, b, condition, images, codes), n_points, **settings
        )

    def shortest_decoded(
        self,
        a: Tensor | np.ndarray,
        b: Tensor | np.ndarray,
        n_points: int = 65,
        *,
        condition: Any = None,
        images: bool = False,
        codes: bool = False,
        **settings: Any,
    ) -> Geodesic:
        """Paths that change decoded images least, from a to b, images or codes as for ``geodesic``.

        The function ``shortest_decoded`` with this model at rest: a model in train mode would be searched
        through dropout, and its running means would be moved. ``condition``, one row for all or one a pair
        ``[*batch, ...]``, is the decoder's too. Of a Normal the mean and the deviation count, as for
        ``pullback``. ``settings`` go to ``shortest_decoded`` (waves, max_steps, tol), and errors and warnings
        are its own; a and b must be of one shape.

        Example:
            >>> from riemvae_core.models import zoo
            >>> images = rc.load_images("digits", "test").images
            >>> space = rc.latent_space(zoo.load("digits-vae-2d"), images)
            >>> path = space.shortest_decoded(images[0], images[1])
            >>> line = rc.decoded_steps(space.decode, torch.stack([space.mu[0], space.mu[1]])).sum()
            >>> path.curve.shape, bool(path.length > line)  # no path is shorter than its chord
            (torch.Size([65, 2]), True)
        """
        return shortest_between(
            self, *both_ends(self, a, b, condition, images, codes), n_points, condition, **settings
        )

    def interpolate(
        self, curve: Float[Tensor, "*batch t d"] | np.ndarray, n: int = 8, *, condition: Any = None
    ) -> Tensor:
        """Strips of n decoded images ``[*batch, n, ...]``, at even steps along curves from end to end.

        A path's ``curve`` has constant speed, so its steps are even in length too. Two points are a curve:
        ``torch.stack([a, b], -2)`` is the straight line. condition: one row for all, or one a curve. Raises
        ValueError for n below 2, and for a curve of fewer than two points or with numbers that aren't finite.
        """
        return strip(self, curve, n, condition)

    def health(self, generator: torch.Generator | None = None) -> HealthReport:
        """What is wrong with this space, in numbers and words; print it. See ``latent_health``."""
        return latent_health(self.mu, self.log_var, self.metric, generator)

    def compare_laws(self, held_out_images: Data, features: Any = None, **settings: Any) -> LawTable:
        """Which law of codes to sample from, scored on images that the model was not trained on.

        See ``riemvae_core.space.compare_laws`` for ``features``, ``kinds`` and the other settings.
        """
        return compare_laws(self, held_out_images, features, **settings)

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

    def _code_shape(self) -> tuple[int, ...] | None:
        """The shape of a code in the model's own eyes, where this space has all its axes."""
        return self.code_shape if self.axes is None else None
