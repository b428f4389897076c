"""Readers of the files in which cifar10, svhn and celeba are published: bytes out, nothing executed."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from tqdm import tqdm

from riemvae_core.data.bounded import GZIP, inflate, open_zip, read_member, read_whole
from riemvae_core.data.mat import read_mat
from riemvae_core.data.pickles import byte_array, read_pickle

Arrays = tuple[UInt8[np.ndarray, "n c h w"], UInt8[np.ndarray, " n"]]

CIFAR_BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
CELEBA_SPLITS = {"train": "0", "test": "2"}  # 1 is for validation
CELEBA_SIZE = (178, 218)  # width and height of the aligned photographs
CELEBA_IMAGES = 202_599
CROP, SIDE = 140, 64
LIST, PHOTOGRAPH = 2**22, 2**20  # bytes; celeba's own take 3 MB, and less than 30 kB each
BLOCK = 512  # bytes of a tar archive's head of a file, and what files are filled up to


def read_cifar10(path: Path, split: str) -> Arrays:
    """Images and labels of a split of CIFAR-10 (Krizhevsky 2009), from its tar archive or its folder.

    The batches are pickles; they are read as data and never unpickled, so that a forged file can't run code.
    Raises ValueError for a file that is damaged, unpacks to more than 2^28 bytes or holds anything else.
    """
    names = CIFAR_BATCHES[split]
    raw = _read_folder(path, names) if path.is_dir() else _read_archive(path, names)
    if missing := [name for name in names if name not in raw]:
        raise ValueError(f"{path.name} must hold {', '.join(names)}, got none of the name {missing[0]}")
    batches = [_read_batch(f"{name} in {path.name}", raw[name]) for name in names]
    images, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    return images, labels


def _read_folder(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    return {name: read_whole(path / name) for name in names if (path / name).is_file()}


def _read_archive(path: Path, names: tuple[str, ...]) -> dict[str, bytes]:
    """The named files of a gzipped tar archive, in whichever folder of it they are."""
    packed = read_whole(path)
    try:
        files = _tar_files(memoryview(inflate(packed, GZIP)))
        return {name: bytes(raw) for where, raw in files if (name := where.rpartition("/")[2]) in names}
    except ValueError as error:
        raise ValueError(
            f"{path.name} must be a whole tar.gz archive, got one cut or damaged ({error})"
        ) from error


def _tar_files(raw: memoryview) -> Iterator[tuple[str, memoryview]]:
    """Name and bytes of each plain file in a tar archive; links and all else are passed over.

    Python's tarfile, before 3.11.10, takes minutes for a head of 80 kB that was made for it (CVE-2024-6232).
    """
    at = 0
    while head := bytes(raw[at : at + BLOCK]).rstrip(b"\0"):
        head, at = head.ljust(BLOCK, b"\0"), at + BLOCK
        size = int(head[124:136].strip(b" \0") or b"0", 8)
        if int(head[148:156].strip(b" \0"), 8) != sum(head) - sum(head[148:156]) + 8 * ord(" "):
            raise ValueError("a checksum doesn't match")
        if size < 0 or at + size > len(raw):
            raise ValueError("a file in it is cut")
        if head[156:157] in (b"0", b"\0"):
            yield head[:100].rstrip(b"\0").decode("latin1"), raw[at : at + size]
        at += -(-size // BLOCK) * BLOCK


def _read_batch(name: str, raw: bytes) -> Arrays:
    try:
        batch = read_pickle(raw)
        images, labels = byte_array(batch["data"]), batch["labels"]
        if not isinstance(labels, list) or any(type(label) is not int for label in labels):
            raise TypeError("labels must be a list of numbers")
        labels = np.array(labels, np.int64)
    except Exception as error:  # a damaged pickle can fail in any way
        raise ValueError(
            f"{name} must be a batch of CIFAR-10, got one that can't be read ({error})"
        ) from error
    if images.shape != (len(labels), 3 * 32 * 32):
        raise ValueError(f"{name} must hold bytes of shape {(len(labels), 3072)}, got {images.shape}")
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
    try:
        arrays = read_mat(path)
        x, y = arrays["X"], arrays["y"]
    except Exception as error:  # a damaged file can fail in any way
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
    ValueError for files that are damaged or larger than CelebA's, ImportError if Pillow is missing.
    """
    names = _listed(partition, split)[:limit]
    faces, name = np.empty((len(names), 3, SIDE, SIDE), np.uint8), names[0]
    try:
        with _photographs(images) as read:
            bar = tqdm(names, "celeba", unit=" images", delay=1.0)
            for face, name in zip(faces, bar, strict=True):
                face[:] = _center(read(name))
    except ImportError:
        raise
    except Exception as error:  # a damaged archive or photograph can fail in any way
        raise ValueError(
            f"{images.name} must hold the images that {partition.name} lists, got for {name}: {error}"
        ) from error
    return faces, np.zeros(len(names), np.uint8)


def _listed(partition: Path, split: str) -> list[str]:
    """The names of a split's images; each is a file's name, with no folder before it."""
    raw = read_whole(partition, LIST)
    try:
        rows = [line.split() for line in raw.decode().splitlines()]
        names = [name for name, part in rows if part == CELEBA_SPLITS[split]]
    except ValueError as error:
        raise ValueError(
            f"{partition.name} must have a name and a number in each line, got {raw[:20]!r}... ({error})"
        ) from error
    if not names or len(names) > CELEBA_IMAGES:
        came = f"{len(names):,} of it and {len(rows) - len(names):,} other lines"
        raise ValueError(
            f"{partition.name} must list images of the {split} split, at most {CELEBA_IMAGES:,}, got {came}"
        )
    if wrong := [name for name in names if name != Path(name).name or "\\" in name]:
        raise ValueError(f"{partition.name} must list names of files in one folder, got {wrong[0]!r:.80}")
    if len(set(names)) < len(names):
        raise ValueError(
            f"{partition.name} must list each image once, got {len(names) - len(set(names))} again"
        )
    return names


@contextmanager
def _photographs(images: Path) -> Iterator[Callable[[str], bytes]]:
    """From a name to the bytes of a JPEG file, out of a folder or a zip archive."""
    if images.is_dir():
        yield lambda name: read_whole(images / name, PHOTOGRAPH)
        return
    with open_zip(images) as archive:
        members = {member.filename.rpartition("/")[2]: member for member in archive.infolist()}
        yield lambda name: read_member(archive, members[name], PHOTOGRAPH)


def _center(photograph: bytes) -> UInt8[np.ndarray, "c h w"]:
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise ImportError("celeba needs the package pillow: pip install 'riemvae-core[data]'") from error
    try:
        image = Image.open(io.BytesIO(photograph), formats=("JPEG",))  # other kinds run programs, as EPS does
    except UnidentifiedImageError as error:
        raise ValueError(f"it must be a JPEG, got {photograph[:20]!r}...") from error
    with image:
        if image.size != CELEBA_SIZE:
            raise ValueError(f"images must be of {CELEBA_SIZE} pixels, got {image.size}")
        left, top = ((side - CROP) // 2 for side in CELEBA_SIZE)
        square = image.convert("RGB").crop((left, top, left + CROP, top + CROP))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.LANCZOS)).transpose(2, 0, 1)
