"""The bundled set, made from the four full files of Fashion-MNIST.

``python -m riemvae_core.data.bundle FOLDER`` writes ``assets/fashion.npz`` and its manifest anew from those
files in FOLDER (Debian's package ``dataset-fashion-mnist`` installs them, gzipped).
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np

from riemvae_core.data.idx import ASSETS, read_idx


def balanced_subset(labels: np.ndarray, per_class: int, seed: int = 0) -> np.ndarray:
    """Sorted indices of ``per_class`` examples of each class, drawn without replacement."""
    rng = np.random.default_rng(seed)
    picks = []
    for c in np.unique(labels):
        members = np.flatnonzero(labels == c)
        if len(members) < per_class:
            raise ValueError(f"per_class must be at most {len(members)} (class {c}), got {per_class}")
        picks.append(rng.choice(members, per_class, replace=False))
    return np.sort(np.concatenate(picks))


def bundle_fashion(folder: Path | str, out: Path = ASSETS) -> Path:
    """Write ``fashion.npz`` (12,000 training and 2,000 test images, balanced) and its manifest.

    ``folder`` holds the four full IDX files. Raises ValueError when one of them is not there.
    """
    folder, arrays = Path(folder), {}
    for split, prefix, per_class in (("train", "train", 1200), ("test", "t10k", 200)):
        found = [
            next(iter(sorted(folder.glob(f"{prefix}-{kind}-idx{rank}-ubyte*"))), None)
            for kind, rank in (("images", 3), ("labels", 1))
        ]
        if None in found:
            raise ValueError(f"folder must hold {prefix}-images-idx3-ubyte[.gz] and its labels, got {folder}")
        images, labels = (read_idx(p) for p in found)
        keep = balanced_subset(labels, per_class)
        arrays |= {f"{split}_images": images[keep], f"{split}_labels": labels[keep]}
    out.mkdir(parents=True, exist_ok=True)
    target = out / "fashion.npz"
    np.savez_compressed(target, **arrays)
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    entry = {
        "sha256": digest,
        "bytes": target.stat().st_size,
        "images": {k: list(v.shape) for k, v in arrays.items()},
        "source": "Fashion-MNIST (Xiao, Rasul, Vollgraf 2017), MIT licence, Copyright 2017 Zalando SE",
    }
    (out / "manifest.json").write_text(json.dumps({"fashion.npz": entry}, indent=2) + "\n")
    return target


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(
            "usage: python -m riemvae_core.data.bundle FOLDER   (the folder of the four Fashion-MNIST files)"
        )
    print(f"wrote {bundle_fashion(sys.argv[1])}")
