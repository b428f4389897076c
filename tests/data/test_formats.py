"""Files of CIFAR-10 and SVHN, written here as their makers wrote them: read, or refused with a name."""

import gzip
import pickle
import sys
import warnings

import numpy as np
import properties
import pytest
from format_cases import (
    BATCHES,
    NAMES,
    PICKLES,
    RNG,
    pickled_batch,
    write_archive,
    write_folder,
)
from scipy.io import savemat

from riemvae_core.data import formats


def test_the_pickles_are_those_that_pickle_reads():
    """The batches written here are what Python's own pickle takes them for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy.core has another name in NumPy 2
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)  # as 0 is for False
        batch = pickle.loads(PICKLES["test_batch"], encoding="latin1")
    np.testing.assert_array_equal(batch["data"], BATCHES["test_batch"][0])
    assert batch["labels"] == BATCHES["test_batch"][1]


@pytest.mark.parametrize("write", [write_archive, write_folder])
@pytest.mark.parametrize("split", ["train", "test"])
def test_cifar10_comes_in_its_order(tmp_path, write, split):
    backwards = dict(reversed(PICKLES.items())) | {"batches.meta": b"", "readme.html": b"<html>"}
    images, labels = formats.read_cifar10(write(tmp_path / "cifar", backwards), split)
    assert images.dtype == labels.dtype == np.uint8
    mine = [BATCHES[name] for name in formats.CIFAR_BATCHES[split]]
    assert labels.tolist() == [label for _, some in mine for label in some]
    # red, green and blue planes, each row by row
    for i, row in enumerate(np.concatenate([rows for rows, _ in mine])):
        for c, h, w in ((0, 0, 0), (0, 0, 31), (1, 2, 3), (2, 31, 31)):
            assert images[i, c, h, w] == row[1024 * c + 32 * h + w]


class Forged:
    def __reduce__(self):
        return (sys.exit, ("code was run",))


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (pickle.dumps(Forged(), protocol=2), ("exit",)),
        (pickled_batch(*BATCHES["test_batch"]).replace(b"ndarray", b"memmap "), ("numpy.memmap",)),
        (PICKLES["test_batch"][:-100], ("batch of CIFAR-10",)),
        (b"", ("batch of CIFAR-10",)),
        (b"<html>", ("batch of CIFAR-10",)),
        (pickle.dumps({"labels": [1]}, protocol=2), ("batch of CIFAR-10", "data")),
        (pickle.dumps([1, 2], protocol=2), ("batch of CIFAR-10",)),
        (pickled_batch(BATCHES["test_batch"][0], [1, 2, 3]), ("(3, 3072)", "(4, 3072)")),
        (pickled_batch(BATCHES["test_batch"][0][:, :784], [1] * 4), ("(4, 3072)", "(4, 784)")),
    ],
    ids=["code", "unknown class", "cut", "empty", "page", "no data", "a list", "few labels", "small images"],
)
def test_what_is_no_batch_is_refused_and_not_run(tmp_path, raw, words):
    path = write_archive(tmp_path / "cifar.tar.gz", {"test_batch": raw})
    with pytest.raises(ValueError, match=r"test_batch in cifar\.tar\.gz must") as caught:
        formats.read_cifar10(path, "test")
    properties.message_names(caught.value, *words)


@pytest.mark.parametrize("write", [write_archive, write_folder])
def test_a_missing_batch_is_named(tmp_path, write):
    path = write(tmp_path / "cifar", {name: PICKLES[name] for name in NAMES[:3]})
    with pytest.raises(
        ValueError, match=r"cifar must hold data_batch_1, .* got none of the name data_batch_4"
    ):
        formats.read_cifar10(path, "train")


@pytest.mark.parametrize("damage", ["cut", "no gzip", "no tar", "garbled"])
def test_a_damaged_archive_is_refused(tmp_path, damage):
    whole = write_archive(tmp_path / "cifar.tar.gz", PICKLES).read_bytes()
    garbled = whole[: len(whole) // 2] + b"\xff" * 50 + whole[len(whole) // 2 + 50 :]
    raw = {"cut": whole[: len(whole) // 2], "no gzip": b"<html>", "no tar": gzip.compress(b"?" * 2000)}
    (tmp_path / "cifar.tar.gz").write_bytes(raw.get(damage, garbled))
    with pytest.raises(ValueError, match=r"cifar\.tar\.gz must be a whole tar\.gz archive"):
        formats.read_cifar10(tmp_path / "cifar.tar.gz", "train")


# --- SVHN: MATLAB's files


def test_svhn_is_turned_upright_and_its_ten_is_a_zero(tmp_path):
    x, y = RNG.integers(0, 256, (32, 32, 3, 12)).astype(np.uint8), np.r_[1:11, 10, 3].astype(np.uint8)
    savemat(tmp_path / "some.mat", {"X": x, "y": y[:, None]}, do_compression=True)
    images, labels = formats.read_svhn(tmp_path / "some.mat")
    assert images.dtype == labels.dtype == np.uint8
    assert labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 3]
    for n, c, h, w in np.ndindex(12, 3, 4, 5):
        assert images[n, c, h, w] == x[h, w, c, n]


X, Y = np.zeros((32, 32, 3, 2), np.uint8), np.ones((2, 1), np.uint8)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"X": X.astype(np.float64), "y": Y}, ("bytes", "float64")),
        ({"X": X[:28], "y": Y}, ("(32, 32, 3, n)", "(28, 32, 3, 2)")),
        ({"X": X, "y": Y[:1]}, ("(n, 1)", "(1, 1)")),
        ({"X": X}, ("y", "can't be read")),
    ],
)
def test_other_arrays_than_svhns_are_refused(tmp_path, arrays, words):
    savemat(tmp_path / "some.mat", arrays)
    with pytest.raises(ValueError, match=r"some\.mat must") as caught:
        formats.read_svhn(tmp_path / "some.mat")
    properties.message_names(caught.value, *words)


@pytest.mark.parametrize("keep", [0, 10, 128, 300, -20])
def test_a_damaged_mat_file_is_refused(tmp_path, keep):
    path = tmp_path / "some.mat"
    savemat(path, {"X": RNG.integers(0, 256, (32, 32, 3, 2)).astype(np.uint8), "y": Y}, do_compression=True)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"some\.mat must be a \.mat file of SVHN"):
        formats.read_svhn(path)
