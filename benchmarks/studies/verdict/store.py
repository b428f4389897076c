"""Where cells are kept: a file each, written whole, and one tidy table of them all."""

import json
import os
from pathlib import Path
from typing import Any

from verdict.grid import Cell, Grid

Row = dict[str, Any]
RESULTS = Path(__file__).resolve().parents[1] / "results"


def published(name: str) -> Path:
    """The committed table of a study, where there is one."""
    return RESULTS / f"{name}.parquet"


def write_whole(path: Path, content: bytes) -> None:
    """Replace a file whole: a kill leaves the old one, or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.partial")
    beside.write_bytes(content)
    os.replace(beside, path)


class Store:
    """The finished cells in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, cell: Cell) -> Path:
        """The file of a cell."""
        return self.folder / "cells" / f"{cell.key}.json"

    def missing(self, grid: Grid) -> list[Cell]:
        """The cells that have no file yet, in the grid's order."""
        return [cell for cell in grid.cells if not self.path(cell).is_file()]

    def keep(self, cell: Cell, rows: list[Row]) -> None:
        """Write the rows of a cell."""
        write_whole(self.path(cell), json.dumps(rows, indent=1).encode())

    def restore(self, grid: Grid, rows: list[Row]) -> None:
        """Keep the cells of a grid that have no file but whose rows stand in a table."""
        missing = {cell.key: cell for cell in self.missing(grid)}
        found: dict[str, list[Row]] = {}
        for row in rows:
            if row["cell"] in missing:
                found.setdefault(row["cell"], []).append(row)
        for key, own in found.items():
            self.keep(missing[key], own)

    def rows(self, grid: Grid) -> list[Row]:
        """The rows of a grid's finished cells, in its order, each with the role that its seed has there."""
        rows = []
        for cell in grid.cells:
            if self.path(cell).is_file():
                rows += [row | {"role": cell.role} for row in json.loads(self.path(cell).read_text())]
        return rows


def parquet():
    """pyarrow with its module for parquet, or ImportError with what to do."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        remedy = "pip install -r requirements.txt"
        raise ImportError(f"the study's table needs the package pyarrow: {remedy}") from error
    return pyarrow


def write_table(rows: list[Row], path: Path) -> None:
    """Write rows as one parquet file, replaced whole; what a row lacks is null there."""
    arrow = parquet()
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = arrow.table({name: [row.get(name) for row in rows] for name in names})
    sink = arrow.BufferOutputStream()
    arrow.parquet.write_table(table, sink, compression="zstd")
    write_whole(path, sink.getvalue().to_pybytes())


def read_table(path: Path) -> list[Row]:
    """The rows of a table that ``write_table`` wrote."""
    return parquet().parquet.read_table(path).to_pylist()
