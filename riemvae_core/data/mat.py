"""Arrays of numbers in a file of MATLAB 5, the form in which SVHN is published.

Read here, because SciPy's reader believes what such a file says of itself: one wrong byte ends the process.
"""

import math
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from riemvae_core.data.bounded import MOST, ZLIB, inflate, read_whole

HEAD = 128  # bytes
MATRIX, COMPRESSED, INT32, UINT32 = 14, 15, 5, 6  # types of elements
STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}  # a type's numbers
CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4"}  # an array's
COMPLEX = 0x800


def read_mat(path: Path) -> dict[str, np.ndarray]:
    """The real arrays of a file by their names, of at most 2^28 bytes each and unpacked together.

    Raises ValueError or struct.error where it is damaged or of another version; other variables are passed
    over. An array of bytes that is stored as such is not copied.
    """
    raw = memoryview(read_whole(path))
    if bytes(raw[124:HEAD]) != b"\x00\x01IM":
        raise ValueError(f"it begins with {bytes(raw[:20])!r}, and is of no kind that is read here")
    arrays: dict[str, np.ndarray] = {}
    left = MOST
    for kind, data in _elements(raw[HEAD:]):
        if kind == COMPRESSED:
            unpacked = inflate(data, ZLIB, left)
            left -= len(unpacked)
            kind, data = next(_elements(memoryview(unpacked)), (0, data))
        if kind == MATRIX and (found := _array(data)):
            arrays.setdefault(*found)
    return arrays


def _elements(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Type and bytes of one element after the other."""
    at = 0
    while at < len(data):
        kind, size = struct.unpack_from("<II", data, at)
        begin = at + 8
        if kind >> 16:  # a small element: type, size and bytes in one word of 8
            kind, size, begin = kind & 0xFFFF, kind >> 16, at + 4
        if begin + size > len(data) or (begin == at + 4 and size > 4):
            raise ValueError("an element is longer than its place")
        yield kind, data[begin : begin + size]
        at = begin + size if kind == COMPRESSED else (begin + size + 7) // 8 * 8


def _array(data: memoryview) -> tuple[str, np.ndarray] | None:
    """Name and numbers of an array; None for what holds no real numbers, or nothing."""
    (kind, flags), (side_kind, sides), (_, name), (stored, numbers) = islice(_elements(data), 4)
    if (kind, len(flags), side_kind) != (UINT32, 8, INT32):
        raise ValueError("an array has no head")
    (flag,) = struct.unpack_from("<I", flags)
    if flag & 0xFF not in CLASSES or flag & COMPLEX or stored not in STORED:
        return None
    dtype, shape = np.dtype(CLASSES[flag & 0xFF]), np.frombuffer(sides, "<i4").tolist()
    if len(shape) > 32 or min(shape, default=-1) < 0 or math.prod(shape) * dtype.itemsize > MOST:
        raise ValueError(f"an array has the sides {shape!s:.80}")
    array = np.frombuffer(numbers, f"<{STORED[stored]}").reshape(shape, order="F")
    with np.errstate(invalid="ignore"):  # what doesn't fit is wrong, and seen as such by who asked
        return bytes(name).decode("latin1"), array.astype(dtype, copy=False)
