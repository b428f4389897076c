"""Files made to hurt who reads them. Run as a script, it reads them with 2 GB to spare and tells what came.

``python hostile_cases.py FOLDER`` writes each case into FOLDER, reads it there and prints a line of JSON:
the case, its file's name, the error, and by how many bytes the process's peak of memory grew.
"""

import bz2
import io
import json
import pickle
import resource
import struct
import sys
import tarfile
import zlib
from pathlib import Path

import numpy as np
from format_cases import BATCHES, pickled_batch, pickled_string, stored_zip, write_archive

import riemvae_core as rc
from riemvae_core.data import formats, idx, read_json, read_npz
from riemvae_core.models import read_tensors

SPARE = 2 * 2**30  # bytes of address space beyond what the process has when it begins
TERA = 2**40
BLOCK = 2**24


def deflated(size: int, head: bytes = b"", bits: int = 15) -> bytes:
    """A stream of zlib (15), gzip (31) or deflate (-15) that unpacks to the head and ``size`` zeros, without
    an end: one block of zeros is packed, and repeated.
    """
    engine = zlib.compressobj(1, zlib.DEFLATED, bits)
    begin = engine.compress(head) + engine.flush(zlib.Z_FULL_FLUSH)
    block = engine.compress(bytes(BLOCK)) + engine.flush(zlib.Z_FULL_FLUSH)
    return begin + block * (size // BLOCK)


def sparse(path: Path, size: int, head: bytes = b"", tail: bytes = b"") -> None:
    """A file of any length that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
        file.seek(size - len(tail))
        file.write(tail)


def element(kind: int, data: bytes, size: int | None = None) -> bytes:
    return struct.pack("<II", kind, len(data) if size is None else size) + data + bytes(-len(data) % 8)


def matrix(sides, numbers: bytes, stored: int = 2, flags: int = 9, name: bytes = b"X", size=None) -> bytes:
    head = element(6, struct.pack("<II", flags, 0)) + element(5, struct.pack(f"<{len(sides)}i", *sides))
    return element(14, head + element(1, name) + element(stored, numbers, size))


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 178 218\n"
MAT = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def zipped(path: Path, name: str, packed: bytes, size: int, method: int = 8, packed_size=None) -> None:
    """A zip archive of one member that says of itself what it is told to."""
    length = len(packed) if packed_size is None else packed_size
    fields = struct.pack("<HHHHHIII", 20, 0, method, 0, 0, 0, length, size) + struct.pack("<H", len(name))
    local = b"PK\3\4" + fields + struct.pack("<H", 0) + name.encode() + packed
    central = b"PK\1\2" + struct.pack("<H", 20) + fields + bytes(12) + struct.pack("<I", 0) + name.encode()
    end = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, len(central), len(local), 0)
    path.write_bytes(local + central + end)


def npy(length: int) -> bytes:
    """The head of an array that promises so many numbers, and none of them."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({length},)}}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text


def slow_tar(path: Path) -> None:
    """A head over which Python's tarfile sat for minutes."""
    digits = b"1" * 80_000
    record = b"22 GNU.sparse.size=1\n" + b"%d x=%b\n" % (len(digits) + 9, digits)
    head = tarfile.TarInfo("p")
    head.type, head.size = tarfile.XHDTYPE, len(record)
    raw = head.tobuf(tarfile.USTAR_FORMAT) + record + bytes(-len(record) % 512) + bytes(1024)
    path.write_bytes(_gz(raw))


def _gz(raw: bytes) -> bytes:
    engine = zlib.compressobj(1, zlib.DEFLATED, 31)
    return engine.compress(raw) + engine.flush()


class Payload:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def forged_objects() -> bytes:
    """A batch whose data are an array of objects, made by NumPy's own constructor on eight bytes."""
    dtype = b"cnumpy\ndtype\n" + pickled_string(b"O") + b"\x85R"
    return (
        b"\x80\2}("
        + pickled_string(b"data")
        + b"cnumpy\nndarray\n(K\1\x85"
        + dtype
        + pickled_string(b"\1" * 8)
        + b"tR"
        + pickled_string(b"labels")
        + b"](K\0eu."
    )


def nested(depth: int) -> bytes:
    """Labels in pairs of pairs: 2^depth of them, in five bytes a level."""
    pairs = b"".join(b"q%bh%b\x86" % ((bytes([k]),) * 2) for k in range(depth))
    return SMALL[:-2] + pickled_string(b"labels") + b"]K\1" + pairs + b"au."


def one_batch(raw: bytes):
    return lambda path: write_archive(path, {"test_batch": raw})


def listed(text: str):
    return lambda path: path.write_text(text)


ZEROS = deflated(4 * 2**30, bits=-15)
SMALL = pickled_batch(*BATCHES["test_batch"])


def cases(folder: Path) -> dict[str, tuple]:
    """Each case: the file's name, what writes it, what reads it."""
    list_file = folder / "list.txt"
    list_file.write_text("a.jpg 0\n")
    cifar = lambda path: formats.read_cifar10(path, "test")  # noqa: E731
    celeba = lambda path: formats.read_celeba(path, list_file, "train")  # noqa: E731
    listing = lambda path: formats.read_celeba(folder, path, "train")  # noqa: E731
    write = lambda raw: lambda path: path.write_bytes(raw)  # noqa: E731
    huge = lambda head=b"", tail=b"": lambda path: sparse(path, TERA, head, tail)  # noqa: E731
    idx_head = bytes((0, 0, 8, 3))
    far = b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, 1, 1, 2**31, 0, 0)
    tensor = b'{"a":{"dtype":"F32","shape":[%d],"data_offsets":[0,%d]}}'
    large = tensor % ((TERA - 8 - 128) // 4, TERA - 8 - 128)
    return {
        "idx that promises 2^60": ("a-idx", write(idx_head + struct.pack(">3I", *[2**20] * 3)), idx.read_idx),
        "idx of 255 sides": ("a-idx", write(b"\0\0\x08\xff" + b"\0\0\0\1" * 255 + b"?"), idx.read_idx),
        "idx of a terabyte": ("a-idx", huge(idx_head), idx.read_idx),
        "gzip bomb": ("a-idx.gz", write(deflated(4 * 2**30, idx_head, 31)), idx.read_idx),
        "gzip of a terabyte": ("a-idx.gz", huge(b"\x1f\x8b\x08"), idx.read_idx),
        "tar bomb": ("c.tar.gz", write(deflated(4 * 2**30, bits=31)), cifar),
        "tar of a terabyte": ("c.tar.gz", huge(b"\x1f\x8b\x08"), cifar),
        "tar with a slow head": ("c.tar.gz", slow_tar, cifar),
        "tar with a link": ("c.tar.gz", write(_gz(link_tar())), cifar),
        "pickle that makes a file": (
            "c.tar.gz", one_batch(pickle.dumps(Payload(folder / "made"), protocol=2)), cifar,
        ),
        "pickle with a far memo": ("c.tar.gz", one_batch(b"\x80\2Nr\xff\xff\xff\x7f."), cifar),
        "pickle of objects": ("c.tar.gz", one_batch(forged_objects()), cifar),
        "pickle of 2^60 labels": ("c.tar.gz", one_batch(nested(60)), cifar),
        "pickle of endless steps": ("c.tar.gz", one_batch(b"\x80\2" + b"N" * 2**24), cifar),
        "mat bomb": ("h.mat", write(MAT + element(15, deflated(4 * 2**30))), formats.read_svhn),
        "mat of 2^93": ("h.mat", write(MAT + matrix((2**31 - 1,) * 3, b"?")), formats.read_svhn),
        "mat of negative sides": ("h.mat", write(MAT + matrix((-1, 32, 3, 1), bytes(96))), formats.read_svhn),
        "mat longer than it is": (
            "h.mat", write(MAT + matrix((32, 32), b"?", size=2**32 - 1)), formats.read_svhn,
        ),
        "mat of no known class": ("h.mat", write(MAT + matrix((1, 1), b"?", flags=255)), formats.read_svhn),
        "mat of a terabyte": ("h.mat", huge(MAT), formats.read_svhn),
        "zip bomb": ("f.zip", lambda p: zipped(p, "a.jpg", ZEROS, 2**32 - 2), celeba),
        "zip that understates": ("f.zip", lambda p: zipped(p, "a.jpg", ZEROS, 1000), celeba),
        "zip packed otherwise": (
            "f.zip", lambda p: zipped(p, "a.jpg", bz2.compress(bytes(2**20)), 1000, 12), celeba,
        ),
        "zip with a far directory": ("f.zip", huge(tail=far), celeba),
        "photograph that is a program": (
            "f.zip", lambda p: stored_zip(p, {"a.jpg": EPS}), celeba,
        ),
        "list that leaves its folder": ("l.txt", listed("../../a.jpg 0\n"), listing),
        "list of a terabyte": ("l.txt", huge(b"a.jpg 0\n"), listing),
        "list of one image": ("l.txt", listed("a.jpg 0\n" * 1000), listing),
        "npz bomb": ("n.npz", lambda p: zipped(p, "a.npy", ZEROS, 2**32 - 2), read_npz),
        "npz that understates": ("n.npz", lambda p: zipped(p, "a.npy", ZEROS, 200), read_npz),
        "npz of 2^40": ("n.npz", lambda p: stored_zip(p, {"a.npy": npy(2**40)}), read_npz),
        "npz of objects": (
            "n.npz", lambda p: np.savez(p, a=np.array([Payload(folder / "made")], object)), read_npz,
        ),
        "npz of a terabyte": ("n.npz", huge(tail=far), read_npz),
        "tensors of a terabyte": (
            "t.safetensors", huge(struct.pack("<Q", 128) + large.ljust(128)), load_and_use,
        ),
        "tensors with a far head": ("t.safetensors", huge(struct.pack("<Q", 2**26)), read_tensors),
        "space of a terabyte": ("s.space", huge(struct.pack("<Q", 128) + large.ljust(128)), rc.load_space),
        "json of a terabyte": ("j.json", huge(b"["), read_json),
        "json without a floor": ("j.json", write(b"[" * 200_000), read_json),
    }  # fmt: skip


def load_and_use(path: Path) -> None:
    """Tensors come as pages of the file; this asks for all of them."""
    for tensor in read_tensors(path)[1].values():
        tensor.sum()


def link_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("../../test_batch")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        archive.addfile(link)
    return out.getvalue()


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(folder: Path) -> None:
    made = cases(folder)
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + SPARE, now + SPARE))
    for case, (name, write, read) in made.items():
        path, before = folder / name, peak()
        write(path)
        try:
            read(path)
            error = ""
        except Exception as caught:  # what is told below
            error = f"{type(caught).__name__}: {caught}"
        left = sorted(p.name for p in folder.iterdir() if p not in (path, folder / "list.txt"))
        path.unlink()
        print(json.dumps({"case": case, "file": name, "error": error, "grew": peak() - before, "left": left}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
