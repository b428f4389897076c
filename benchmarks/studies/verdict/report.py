"""What the published table says: decisions, hypotheses, laws and pairs, for the README, claims and chapters.

python -m verdict.report [TABLE.parquet] [--role confirmation]
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import riemvae_core as rc
from riemvae_core.data import ASSETS
from verdict.grid import ROLES, Grid, read_grid
from verdict.hypotheses import Cells, answers, winners
from verdict.judge import BOUND, LAWS, NOVELTY, OWN, Key, Laws, cells, decide, flat_cells, kind
from verdict.laws import TOLD
from verdict.models import UNPRICED
from verdict.store import Row, published, read_table, write_whole

HERE = Path(__file__).resolve()
README, CLAIMS = HERE.parents[1] / "README.md", HERE.parents[3] / "book" / "claims.md"
MARK, END = "<!-- {}: made by verdict/report.py -->", "<!-- end of {} -->"
Pairs = Sequence[tuple[str, str, str]]
SCORES = ("distance", "coverage", "novelty", "seconds", "frechet")
#: a law, what it is held against, and what the difference is of
PAIRS = (
    ("as released", "free walk", "chains that feel the metric, or the same steps without its force"),
    ("aggregate posterior", "round noise", "balls, or round noise of their mean size"),
    ("aggregate posterior", "noise of one shape", "balls, or their mean shape"),
    ("aggregate posterior", "shuffled shapes", "balls, or those of other images"),
    ("fitted ball", "fitted shuffled ball", "swelled balls, or those of other images"),
    ("fitted ball", "fitted isotropic", "swelled balls, or round kernels"),
    ("fitted kernel of balls", "fitted kernel", "local kernels shrunk toward the balls, or without balls"),
    ("fitted kernel", "fitted isotropic", "local kernels, or round ones"),
    ("uniform", "aggregate posterior", "uniform, or a ball at random"),
    ("fitted averaged", "uniform", "the average of the precisions, or their sum"),
    ("fitted averaged", "aggregate posterior", "the average, or a ball at random"),
    ("fitted power", "uniform", "the volume to a power, or itself"),
)
#: a law with one of its numbers changed, the law as it is, and what is changed
CHANGES = (
    ("uniform, half rho", "uniform", "uniform: half the reach rho"),
    ("uniform, twice rho", "uniform", "uniform: twice the reach"),
    ("uniform, paper's rho", "uniform", "uniform: the paper's rho, a plain distance between centroids"),
    ("uniform, lambda 0.1", "uniform", "uniform: lambda .1"),
    (
        "uniform, background 0.1",
        "uniform",
        "uniform: a background of .1 of all balls' volume, for .001",
    ),
    ("uniform, 30 medoids", "uniform", "uniform: 30 medoids for all balls"),
    ("uniform, 300 medoids", "uniform", "uniform: 300 medoids"),
    ("as released, 10 moves", "as released", "released chains: 10 moves for 100"),
    ("as released, 400 moves", "as released", "released chains: 400 moves"),
    ("as released, 300 medoids", "as released", "released chains: 300 medoids for 100"),
)
#: plain laws of a draw of each ball, beside themselves of the codes
OF_DRAWS = (
    ("gaussian of draws", "gaussian", "one Gaussian of all balls, or of codes alone"),
    (
        "mixture of 10 of draws",
        "mixture of 10",
        "ten Gaussians of a draw of each ball, or of codes alone",
    ),
)
#: laws that no hypothesis speaks of, each beside the simpler one that it has to better
LATER = (
    ("fitted flow", "fitted isotropic", "a neural spline flow, or round kernels"),
    ("fitted flow matching", "fitted isotropic", "a law learned by flow matching, or round kernels"),
    ("fitted interpolation", "fitted isotropic", "kernels along lines between codes, or at codes alone"),
    ("fitted low-cost paths", "fitted interpolation", "kernels along low-cost paths, or along lines"),
    ("fitted pullback", "fitted kernel", "local kernels narrowed where the decoder is fast, or not narrowed"),
)


def finished(rows: Sequence[Row], grid: Grid) -> list[Row]:
    """The rows of laws of which a grid has no cell left to run, where that is so of all laws that compete."""

    def key(row: Row) -> tuple:
        return (*(row[field] for field in Key._fields), row["role"])

    wanted = Counter((key(vars(cell.fit) | {"role": cell.role}), cell.law) for cell in grid.cells)
    cells = {row["cell"]: (key(row), row["law"]) for row in rows}
    done = {law for law, n in Counter(cells.values()).items() if wanted[law] == n}
    open_ = {own for own, law in wanted if law in (*LAWS, BOUND, OWN) and (own, law) not in done}
    return [row for row in rows if (key(row), row["law"]) in done and key(row) not in open_]


def _short(x: float) -> float:
    """Six digits: more than any sentence or picture shows."""
    return float(f"{x:.6g}")


def _interval(values: Sequence[float]) -> list[float]:
    """Mean, low and high; of a single seed there is no interval, and all three are its value."""
    return list(rc.confidence_interval(values)) if len(values) > 1 else list(values) * 3


def _numbers(laws: Laws, law: str) -> dict[str, Any]:
    """The scores of a law over seeds: mean and 95% interval, in the first feature net and in the others."""

    def scores(names: Sequence[str], net: int) -> dict[str, list[float]]:
        values = {score: list(laws.scores(law, score, net).values()) for score in names}
        return {score: [_short(x) for x in _interval(own)] for score, own in values.items() if own}

    others = {net: scores(SCORES[:3], k) for k, net in enumerate(laws.nets) if k}
    return {"law": law, **scores(SCORES, 0), "others": others}


def _pairs(laws: Laws, pairs: Pairs = PAIRS) -> list[dict[str, Any]]:
    """How much nearer each law of some pairs is than its control, seed by seed."""
    found = []
    for law, other, _ in pairs:
        if law in laws.laws and other in laws.laws:
            (one,) = laws.compare([law], other)
            novelty = [laws.mean(name, "novelty") for name in (law, other)]
            pair = {"law": law, "other": other, "gain": list(one.gain), "verdict": one.verdict}
            found.append(pair | {"novelty": novelty})
    return found


def summary(rows: Sequence[Row], found: Cells, role: str) -> dict[str, Any]:
    """All that chapters show of a table: each cell's laws, pairs and decision, hypotheses, provenance."""
    runs, changed = [], {law for law, _, _ in (*CHANGES, *LATER, *OF_DRAWS)}
    for key, laws in found.items():
        choice = decide(laws)
        runs.append(
            {
                **key._asdict(),
                "seeds": len({seed for _, _, seed in laws.rows}),
                "features": list(laws.nets),
                "laws": [_numbers(laws, law) for law in laws.laws if law not in changed],
                "pairs": _pairs(laws),
                "changes": _pairs(laws, CHANGES),
                "later": _pairs(laws, LATER),
                "of_draws": _pairs(laws, OF_DRAWS),
                "winners": list(winners(laws)),
                "failed": laws.failed,
                "decision": choice and choice._asdict() | {"alike": list(choice.alike)},
            }
        )
    own = [row for row in rows if row["role"] == role]
    made = {name: sorted({row[name] for row in own}) for name in ("commit", "device", "torch")}
    lists = {"pairs": PAIRS, "changes": CHANGES, "later": LATER, "of_draws": OF_DRAWS}
    listed = {name: [list(pair) for pair in pairs] for name, pairs in lists.items()}
    settings = {"role": role, "rows": len(own), "novelty": list(NOVELTY), **listed, **made}
    names = dict.fromkeys(law for laws in found.values() for law in laws.laws if law not in changed)
    settings["laws"] = {law: {"kind": kind(law), **TOLD[law]._asdict()} for law in names}
    settings["flat"] = [key._asdict() for key in flat_cells(rows, role)]
    settings["hypotheses"] = [answer._asdict() for answer in answers(found)]
    return {"settings": settings, "runs": runs}


def _where(key: Key) -> str:
    duplicates = "" if key.size or key.duplicates == "dropped" else ", duplicates kept"
    return f"{key.data}{duplicates} | {key.size or 'all'} | {key.model} | {key.price:g}"


def _line(key: Key, laws: Laws) -> str:
    choice, where = decide(laws), f"| {_where(key)} "
    if choice is None:
        return where + "| none is new | | | |"
    best = list(laws.scores(choice.best, "distance").values())
    distance = f"{rc.confidence_interval(best):.3g}" if len(best) > 1 else f"{best[0]:.3g}"

    def named(law: str) -> str:
        depends = choice.words.get(law) == "depends on the features"
        return f"{law} (features)" if depends else law

    alike = ", ".join(named(law) for law in choice.alike if law not in (choice.best, choice.simplest))
    return where + f"| {named(choice.simplest)} | {choice.best} | {distance} | {alike or 'none'} |"


def decision_table(found: Cells) -> str:
    """Data, size, model and price; the simplest law that nothing beats; the nearest; those that are alike.

    "(features)" stands after a law that only the first feature net holds to be farther or nearer.
    """
    head = "| data | images | model | price | take | nearest | its distance | no difference from |"
    return "\n".join([head, "|" + "---|" * 8, *(_line(*both) for both in found.items())])


def pair_table(found: Cells, pairs: Pairs = PAIRS) -> str:
    """Each pair in every cell of the plain VAE: how much nearer the first is, and the rules' word for it.

    Empty where no cell has such a pair.
    """
    head = "| what the difference is of | data | images | model | price | nearer by | | novelty of both |"
    plain, lines = {key: laws for key, laws in found.items() if key.model == "vae"}, []
    for pair in pairs:
        for key, laws in plain.items():
            for one in _pairs(laws, [pair]):
                gain = format(rc.Interval(*one["gain"]), ".2g")
                both = ", ".join(f"{novelty:.2f}" for novelty in one["novelty"])
                lines.append(f"| {pair[2]} | {_where(key)} | {gain} | {one['verdict']} | {both} |")
    return "\n".join([head, "|" + "---|" * 8, *lines]) if lines else ""


def _range(values: Sequence[float], digits: str) -> str:
    low, high = format(min(values), digits), format(max(values), digits)
    return low if low == high else f"{low} to {high}"


def _of(law: str, found: Cells) -> list[Laws]:
    """The cells of the clothes and the plain VAE that have a law."""
    plain = (laws for key, laws in found.items() if (key.data, key.model) == ("fashion-full", "vae"))
    return [laws for laws in plain if law in laws.laws]


def law_line(law: str, found: Cells) -> str:
    """One sentence on a law: in how many cells its draws are new images, and in how many it is unbeaten."""
    own = _of(law, found)
    new = [laws for laws in own if laws.is_new(law)]
    said = f"- **{TOLD[law].name}**, {TOLD[law].what}: "
    if not new:
        stray = median(laws.mean(law, "novelty") for laws in own) > NOVELTY[1]
        return said + f"in no cell are its draws new images; they {'stray' if stray else 'copy'}."
    alike = sum(law in decide(laws).alike for laws in new)
    return (
        said + f"new images in {len(new)} of {len(own)} cells, unbeaten by the nearest in {alike} of these."
    )


def law_lines(found: Cells) -> str:
    """One sentence a law."""
    return "\n".join(law_line(law, found) for law in LAWS if _of(law, found))


def law_table(found: Cells) -> str:
    """The numbers behind the sentences, over the same cells."""
    head, lines = "| law | novelty | times the bound's distance, median | nearer than the prior in |", []
    for law in LAWS:
        own = _of(law, found)
        if own:
            novelty = _range([laws.mean(law, "novelty") for laws in own], ".2f")
            over = median(laws.mean(law, "distance") / laws.mean(BOUND, "distance") for laws in own)
            prior = sum(laws.mean(law, "distance") < laws.mean(OWN, "distance") for laws in own)
            lines.append(f"| {law} ({TOLD[law].name}) | {novelty} | {over:.1f} | {prior} of {len(own)} |")
    return "\n".join([head, "|" + "---|" * 4, *lines]) if lines else ""


def text(rows: Sequence[Row], found: Cells, role: str) -> str:
    """The README's part."""
    seeds = sorted({row["seed"] for row in rows if row["role"] == role})
    n = sum(row["role"] == role for row in rows)
    said = f"From the {role} seeds {', '.join(map(str, seeds))}: {n} rows, all of them of finished cells."
    head = ["| hypothesis | answer | because |", "|---|---|---|"]
    lines = [f"| {a.name} | {a.answer} | {a.because} |" for a in answers(found)]
    flat = "; ".join(_where(key).replace(" | ", ", ") for key in flat_cells(rows, role))
    if flat:
        said += f" No law is judged where the decoder draws all codes nearly alike: {flat}."
    tables = [law_table(found), *(pair_table(found, pairs) for pairs in (PAIRS, CHANGES, LATER, OF_DRAWS))]
    return "\n\n".join([said, decision_table(found), "\n".join(head + lines), *filter(None, tables)])


def put(path: Path, name: str, part: str) -> None:
    """Put a part between its marks in a file; what stood there is replaced."""
    before, rest = path.read_text(encoding="utf8").split(MARK.format(name))
    after = rest.split(END.format(name))[1]
    write_whole(path, f"{before}{MARK.format(name)}\n{part}\n{END.format(name)}{after}".encode())


def main(arguments: list[str] | None = None) -> None:
    """Write the README's part, the laws' part of claims, and the JSON file that chapters read."""
    parser = argparse.ArgumentParser(prog="python -m verdict.report", description=main.__doc__)
    parser.add_argument("table", nargs="?", type=Path, default=published("verdict"), help="a parquet file")
    parser.add_argument("--grid", type=Path, default=HERE.parent / "study.toml", help="what had to be run")
    parser.add_argument("--role", choices=ROLES, default=ROLES[1], help="whose seeds decide")
    parser.add_argument("--print", action="store_true", dest="only_print", help="print and write nothing")
    chosen = parser.parse_args(arguments)
    rows = finished(read_table(chosen.table), read_grid(chosen.grid, (chosen.role,), UNPRICED))
    if not rows:
        sys.exit(f"{chosen.table.name} holds no finished {chosen.role} seeds yet: --role names others")
    found = cells(rows, chosen.role)
    part, laws = text(rows, found, chosen.role), law_lines(found)
    print(part, laws, sep="\n\n")
    if chosen.only_print:
        return
    put(README, "verdict", part)
    put(CLAIMS, "laws", laws)
    whole = json.dumps(summary(rows, found, chosen.role), indent=1) + "\n"
    write_whole(ASSETS / "studies" / f"{chosen.table.stem}.json", whole.encode())


if __name__ == "__main__":
    main()
