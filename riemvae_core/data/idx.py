"""The IDX format of MNIST and its relatives."""

import math
import struct
from pathlib import Path

import numpy as np

from riemvae_core.data.bounded import GZIP, inflate, read_whole

#: The folder of the files that come with the package: the bundled images, their manifest, trained weights.
ASSETS = Path(__file__).resolve().parents[1] / "assets"
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MOST_SIDES = 32  # of an array, as in every NumPy


def read_idx(path: Path | str) -> np.ndarray:
    """The array in an IDX file, gzipped or not, of at most 2^28 bytes.

    Layout: two zero bytes, a type byte, the number of dimensions, each size as a big-endian 32-bit integer,
    then the values. Raises ValueError when the bytes are not of that form, too many, or their number does not
    fit the sizes.
    """
    path = Path(path)
    raw = read_whole(path)
    if path.suffix == ".gz":
        try:
            raw = inflate(raw, GZIP)
        except ValueError as error:
            raise ValueError(
                f"{path.name} must be a whole gzip file, got one that can't be read ({error})"
            ) from error
    if len(raw) < 4 or raw[:2] != b"\0\0" or raw[2] not in _TYPES or raw[3] > MOST_SIDES:
        raise ValueError(
            f"path must be an IDX file (two zero bytes, a type byte, at most {MOST_SIDES} dimensions), "
            f"got {path.name}, which begins with {raw[:4]!r}"
        )
    kind, rank = np.dtype(_TYPES[raw[2]]), raw[3]
    shape = struct.unpack_from(f">{rank}I", raw, 4) if len(raw) >= 4 + 4 * rank else ()
    expected = 4 + 4 * rank + kind.itemsize * math.prod(shape)
    if len(shape) != rank or len(raw) != expected:
        raise ValueError(f"{path.name} must hold {expected} bytes for shape {shape}, got {len(raw)}")
    return np.frombuffer(raw, kind, offset=4 + 4 * rank).reshape(shape).astype(kind.newbyteorder("="))
