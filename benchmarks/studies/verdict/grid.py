"""What is run: models x data x sizes x prices x laws x seeds, as blocks of a TOML file; each cell's hash."""

import dataclasses
import functools
import hashlib
import itertools
import json
import tomllib
from pathlib import Path
from typing import Any

ROLES = ("hypothesis", "confirmation")
#: what of a block is multiplied out; the rest of its keys holds for all of its cells
AXES = ("data", "duplicates", "size", "model", "price", "law")
ALL = 0  # the size that means every image


def _hash(fields: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:12]


@dataclasses.dataclass(frozen=True)
class Fit:
    """One trained model: what it sees, its net and loss, and how long it is trained.

    Of ``size`` images (0: all) a share is kept for validation. ``price`` weighs KL against the squared error
    and is 0 for models without KL. ``steps`` are those of the optimizer, whatever the size.
    """

    data: str
    duplicates: str
    size: int
    model: str
    price: float
    seed: int
    latent_dim: int
    network: str
    width: int
    steps: int
    batch_size: int
    validation: float = 0.2

    @functools.cached_property
    def key(self) -> str:
        """Twelve hexadecimal digits that change with anything that the trained weights depend on."""
        return _hash({field.name: getattr(self, field.name) for field in dataclasses.fields(self)})


@dataclasses.dataclass(frozen=True)
class Cell:
    """One draw of one law of the codes of one model, and the features in which it is scored."""

    fit: Fit
    role: str
    law: str
    draw: int
    images: int
    features: tuple[str, ...]

    @functools.cached_property
    def key(self) -> str:
        """Twelve hexadecimal digits that change with anything in the cell but the role of its seed."""
        own = {"law": self.law, "draw": self.draw, "images": self.images, "features": self.features}
        return _hash({"fit": self.fit.key, **own})


@dataclasses.dataclass(frozen=True)
class Grid:
    """The cells of a study, model by model, and the table that they become."""

    name: str
    cells: tuple[Cell, ...]

    def fits(self) -> dict[Fit, list[Cell]]:
        """The cells of each model, in order."""
        found: dict[Fit, list[Cell]] = {}
        for cell in self.cells:
            found.setdefault(cell.fit, []).append(cell)
        return found


def _block_cells(block: dict[str, Any], seeds: list[int], role: str, unpriced: frozenset[str]) -> list[Cell]:
    cells = []
    for fixed in itertools.product(*(block[axis] for axis in AXES[:-1]), seeds):
        one = dict(zip((*AXES[:-1], "seed"), fixed, strict=True))
        if one["model"] in unpriced:
            one["price"] = 0.0
        fit = Fit(
            **one, **{key: block[key] for key in ("latent_dim", "network", "width", "steps", "batch_size")}
        )
        for law, draw in itertools.product(block["law"], range(block["draws"])):
            cells.append(Cell(fit, role, law, draw, block["images"], tuple(block["features"])))
    return cells


def read_grid(
    path: Path | str, roles: tuple[str, ...] = ROLES[:1], unpriced: frozenset[str] = frozenset()
) -> Grid:
    """The grid of a TOML file: ``[seeds]`` by role, ``[defaults]``, and ``[[block]]``s that override them.

    Each block is multiplied out over its lists; cells that several blocks name are there once. Raises
    ValueError for an unknown key or role, an axis that isn't a list, and seeds that serve two roles.
    """
    text = tomllib.loads(Path(path).read_text(encoding="utf8"))
    seeds, defaults = text["seeds"], text["defaults"]
    known = {*AXES, "latent_dim", "network", "width", "steps", "batch_size", "draws", "images", "features"}
    if wrong := set(roles) - set(seeds) or set(seeds) - set(ROLES):
        raise ValueError(
            f"roles must be of {', '.join(ROLES)} and have seeds, got {', '.join(sorted(wrong))}"
        )
    if twice := set(seeds.get(ROLES[0], [])) & set(seeds.get(ROLES[1], [])):
        raise ValueError(f"seeds must serve one role, got {sorted(twice)} in both")
    cells: dict[str, Cell] = {}
    for role, own in itertools.product(roles, text["block"]):
        block = defaults | own
        if wrong := set(block) ^ known:
            raise ValueError(f"a block must have {', '.join(sorted(known))}, got {', '.join(sorted(wrong))}")
        if flat := [axis for axis in (*AXES, "features") if not isinstance(block[axis], list)]:
            raise ValueError(
                f"{', '.join(flat)} must be lists, got {', '.join(repr(block[a]) for a in flat)}"
            )
        for cell in _block_cells(block, seeds[role], role, unpriced):
            cells.setdefault(cell.key, cell)
    first = {key: i for i, key in enumerate(dict.fromkeys(cell.fit.key for cell in cells.values()))}
    return Grid(text["name"], tuple(sorted(cells.values(), key=lambda cell: first[cell.fit.key])))
