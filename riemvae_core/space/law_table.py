"""What a comparison of laws found, a row a law; which to take, and why; a picture of it."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from riemvae_core.intervals import Interval
from riemvae_core.laws import Law

LINE = 88  # characters of a printed line, as wide as a page shows

#: the rows that are no law: what a perfect sampler would get, and what copying gets
HELD_OUT, COPIES = "held-out images", "training codes"


class LawRow(NamedTuple):
    """One law's scores: distance and coverage against held-out images, novelty, memorization, seconds.

    ``distance`` in squared units of the features, ``memorization`` in nats (None without a density): the
    median over codes of their K-fold score; ``held_out_log_prob`` in nats a code (None without a density, and
    for ``averaged``, whose floor is put below the codes held out, so that new ones would get less);
    ``seconds`` to fit and to draw once. ``gap`` is the distance less that of the nearest law, over the same
    repetitions.

    Example:
        >>> from riemvae_core.space import LawRow
        >>> LawRow._fields[:4]
        ('law', 'distance', 'coverage', 'novelty')
    """

    law: str
    distance: Interval
    coverage: Interval
    novelty: Interval
    memorization: float | None
    held_out_log_prob: float | None
    seconds: float
    gap: Interval | None


@dataclass(frozen=True, eq=False, repr=False)
class LawTable:
    """Laws of codes side by side for one model, by ``LatentSpace.compare_laws``; print it.

    ``rows`` holds a ``LawRow`` for the held-out images, for copies of training codes and for each law;
    ``best`` names the law to take, or is None where none is worth it, and ``reason`` says why; ``alike``
    names the laws between which these images show no difference; ``laws`` holds the fitted laws by their
    kinds, ready to be drawn from.

    Example:
        >>> from riemvae_core.models import zoo
        >>> train, test = (rc.load_images("digits", split).images for split in ("train", "test"))
        >>> space = rc.latent_space(zoo.load("digits-vae-2d"), train)
        >>> table = space.compare_laws(test, "pixels", kinds=("prior", "gaussian"), repeats=3)
        >>> sorted(table.laws)
        ['gaussian', 'prior']
        >>> table.best in table.laws, table.laws[table.best].sample(3).shape
        (True, torch.Size([3, 2]))
    """

    rows: tuple[LawRow, ...]
    best: str | None
    alike: tuple[str, ...]
    reason: str
    features: str
    laws: Mapping[str, Law]

    def row(self, law: str) -> LawRow:
        """The row of a law. Raises ValueError for one that isn't in the table."""
        found = {row.law: row for row in self.rows}
        if law not in found:
            raise ValueError(f"law must be one of {', '.join(found)}, got {law!r}")
        return found[law]

    def __str__(self) -> str:
        heads = ("law", "distance", "coverage", "novelty", "memorization", "log density", "seconds")
        cells = [heads] + [
            (
                row.law,
                f"{row.distance:.3g}",
                f"{row.coverage:.2f}",
                f"{row.novelty:.2f}",
                "" if row.memorization is None else f"{row.memorization:.2f}",
                "" if row.held_out_log_prob is None else f"{row.held_out_log_prob:.2f}",
                f"{row.seconds:.1f}",
            )
            for row in self.rows
        ]
        wide = [max(len(line[i]) for line in cells) for i in range(len(heads))]
        lines = [
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w)
                for i, (cell, w) in enumerate(zip(line, wide, strict=True))
            )
            for line in cells
        ]
        return "\n".join([*lines, f"features: {self.features}", textwrap.fill(self.reason, LINE)])

    __repr__ = __str__

    def plot(self, axes: Any = None) -> Any:
        """Distance against novelty, a point a law with both intervals; returns the axes of matplotlib.

        Left is nearer to held-out images; held-out images have novelty 1/2 (the line), copies near 0.
        """
        if axes is None:
            try:
                import matplotlib.pyplot as plt
            except ModuleNotFoundError as error:
                raise ImportError(
                    "plot needs the package matplotlib: pip install 'riemvae-core[figures]'"
                ) from error
            axes = plt.subplots(layout="constrained")[1]
        axes.axhline(0.5, color="0.6", linewidth=0.8, linestyle="--")
        for row in self.rows:
            kind = "k" if row.law == self.best else "C0" if row.law in self.laws else "0.5"
            x, y = row.distance, row.novelty
            axes.plot([x.low, x.high], [y.mean, y.mean], color=kind, linewidth=1.0)
            axes.plot([x.mean, x.mean], [y.low, y.high], color=kind, linewidth=1.0)
            axes.plot(x.mean, y.mean, "o", color=kind, markersize=4)
            axes.annotate(row.law, (x.mean, y.mean), (4, 4), textcoords="offset points", color=kind)
        least = min((row.distance.mean for row in self.rows if row.distance.mean > 0.0), default=1.0)
        axes.set_xscale("symlog", linthresh=least)
        axes.set(xlabel="distance to held-out images", ylabel="novelty", ylim=(-0.05, 1.05))
        return axes
