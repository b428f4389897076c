"""``python -m verdict GRID.toml``: run what is missing of a grid, then write its table.

Cells that stand in the published table, ``benchmarks/studies/results/NAME.parquet``, are taken from there.
"""

import argparse
import os
from pathlib import Path

from tqdm import tqdm

from verdict import engine
from verdict.grid import ROLES, read_grid
from verdict.models import UNPRICED
from verdict.store import Store, parquet, published, read_table, write_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]


def main(arguments: list[str] | None = None) -> None:
    """Run a grid; after a kill, the same command goes on with the cells that have no file yet."""
    parser = argparse.ArgumentParser(prog="python -m verdict", description=main.__doc__)
    parser.add_argument("grid", nargs="?", type=Path, default=HERE / "study.toml", help="a TOML file")
    parser.add_argument("--role", choices=(*ROLES, "both"), default=ROLES[0], help="whose seeds are run")
    parser.add_argument("--folder", type=Path, help="where cells are kept (_build/study/NAME)")
    parser.add_argument("--table", type=Path, help="the parquet file (FOLDER/table.parquet)")
    parser.add_argument("--count", action="store_true", help="say what is left to do and stop")
    parser.add_argument("--so-far", action="store_true", help="write the table of what is finished and stop")
    parser.add_argument("--fresh", action="store_true", help="take nothing from the published table")
    chosen = parser.parse_args(arguments)
    grid = read_grid(chosen.grid, ROLES if chosen.role == "both" else (chosen.role,), UNPRICED)
    folder = chosen.folder or ROOT / "_build" / "study" / grid.name
    store, cluster = Store(folder), os.environ.get("CLUSTER", "")
    known = published(grid.name)
    if known.is_file() and not chosen.fresh:
        store.restore(grid, read_table(known))
    missing = set(store.missing(grid))
    todo = {fit: left for fit, cells in grid.fits().items() if (left := [c for c in cells if c in missing])}
    where = f"on {cluster}" if cluster else "here"
    print(f"{grid.name}: {len(grid.cells)} cells of {len(grid.fits())} models, {len(missing)} to run {where}")
    if chosen.count:
        return
    parquet()  # before hours are spent: without it there would be no table
    todo = {} if chosen.so_far else todo
    bar = tqdm(total=len(grid.cells), initial=len(grid.cells) - len(missing), unit="cell", smoothing=0.05)
    with bar:
        for cell, rows in engine.run(cluster, todo, folder):
            store.keep(cell, rows)
            print(f"kept {cell.key}", flush=True)
            bar.update()
    rows = store.rows(grid)
    target = chosen.table or folder / "table.parquet"
    write_table(rows, target)
    print(f"{len(rows)} rows, {sum(bool(row['error']) for row in rows)} with an error: {target.name}")


if __name__ == "__main__":
    main()
