"""Which models of the study run: each on 500 images for one epoch, what goes wrong with its error.

    python benchmarks/studies/verdict/models_that_run.py

Writes the table between the marks in ``benchmarks/studies/README.md``. A minute or two on one core.
"""

import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch

from verdict import models, spaces
from verdict.grid import Cell, Fit
from verdict.store import write_whole

README = Path(__file__).resolve().parents[1] / "README.md"
MARKS = ("<!-- models: made by verdict/models_that_run.py -->", "<!-- end of models -->")
IMAGES, BATCH = 500, 100


def row(name: str) -> str:
    """A line of the table: seconds, radii and prior, once draws were decoded and scored, or the error."""
    priced = name not in models.UNPRICED
    fit = Fit("fashion", "kept", 625, name, 1.0 if priced else 0.0, 0, 16, "conv", 32, 5, BATCH)
    with tempfile.TemporaryDirectory() as folder:
        space = spaces.prepare(fit, Path(folder))
        if space.error:
            return f"| {name} | no: {space.error.splitlines()[0]} | | | |"
        found = spaces.score(space, Cell(fit, "hypothesis", "own prior", 0, 200, ("classifier",)))[0]
    if len(space.codes.mu) != IMAGES:
        raise RuntimeError(f"{name} must be trained on {IMAGES} images, got {len(space.codes.mu)}")
    balls = "no" if space.codes.log_var is None else f"{space.codes.log_var.exp().mean().sqrt():.2f}"
    prior = "N(0, I)" if space.codes.prior is None else f"{len(space.codes.prior.mu)} balls"
    runs = f"no: {found['error']}" if found["error"] else "yes"
    return f"| {name} | {runs} | {space.trained.seconds:.1f} | {balls} | {prior} |"


def table() -> str:
    """The table, and with what it was made."""
    head = "| model | runs | seconds | radius, root mean square | own prior |"
    lines = [row(name) for name in models.MODELS]
    note = f"torch {torch.__version__}, pythae {version('pythae')}, {spaces.provenance()['device']}"
    note = f"One epoch on {IMAGES} images of Fashion-MNIST, batches of {BATCH} ({note})."
    return "\n".join([note, "", head, "|---|---|---|---|---|", *lines])


if __name__ == "__main__":
    before, rest = README.read_text(encoding="utf8").split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    write_whole(README, f"{before}{MARKS[0]}\n{table()}\n{MARKS[1]}{after}".encode())
    print(f"wrote the table of {README.name}")
