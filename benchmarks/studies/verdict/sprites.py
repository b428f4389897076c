"""Small pictures of what the study's laws draw: a cell's first draws, and their nearest training images.

python -m verdict.sprites [--folder _build/study/verdict] [--sizes 100 300 ...] [--data ...] [--models ...]

Nothing is trained: a model that is not in the folder keeps the picture it had. A law is left out whose
draws do not give the distance of the published table: then they are not those that were scored. A picture
has ``COLUMNS`` tiles a row: the draws of each law in turn, then all training images that are nearest to one.
Near is what it is to the score of novelty: in the first feature net, among the training reconstructions.
"""

import argparse
import functools
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

import riemvae_core as rc
from riemvae_core.data import ASSETS
from riemvae_core.neighbors import nearest
from verdict.grid import ROLES, Cell, Fit, read_grid
from verdict.judge import Key, kind
from verdict.models import UNPRICED
from verdict.spaces import FEATURES, Space, chosen_rows, drawn, prepare
from verdict.store import published, read_table, write_whole

HERE = Path(__file__).resolve().parent
TARGET = ASSETS / "draws"
DRAWS, COLUMNS, QUALITY = 12, 24, 60
SAME = 0.01  # how far a distance may be from the table's, as a share: what rounding does to chains and roots


@functools.lru_cache(maxsize=1)
def _all(data: str) -> Tensor:
    return rc.load_images(data).images


def images_of(fit: Fit) -> Tensor:
    """The images that a fit was trained on."""
    images = _all(fit.data)
    return images[chosen_rows(fit, len(images))[0]]


def sheet(tiles: Tensor) -> Image.Image:
    """Tiles ``[n, c, h, w]`` in rows of ``COLUMNS``, gray or in color."""
    empty = -len(tiles) % COLUMNS
    tiles = torch.cat([tiles, tiles.new_zeros(empty, *tiles.shape[1:])])
    n, c, h, w = tiles.shape
    rows = tiles.reshape(n // COLUMNS, COLUMNS, c, h, w).permute(0, 3, 1, 4, 2)
    pixels = (rows.reshape(n // COLUMNS * h, COLUMNS * w, c) * 255).round().byte().numpy()
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if c == 1 else pixels))


def pictures(
    space: Space, cells: list[Cell], images: Tensor, scored: dict[str, float]
) -> tuple[Tensor, dict[str, list[int]]]:
    """The tiles of a model, and of each law where its nearest images stand.

    ``images`` are those it was trained on; ``scored``: the distance of each cell in the first feature net.
    """
    look = FEATURES[cells[0].features[0]]
    known, reference, tiles, found = look(space.train), look(space.reference), [], {}
    for cell in cells:
        fake = space.trained.decode(drawn(space, cell).z.detach())
        seen = look(fake)
        distance = rc.sampler_distance(seen, reference[: len(seen)]).frechet
        if abs(distance / scored[cell.key] - 1) > SAME:
            print(f"left out: {cell.law}, {distance:.4g} and in the table {scored[cell.key]:.4g}")
            continue
        tiles.append(fake[:DRAWS].clamp(0, 1))
        found[cell.law] = nearest(seen[:DRAWS], known).indices[:, 0].tolist()
    rows = sorted({row for own in found.values() for row in own})
    place = {row: DRAWS * len(found) + i for i, row in enumerate(rows)}
    near = {law: [place[row] for row in own] for law, own in found.items()}
    return torch.cat([*tiles, images[rows]]), near


def save(fit: Fit, tiles: Tensor, near: dict[str, list[int]], index: dict[str, Any]) -> None:
    """Write the sheet of a model, and its place in the index."""
    file = TARGET / f"{fit.key}.webp"
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet(tiles).save(file, quality=QUALITY, method=6)
    own = {field: getattr(fit, field) for field in Key._fields} | {"seed": fit.seed}
    index[fit.key] = own | {"shape": list(tiles.shape[1:]), "columns": COLUMNS, "near": near}


def kept(fits: Iterable[str]) -> dict[str, Any]:
    """What the index says of models that the grid still has."""
    path, wanted = TARGET / "index.json", set(fits)
    old = json.loads(path.read_text(encoding="utf8")) if path.is_file() else {}
    return {key: entry for key, entry in old.items() if key in wanted}


def main(arguments: list[str] | None = None) -> None:
    """Make the pictures of all models of the first confirmation seed that are there."""
    parser = argparse.ArgumentParser(prog="python -m verdict.sprites", description=main.__doc__)
    parser.add_argument("--folder", type=Path, default=HERE.parents[2] / "_build" / "study" / "verdict")
    parser.add_argument("--grid", type=Path, default=HERE / "study.toml")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 300, 1000, 3000, 10_000])
    parser.add_argument("--data", nargs="+", default=["fashion-full"])
    parser.add_argument("--models", nargs="+", default=["vae"])
    chosen = parser.parse_args(arguments)
    grid = read_grid(chosen.grid, (ROLES[1],), UNPRICED)
    first = min(cell.fit.seed for cell in grid.cells)
    table = read_table(published(grid.name))
    nets = {cell.key: cell.features[0] for cell in grid.cells}
    scored = {row["cell"]: row["distance"] for row in table if nets.get(row["cell"]) == row["features"]}
    index = kept(fit.key for fit in grid.fits())
    for fit, cells in grid.fits().items():
        there = (chosen.folder / "models" / f"{fit.key}.safetensors").is_file()
        asked = fit.size in chosen.sizes and fit.data in chosen.data and fit.model in chosen.models
        if not there or fit.seed != first or not asked:
            continue
        cells = [
            cell for cell in cells if not cell.draw and scored.get(cell.key) and kind(cell.law) != "variant"
        ]
        if not cells:
            continue
        space = prepare(fit, chosen.folder)
        tiles, near = pictures(space, cells, images_of(fit), scored)
        save(fit, tiles, near, index)
        print(f"{fit.data} {fit.size} {fit.model} {fit.price:g}: {len(tiles)} tiles")
    for old in set(TARGET.glob("*.webp")) - {TARGET / f"{key}.webp" for key in index}:
        old.unlink()
    write_whole(TARGET / "index.json", (json.dumps(index) + "\n").encode())


if __name__ == "__main__":
    main()
