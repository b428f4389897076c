"""The IDX format of MNIST and its relatives, and the bundled set that is made from it.

``python -m riemvae_core.data.idx FOLDER`` writes ``assets/fashion.npz`` and its manifest anew from the four
full files of Fashion-MNIST in FOLDER (Debian's package ``dataset-fashion-mnist`` installs them, gzipped).
"""

import gzip
import hashlib
import json
import struct
import sys
import zlib
from pathlib import Path

import numpy as np

#: The folder of the files that come with the package: the bundled images, their manifest, trained weights.
ASSETS = Path(__file__).resolve().parents[1] / "assets"
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: Path | str) -> np.ndarray:
    """The array in an IDX file, gzipped or not.

    Layout: two zero bytes, a type byte, the number of dimensions, each size as a big-endian 32-bit integer,
    then the values. Raises ValueError when the bytes are not of that form or their number does not fit the
    sizes.
    """
    path = Path(path)
    try:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(
            f"{path.name} must be a whole gzip file, got one that can't be read ({error})"
        ) from error
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _TYPES:
        raise ValueError(f"path must be an IDX file (two zero bytes, a type byte), got {path.name}")
    kind, rank = np.dtype(_TYPES[raw[2]]), raw[3]
    shape = struct.unpack_from(f">{rank}I", raw, 4) if len(raw) >= 4 + 4 * rank else ()
    expected = 4 + 4 * rank + kind.itemsize * int(np.prod(shape, dtype=np.int64))
    if len(shape) != rank or len(raw) != expected:
        raise ValueError(f"{path.name} must hold {expected} bytes for shape {shape}, got {len(raw)}")
    return np.frombuffer(raw, kind, offset=4 + 4 * rank).reshape(shape).astype(kind.newbyteorder("="))


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
            "usage: python -m riemvae_core.data.idx FOLDER   (the folder of the four Fashion-MNIST files)"
        )
    print(f"wrote {bundle_fashion(sys.argv[1])}")
