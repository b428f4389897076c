"""Files that nobody vouches for, read with a bound on their bytes, packed and unpacked; none is executed."""

import io
import json
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

#: bytes of a file that is read whole, and of what it unpacks to; the largest are svhn's images, 225 MB
MOST = 2**28
GZIP, ZLIB = 31, 15  # what zlib calls the window of either
DIRECTORY = 2**25  # bytes of a zip archive's directory; celeba's takes 15 MB
PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the two whose unpacking can be bounded


def read_whole(path: Path, most: int = MOST) -> bytes:
    """The bytes of a file. Raises ValueError for more than ``most`` and for pipes, devices and folders."""
    if (size := path.stat().st_size) > most:
        raise ValueError(f"{path.name} must be a file of at most {most:,} bytes, got {size:,}")
    if not path.is_file():
        raise ValueError(f"{path.name} must be a file, got something else")
    return path.read_bytes()


def inflate(packed: bytes | memoryview, kind: int, most: int = MOST) -> bytes:
    """What one stream of ``GZIP`` or ``ZLIB`` unpacks to. Raises ValueError where it isn't whole, is followed
    by something, or unpacks to more than ``most`` bytes; no more of them are made.
    """
    engine = zlib.decompressobj(kind)
    try:
        raw = engine.decompress(packed, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(raw) > most:
        raise ValueError(f"it unpacks to more than {most:,} bytes")
    if not engine.eof or engine.unused_data:
        raise ValueError(f"{'more follows after' if engine.eof else 'it is cut before'} its end")
    return raw


class _Pieces(io.FileIO):
    """A file of which no piece is longer than DIRECTORY: zipfile takes the length of one from the file."""

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, os.fstat(self.fileno()).st_size - self.tell())
        wanted = left if size is None or size < 0 else min(size, left)
        if wanted > DIRECTORY:
            raise ValueError(f"its directory may take {DIRECTORY:,} bytes, and takes {wanted:,}")
        return super().read(wanted)


@contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip archive whose directory is of a bounded length; ``read_member`` reads from it."""
    if not path.is_file():
        raise ValueError("it is no file")
    with _Pieces(path) as file, zipfile.ZipFile(file) as archive:
        yield archive


def read_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, most: int) -> bytes:
    """A member's bytes. Raises ValueError for more than ``most``, whatever the archive says of its length."""
    if member.compress_type not in PACKINGS:
        raise ValueError(f"{member.filename} is packed by method {member.compress_type}")
    with archive.open(member) as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise ValueError(f"{member.filename} has more than {most:,} bytes")
    return raw


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of a ``.npz`` file, of at most 2^28 bytes together.

    Raises ValueError, which names the file, for one that is damaged, longer, or holds Python objects.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from riemvae_core.data import read_npz
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "some.npz"
        ...     np.savez_compressed(path, a=np.arange(3))
        ...     read_npz(path)
        {'a': array([0, 1, 2])}
    """
    arrays, left = {}, MOST
    try:
        with open_zip(path) as archive:
            for member in archive.infolist():
                raw = read_member(archive, member, left)
                left -= len(raw)
                array = np.lib.format.read_array(io.BytesIO(raw), allow_pickle=False)
                arrays[member.filename.removesuffix(".npy")] = array
    except Exception as error:  # a damaged archive can fail in any way
        raise ValueError(
            f"{path.name} must be a .npz of numbers, got one that can't be read ({error})"
        ) from error
    return arrays


def read_json(path: Path) -> Any:
    """What a file of JSON says. Raises ValueError, which names the file, where it can't be read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from riemvae_core.data import read_json
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "some.json"
        ...     _ = path.write_text('{"a": [1, 2]}')
        ...     read_json(path)
        {'a': [1, 2]}
    """
    raw = read_whole(path)
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} must be JSON, got {raw[:20]!r}... ({error})") from error
