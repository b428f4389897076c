"""Which law of codes suits a reader's model: each is fitted to its codes, drawn, decoded and scored."""

import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from riemvae_core.laws import KINDS, LEAST_CODES, Law, SamplingWarning, fit_law
from riemvae_core.numerics import check_finite, check_number, make_generator, source_of
from riemvae_core.scores import image_features, memorization, novelty, sampler_distance
from riemvae_core.space.adapters import resting
from riemvae_core.space.crowds import known
from riemvae_core.space.health import ACTIVE_VARIANCE, DEAD_NATS, _kl_by_axis
from riemvae_core.space.law_table import COPIES, HELD_OUT, LawTable
from riemvae_core.space.verdict import DEAD, FLAT, table_of

#: the laws that are compared where none are named: those that are fitted within seconds
USUAL = ("prior", "gaussian", "mixture", "isotropic", "axes", "ball", "aggregate posterior", "kernel")
#: images held out, at the least; neighbors for coverage
LEAST, NEIGHBORS = 40, 5
#: the share of the held-out images that may be the space's own: they are left out
OWN = 0.05
#: what a law that can't be fitted, drawn or decoded raises
FAILURES = (ValueError, FloatingPointError, torch.linalg.LinAlgError)


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
    for the score of all held-out images. ``memorization`` is the median K-fold score over ``folds``, at the
    widths of the law of all codes, but with no more neighbors than the codes of a fold have.

    ``best`` is the law with the least distance among those whose novelty reaches 1/4; where these images
    can't tell laws from it, the one of them whose novelty is nearest to 1/2, that of unseen images.
    Memorization and log density don't enter: the latter weighs axes that the decoder may not read. Where
    every axis is dead (``latent_health``) or all codes decode alike, ``best`` is None, and ``reason`` says to
    take no law. A law that can't be made of these codes is left out, and ``reason`` says why.

    space: a ``LatentSpace`` with its model. held_out_images: at least 40 that it was not trained on, so not
    its own: a few of those are left out, and more are refused, since nothing is new beside itself.
    features: a function from images to rows ``[n, f]``, or ``classifier``, ``random``, ``pixels`` (see
    ``image_features``); None takes the classifier for images of its shape, else the random net. A module, or
    one that a function calls, is in eval mode while it is asked. kinds: of ``fit_law``. condition: of images
    and codes alike, one row for all. Raises ValueError for what doesn't fit.

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
    kinds = _checked_kinds(kinds)
    source_of(generator)
    generator = make_generator(0) if generator is None else generator
    _check_codes(space.mu, folds)
    held, notes = _unseen(space.encode(held_out_images, condition).mu, space)
    told, name = _features(features, space)
    decode = space.pullback(condition=condition).decode if "pullback" in kinds else None

    def seen(z: Tensor) -> Tensor:
        return _checked(told(space.decode(z, condition)), len(z))

    judge = _Judge(seen(held), seen(space.mu), repeats, generator)
    flat = _alike(torch.cat([judge.held, judge.train]))
    if _alike(judge.held) and not flat:
        raise ValueError(f"held_out_images must differ, got {len(held)} that all decode to one image")
    scores = {HELD_OUT: judge.of_held_out(), COPIES: judge.of_copies(generator)}
    laws, seconds, kept, failed = {}, {HELD_OUT: 0.0, COPIES: 0.0}, {}, {}
    for kind in kinds:
        began = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SamplingWarning)  # what it led to stands in the table
                law = fit_law(space.mu, space.log_var, kind, decode=decode)
                drawn = law.sample(judge.size, generator)
                took = time.perf_counter() - began
                more = [drawn, *(law.sample(judge.size, generator) for _ in range(repeats - 1))]
            found = judge.of_draws([seen(z) for z in more])
            kept[kind] = _memorization(space, law, decode, folds, generator)
        except FAILURES as error:
            failed[kind] = error
            continue
        laws[kind], seconds[kind], scores[kind] = law, took, found
    if not laws:
        raise next(iter(failed.values()))
    notes += [f"{kind} is left out: {str(error).rstrip('.')}." for kind, error in failed.items()]
    dead = bool((_kl_by_axis(space.mu, space.log_var) < DEAD_NATS).all())
    return table_of(scores, seconds, kept, laws, name, DEAD if dead else FLAT if flat else None, notes)


def _checked_kinds(kinds: Any) -> list[str]:
    """The kinds, each once. Raises ValueError for what isn't one."""
    listed = [kinds] if isinstance(kinds, str) or not isinstance(kinds, Iterable) else list(kinds)
    wrong = [str(kind) for kind in listed if not isinstance(kind, str) or kind not in KINDS]
    if wrong or not listed:
        raise ValueError(f"kinds must be some of {', '.join(KINDS)}, got {', '.join(wrong) or 'none'}")
    return list(dict.fromkeys(listed))


def _check_codes(mu: Float[Tensor, "n d"], folds: int) -> None:
    """Raise ValueError where the laws of all folds but one would have too few codes to be made of."""
    if folds > len(mu):
        raise ValueError(f"folds must be at most the number of codes ({len(mu)}), got {folds}")
    n, least = len(mu.unique(dim=0)), -(-LEAST_CODES * folds // (folds - 1))
    if n < least:
        more = f", or raise folds to {-(-n // (n - LEAST_CODES))}" if n > LEAST_CODES else ""
        raise ValueError(
            f"space must hold at least {least} different codes for folds={folds}, got {n}: encode more "
            f"images{more}"
        )


def _unseen(held: Float[Tensor, "m d"], space: Any) -> tuple[Float[Tensor, "k d"], list[str]]:
    """The codes held out that are none of the space's own, and what there is to say of those that are."""
    if len(held) < LEAST:
        raise ValueError(f"held_out_images must hold at least {LEAST} images, got {len(held)}")
    own = known(held, space.mu, int((space.mu.var(0) > ACTIVE_VARIANCE).sum()))
    k = int(own.sum())
    if not k:
        return held, []
    first = f"(first: row {int(own.nonzero()[0])})"
    which = f"{k} of {len(held)} whose codes are in it {first}"
    if k > OWN * len(held):
        raise ValueError(
            f"held_out_images must not be the space's own, got {which}: nothing is new beside it"
        )
    if len(held) - k < LEAST:
        raise ValueError(f"held_out_images must hold at least {LEAST} beside the space's own, got {which}")
    return held[~own], [f"Left out are {k} held-out images whose codes are in the space {first}."]


def _alike(rows: Float[Tensor, "n f"]) -> bool:
    """Whether all rows are one, up to rounding."""
    return bool((rows.amax(0) - rows.amin(0)).max() <= 1e-6 * rows.abs().max())


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


def _features(features: Any, space: Any) -> tuple[Callable[[Tensor], Tensor], str]:
    if callable(features):
        return resting(features), getattr(features, "__name__", type(features).__name__)
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
        balls, widths = (space.mu[rows], space.log_var[rows]), dict(law.widths)
        if "neighbors" in widths:  # chosen of all codes, of which a fold has fewer
            widths["neighbors"] = min(widths["neighbors"], len(balls[0].unique(dim=0)) - 1)
        return fit_law(*balls, law.kind, widths=widths, decode=decode).log_prob

    return memorization(fit, space.mu, folds, generator).median().item()
