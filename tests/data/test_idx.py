"""The IDX format, written here byte by byte as its definition says."""

import gzip
import struct

import numpy as np
import properties
import pytest

from riemvae_core.data import idx

CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def idx_bytes(array):
    header = bytes([0, 0, CODES[array.dtype.name], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("shape", [(7,), (2, 3), (4, 2, 3), (0, 5)])
def test_idx_files_come_back_as_they_were_written(tmp_path, dtype, shape):
    array = np.random.default_rng(0).integers(0, 100, shape).astype(dtype)
    plain, zipped = tmp_path / "a-idx", tmp_path / "a-idx.gz"
    plain.write_bytes(idx_bytes(array))
    zipped.write_bytes(gzip.compress(idx_bytes(array)))
    for path in (plain, str(zipped)):
        read = idx.read_idx(path)
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)


GOOD = idx_bytes(np.arange(12, dtype=np.uint8).reshape(3, 4))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", ("path", "IDX file")),
        (b"\x89PNG" + GOOD, ("path", "IDX file")),
        (b"\0\0\x07\x01" + GOOD[4:], ("path", "IDX file", "type byte")),
        (GOOD[:-1], ("24 bytes", "(3, 4)", "got 23")),
        (GOOD + b"\0", ("24 bytes", "(3, 4)", "got 25")),
        (GOOD[:7], ("must hold", "got 7")),
    ],
    ids=["empty", "wrong magic", "unknown type", "truncated", "too long", "truncated header"],
)
def test_what_is_no_idx_file_is_refused(tmp_path, raw, words):
    path = tmp_path / "images-idx"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match="must") as caught:
        idx.read_idx(path)
    properties.message_names(caught.value, path.name, *words)


@pytest.mark.parametrize("raw", [gzip.compress(GOOD)[:-9], GOOD, gzip.compress(GOOD)[:10] + b"\xff" * 20])
def test_a_damaged_gzip_file_is_refused(tmp_path, raw):
    path = tmp_path / "images-idx.gz"
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"images-idx\.gz must be a whole gzip file"):
        idx.read_idx(path)
