"""Readers of the files in which cifar10, svhn and celeba are published: bytes out, nothing executed."""

import gzip
import io
import pickle
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

Arrays = tuple[UInt8[np.ndarray, "n c h w"], UInt8[np.ndarray, " n"]]

CIFAR_BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
CELEBA_SPLITS = {"train": "0", "test": "2"}  # 1 is for validation
CELEBA_SIZE = (178, 218)  # width and height of the aligned photographs
CROP, SIDE = 140, 64


def read_cifar10(path: Path, split: str) -> Arrays:
    """Images and labels of a split of CIFAR-10 (Krizhevsky 2009), from its tar archive or its folder.

    The batches are pickles; only what an array of numbers consists of is unpickled, so that a forged file
    can't run code. Raises ValueError for a file that is damaged or holds anything else.
    """
    names = CIFAR_BATCHES[split]
    raw = _read_folder(path, names) if path.is_dir() else _read_archive(path, names)
    if missing := [name for name in names if name not in raw]:
        raise ValueError(f"{path.name} must hold {', '.join(names)}, got none of the name {missing[0]}")
    batches = [_read_batch(name, raw[name]) for name in names]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return images, labels


def _read_folder(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    return {name: (path / name).read_bytes() for name in names if (path / name).is_file()}


def _read_archive(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """The named files of a gzipped tar archive, in one pass to the end, where the checksum stands."""
    found = {}
    try:
        with gzip.open(path) as unpacked:
            with tarfile.open(fileobj=unpacked, mode="r|") as archive:
                for member in archive:
                    if member.isfile() and (name := Path(member.name).name) in names:
                        found[name] = archive.extractfile(member).read()
            while unpacked.read(2**20):
                pass
    except Exception as error:  # a damaged archive can fail in any way
        raise ValueError(
            f"{path.name} must be a whole tar.gz archive, got one cut or damaged ({error})"
        ) from error
    return found


# what a pickled array names, as Python 2 and NumPy 1 wrote it
_NUMBERS = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): lambda kind, *_: np.dtype(kind, copy=True),
    ("numpy.core.multiarray", "_reconstruct"): lambda kind, shape, dtype: np.ndarray(shape, dtype),
}


class _NumbersOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in _NUMBERS:
            raise pickle.UnpicklingError(f"{module}.{name} has no place in it")
        return _NUMBERS[module, name]


def _read_batch(name: str, raw: bytes) -> Arrays:
    try:
        batch = _NumbersOnly(io.BytesIO(raw), encoding="latin1").load()
        images, labels = batch["data"], np.asarray(batch["labels"])
        if not isinstance(images, np.ndarray) or labels.ndim != 1 or labels.dtype.kind not in "iu":
            raise TypeError("data must be an array and labels a list of numbers")
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(
            f"{name} must be a batch of CIFAR-10, got one that can't be read ({error})"
        ) from error
    if images.dtype != np.uint8 or images.shape != (len(labels), 3 * 32 * 32):
        raise ValueError(
            f"{name} must hold bytes of shape {(len(labels), 3072)}, got {images.dtype} of {images.shape}"
        )
    return images.reshape(-1, 3, 32, 32), _bytes(name, labels, 10)


def _bytes(name: str, labels: np.ndarray, n: int) -> UInt8[np.ndarray, " n"]:
    """Labels as bytes. Raises ValueError for none at all, and for one outside of 0 to n - 1."""
    if not len(labels) or not 0 <= labels.min() <= labels.max() < n:
        came = f"{labels.min()} to {labels.max()}" if len(labels) else "none"
        raise ValueError(f"{name} must hold labels from 0 to {n - 1}, got {came}")
    return labels.astype(np.uint8)


def read_svhn(path: Path) -> Arrays:
    """Images and labels of a file of SVHN's cropped digits (Netzer et al. 2011), the digit 0 as label 0.

    MATLAB's arrays are X of shape [32, 32, 3, n] and y of shape [n, 1], where 10 stands for the digit 0.
    Raises ValueError for a file that is damaged or holds other shapes.
    """
    from scipy.io import loadmat  # slow to import, so only when asked for

    try:
        arrays = loadmat(path, variable_names=("X", "y"))
        x, y = arrays["X"], arrays["y"]
        if not all(isinstance(a, np.ndarray) and a.ndim for a in (x, y)):
            raise TypeError("X and y must be arrays")
    except Exception as error:  # scipy has no error of its own for a damaged file
        raise ValueError(
            f"{path.name} must be a .mat file of SVHN, got one that can't be read ({error})"
        ) from error
    if x.dtype != np.uint8 or x.shape != (32, 32, 3, len(y)) or y.shape != (len(y), 1):
        raise ValueError(
            f"{path.name} must hold bytes X of shape (32, 32, 3, n) and y of (n, 1), "
            f"got {x.dtype} of {x.shape} and {y.shape}"
        )
    if y.dtype.kind not in "iu":
        raise ValueError(f"{path.name} must hold whole numbers y, got {y.dtype}")
    return x.transpose(3, 2, 0, 1), _bytes(path.name, y[:, 0], 11) % 10


def read_celeba(images: Path, partition: Path, split: str, limit: int | None = None) -> Arrays:
    """The first faces of a split of CelebA (Liu et al. 2015), 3 x 64 x 64; all labels are 0.

    ``images`` is ``img_align_celeba.zip`` or the folder that comes out of it, ``partition`` the list of which
    image belongs to which split. From each photograph of 178 x 218 pixels the central 140 x 140 are resized
    with Pillow's Lanczos filter, one at a time: 12 kB an image, 2 GB for the whole training split. Raises
    ValueError for files that are damaged, ImportError if Pillow is missing.
    """
    try:
        rows = [line.split() for line in partition.read_text().splitlines()]
        names = [name for name, part in rows if part == CELEBA_SPLITS[split]][:limit]
    except ValueError as error:
        raise ValueError(f"{partition.name} must have a name and a number in each line ({error})") from error
    if not names:
        raise ValueError(
            f"{partition.name} must list images of the {split} split, got {len(rows)} other lines"
        )
    faces = np.empty((len(names), 3, SIDE, SIDE), np.uint8)
    bar = tqdm(_photographs(images, names), "celeba", len(names), unit=" images", delay=1.0)
    try:
        for face, photograph in zip(faces, bar, strict=True):
            face[:] = _center(photograph)
    except ImportError:
        raise
    except Exception as error:  # a damaged archive or photograph can fail in any way
        raise ValueError(
            f"{images.name} must hold the images that {partition.name} lists ({error})"
        ) from error
    return faces, np.zeros(len(names), np.uint8)


def _photographs(images: Path, names: list[str]) -> Iterator[bytes]:
    """One JPEG file after the other, from a folder or a zip archive."""
    if images.is_dir():
        yield from ((images / name).read_bytes() for name in names)
        return
    with zipfile.ZipFile(images) as archive:
        members = {member.rpartition("/")[2]: member for member in archive.namelist()}
        yield from (archive.read(members[name]) for name in names)


def _center(photograph: bytes) -> UInt8[np.ndarray, "c h w"]:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError("celeba needs the package pillow: pip install 'riemvae-core[data]'") from error
    with Image.open(io.BytesIO(photograph)) as image:
        if image.size != CELEBA_SIZE:
            raise ValueError(f"images must be of {CELEBA_SIZE} pixels, got {image.size}")
        left, top = ((side - CROP) // 2 for side in CELEBA_SIZE)
        square = image.convert("RGB").crop((left, top, left + CROP, top + CROP))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
