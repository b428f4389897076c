"""The IDX format, written here byte by byte as its definition says, and the bundled set made from it."""

import gzip
import hashlib
import json
import struct

import numpy as np
import properties
import pytest

from riemvae_core.data import idx, sets

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


def test_balanced_subset_takes_the_same_number_of_each_class():
    labels = np.repeat([3, 5, 9], [10, 20, 30])
    picks = idx.balanced_subset(labels, 8)
    assert np.all(np.diff(picks) > 0)
    assert dict(zip(*np.unique(labels[picks], return_counts=True), strict=True)) == {3: 8, 5: 8, 9: 8}
    np.testing.assert_array_equal(picks, idx.balanced_subset(labels, 8))
    assert not np.array_equal(picks, idx.balanced_subset(labels, 8, seed=1))
    with pytest.raises(ValueError, match=r"per_class must be at most 10 \(class 3\), got 11"):
        idx.balanced_subset(labels, 11)


@pytest.fixture
def full_set(tmp_path):
    """A folder like Debian's: four IDX files, gzipped or not, of 2 x 3 pixels that tell an image's index."""
    folder = tmp_path / "full"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for prefix, n in (("train", 13_000), ("t10k", 2_500)):
        labels = rng.permutation(np.arange(n) % 10).astype(np.uint8)
        images = np.stack([np.arange(n) // 256, np.arange(n) % 256, labels] * 2, -1).astype(np.uint8)
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(
            gzip.compress(idx_bytes(images.reshape(-1, 2, 3)))
        )
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return folder


def test_bundled_set_is_a_balanced_part_of_the_full_one(full_set, tmp_path, monkeypatch):
    target = idx.bundle_fashion(full_set, tmp_path / "assets")
    entry = json.loads((target.parent / "manifest.json").read_text())["fashion.npz"]
    assert entry["sha256"] == hashlib.sha256(target.read_bytes()).hexdigest()
    assert entry["bytes"] == target.stat().st_size
    assert entry["images"]["train_images"] == [12_000, 2, 3]
    with np.load(target) as arrays:
        for split, prefix, per_class in (("train", "train", 1200), ("test", "t10k", 200)):
            images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
            assert np.bincount(labels).tolist() == [per_class] * 10
            index = images[:, 0, 0].astype(int) * 256 + images[:, 0, 1]
            assert np.all(np.diff(index) > 0)
            np.testing.assert_array_equal(
                idx.read_idx(full_set / f"{prefix}-labels-idx1-ubyte")[index], labels
            )
            np.testing.assert_array_equal(images[:, 0, 2], labels)
    again = idx.bundle_fashion(str(full_set), tmp_path / "again")
    with np.load(target) as a, np.load(again) as b:
        assert all(np.array_equal(a[k], b[k]) for k in a.files)


def test_the_loader_reads_what_the_script_wrote(full_set, tmp_path, monkeypatch):
    monkeypatch.setattr(sets, "ASSETS", idx.bundle_fashion(full_set, tmp_path / "assets").parent)
    sets._fashion_arrays.cache_clear()
    try:
        assert sets.load_images("fashion", "test").images.shape == (2000, 1, 2, 3)
    finally:
        sets._fashion_arrays.cache_clear()


@pytest.mark.parametrize("missing", ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz"])
def test_bundling_an_incomplete_folder_is_refused(full_set, tmp_path, missing):
    (full_set / missing).unlink()
    with pytest.raises(ValueError, match="folder must hold") as caught:
        idx.bundle_fashion(full_set, tmp_path / "assets")
    properties.message_names(caught.value, missing.split("-")[0], full_set)
    assert not (tmp_path / "assets").exists()
