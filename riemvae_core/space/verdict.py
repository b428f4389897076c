"""Which law the scores of a comparison speak for, and why, in words."""

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor

from riemvae_core.intervals import Interval
from riemvae_core.laws import Law
from riemvae_core.space.law_table import COPIES, HELD_OUT, LawRow, LawTable

#: a law whose novelty stays below this, half of what unseen images have, copies and isn't recommended
COPYING = 0.25
DEAD = (
    "Take none of these: every axis is dead, so that all codes decode nearly alike and no law can show a "
    "difference. The model is to be mended first (latent_health)."
)
FLAT = (
    "Take none of these: the decoder gives one image for all codes, so far as these features see, and no law "
    "can show a difference."
)


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


def _held_out(law: Law) -> float | None:
    """The log density of codes held out, None without one or where it is none to be compared."""
    cut = law.widths.get("floor", -math.inf) > -math.inf  # below these codes, if not below all that may come
    return None if cut or math.isnan(law.held_out_log_prob) else law.held_out_log_prob


def table_of(
    scores: dict[str, Tensor],
    seconds: dict[str, float],
    kept: dict[str, float | None],
    laws: dict[str, Law],
    features: str,
    none: str | None = None,
    notes: Sequence[str] = (),
) -> LawTable:
    """All rows, the law to take (none for the reason given) and why, with further notes."""
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
            _held_out(laws[name]) if name in laws else None,
            seconds[name],
            gaps.get(name),
        )
        for name in scores
    )
    reason = none or _reason(best, alike, order, found, gaps, bool(fresh))
    return LawTable(rows, None if none else best, alike, " ".join([reason, *notes]), features, laws)


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
