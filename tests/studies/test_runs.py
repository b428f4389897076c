"""The study's runs: a kill loses and repeats nothing, a cluster gives the same table, smoke has all parts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from verdict.grid import read_grid
from verdict.judge import cells
from verdict.models import UNPRICED
from verdict.report import finished, summary, text
from verdict.store import Store, read_table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MEASURED = ("seconds", "train_seconds")
MOMENTS = ("first-training", "second-training", "before-a-cell-takes-its-place", "after-a-cell")
MOMENTS += ("middle-of-a-cell", "table")


def started(*command, **environment):
    """A process of this project's Python that ended well."""
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "benchmarks" / "studies")))
    own = {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "CLUSTER": ""}
    command, env = [sys.executable, *map(str, command)], os.environ | own | environment
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    started(HERE / "killed_study.py", folder)
    return folder


def rows(path):
    """The rows of a table without what was measured in seconds."""
    return [{k: v for k, v in row.items() if k not in MEASURED} for row in read_table(path)]


def kept(path):
    """The cells that a run says it kept, and how many it says were left to run."""
    said = path.read_text()
    left = int(said.split(" to run")[0].rpartition(" ")[2])
    return [line.split()[-1] for line in said.splitlines() if line.split()[:1] == ["kept"]], left


def test_an_unbroken_run_keeps_each_cell_once(runs):
    cells, left = kept(runs / "unbroken" / "first.txt")
    table = rows(runs / "unbroken" / "table.parquet")
    assert (
        left == len(cells) == len(set(cells)) == 12
    )  # 2 seeds x 3 laws x 2 draws; the second block adds none
    assert [row["cell"] for row in table] == cells
    assert {(row["seed"], row["law"], row["draw"]) for row in table} == {
        (s, law, draw)
        for s in (0, 1)
        for law in ("gaussian", "aggregate posterior", "zero steps")
        for draw in (0, 1)
    }
    for row in table:
        assert (row["role"], row["error"], row["train_images"], row["images"]) == ("hypothesis", "", 48, 50)
        assert row["commit"]
        assert row["device"].startswith(("cpu", "cuda", "mps"))
        assert 0.0 <= row["coverage"] <= 1.0
    assert all(row["seconds"] > 0 for row in read_table(runs / "unbroken" / "table.parquet"))
    assert kept(runs / "unbroken" / "second.txt") == ([], 0)


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_goes_on_to_the_table_of_an_unbroken_one(runs, moment):
    assert rows(runs / moment / "table.parquet") == rows(runs / "unbroken" / "table.parquet")
    (first, _), (second, left) = kept(runs / moment / "first.txt"), kept(runs / moment / "second.txt")
    found = len(first) + (moment == "after-a-cell")  # killed between keeping a cell and saying so
    assert left == len(second) == 12 - found
    assert not {*first} & {*second}
    assert not list((runs / moment).rglob("*.json.partial"))


def test_cells_of_a_published_table_are_not_run_again(runs, tmp_path):
    grid = read_grid(runs / "tiny.toml")
    whole = read_table(runs / "unbroken" / "table.parquet")
    store = Store(tmp_path)
    store.restore(grid, [row for row in whole if row["law"] != "gaussian"])
    assert {cell.law for cell in store.missing(grid)} == {"gaussian"}
    path = store.path(grid.cells[-1])
    path.write_text("[]")
    store.restore(grid, whole)
    assert (store.missing(grid), path.read_text()) == ([], "[]")  # what was there stays
    path.unlink()
    store.restore(grid, whole)
    assert store.rows(grid) == whole


def test_a_cluster_that_loses_a_process_gives_the_same_table(runs, tmp_path):
    said = started(HERE / "killed_worker.py", runs / "tiny.toml", tmp_path)
    assert "killed" in said
    assert rows(tmp_path / "table.parquet") == rows(runs / "unbroken" / "table.parquet")


def test_the_smoke_run_has_every_part(tmp_path):
    smoke = ROOT / "benchmarks" / "studies" / "verdict" / "smoke.toml"
    started("-m", "verdict", smoke, "--folder", tmp_path, "--table", tmp_path / "smoke.parquet")
    table = rows(tmp_path / "smoke.parquet")
    assert {row["data"] for row in table} == {"digits", "color-shapes", "fashion"}
    assert {row["features"] for row in table} == {"pixels", "random", "classifier"}
    assert {row["model"] for row in table} == {"vae", "rae-l2"}
    refused = [row for row in table if row["error"]]
    assert {(row["model"], row["law"]) for row in refused} == {("rae-l2", "aggregate posterior")}
    assert all("needs a model with balls" in row["error"] for row in refused)
    assert all(row["distance"] is None for row in refused)
    shapes = [row for row in table if row["data"] == "color-shapes"]
    assert all(0.0 <= row[f"truth_{factor}"] <= 1.0 for row in shapes for factor in ("x", "y", "size", "hue"))
    assert {row["converged"] for row in table if row["law"] == "uniform"} <= {True, False}
    whole, grid = read_table(tmp_path / "smoke.parquet"), read_grid(smoke, unpriced=UNPRICED)
    assert finished(whole, grid) == whole
    lost = next(row for row in whole if row["data"] == "fashion")  # a cell that is yet to be run
    assert {row["data"] for row in finished([row for row in whole if row is not lost], grid)} == {
        *("digits", "color-shapes", "fashion")
    }  # its other feature net is still there
    rest = [row for row in whole if row["cell"] != lost["cell"]]
    assert finished(rest, grid) == [row for row in whole if row["data"] != "fashion"]
    found = cells(whole, "hypothesis")
    assert "color-shapes" in text(whole, found, "hypothesis")
    told = summary(whole, found, "hypothesis")
    assert [answer["name"] for answer in told["settings"]["hypotheses"]] == [f"H{i}" for i in range(1, 8)]
    (run,) = [run for run in told["runs"] if run["model"] == "rae-l2"]
    assert "needs a model with balls" in run["failed"]["aggregate posterior"]
    assert json.loads(json.dumps(told)) == told
