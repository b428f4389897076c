"""Which images of Fashion-MNIST stand in it twice: within the training set, the test set, and across.

    python benchmarks/studies/duplicates.py

``rc.find_duplicates`` looks at all 70,000 together, training images first, so that the row of a test image is
60,000 more than its own. ``groups`` holds the rows of each, ``repeated`` what to leave out of the 70,000; the
verdict's study leaves them out of its training set. ``named`` gives the groups of the four rows that hold
most of the uniform law of all 60,000 (chapter 9), ``pictures`` their pixels, bytes in base64. About ten
minutes on one core.

Libraries were looked at first. imagededup needs another torch, fastdup older numpy, scikit-learn and pillow.
cleanvision compares perceptual hashes (imagehash) of image files: of the 396 groups of one hash among these
70,000 images, 34 mix classes, and half are farther apart than a typical image and its nearest neighbor.
"""

import base64
from collections import Counter
from typing import Any

import torch
from resumable import run_study

import riemvae_core as rc

NAMED = (753, 21295, 29413, 43549)
SETTINGS = {"data": "fashion-full", "chance": 1e-3, "train": 60_000, "test": 10_000}


def pictures(images: torch.Tensor) -> str:
    """Images with values in [0, 1] as bytes, one a pixel, in base64."""
    return base64.b64encode((255 * images).round().byte().numpy().tobytes()).decode()


def work(sets: str) -> dict[str, Any]:
    """Search both sets at once and sort what is found."""
    images = torch.cat([rc.load_images(SETTINGS["data"], split).images for split in sets.split()])
    found = rc.find_duplicates(images, chance=SETTINGS["chance"])
    size = found.group.bincount(minlength=len(images))
    groups = [(found.group == first).nonzero().flatten().tolist() for first in (size > 1).nonzero().flatten()]
    test = SETTINGS["train"]
    where = Counter("train" if g[-1] < test else "test" if g[0] >= test else "both" for g in groups)
    return {
        "same": len(found.same),
        "close": len(found.close),
        "repeated": found.repeated.tolist(),
        "groups": groups,
        "groups_within_train": where["train"],
        "groups_within_test": where["test"],
        "groups_across": where["both"],
        "train_images_repeated": sum(row < test for row in found.repeated.tolist()),
        "test_images_in_train": sum(row >= test for g in groups if g[0] < test for row in g),
        "named": found.group[list(NAMED)].tolist(),
        "pictures": pictures(images[list(NAMED)]),
        "limit": found.limit,
        "dimension": found.dimension,
    }


if __name__ == "__main__":
    run_study("duplicates", SETTINGS, [{"sets": "train test"}], work)
