"""The bundled set, made from full files that are written here."""

import gzip
import hashlib
import json

import numpy as np
import properties
import pytest
from test_idx import idx_bytes

from riemvae_core.data import bundle, idx, sets


def test_balanced_subset_takes_the_same_number_of_each_class():
    labels = np.repeat([3, 5, 9], [10, 20, 30])
    picks = bundle.balanced_subset(labels, 8)
    assert np.all(np.diff(picks) > 0)
    assert dict(zip(*np.unique(labels[picks], return_counts=True), strict=True)) == {3: 8, 5: 8, 9: 8}
    np.testing.assert_array_equal(picks, bundle.balanced_subset(labels, 8))
    assert not np.array_equal(picks, bundle.balanced_subset(labels, 8, seed=1))
    with pytest.raises(ValueError, match=r"per_class must be at most 10 \(class 3\), got 11"):
        bundle.balanced_subset(labels, 11)


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
    target = bundle.bundle_fashion(full_set, tmp_path / "assets")
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
    again = bundle.bundle_fashion(str(full_set), tmp_path / "again")
    with np.load(target) as a, np.load(again) as b:
        assert all(np.array_equal(a[k], b[k]) for k in a.files)


def test_the_loader_reads_what_the_script_wrote(full_set, tmp_path, monkeypatch):
    monkeypatch.setattr(sets, "ASSETS", bundle.bundle_fashion(full_set, tmp_path / "assets").parent)
    sets._fashion_arrays.cache_clear()
    try:
        assert sets.load_images("fashion", "test").images.shape == (2000, 1, 2, 3)
    finally:
        sets._fashion_arrays.cache_clear()


@pytest.mark.parametrize("missing", ["train-labels-idx1-ubyte", "t10k-images-idx3-ubyte.gz"])
def test_bundling_an_incomplete_folder_is_refused(full_set, tmp_path, missing):
    (full_set / missing).unlink()
    with pytest.raises(ValueError, match="folder must hold") as caught:
        bundle.bundle_fashion(full_set, tmp_path / "assets")
    properties.message_names(caught.value, missing.split("-")[0], full_set)
    assert not (tmp_path / "assets").exists()
