"""What chapter 9's live figure shows: the study's numbers as arrays, how laws stand, pictures of draws."""

import functools
import io
from typing import Any

import numpy as np
from matplotlib import image as images

from riemvae_core.data import ASSETS, read_json
from riemvae_core.models import zoo

NUMBERS, SHEET = "verdict-numbers", "verdict-draws-"  # of assets; a sheet's name ends with its model's key
SCORES = ("distance", "coverage", "novelty")
NOWHERE = 255
CELL = ("data", "duplicates", "size", "model", "price")
#: how a law stands in a cell: the word beside its bar, and the sentence about it
STANDINGS = {
    "take": ("take", "The law to take here."),
    "nearest": ("nearest", "The nearest law of new images; as far as these show, a simpler one is as good."),
    "alike": ("alike", "New images, and no difference from the nearest law that these images could show."),
    "features": (
        "depends",
        "New images; whether it is farther than the nearest law depends on the features.",
    ),
    "beaten": ("farther", "New images, and farther than the nearest law by all four rules."),
    "copies": ("copies", "Not new images: closer to the training set than unseen images are."),
    "strays": ("strays", "Not new images: farther from the training set than unseen images are."),
    "null": ("null", "A null experiment: it is there to be beaten, and cannot win."),
    "variant": ("", "Another number in a law above; not in the comparison."),
    "reference": ("", "Not in the comparison."),
}
DEPENDS = "depends on the features"  # the rules' word where the second net says the contrary
_WORDS = {"no difference": "alike", "beats": "alike", DEPENDS: "features", "loses": "beaten"}


@functools.cache
def runs() -> list[dict[str, Any]]:
    """The study's finished cells, as its report wrote them."""
    return zoo.load_study("verdict").runs


@functools.cache
def settings() -> dict[str, Any]:
    """What holds for all cells: the window of novelty, and of each law its kind and what it is."""
    return zoo.load_study("verdict").settings


@functools.cache
def sheets() -> dict[str, dict[str, Any]]:
    """The sheets of draws by their key, as ``verdict.sprites`` wrote them; none where it wrote none."""
    path = ASSETS / "draws" / "index.json"
    return read_json(path) if path.is_file() else {}


def laws() -> tuple[str, ...]:
    """All laws that some cell has, in the study's order."""
    return tuple(settings()["laws"])


def name_of(law: str) -> str:
    """What pages call a law; one that failed in every cell keeps the study's name."""
    return settings()["laws"].get(law, {"name": law})["name"]


def cell_of(run: dict[str, Any]) -> dict[str, Any]:
    """What tells a cell from others."""
    return {field: run[field] for field in CELL}


def sheet_of(run: dict[str, Any]) -> str | None:
    """The key of the sheet with a cell's draws, if there is one."""
    return next((key for key, sheet in sheets().items() if cell_of(sheet) == cell_of(run)), None)


def standing(run: dict[str, Any], law: str) -> str:
    """How a law stands in a cell, one of ``STANDINGS``."""
    kind, choice = settings()["laws"][law]["kind"], run["decision"]
    low, high = settings()["novelty"]
    novelty = next(own for own in run["laws"] if own["law"] == law)["novelty"][0]
    if not low <= novelty <= high:
        return "copies" if novelty < low else "strays"
    if kind in ("null", "variant", "reference"):
        return kind
    if law == choice["simplest"]:
        return "take"
    return "nearest" if law == choice["best"] else _WORDS[choice["words"][law]]


def reason(run: dict[str, Any]) -> str:
    """Why the law to take is the one, in a sentence; another one names the laws that failed."""
    failed = f" Failed, and left out: {', '.join(map(name_of, run['failed']))}." if run.get("failed") else ""
    return _why(run) + failed


def _why(run: dict[str, Any]) -> str:
    choice = run["decision"]
    if choice is None:
        return "No law's draws are new images here, so none is to be taken."
    simplest, best, n = choice["simplest"], choice["best"], len(choice["alike"])
    take = name_of(simplest)
    if n == 1:
        return f"Take {take}: the nearest law of new images, and it beats every other one by all four rules."
    if simplest == best:
        nets = any(choice["words"].get(law) == DEPENDS for law in choice["alike"])
        said = "these images could show no difference" + (f", or one that {DEPENDS}" if nets else "")
        return f"Take {take}: the nearest law of new images, and the simplest of {n} between which {said}."
    said = "these images could show no difference between the two"
    if choice["words"][simplest] == DEPENDS:
        said = f"which of the two is nearer {DEPENDS}"
    among = f"the simplest of {n} laws of new images that the nearest, {name_of(best)}, does not beat"
    return f"Take {take}: {among}; {said}."


def scores(run: dict[str, Any], law: str, net: str) -> dict[str, list[float]]:
    """Mean, low and high of each score of a law in one of a cell's feature nets; empty without that law."""
    own = next((one for one in run["laws"] if one["law"] == law), None)
    if own is None:
        return {}
    own = own if net == run["features"][0] else own["others"][net]
    return {score: own[score] for score in SCORES if score in own}


def numbers() -> dict[str, np.ndarray]:
    """``scores`` [cell, law, net, score, 3], not a number where there is none; ``standings`` [cell, law] by
    their place in ``STANDINGS``.
    """
    n_nets = max(len(run["features"]) for run in runs())
    found = np.full((len(runs()), len(laws()), n_nets, len(SCORES), 3), np.nan, np.float32)
    words = np.zeros(found.shape[:2], np.uint8)
    for i, run in enumerate(runs()):
        for own in run["laws"]:
            j = laws().index(own["law"])
            words[i, j] = list(STANDINGS).index(standing(run, own["law"]))
            for k, net in enumerate(run["features"]):
                for score, three in scores(run, own["law"], net).items():
                    found[i, j, k, SCORES.index(score)] = three
    return {"scores": found, "standings": words}


def asset_names() -> tuple[str, ...]:
    """The numbers' asset, and one for each sheet."""
    return (NUMBERS, *(SHEET + key for key in sheets()))


def arrays(name: str) -> dict[str, np.ndarray]:
    """What an asset holds: the numbers, or a sheet as its file's bytes with the places of its tiles.

    ``laws`` are the places of the sheet's laws among all, NOWHERE of one that is in no finished cell;
    ``near`` [law, draw] is the tile of the training image that is nearest to a draw, which itself is the tile
    ``near.shape[1] * law + draw``.
    """
    if name == NUMBERS:
        return numbers()
    key = name.removeprefix(SHEET)
    near, places = sheets()[key]["near"], {law: i for i, law in enumerate(laws())}
    return {
        "file": np.frombuffer((ASSETS / "draws" / f"{key}.webp").read_bytes(), np.uint8),
        "laws": np.array([places.get(law, NOWHERE) for law in near], np.uint8),
        "near": np.array(list(near.values()), np.float32),
    }


def tiles(key: str, places: list[int]) -> np.ndarray:
    """Some tiles of a sheet ``[n, h, w]``, gray, from 0 to 1."""
    sheet = sheets()[key]
    file = io.BytesIO((ASSETS / "draws" / f"{key}.webp").read_bytes())
    (_, h, w), columns = sheet["shape"], sheet["columns"]
    pixels = images.imread(file, format="webp")[..., :3] / 255.0
    gray = pixels.mean(-1) if pixels.ndim == 3 else pixels
    corners = [(h * (place // columns), w * (place % columns)) for place in places]
    return np.stack([gray[y : y + h, x : x + w] for y, x in corners])
