"""The formats of cifar10, svhn and celeba, written here as their publishers wrote them, whole and damaged."""

import gzip
import io
import pickle
import struct
import sys
import tarfile
import warnings
import zipfile

import numpy as np
import properties
import pytest
from PIL import Image
from scipy.io import savemat

from riemvae_core.data import formats

RNG = np.random.default_rng(0)

# --- CIFAR-10: dictionaries as Python 2 and NumPy 1 pickled them (protocol 2), in a gzipped tar archive


def pickled_string(value):
    return b"T" + struct.pack("<i", len(value)) + value


def pickled_array(array):
    """The opcodes of a byte array: _reconstruct, then its shape, dtype and bytes as the state."""
    shape = b"".join(b"J" + struct.pack("<i", side) for side in array.shape)
    dtype = b"cnumpy\ndtype\n" + pickled_string(b"u1") + b"K\0K\1\x87R(K\3" + pickled_string(b"|")
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + pickled_string(b"b") + b"\x87R"
        b"(K\1" + shape + b"\x86" + dtype + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89"
    ) + (pickled_string(array.tobytes()) + b"tb")


def pickled_batch(images, labels):
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    items = {b"batch_label": pickled_string(b"batch"), b"labels": listed, b"data": pickled_array(images)}
    return b"\x80\2}(" + b"".join(pickled_string(key) + value for key, value in items.items()) + b"u."


NAMES = [*formats.CIFAR_BATCHES["train"], *formats.CIFAR_BATCHES["test"]]
BATCHES = {
    name: (RNG.integers(0, 256, (4, 3072)).astype(np.uint8), RNG.integers(0, 10, 4).tolist())
    for name in NAMES
}
PICKLES = {name: pickled_batch(*batch) for name, batch in BATCHES.items()}


def write_archive(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, raw in members.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))
    return path


def write_folder(path, members):
    path.mkdir()
    for name, raw in members.items():
        (path / name).write_bytes(raw)
    return path


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


def nearly(**changes):
    images, labels = BATCHES["test_batch"]
    return pickle.dumps({"data": images, "labels": labels} | changes, protocol=2)


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
    with pytest.raises(ValueError, match="test_batch must") as caught:
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


# --- CelebA: JPEGs in a folder or a zip archive, and a list of splits


def jpeg(pixels):
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=100, subsampling=0)
    return out.getvalue()


def ramp(n):
    """A face of 178 x 218 whose red grows to the right and green downwards; blue tells its number."""
    rows, columns = np.mgrid[:218, :178]
    return np.stack([columns, rows, np.full_like(rows, 20 * n)], -1).astype(np.uint8)


PARTS = [0, 2, 0, 1, 2, 0]
FACES = {f"{i:06}.jpg": jpeg(ramp(i)) for i in range(1, 7)}
LIST = "".join(f"{name} {part}\n" for name, part in zip(FACES, PARTS, strict=True))


def zipped(path, faces, folder="img_align_celeba/"):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(folder, "")
        for name, raw in faces.items():
            archive.writestr(folder + name, raw)
    return path


@pytest.fixture
def partition(tmp_path):
    path = tmp_path / "list_eval_partition.txt"
    path.write_text(LIST)
    return path


@pytest.mark.parametrize("write", [zipped, write_folder])
@pytest.mark.parametrize(("split", "numbers"), [("train", [1, 3, 6]), ("test", [2, 5])])
def test_celeba_is_cropped_to_the_center_and_resized(tmp_path, partition, write, split, numbers):
    faces, labels = formats.read_celeba(write(tmp_path / "faces", FACES), partition, split)
    assert faces.shape == (len(numbers), 3, 64, 64)
    assert faces.dtype == np.uint8
    assert labels.tolist() == [0] * len(numbers)
    # the closed form: a linear ramp stays one; the crop begins at column 19, row 39; a pixel is 140/64
    centers = (np.arange(64) + 0.5) * 140 / 64 - 0.5
    inner = slice(3, -3)  # the filter is cut off at the crop's edge
    red, green = np.meshgrid(19 + centers, 39 + centers)
    for face, n in zip(faces.astype(float), numbers, strict=True):
        expected = np.stack([red, green, np.full_like(red, 20 * n)])
        np.testing.assert_allclose(face[:, inner, inner], expected[:, inner, inner], atol=2)


def test_celeba_stops_at_the_limit(tmp_path, partition):
    """Images beyond the limit are not even looked for."""
    path = zipped(
        tmp_path / "faces.zip", {name: FACES[name] for name in ("000001.jpg", "000003.jpg")}, "a/b/"
    )
    faces, labels = formats.read_celeba(path, partition, "train", 2)
    assert len(faces) == len(labels) == 2
    with pytest.raises(ValueError, match=r"faces\.zip must hold the images .*000006\.jpg"):
        formats.read_celeba(path, partition, "train", 3)


def test_gray_photographs_have_three_channels(tmp_path, partition):
    gray = jpeg(np.full((218, 178), 77, np.uint8))
    faces, _ = formats.read_celeba(
        write_folder(tmp_path / "faces", {"000001.jpg": gray}), partition, "train", 1
    )
    np.testing.assert_array_equal(faces, 77)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (FACES["000001.jpg"][:3000], ("truncated",)),
        (b"<html>", ("cannot identify",)),
        (jpeg(np.zeros((64, 64, 3), np.uint8)), ("(178, 218)", "(64, 64)")),
    ],
    ids=["cut", "page", "small"],
)
@pytest.mark.parametrize("write", [zipped, write_folder])
def test_damaged_photographs_are_refused(tmp_path, partition, write, raw, words):
    path = write(tmp_path / "faces", FACES | {"000003.jpg": raw})
    with pytest.raises(
        ValueError, match=r"faces must hold the images that list_eval_partition\.txt"
    ) as caught:
        formats.read_celeba(path, partition, "train")
    properties.message_names(caught.value, *words)


def test_a_damaged_zip_archive_is_refused(tmp_path, partition):
    path = zipped(tmp_path / "faces.zip", FACES)
    whole = path.read_bytes()
    for raw in (whole[: len(whole) // 2], b"<html>", whole.replace(FACES["000003.jpg"][-99:], b"?" * 99)):
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=r"faces\.zip must hold the images"):
            formats.read_celeba(path, partition, "train")


def test_missing_photographs_are_named(tmp_path, partition):
    path = write_folder(tmp_path / "faces", {"000001.jpg": FACES["000001.jpg"]})
    with pytest.raises(ValueError, match=r"faces must hold the images .*000003\.jpg"):
        formats.read_celeba(path, partition, "train")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("list images of the test split", "0 other lines")),
        ("000001.jpg 0\n", ("list images of the test split", "1 other")),
        ("image_id,partition\n", ("a name and a number",)),
        ("\0\xff\xfe", ("a name and a number",)),
    ],
)
def test_a_damaged_list_is_refused(tmp_path, text, words):
    path = tmp_path / "list.txt"
    path.write_text(text, encoding="latin1")
    with pytest.raises(ValueError, match=r"list\.txt must") as caught:
        formats.read_celeba(tmp_path / "faces.zip", path, "test")
    properties.message_names(caught.value, *words)


def test_without_pillow_the_extra_is_named(tmp_path, partition, monkeypatch):
    path = zipped(tmp_path / "faces.zip", FACES)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"pillow: pip install 'riemvae-core\[data\]'"):
        formats.read_celeba(path, partition, "train")
