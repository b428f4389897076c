"""What the published table says: decisions and hypotheses, for the README of the studies and for chapters.

python -m verdict.report [TABLE.parquet] [--role confirmation]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import riemvae_core as rc
from riemvae_core.data import ASSETS
from verdict.grid import ROLES
from verdict.hypotheses import answers
from verdict.judge import Key, Laws, cells, decide
from verdict.store import Row, published, read_table, write_whole

README = Path(__file__).resolve().parents[1] / "README.md"
MARKS = ("<!-- verdict: made by verdict/report.py -->", "<!-- end of verdict -->")
SCORES = ("distance", "coverage", "novelty", "seconds")


def _numbers(laws: Laws, law: str) -> dict[str, Any]:
    """The scores of a law over seeds: mean and 95% interval, in the first feature net."""
    found: dict[str, Any] = {"law": law}
    for score in SCORES:
        values = list(laws.scores(law, score).values())
        if values:
            found[score] = list(rc.confidence_interval(values)) if len(values) > 1 else values * 3
    return found


def summary(rows: Sequence[Row], role: str) -> dict[str, Any]:
    """All that chapters show of a table: each cell's laws and decision, the hypotheses, the provenance."""
    found = cells(rows, role)
    runs = []
    for key, laws in found.items():
        choice = decide(laws)
        runs.append(
            {
                **key._asdict(),
                "seeds": len({seed for _, _, seed in laws.rows}),
                "laws": [_numbers(laws, law) for law in laws.laws],
                "failed": laws.failed,
                "decision": choice and choice._asdict() | {"alike": list(choice.alike)},
            }
        )
    own = [row for row in rows if row["role"] == role]
    made = {name: sorted({row[name] for row in own}) for name in ("commit", "device", "torch")}
    settings = {"role": role, "rows": len(own), **made}
    return {"settings": settings, "runs": runs, "hypotheses": [a._asdict() for a in answers(found)]}


def _line(key: Key, laws: Laws) -> str:
    choice = decide(laws)
    where = f"| {key.data}{'' if key.size else f', duplicates {key.duplicates}'} | {key.size or 'all'} "
    where += f"| {key.model} | {key.price:g} "
    if choice is None:
        return where + "| none is new | | | |"
    best = laws.scores(choice.best, "distance").values()
    distance = f"{rc.confidence_interval(list(best)):.3g}" if len(best) > 1 else f"{next(iter(best)):.3g}"
    alike = ", ".join(law for law in choice.alike if law not in (choice.best, choice.simplest)) or "none"
    return where + f"| {choice.simplest} | {choice.best} | {distance} | {alike} |"


def decision_table(rows: Sequence[Row], role: str) -> str:
    """Data, size, model and price; the simplest law that nothing beats; the nearest; those that are alike."""
    head = "| data | images | model | price | take | nearest | its distance | no difference from |"
    return "\n".join([head, "|" + "---|" * 8, *(_line(*both) for both in cells(rows, role).items())])


def text(rows: Sequence[Row], role: str) -> str:
    """The README's part."""
    lines = [f"| {a.name} | {a.answer} | {a.because} |" for a in answers(cells(rows, role))]
    seeds = sorted({row["seed"] for row in rows if row["role"] == role})
    said = f"From the {role} seeds {', '.join(map(str, seeds))}, {len(rows)} rows."
    head = ["| hypothesis | answer | because |", "|---|---|---|"]
    return "\n".join([said, "", decision_table(rows, role), "", *head, *lines])


def main(arguments: list[str] | None = None) -> None:
    """Write the README's part and the JSON file that chapters read."""
    parser = argparse.ArgumentParser(prog="python -m verdict.report", description=main.__doc__)
    parser.add_argument("table", nargs="?", type=Path, default=published("verdict"), help="a parquet file")
    parser.add_argument("--role", choices=ROLES, default=ROLES[1], help="whose seeds decide")
    parser.add_argument("--print", action="store_true", dest="only_print", help="print and write nothing")
    chosen = parser.parse_args(arguments)
    rows = read_table(chosen.table)
    if not any(row["role"] == chosen.role for row in rows):
        sys.exit(f"{chosen.table.name} holds no {chosen.role} seeds yet: --role names others")
    part = text(rows, chosen.role)
    print(part)
    if chosen.only_print:
        return
    before, rest = README.read_text(encoding="utf8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    write_whole(README, f"{before}{MARKS[0]}\n{part}\n{MARKS[1]}{after}".encode())
    whole = json.dumps(summary(rows, chosen.role), indent=1) + "\n"
    write_whole(ASSETS / "studies" / f"{chosen.table.stem}.json", whole.encode())


if __name__ == "__main__":
    main()
