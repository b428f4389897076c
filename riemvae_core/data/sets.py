"""Named image sets as tensors: those that are bundled or drawn, and the full sets they stand for."""

import functools
import hashlib
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from riemvae_core.data.drawn import DRAWN, load_drawn
from riemvae_core.data.full_sets import FULL_SETS, load_full_set
from riemvae_core.data.idx import ASSETS
from riemvae_core.numerics import check_number


class ImageSet(NamedTuple):
    """Images in [0, 1], gray levels or colors, and the class of each.

    ``images`` are float32, ``labels`` int64 from 0 up; ``class_names`` says what they mean.

    Example:
        >>> images, labels = rc.load_images("digits", "test")
        >>> images.shape, images.max().item(), labels[:4]
        (torch.Size([360, 1, 8, 8]), 1.0, tensor([0, 5, 0, 5]))
    """

    images: Float[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]


# fmt: off
_CLOTHES = (
    "T-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)
_THINGS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# fmt: on
CLASS_NAMES = {
    "fashion": _CLOTHES,
    "digits": tuple("0123456789"),
    "rings-and-disks": ("disk", "ring"),
    **{name: drawn.kinds for name, drawn in DRAWN.items()},
    "fashion-full": _CLOTHES,
    "mnist": tuple("0123456789"),
    "cifar10": _THINGS,
    "svhn": tuple("0123456789"),
    "celeba": ("face",),
}
SPLITS = ("train", "test")


def data_names(bundled: bool = False) -> tuple[str, ...]:
    """The names that ``load_images`` knows, or those of them that need neither a file nor a network.

    ``bundled`` asks for the second.

    Example:
        >>> rc.data_names(bundled=True)
        ('fashion', 'digits', 'rings-and-disks', 'rings-and-disks-large', 'color-shapes')
    """
    here = (*_BUNDLED, *DRAWN)
    return here if bundled else (*here, *FULL_SETS)


def class_names(name: str) -> tuple[str, ...]:
    """What the labels of a set mean: ``class_names("fashion")[9]`` is ``"ankle boot"``.

    Raises ValueError for an unknown name.

    Example:
        >>> rc.class_names("rings-and-disks")
        ('disk', 'ring')
    """
    _check_name(name)
    return CLASS_NAMES[name]


def load_images(
    name: str,
    split: str = "train",
    *,
    pad_to: int | None = None,
    limit: int | None = None,
    folder: Path | str | None = None,
) -> ImageSet:
    """A named image set as tensors on the CPU.

    Bundled or drawn, so that no network is needed: ``fashion``, 12,000 training and 2,000 test images of
    Fashion-MNIST, balanced, 1 x 28 x 28 (Xiao, Rasul and Vollgraf 2017); ``digits``, scikit-learn's 1,797
    handwritten digits, 1 x 8 x 8, every fifth of them for testing; ``rings-and-disks``, binary images of
    disks and rings of several sizes and thicknesses, 1 x 28 x 28, drawn anew in the manner of Chadebec and
    Allassonniere (2022). Two larger ones, 12,000 and 2,000 images, have a known law, that of
    ``sample_drawn_images``: ``rings-and-disks-large``, gray and at any place, 1 x 28 x 28, and
    ``color-shapes``, disks, squares and triangles of any place, size and hue, 3 x 32 x 32.

    The full sets, with their official splits: ``fashion-full`` and ``mnist`` (LeCun, Cortes and Burges 1998),
    60,000 and 10,000 images, 1 x 28 x 28; ``cifar10`` (Krizhevsky 2009), 50,000 and 10,000, 3 x 32 x 32;
    ``svhn`` (Netzer et al. 2011), 73,257 and 26,032 digits of house numbers, 3 x 32 x 32; ``celeba`` (Liu et
    al. 2015), 162,770 and 19,962 faces, 3 x 64 x 64, cropped as by Chadebec and Allassonniere, all labels 0.
    Their files are taken from ``folder`` if it is given, else from the folder in the environment variable
    ``RIEMVAE_DATA``, else from Debian's package ``dataset-fashion-mnist``, else downloaded.

    Images are float32 in [0, 1], shape ``[n, c, h, w]``; labels are int64, shape ``[n]``. ``pad_to`` frames
    the images with zeros up to that many pixels a side (32 in the same paper). ``limit`` keeps the first so
    many images: celeba's whole training split takes 8 GB as floats, and 10 GB while it is read.

    Raises ValueError for an unknown name or split, for a bundled file that is missing or whose bytes differ
    from the manifest, for a folder without the files and for files that are damaged; OSError when nothing
    can be downloaded.

    Example:
        >>> x = rc.load_images("rings-and-disks", "test", pad_to=32, limit=3).images
        >>> x.shape, x.unique()
        (torch.Size([3, 1, 32, 32]), tensor([0.0, 1.0]))
    """
    _check_name(name)
    if split not in list(SPLITS):
        raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {split!r}")
    if limit is not None:
        check_number(1, whole=True, limit=limit)
    if pad_to is not None:
        check_number(1, whole=True, pad_to=pad_to)
    if folder is not None and not isinstance(folder, str | os.PathLike):
        raise ValueError(f"folder must be None, a path or its name, got {folder!r}")
    if name in FULL_SETS:
        raw, labels = load_full_set(name, split, folder, limit)
        images = raw.astype(np.float32, order="C")
        images /= np.float32(255)
    elif folder is not None:
        raise ValueError(f"folder must be None for {name}, which needs no files, got {folder}")
    elif name in DRAWN:
        images, labels = load_drawn(name, split, limit)
    else:
        images, labels = _BUNDLED[name](split)
        images, labels = images.astype(np.float32)[:limit, None], labels[:limit]
    x = torch.from_numpy(images)
    if pad_to is not None:
        x = _pad(x, pad_to)
    return ImageSet(x, torch.from_numpy(labels.astype(np.int64)))


def _check_name(name: str) -> None:
    if name not in list(CLASS_NAMES):
        raise ValueError(f"name must be one of {', '.join(CLASS_NAMES)}, got {name!r}")


def _pad(x: Tensor, side: int) -> Tensor:
    h, w = x.shape[-2:]
    if side < max(h, w):
        raise ValueError(f"pad_to must be at least {max(h, w)} for images of {h} x {w}, got {side}")
    top, left = (side - h) // 2, (side - w) // 2
    return functional.pad(x, (left, side - w - left, top, side - h - top))


def _read_asset(file_name: str) -> bytes:
    """The bytes of a bundled file, checked against the manifest."""
    path, manifest = ASSETS / file_name, ASSETS / "manifest.json"
    remedy = "install the package again, or make it anew: python -m riemvae_core.data.bundle"
    if not path.is_file() or not manifest.is_file():
        missing = path if not path.is_file() else manifest
        raise ValueError(f"the bundled file {missing.name} is missing from riemvae_core/assets; {remedy}")
    raw = path.read_bytes()
    try:
        expected = json.loads(manifest.read_text())[file_name]["sha256"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"manifest.json must list {file_name} with its sha256, got {error!r}; {remedy}"
        ) from error
    if (got := hashlib.sha256(raw).hexdigest()) != expected:
        raise ValueError(
            f"{file_name} is corrupted: its sha256 must be {expected[:12]}..., got {got[:12]}...; {remedy}"
        )
    return raw


@functools.lru_cache(maxsize=1)
def _fashion_arrays() -> dict[str, np.ndarray]:
    with np.load(io.BytesIO(_read_asset("fashion.npz"))) as arrays:  # the bytes that the manifest lists
        return dict(arrays)


def _fashion(split: str) -> tuple[np.ndarray, np.ndarray]:
    arrays = _fashion_arrays()
    return arrays[f"{split}_images"] / np.float32(255), arrays[f"{split}_labels"]


def _digits(split: str) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits  # slow to import, so only when asked for

    bunch = load_digits()
    held_out = np.arange(len(bunch.target)) % 5 == 0
    keep = held_out if split == "test" else ~held_out
    return bunch.images[keep] / np.float32(16), bunch.target[keep]


def _rings_and_disks(split: str) -> tuple[np.ndarray, np.ndarray]:
    """Half disks, half rings, of outer radius 4 to 13 pixels; rings and holes at least 1.5 pixels wide."""
    n = 1000 if split == "train" else 200
    rng = np.random.default_rng(SPLITS.index(split))
    outer = rng.uniform(4.0, 13.0, n)
    is_ring = np.arange(n) % 2 == 1
    inner = np.where(is_ring, rng.uniform(1.5, outer - 1.5), 0.0)
    rows, columns = np.mgrid[:28, :28] - 13.5
    r = np.hypot(rows, columns)
    images = (r <= outer[:, None, None]) & (r >= inner[:, None, None])
    return images.astype(np.float32), is_ring.astype(np.int64)


_BUNDLED: dict[str, Callable[[str], tuple[np.ndarray, np.ndarray]]] = {
    "fashion": _fashion,
    "digits": _digits,
    "rings-and-disks": _rings_and_disks,
}


def first_of_each_class(images: ImageSet, per_class: int) -> ImageSet:
    """The first ``per_class`` images of each class, class by class: the small sets that pictures show.

    Raises ValueError when a class holds fewer, for no image at all, and for images and labels of two lengths.

    Example:
        >>> few = rc.first_of_each_class(rc.load_images("rings-and-disks"), per_class=2)
        >>> few.labels
        tensor([0, 0, 1, 1])
    """
    check_number(whole=True, per_class=per_class)
    if not 0 < len(images.images) == len(images.labels):
        came = f"{len(images.images)} and {len(images.labels)}"
        raise ValueError(f"images must hold at least one image and as many labels, got {came}")
    picks = []
    for c in images.labels.unique():
        members = torch.nonzero(images.labels == c).flatten()
        if not 1 <= per_class <= len(members):
            raise ValueError(
                f"per_class must be between 1 and {len(members)} (class {int(c)}), got {per_class}"
            )
        picks.append(members[:per_class])
    keep = torch.cat(picks)
    return ImageSet(images.images[keep], images.labels[keep])
