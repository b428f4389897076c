"""From a fit to its codes, and from a cell to its rows: images, training, draws, scores."""

import dataclasses
import functools
import platform
import subprocess
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

import riemvae_core as rc
from riemvae_core.models import zoo
from verdict import models
from verdict.grid import ALL, Cell, Fit
from verdict.laws import LAWS, Codes, Draws, common_generator
from verdict.store import Row

ROOT = Path(__file__).resolve().parents[3]
DRAWN = ("rings-and-disks-large", "color-shapes")


class Space(NamedTuple):
    """A trained model and what all its cells share: codes, and reconstructions by features. Or an error."""

    fit: Fit
    error: str
    trained: models.Trained | None = None
    codes: Codes | None = None
    reference: Tensor | None = None  # held-out images' reconstructions, and the images themselves
    real: Tensor | None = None
    train: Tensor | None = None
    seen: dict[str, tuple[Tensor, ...]] | None = None  # the three in features, kept once they were asked for


def pixels(images: Tensor) -> Tensor:
    """Images as rows."""
    return images.flatten(1)


@functools.lru_cache(maxsize=4)
def _random_net(channels: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        layers = [nn.Conv2d(channels, 32, 3, stride=2, padding=1), nn.SiLU()]
        layers += [
            nn.Conv2d(32, 64, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        ]
        return nn.Sequential(*layers).eval().requires_grad_(False)


def random_net(images: Tensor) -> Tensor:
    """256 features of two convolutions that were never trained, the same ones every time."""
    return torch.cat([_random_net(images.shape[1])(batch) for batch in images.split(2000)])


def classifier(images: Tensor) -> Tensor:
    """Features of the zoo's classifier of Fashion-MNIST."""
    judge = zoo.load("fashion-classifier")
    with torch.no_grad():
        return torch.cat([judge.features(batch) for batch in images.split(2000)])


FEATURES: dict[str, Callable[[Tensor], Tensor]] = {
    "pixels": pixels,
    "random": random_net,
    "classifier": classifier,
}


@functools.lru_cache(maxsize=2)
def _images(name: str, split: str) -> Tensor:
    return rc.load_images(name, split).images


def chosen_rows(fit: Fit, n: int) -> tuple[Tensor, Tensor]:
    """Which images a fit sees, to train on and to validate with: by its seed alone, whatever its model.

    With ``duplicates = "dropped"`` the rows that the study ``duplicates`` found to repeat an earlier one are
    left out first. Raises ValueError for more images than there are, and another word for duplicates.
    """
    rows = torch.arange(n)
    if fit.duplicates == "dropped":
        found = zoo.load_study("duplicates").settings
        if fit.data != found["data"]:
            raise ValueError(
                f"duplicates must be kept in {fit.data}: they were sought in {found['data']} only"
            )
        repeated = zoo.load_study("duplicates").runs[0]["repeated"]
        rows = rows[~torch.isin(rows, torch.tensor(repeated))]
    elif fit.duplicates != "kept":
        raise ValueError(f"duplicates must be kept or dropped, got {fit.duplicates!r}")
    if fit.size > len(rows):
        raise ValueError(f"size must be at most {len(rows)} for {fit.data}, got {fit.size}")
    order = rows[torch.randperm(len(rows), generator=rc.make_generator(fit.seed))]
    order = order if fit.size == ALL else order[: fit.size]
    n_held_out = round(fit.validation * len(order))
    return order[n_held_out:], order[:n_held_out]


@torch.no_grad()
def _codes(fit: Fit, trained: models.Trained, train: Tensor, held_out: Tensor, test: Tensor) -> Space:
    half = len(test) // 2
    mu, log_var = trained.encode(train)
    held_out, others = trained.encode(held_out), trained.encode(test[half:])
    codes = Codes(mu, log_var, held_out, others, trained.prior, trained.decode)
    reference = trained.decode(trained.encode(test[:half])[0])
    return Space(fit, "", trained, codes, reference, test[:half], trained.decode(mu), {})


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def prepare(fit: Fit, folder: Path) -> Space:
    """Train the model of a fit, or load it from ``folder``, and encode what its cells need.

    What goes wrong with a model is its result: it stands in the rows of its cells.
    """
    try:
        images, test = _images(fit.data, "train"), _images(fit.data, "test")
        train, held_out = chosen_rows(fit, len(images))
        train, held_out = images[train], images[held_out]
        trained = models.train(fit, train, held_out, folder / "models" / f"{fit.key}.safetensors")
        return _codes(fit, trained, train, held_out, test)
    except (
        ArithmeticError,
        ImportError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
        AttributeError,
    ) as error:
        return Space(fit, _said(error))


@functools.cache
def provenance() -> Row:
    """Where and with what rows are made: versions, commit (with + where files differ from it), device."""
    git = functools.partial(subprocess.run, cwd=ROOT, capture_output=True, text=True, check=False)
    commit = git(["git", "rev-parse", "--short=12", "HEAD"]).stdout.strip()
    changed = git(["git", "status", "--porcelain", "--untracked-files=no"]).stdout.strip()
    device = rc.default_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    return {
        "commit": commit + ("+" if changed else ""), "device": f"{device.type} ({name})",
        "python": platform.python_version(), "torch": torch.__version__, "numpy": version("numpy"),
        "core": rc.__version__,
    }  # fmt: skip


@functools.cache
def _true_factors(name: str) -> Tensor:
    return rc.read_factors(name, rc.sample_drawn_images(name, 5000, rc.make_generator(2)).images)


def _against_truth(name: str, images: Tensor) -> Row:
    """How far the factors read from images are from those of the law: Kolmogorov's distance of each."""
    scores, read = {}, rc.read_factors(name, images)
    for factor, own, true in zip(rc.factor_ranges(name), read.T, _true_factors(name).T, strict=True):
        marks = torch.cat([own, true]).sort().values
        below, expected = (
            torch.searchsorted(x.sort().values, marks, right=True) / len(x) for x in (own, true)
        )
        scores[f"truth_{factor}"] = (below - expected).abs().max().item()
    return scores


def _scores(space: Space, features: str, fake: Tensor) -> Row:
    look, n = FEATURES[features], len(fake)  # sets of equal sizes, so that distances share their bias
    if features not in space.seen:
        space.seen[features] = tuple(look(x) for x in (space.reference, space.real, space.train))
    reference, real, train = space.seen[features]
    seen, reference, real = look(fake), reference[:n], real[:n]
    distance = rc.sampler_distance(seen, reference)
    return {
        "distance": distance.frechet, "coverage": distance.coverage, "density": distance.density,
        "novelty": rc.novelty(seen, train, reference), "frechet": rc.frechet_distance(seen, real),
        **rc.precision_recall(real, seen)._asdict(),
    }  # fmt: skip


def drawn(space: Space, cell: Cell) -> Draws:
    """The codes of a cell: as many as its images, or as a half of the test set has."""
    n = min(cell.images, len(space.reference), len(space.codes.others[0]))
    return LAWS[cell.law](space.codes, n, common_generator(cell.fit.seed, cell.draw))


@torch.no_grad()
def score(space: Space, cell: Cell) -> list[Row]:
    """The rows of a cell, one for each of its features; what goes wrong with a law stands in ``error``."""
    row: Row = {"cell": cell.key, "fit": cell.fit.key, **dataclasses.asdict(cell.fit)}
    row |= {"law": cell.law, "draw": cell.draw}
    row |= {"images": 0, "train_images": 0, "seconds": None, "error": space.error}
    scores: list[Row] = [{} for _ in cell.features]
    if not space.error:
        row |= {"train_images": len(space.codes.mu), "train_seconds": space.trained.seconds}
        try:
            with warnings.catch_warnings(), torch.enable_grad():
                warnings.simplefilter("ignore")  # what a sampler says of itself stands in the row
                began = time.perf_counter()
                draws = drawn(space, cell)
                row["seconds"] = time.perf_counter() - began
            fake = space.trained.decode(draws.z.detach())
            row |= {"images": len(fake), **draws.facts}
            scores = [_scores(space, name, fake) for name in cell.features]
            if cell.fit.data in DRAWN:
                row |= _against_truth(cell.fit.data, fake)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            row["error"] = _said(error)
    both = zip(cell.features, scores, strict=True)
    return [row | {"features": features} | found | provenance() for features, found in both]
