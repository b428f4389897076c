"""The IDX format of MNIST and its relatives."""

import gzip
import math
import struct
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
    expected = 4 + 4 * rank + kind.itemsize * math.prod(shape)
    if len(shape) != rank or len(raw) != expected:
        raise ValueError(f"{path.name} must hold {expected} bytes for shape {shape}, got {len(raw)}")
    return np.frombuffer(raw, kind, offset=4 + 4 * rank).reshape(shape).astype(kind.newbyteorder("="))
