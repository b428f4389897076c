"""The bounded readers against the libraries that they stand in for, and at their bounds."""

import gzip
import io
import pickle
import zipfile
import zlib

import numpy as np
import pytest
from format_cases import stored_zip
from scipy.io import loadmat, savemat

from riemvae_core.data import bounded, read_json, read_npz
from riemvae_core.data.mat import read_mat
from riemvae_core.data.pickles import Named, byte_array, read_pickle

RNG = np.random.default_rng(0)


def test_a_file_is_read_up_to_its_bound(tmp_path):
    path = tmp_path / "some"
    path.write_bytes(b"12345")
    assert bounded.read_whole(path, 5) == b"12345"
    with pytest.raises(ValueError, match=r"some must be a file of at most 4 bytes, got 5"):
        bounded.read_whole(path, 4)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        bounded.read_whole(tmp_path / "nowhere")


@pytest.mark.parametrize(("pack", "kind"), [(gzip.compress, bounded.GZIP), (zlib.compress, bounded.ZLIB)])
def test_a_stream_is_unpacked_up_to_its_bound(pack, kind):
    raw = RNG.bytes(1000)
    assert bounded.inflate(pack(raw), kind, 1000) == raw
    for packed, words in (
        (pack(raw + b"?"), "unpacks to more than 1,000 bytes"),
        (pack(raw)[:-1], "cut before its end"),
        (pack(raw) + b"?", "more follows after its end"),
        (b"?" + pack(raw), "incorrect header"),
    ):
        with pytest.raises(ValueError, match=words):
            bounded.inflate(packed, kind, 1000)


def test_members_of_a_zip_are_read_up_to_their_bound(tmp_path):
    stored_zip(tmp_path / "a.zip", {"a": b"12345"})
    with bounded.open_zip(tmp_path / "a.zip") as archive:
        member = archive.getinfo("a")
        assert bounded.read_member(archive, member, 5) == b"12345"
        with pytest.raises(ValueError, match="a has more than 4 bytes"):
            bounded.read_member(archive, member, 4)
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("b", b"12345")
    with (
        bounded.open_zip(tmp_path / "b.zip") as archive,
        pytest.raises(ValueError, match="packed by method 14"),
    ):
        bounded.read_member(archive, archive.getinfo("b"), 5)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_files_come_back_as_numpy_reads_them(tmp_path, save):
    arrays = {"a": RNG.normal(size=(3, 4)), "b": np.arange(5)[::-1], "c": np.asfortranarray(np.eye(3) > 0)}
    save(tmp_path / "some.npz", **arrays)
    with np.load(tmp_path / "some.npz") as theirs:
        np.testing.assert_equal(read_npz(tmp_path / "some.npz"), dict(theirs))


def test_json_comes_back(tmp_path):
    (tmp_path / "some.json").write_text('{"a": [1, "é"]}', encoding="utf8")
    assert read_json(tmp_path / "some.json") == {"a": [1, "é"]}


NUMBERS = ("u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8")


@pytest.mark.parametrize("packed", [False, True])
def test_mat_files_come_back_as_scipy_reads_them(tmp_path, packed):
    arrays = {dtype: (100 * RNG.random((3, 4, 2))).astype(dtype) for dtype in NUMBERS}
    arrays |= {
        "y": np.array([[1], [10]], np.uint8),
        "none": np.zeros((0, 3)),
        "one": np.array([[7]], np.uint8),
    }
    others = {
        "words": "abc",
        "struct": {"a": 1},
        "imaginary": np.array([[1j]]),
        "cell": np.array([[1], "a"], object),
    }
    savemat(tmp_path / "some.mat", arrays | others, do_compression=packed)
    mine, theirs = read_mat(tmp_path / "some.mat"), loadmat(tmp_path / "some.mat")
    assert set(mine) == set(arrays)
    for name, array in mine.items():
        assert array.dtype == theirs[name].dtype, name
        np.testing.assert_array_equal(array, theirs[name])


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize(
    "value",
    [
        {
            "labels": [0, 1, 255, 256, 65536, -1, 2**40],
            "names": ("a",),
            "none": None,
            "yes": True,
            "no": False,
        },
        [],
        {},
        (),
        (1, 2),
        (1, 2, 3, (4, 5, 6, 7)),
        [[1], {"a": {"b": "é" * 300}}],
        {"same": [[1, 2]] * 3},
    ],
    ids=range(8),
)
def test_pickles_of_plain_values_come_back_as_pickle_reads_them(value, protocol):
    raw = pickle.dumps(value, protocol)
    assert read_pickle(raw) == pickle.loads(raw) == value


@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_bytes_in_a_pickle_come_back(order):
    array = np.asarray(RNG.integers(0, 256, (3, 4)), np.uint8, order=order)
    found = read_pickle(pickle.dumps({"data": array}, 3))["data"]
    assert isinstance(found, Named)
    np.testing.assert_array_equal(byte_array(found), array)
    floats = read_pickle(pickle.dumps(np.ones(3), 3))
    with pytest.raises(TypeError, match="data must be bytes, got an array of f8"):
        byte_array(floats)


@pytest.mark.parametrize(
    "raw",
    [
        b"\x80\2]a.",
        b"\x80\2K\1a.",
        b"\x80\2K\1(K\2\x86.",
        b"\x80\2}K\1K\2s.",
        b"\x80\2e.",
        b"\x80\2h\0.",
        b".",
    ],
    ids=[
        "nothing to append",
        "to a number",
        "across a mark",
        "a number for a key",
        "no mark",
        "no memo",
        "empty",
    ],
)
def test_pickles_that_do_not_hold_together_are_refused(raw):
    with pytest.raises((ValueError, TypeError, LookupError)):
        print(read_pickle(raw))


def test_a_pickle_of_a_class_is_refused():
    with pytest.raises(ValueError, match=r"io\.BytesIO has no place|_io\.BytesIO has no place"):
        read_pickle(pickle.dumps(io.BytesIO, 2))
