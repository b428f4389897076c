"""H1 to H7 of PREREGISTRATION.md, each answered from a table's cells: supported, refuted or open, and why."""

from collections.abc import Iterable
from statistics import fmean
from typing import NamedTuple

from scipy import stats

from verdict.judge import GEOMETRIC, IGNORING, LAWS, OWN, BySeed, Key, Laws, differences, interval_of

FEW, TRUE_LAWS = 1000, ("rings-and-disks-large", "color-shapes")
RICH = ("vamp", "iwae", "hvae", "rhvae")
Cells = dict[Key, Laws]


class Answer(NamedTuple):
    """A hypothesis, what the table says of it, and the cells or numbers behind that."""

    name: str
    answer: str
    because: str


def winners(laws: Laws) -> tuple[str, ...]:
    """The geometric laws that beat the best law without it; all where there is no such."""
    rivals, other = laws.fresh(GEOMETRIC), laws.best(laws.fresh(IGNORING))
    if other is None:
        return rivals
    return tuple(c.law for c in laws.compare(rivals, other) if c.verdict == "beats")


def _plain(cells: Cells, data: str = "fashion-full") -> Cells:
    return {
        key: laws
        for key, laws in cells.items()
        if key.data == data and key.model == "vae" and (key.size or key.duplicates == "dropped")
    }


def _said(supported: bool, refuted: bool) -> str:
    return "supported" if supported else "refuted" if refuted else "open"


def _cells_said(found: Iterable[tuple[Key, Iterable[str]]]) -> str:
    lines = [
        f"{key.size or 'all'} images, price {key.price:g}: {', '.join(names)}"
        for key, names in found
        if names
    ]
    return "; ".join(lines) or "in no cell"


def h1(cells: Cells) -> Answer:
    """With all images, no law from the geometry of the balls beats the best law that ignores it."""
    plain = {key: laws for key, laws in _plain(cells).items() if key.size == 0}
    found = {key: winners(laws) for key, laws in plain.items()}
    won = [bool(names) for names in found.values()]
    whole = len({key.price for key in found}) > 1  # what is asked is asked of both prices
    because = _cells_said(found.items()) if won else "not run"
    left_out = [law for law in LAWS if any(law not in laws.laws for laws in plain.values())]
    if left_out:
        because += f"; not run there: {', '.join(left_out)}"
    return Answer("H1", _said(whole and not any(won), whole and all(won)), because)


def h2(cells: Cells, data: str = "fashion-full") -> Answer:
    """With few images, one geometric law beats the best that ignores it at two sizes, both prices."""
    plain = {key: laws for key, laws in _plain(cells, data).items() if 0 < key.size <= FEW}
    found = {key: winners(laws) for key, laws in plain.items()}
    prices = {key.price for key in found}
    sizes = {
        law: [
            size
            for size in {key.size for key in found}
            if all(law in names for key, names in found.items() if key.size == size)
        ]
        for law in GEOMETRIC
    }
    supported = len(prices) > 1 and any(len(where) >= 2 for where in sizes.values())
    refuted = bool(found) and not any(found.values())
    return Answer("H2", _said(supported, refuted), f"{data}: {_cells_said(found.items())}")


def h3(cells: Cells) -> Answer:
    """What the balls add is their size, not their shape."""
    nulls = ("round noise", "noise of one shape", "shuffled shapes")
    found = {}
    for key, laws in _plain(cells).items():
        if key.size and {"aggregate posterior", *nulls} <= set(laws.laws):
            beaten = [
                null for null in nulls if laws.compare(["aggregate posterior"], null)[0].verdict == "beats"
            ]
            found[key] = beaten
    whole = {key.size for key, beaten in found.items() if len(beaten) == len(nulls)}
    none = bool(found) and not any(found.values())
    return Answer("H3", _said(none, len(whole) >= 2), f"beaten: {_cells_said(found.items())}")


def h4(cells: Cells) -> Answer:
    """The uniform law of all points is decided by duplicates."""
    pairs = [
        (laws, cells[key._replace(duplicates="dropped")])
        for key, laws in cells.items()
        if key.size == 0 and key.duplicates == "kept" and key._replace(duplicates="dropped") in cells
    ]
    moved, still, said = set(), set(), []
    for kept, dropped in pairs:
        for law in LAWS:
            if law in kept.laws and law in dropped.laws:
                more = kept.mean(law, "distance") - dropped.mean(law, "distance")
                margin = kept.margin(law)
                moved |= {law} if more > margin else set()
                still |= {law} if abs(more) <= margin else set()
                said.append(f"{law} {more:+.2f}")
                if law == "uniform":  # trainings may scatter more than any margin
                    both = (interval_of([*x.scores(law, "distance").values()]) for x in (kept, dropped))
                    said[-1] += " ({:.0f} less {:.0f})".format(*both)
    return Answer("H4", _said(moved == {"uniform"}, "uniform" in still), "; ".join(said) or "not run")


def _distances(laws: Laws, net: int = 0) -> list[float]:
    return [laws.mean(law, "distance", net) for law in LAWS if law in laws.laws]


def _from_truth(laws: Laws) -> list[float]:
    """How far each law's factors are from the true ones, a mean over the factors."""
    given = {name for rows in laws.rows.values() for name, value in rows[0].items() if value is not None}
    names = sorted(name for name in given if name.startswith("truth_"))  # a table has the factors of all sets
    return [fmean(laws.mean(law, name) for name in names) for law in LAWS if law in laws.laws]


def _tau(first: list[float], second: list[float]) -> float:
    return float(stats.kendalltau(first, second).statistic)


def h5(cells: Cells) -> Answer:
    """The order of laws does not depend on the feature net."""
    two = [laws for laws in _plain(cells).values() if len(laws.nets) > 1]
    found = [_tau(_distances(laws), _distances(laws, 1)) for laws in two]
    high = bool(found) and sum(tau >= 0.8 for tau in found) >= 0.75 * len(found)
    low = bool(found) and sum(tau < 0.5 for tau in found) >= 0.5 * len(found)
    return Answer("H5", _said(high, low), f"tau {', '.join(f'{tau:.2f}' for tau in sorted(found))}")


def h6(cells: Cells) -> Answer:
    """The order of laws is that of the truth where the truth is known."""
    found: dict[str, list[float]] = {}
    for key, laws in cells.items():
        if key.data in TRUE_LAWS and key.model == "vae":
            found.setdefault(key.data, []).append(_tau(_distances(laws), _from_truth(laws)))
    means = {data: fmean(taus) for data, taus in found.items()}
    high = set(means) == set(TRUE_LAWS) and min(means.values()) >= 0.6
    low = bool(means) and min(means.values()) < 0.2
    said = "; ".join(f"{data}: mean tau {tau:.2f}" for data, tau in means.items())
    return Answer("H6", _said(high, low), said or "not run")


def gains(laws: Laws) -> BySeed:
    """How much nearer the best law that stands for new images is than the model's own prior, by seed."""
    best, own = laws.best(laws.fresh()), laws.scores(OWN, "distance")
    nearer = {} if best is None else laws.scores(best, "distance")
    return {seed: own[seed] - nearer[seed] for seed in own.keys() & nearer.keys()}


def h7(cells: Cells) -> Answer:
    """Richer models gain less from a law than the plain VAE."""
    more, less, said = 0, 0, []
    for key, laws in cells.items():
        plain = cells.get(key._replace(model="vae"))
        if key.model in RICH and plain is not None:
            own, usual = gains(laws), gains(plain)
            if own and usual:
                above = fmean(own.values()) - fmean(usual.values())
                more, less = more + (above > 0), less + (above < 0)
                said.append(f"{key.model} {fmean(own.values()):.1f} against {fmean(usual.values()):.1f}")
                said[-1] += f" (difference {interval_of(differences(own, usual)):.1f})"
    done = less + more == len(RICH)
    return Answer("H7", _said(done and less == len(RICH), more >= 2), "; ".join(said) or "not run")


def answers(cells: Cells) -> list[Answer]:
    """All hypotheses, in order."""
    return [h1(cells), h2(cells), h3(cells), h4(cells), h5(cells), h6(cells), h7(cells)]
