"""Which law beats which: the rules of PREREGISTRATION.md, applied to the rows of a table."""

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from scipy import stats

import riemvae_core as rc
from verdict.store import Row

#: from the simplest on: of laws that do not differ the first is recommended
IGNORING = (
    "gaussian", "fitted isotropic", "fitted axes", "mixture of 10", "fitted mixture", "two-stage",
    "fitted kernel",
)  # fmt: skip
GEOMETRIC = (
    "aggregate posterior", "uniform", "as released", "fitted ball", "fitted kernel of balls", "fitted power",
    "fitted averaged",
)  # fmt: skip
LAWS = IGNORING + GEOMETRIC
#: null experiments: none of them can win
NULLS = (
    "zero steps", "round noise", "free walk", "noise of one shape", "shuffled shapes", "fitted shuffled ball",
)  # fmt: skip
BOUND, OWN = "held-out reconstructions", "own prior"
#: novelty of new images; what a difference needs: level, share of the distance, coverage that it may cost
NOVELTY, LEVEL, SHARE, COVERAGE = (0.35, 0.65), 0.05, 0.05, 0.02


def kind(law: str) -> str:
    """What part a law has: ``ignoring``, ``geometric``, ``null``, ``reference``, or else ``variant``."""
    parts = {"ignoring": IGNORING, "geometric": GEOMETRIC, "null": NULLS, "reference": (BOUND, OWN)}
    return next((name for name, laws in parts.items() if law in laws), "variant")


class Key(NamedTuple):
    """One cell of the comparison: all laws of it were drawn from the same models."""

    data: str
    duplicates: str
    size: int
    model: str
    price: float


BySeed = dict[int, float]


class Comparison(NamedTuple):
    """How much nearer one law is than another, over seeds; ``p`` after Holm; ``verdict`` in a word or two."""

    law: str
    other: str
    gain: rc.Interval
    p: float
    verdict: str


class Laws:
    """The laws of one cell: scores by feature net, law and seed, each the mean of its draws.

    A law that failed in more than one seed takes no part. Of one that failed in a single seed, that seed is
    left out for all laws, so that none is judged on models that another did not see.
    """

    def __init__(self, rows: Sequence[Row]) -> None:
        self.nets = tuple(dict.fromkeys(row["features"] for row in rows))
        self.failed: dict[str, str] = {}
        kept, seeds = defaultdict(list), {row["seed"] for row in rows}
        for row in rows:
            kept[row["features"], row["law"], row["seed"]].append(row)
        self.rows = {key: own for key, own in kept.items() if not any(row["error"] for row in own)}
        for law in dict.fromkeys(row["law"] for row in rows):
            errors = [row["error"] for row in rows if row["law"] == law and row["error"]]
            here = {seed for net, name, seed in self.rows if name == law}
            if errors and len(seeds - here) > 1:
                self.failed[law] = errors[0]
        taking_part = {law for law in LAWS if law not in self.failed}
        lost = {row["seed"] for row in rows if row["error"] and row["law"] in taking_part}
        self.rows = {key: own for key, own in self.rows.items() if key[2] not in lost}
        self.laws = tuple(dict.fromkeys(law for _, law, _ in self.rows if law not in self.failed))

    def scores(self, law: str, score: str, net: int = 0) -> BySeed:
        """A score of a law by seed, in the first feature net or another."""
        found = {}
        for (features, name, seed), rows in self.rows.items():
            if features == self.nets[net] and name == law and all(row.get(score) is not None for row in rows):
                found[seed] = fmean(row[score] for row in rows)
        return found

    def mean(self, law: str, score: str, net: int = 0) -> float:
        """A score of a law, over seeds."""
        return fmean(self.scores(law, score, net).values())

    def is_new(self, law: str) -> bool:
        """Whether a law's draws stand for new images: neither copies nor strangers."""
        return NOVELTY[0] <= self.mean(law, "novelty") <= NOVELTY[1]

    def fresh(self, names: Sequence[str] = LAWS) -> tuple[str, ...]:
        """Those of some laws that stand for new images."""
        return tuple(law for law in names if law in self.laws and self.is_new(law))

    def best(self, names: Sequence[str]) -> str | None:
        """The one of some laws with the least distance, or None where there is none."""
        return min(names, key=lambda law: self.mean(law, "distance"), default=None)

    def is_flat(self) -> bool:
        """Whether the decoder draws all codes nearly alike, so that no law can lose.

        No law is as far from the reconstructions as a share of what these are from the images.
        """
        lost = self.scores(BOUND, "frechet").values()
        return bool(lost) and max(self.mean(law, "distance") for law in self.laws) < SHARE * fmean(lost)

    def compare(self, rivals: Sequence[str], other: str) -> tuple[Comparison, ...]:
        """Each of some rivals against one law; Holm's correction is over the rivals."""
        raw = [paired(self.scores(other, "distance"), self.scores(law, "distance")) for law in rivals]
        adjusted = holm([p for _, p in raw])
        return tuple(
            Comparison(law, other, gain, p, self._word(law, other, gain.mean, p))
            for law, (gain, _), p in zip(rivals, raw, adjusted, strict=True)
        )

    def margin(self, other: str) -> float:
        """The least difference that counts against a law."""
        bound = list(self.scores(BOUND, "distance").values())
        return max(SHARE * self.mean(other, "distance"), stdev(bound) if len(bound) > 1 else math.inf)

    def _word(self, law: str, other: str, gain: float, p: float) -> str:
        """All four rules, in whichever direction the difference goes."""
        winner, loser = (law, other) if gain > 0 else (other, law)
        dearer = self.mean(winner, "coverage") < self.mean(loser, "coverage") - COVERAGE
        if p > LEVEL or abs(gain) < self.margin(loser) or dearer:
            return "no difference"
        if len(self.nets) > 1 and self.mean(winner, "distance", 1) >= self.mean(loser, "distance", 1):
            return "depends on the features"
        return "beats" if gain > 0 else "loses"


def differences(a: BySeed, b: BySeed) -> list[float]:
    """a less b over their common seeds."""
    return [a[seed] - b[seed] for seed in sorted(a.keys() & b.keys())]


def interval_of(found: Sequence[float]) -> rc.Interval:
    """Student's interval of some differences; without end below two of them."""
    if len(found) < 2:
        return rc.Interval(fmean(found) if found else math.nan, -math.inf, math.inf)
    return rc.confidence_interval(found)


def paired(a: BySeed, b: BySeed) -> tuple[rc.Interval, float]:
    """The differences a less b over their common seeds: Student's interval, two-sided p (1 below two)."""
    found = differences(a, b)
    known = len(found) > 1 and stdev(found) > 0
    return interval_of(found), float(stats.ttest_1samp(found, 0.0).pvalue) if known else 1.0


def holm(p: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p values, in the order given."""
    adjusted, most = [0.0] * len(p), 0.0
    for rank, i in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        most = max(most, min(1.0, (len(p) - rank) * p[i]))
        adjusted[i] = most
    return adjusted


def all_cells(rows: Sequence[Row], role: str) -> dict[Key, Laws]:
    """The rows of a role's seeds, cell by cell."""
    found = defaultdict(list)
    for row in rows:
        if row["role"] == role:
            found[Key(*(row[field] for field in Key._fields))].append(row)
    return {key: Laws(own) for key, own in found.items()}


def cells(rows: Sequence[Row], role: str) -> dict[Key, Laws]:
    """Those cells in which it matters where codes are drawn."""
    return {key: laws for key, laws in all_cells(rows, role).items() if not laws.is_flat()}


def flat_cells(rows: Sequence[Row], role: str) -> list[Key]:
    """The others: their models have collapsed."""
    return [key for key, laws in all_cells(rows, role).items() if laws.is_flat()]


class Decision(NamedTuple):
    """What to take in a cell: the nearest law that is new, those it does not beat, the simplest of these.

    ``words``: the rules' word for each other law that is new, held against the nearest.
    """

    best: str
    alike: tuple[str, ...]
    simplest: str
    words: dict[str, str]


def decide(laws: Laws) -> Decision | None:
    """The law to take in a cell, or None where no law stands for new images."""
    fresh = laws.fresh()
    best = laws.best(fresh)
    if best is None:
        return None
    others = [law for law in fresh if law != best]
    words = {c.law: c.verdict for c in laws.compare(others, best)}
    alike = tuple(law for law in fresh if words.get(law) != "loses")
    return Decision(best, alike, alike[0], words)
