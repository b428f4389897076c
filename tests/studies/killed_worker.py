"""Run the small grid on a local cluster of two processes, one of which is killed after the first cell.

``python killed_worker.py GRID FOLDER`` is started by test_runs.py and leaves ``FOLDER/table.parquet``.
"""

import os
import signal
import sys
from pathlib import Path

from verdict import engine
from verdict.grid import read_grid
from verdict.store import Store, write_table


def main(grid, folder):
    from distributed import default_client

    grid, store, killed = read_grid(grid), Store(folder), 0
    for cell, rows in engine.run("local:2", grid.fits(), folder):
        if not killed:
            killed = next(iter(default_client().run(os.getpid).values()))
            os.kill(killed, signal.SIGKILL)
        store.keep(cell, rows)
    write_table(store.rows(grid), folder / "table.parquet")
    print(f"killed {killed}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
