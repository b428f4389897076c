"""Run a small grid whole, and killed at chosen moments and taken up again, in forks of one interpreter.

``python killed_study.py FOLDER`` is started by test_runs.py. Each moment leaves a study's folder,
``FOLDER/<moment>``, with ``first.txt`` and ``second.txt``: what the killed run and the next one said.
"""

import os
import signal
import sys
from contextlib import redirect_stdout
from pathlib import Path

import lightning_fabric  # noqa: F401  imported late by what is forked here
import pyarrow.parquet  # noqa: F401
import torch
import verdict.__main__ as command
from verdict import models, spaces, store

GRID = """
name = "tiny"
[seeds]
hypothesis = [0, 1]
confirmation = [7]
[defaults]
data = ["digits"]
duplicates = ["kept"]
size = [60]
model = ["vae"]
price = [0.3]
law = ["gaussian", "aggregate posterior", "zero steps"]
draws = 2
images = 50
features = ["pixels"]
latent_dim = 2
network = "conv"
width = 4
steps = 4
batch_size = 48
[[block]]
[[block]]
law = ["zero steps"]
"""


def die(*_args, **_kwargs):
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(module, name, n, after=False):
    """Kill this process at the n-th call of a function, or right after it."""
    function, calls = getattr(module, name), 0

    def counted(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == n and not after:
            die()
        result = function(*args, **kwargs)
        if calls == n:
            die()
        return result

    setattr(module, name, counted)


MOMENTS = {
    "unbroken": lambda: None,
    "first-training": lambda: at_call(models, "save_atomically", 1),
    "second-training": lambda: at_call(models, "save_atomically", 2, after=True),
    "before-a-cell-takes-its-place": lambda: at_call(store.os, "replace", 4),  # a model and two cells are
    "after-a-cell": lambda: at_call(store, "write_whole", 5, after=True),
    "middle-of-a-cell": lambda: at_call(spaces, "_scores", 9),
    "table": lambda: at_call(store, "write_whole", 13),
}


def fork(run, said):
    """How a process ends that runs this and writes what it says to a file."""
    child = os.fork()
    if child == 0:
        signal.alarm(100)
        with said.open("w", buffering=1) as out, redirect_stdout(out):
            run()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder):
    torch.set_num_threads(1)
    grid = folder / "tiny.toml"
    grid.write_text(GRID)
    spaces._images("digits", "train"), spaces._images("digits", "test")
    for moment, arm in MOMENTS.items():
        place = folder / moment
        place.mkdir()

        def run(arm=lambda: None, place=place):
            arm()
            command.main([str(grid), "--folder", str(place)])

        first = fork(lambda run=run, arm=arm: run(arm), place / "first.txt")
        assert first == (0 if moment == "unbroken" else -signal.SIGKILL), (moment, first)
        assert fork(run, place / "second.txt") == 0, (place / "second.txt").read_text()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
