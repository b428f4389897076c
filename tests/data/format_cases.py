"""Small files of CIFAR-10 and CelebA, written as their makers wrote them."""

import io
import struct
import tarfile
import zipfile

import numpy as np
from PIL import Image

from riemvae_core.data import formats

RNG = np.random.default_rng(0)

# --- CIFAR-10: dictionaries as Python 2 and NumPy 1 pickled them (protocol 2), in a gzipped tar archive


def pickled_string(value):
    return b"T" + struct.pack("<i", len(value)) + value


def pickled_array(array):
    """The opcodes of a byte array: _reconstruct, then its shape, dtype and bytes as the state."""
    shape = b"".join(b"J" + struct.pack("<i", side) for side in array.shape)
    dtype = b"cnumpy\ndtype\n" + pickled_string(b"u1") + b"K\0K\1\x87R(K\3" + pickled_string(b"|")
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + pickled_string(b"b") + b"\x87R"
        b"(K\1" + shape + b"\x86" + dtype + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
    ) + (pickled_string(array.tobytes()) + b"tb")


def pickled_batch(images, labels):
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    items = {b"batch_label": pickled_string(b"batch"), b"labels": listed, b"data": pickled_array(images)}
    return b"\x80\2}(" + b"".join(pickled_string(key) + value for key, value in items.items()) + b"u."


NAMES = [*formats.CIFAR_BATCHES["train"], *formats.CIFAR_BATCHES["test"]]
BATCHES = {
    name: (RNG.integers(0, 256, (4, 3072)).astype(np.uint8), RNG.integers(0, 10, 4).tolist())
    for name in NAMES
}
PICKLES = {name: pickled_batch(*batch) for name, batch in BATCHES.items()}


def write_archive(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, raw in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return path


def write_folder(path, members):
    path.mkdir()
    for name, raw in members.items():
        (path / name).write_bytes(raw)
    return path


# --- CelebA: JPEGs in a folder or a zip archive, and a list of splits


def jpeg(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=100, subsampling=0)
    return out.getvalue()


def ramp(n):
    """A face of 178 x 218 whose red grows to the right and green downwards; blue tells its number."""
    rows, columns = np.mgrid[:218, :178]
    return np.stack([columns, rows, np.full_like(rows, 20 * n)], -1).astype(np.uint8)


PARTS = [0, 2, 0, 1, 2, 0]
FACES = {f"{i:06}.jpg": jpeg(ramp(i)) for i in range(1, 7)}
LIST = "".join(f"{name} {part}\n" for name, part in zip(FACES, PARTS, strict=True))


def zipped(path, faces, folder="img_align_celeba/"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(folder, "")
        for name, raw in faces.items():
            archive.writestr(folder + name, raw)
    return path


def stored_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, raw in members.items():
            archive.writestr(name, raw)
