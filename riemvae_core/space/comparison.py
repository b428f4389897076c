"""Which law of codes suits a reader's model: each is fitted to its codes, drawn, decoded and scored."""

import math
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws import KINDS, Law, SamplingWarning, fit_law
from riemvae_core.numerics import Interval, check_finite, check_number, make_generator
from riemvae_core.scores import image_features, memorization, novelty, sampler_distance
from riemvae_core.space.health import DEAD_NATS, _kl_by_axis
from riemvae_core.space.law_table import COPIES, HELD_OUT, LawRow, LawTable

#: the laws that are compared where none are named: those that are fitted within seconds
USUAL = ("prior", "gaussian", "mixture", "isotropic", "axes", "ball", "aggregate posterior", "kernel")
#: a law whose novelty stays below this, half of what unseen images have, copies and isn't recommended
COPYING = 0.25
LEAST, NEIGHBORS = 40, 5
DEAD = (
    "Take none of these: every axis is dead, so that all codes decode nearly alike and no law can show a "
    "difference. The model is to be mended first (latent_health)."
)


def compare_laws(
    space: Any,
    held_out_images: Any,
    features: str | Callable[[Tensor], Tensor] | None = None,
    kinds: Sequence[str] = USUAL,
    *,
    condition: Any = None,
    repeats: int = 6,
    folds: int = 5,
    generator: torch.Generator | None = None,
) -> LawTable:
    r"""Fit laws of several kinds to a space's codes, draw and decode them, and score them on images held out.

    Widths are chosen by the likelihood of a fifth of the space's own codes (``fit_law``), never by the scores
    here. In each of ``repeats`` repetitions a random half of the held-out images, decoded from their centers,
    is the reference, and each law gives as many new draws: their Frechet distance and coverage against the
    reference, and their novelty (``sampler_distance``, ``novelty``). The other half gives the row of the
    held-out images, what a perfect law would get, and copies of training codes theirs. Intervals are at 95%
    for the score of all held-out images. ``memorization`` is the median K-fold score over ``folds``.

    ``best`` is the law with the least distance among those whose novelty reaches 1/4; where these images
    can't tell laws from it, the one of them whose novelty is nearest to 1/2, that of unseen images.
    Memorization and log density don't enter: the latter weighs axes that the decoder may not read. Where
    every axis is dead (``latent_health``), all codes decode nearly alike, and ``reason`` says to take no law.

    space: a ``LatentSpace`` with its model. held_out_images: at least 40 that it was not trained on.
    features: a function from images to rows ``[n, f]``, or ``classifier``, ``random``, ``pixels`` (see
    ``image_features``); None takes the classifier for images of its shape, else the random net. kinds: of
    ``fit_law``. condition: of images and codes alike, one row for all. Raises ValueError for what
    doesn't fit.

    Example:
        >>> from riemvae_core.models import zoo
        >>> from riemvae_core.space import compare_laws
        >>> train, test = (rc.load_images("digits", split).images for split in ("train", "test"))
        >>> space = rc.latent_space(zoo.load("digits-vae-2d"), train)
        >>> table = compare_laws(space, test, "pixels", kinds=("prior", "isotropic"), repeats=3)
        >>> table.row("training codes").novelty.mean < 0.1
        True
    """
    check_number(2, whole=True, repeats=repeats)
    check_number(2, whole=True, folds=folds)
    kinds = list(dict.fromkeys([kinds] if isinstance(kinds, str) else kinds))
    wrong = [kind for kind in kinds if kind not in KINDS]
    if wrong or not kinds:
        raise ValueError(f"kinds must be some of {', '.join(KINDS)}, got {', '.join(wrong) or 'none'}")
    generator = make_generator(0) if generator is None else generator
    held = space.encode(held_out_images, condition).mu
    if len(held) < LEAST:
        raise ValueError(f"held_out_images must hold at least {LEAST} images, got {len(held)}")
    told, name = _features(features, space)

    decode = space.pullback(condition=condition).decode if "pullback" in kinds else None

    def seen(z: Tensor) -> Tensor:
        return _checked(told(space.decode(z, condition)), len(z))

    judge = _Judge(seen(held), seen(space.mu), repeats, generator)
    scores = {HELD_OUT: judge.of_held_out(), COPIES: judge.of_copies(generator)}
    laws, seconds, kept = {}, {HELD_OUT: 0.0, COPIES: 0.0}, {}
    for kind in kinds:
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SamplingWarning)  # what it led to stands in the table
            laws[kind] = fit_law(space.mu, space.log_var, kind, decode=decode)
            drawn = laws[kind].sample(judge.size, generator)
            seconds[kind] = time.perf_counter() - began
            more = [drawn, *(laws[kind].sample(judge.size, generator) for _ in range(repeats - 1))]
        scores[kind] = judge.of_draws([seen(z) for z in more])
        kept[kind] = _memorization(space, laws[kind], decode, folds, generator)
    dead = bool((_kl_by_axis(space.mu, space.log_var) < DEAD_NATS).all())
    return _table(scores, seconds, kept, laws, name, dead)


class _Judge:
    """Held-out images in random halves, one a repetition: one half is the reference, the other the bound."""

    def __init__(self, held: Tensor, train: Tensor, repeats: int, generator: torch.Generator) -> None:
        self.held, self.train, self.size = held, train, len(held) // 2
        source = generator.device
        orders = [torch.randperm(len(held), generator=generator, device=source) for _ in range(repeats)]
        self.orders = [order.to(held.device) for order in orders]

    def _scores(self, fake: Tensor, order: Tensor) -> tuple[float, float, float]:
        reference = self.held[order[: self.size]]
        near = sampler_distance(fake, reference, NEIGHBORS)
        return near.frechet, near.coverage, novelty(fake, self.train, reference)

    def of_held_out(self) -> Tensor:
        """Scores of the half that isn't the reference."""
        return torch.tensor([self._scores(self.held[o[self.size :][: self.size]], o) for o in self.orders])

    def of_copies(self, generator: torch.Generator) -> Tensor:
        """Scores of training codes, as many as there are draws."""
        rows = [
            torch.randperm(len(self.train), generator=generator, device=generator.device) for _ in self.orders
        ]
        return self.of_draws([self.train[r.to(self.train.device)[: self.size]] for r in rows])

    def of_draws(self, fakes: list[Tensor]) -> Tensor:
        """Scores ``[repeats, 3]`` of a set of features for each repetition."""
        return torch.tensor([self._scores(f, o) for f, o in zip(fakes, self.orders, strict=True)])


def half_sample_interval(values: Float[Tensor, " n"]) -> Interval:
    r"""Mean of a score over random halves of a set, and the 95% interval of the score of the whole set.

    Halves of one set share images, so their mean is no better known than by the whole: the deviation of
    halves, and not that over the root of their number, estimates the standard error (half-samples, McCarthy,
    1969). Draws are new in each, so that their chance is in it too.
    """
    from scipy.special import stdtrit  # slow to import, so only when asked for

    mean = values.mean().item()
    half = float(stdtrit(len(values) - 1, 0.975)) * values.std().item()
    return Interval(mean, mean - half, mean + half)


def _within(values: Float[Tensor, " n"], most: float) -> Interval:
    """The interval of a score that goes from 0 to ``most``."""
    interval = half_sample_interval(values)
    return interval._replace(low=max(0.0, interval.low), high=min(most, interval.high))


def _features(features: Any, space: Any) -> tuple[Callable[[Tensor], Tensor], str]:
    if callable(features):
        return features, getattr(features, "__name__", type(features).__name__)
    if features is None:
        fits = tuple(space.image_shape) == (1, 28, 28)
        features = "classifier" if fits else "random" if len(space.image_shape) == 3 else "pixels"
    return image_features(features, tuple(space.image_shape), space.mu.device), features


def _checked(rows: Any, n: int) -> Tensor:
    if not isinstance(rows, Tensor) or rows.ndim != 2 or len(rows) != n:
        came = list(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
        raise ValueError(f"features must return one row an image, [{n}, f], got {came}")
    check_finite(features=rows)
    return rows.detach()


def _memorization(
    space: Any, law: Law, decode: Callable[[Tensor], Any] | None, folds: int, generator: torch.Generator
) -> float | None:
    """The median over codes of how much more likely the law finds them for having seen them."""
    if not law.has_density:
        return None

    def fit(rows: Tensor) -> Callable[[Tensor], Tensor]:
        balls = space.mu[rows], space.log_var[rows]
        return fit_law(*balls, law.kind, widths=law.widths, decode=decode).log_prob

    return memorization(fit, space.mu, folds, generator).median().item()


def _table(
    scores: dict[str, Tensor],
    seconds: dict[str, float],
    kept: dict[str, float | None],
    laws: dict[str, Law],
    features: str,
    dead: bool = False,
) -> LawTable:
    most = (math.inf, 1.0, 1.0)  # of distance, coverage, novelty
    found = {name: [_within(v[:, i], most[i]) for i in range(3)] for name, v in scores.items()}
    fresh = [kind for kind in laws if found[kind][2].high >= COPYING]
    order = sorted(fresh or laws, key=lambda kind: found[kind][0].mean)
    gaps = {kind: half_sample_interval(scores[kind][:, 0] - scores[order[0]][:, 0]) for kind in laws}
    alike = tuple(kind for kind in order if gaps[kind].low <= 0.0)
    best = min(alike, key=lambda kind: abs(found[kind][2].mean - 0.5))
    rows = tuple(
        LawRow(
            name,
            *found[name],
            kept.get(name),
            laws[name].held_out_log_prob
            if name in laws and not math.isnan(laws[name].held_out_log_prob)
            else None,
            seconds[name],
            gaps.get(name),
        )
        for name in scores
    )
    reason = DEAD if dead else _reason(best, alike, order, found, gaps, bool(fresh))
    return LawTable(rows, best, alike, reason, features, laws)


def _reason(
    best: str,
    alike: tuple[str, ...],
    order: list[str],
    found: dict[str, list[Interval]],
    gaps: dict[str, Interval],
    fresh: bool,
) -> str:
    """Which law to take and why, in words."""
    bound, copies = f"{found[HELD_OUT][0]:.3g}", f"{found[COPIES][0].mean:.3g}"
    beside = f"Held-out images themselves are at {bound}, copies of training codes at {copies}."
    if len(alike) > 1:
        names = ", ".join(alike[:-1]) + f" and {alike[-1]}"
        said = (
            f"Take {best}: its novelty is nearest to 1/2, and in distance there is no difference that these "
            f"images could show between {names}."
        )
    elif len(order) == 1:
        said = f"Take {best}: it is the only law here" + (" that doesn't copy." if fresh else ".")
    else:
        said = f"Take {best}: the least distance, {gaps[order[1]]:.3g} less than {order[1]}, the next."
    if not fresh:
        said += " But all of these laws copy: their novelty is far below 1/2."
    return f"{said} {beside}"
