"""Train every recipe of the zoo again from its seed.

``python -m riemvae_core.models.train_zoo`` resumes what was interrupted, and says how close each model comes
to the weights that are shipped. ``--ship`` replaces those; names narrow the work.
"""

import argparse
from pathlib import Path

from riemvae_core.data import load_images
from riemvae_core.models import zoo
from riemvae_core.models.files import read_tensors, save_atomically
from riemvae_core.models.training import evaluate


def _held_out(name: str, weights: Path) -> str:
    """The loss of a file's weights on the recipe's test images; for a classifier its accuracy too."""
    r, model = zoo.recipe(name), zoo.load_weights(name, weights)
    test = load_images(r.data, "test")
    losses = evaluate(model, test.images, labels=test.labels if r.labeled else None)
    accuracy = f" (accuracy {1 - losses['error']:.2%})" if "error" in losses else ""
    return f"{losses['total']:.4f}{accuracy}"


def main(arguments: list[str] | None = None) -> None:
    """Train recipes again and compare them with what is shipped."""
    parser = argparse.ArgumentParser(prog="python -m riemvae_core.models.train_zoo", description=__doc__)
    parser.add_argument("names", nargs="*", help="models to train (all of them by default)")
    parser.add_argument("--ship", action="store_true", help="replace the shipped weights")
    chosen = parser.parse_args(arguments)
    for name in chosen.names or zoo.names():
        path, target = zoo.train(name), zoo.shipped_path(name)
        line = f"{name}: held-out loss {_held_out(name, path)}"
        if target.is_file():
            line += f", shipped {_held_out(name, target)}"
        print(line, flush=True)
        if chosen.ship:
            metadata, tensors = read_tensors(path)
            save_atomically(tensors, target, metadata)
            path.unlink()


if __name__ == "__main__":
    main()
