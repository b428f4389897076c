"""The full sets by name: tiny files in each set's own format, in the places where readers keep them."""

import gzip
import hashlib
import http.server
import re
import threading

import numpy as np
import properties
import pytest
import torch
from format_cases import BATCHES, FACES, LIST, PICKLES, ramp, write_archive, write_folder, zipped
from scipy.io import savemat
from test_idx import idx_bytes

from riemvae_core.data import sets
from riemvae_core.data.full_sets import FULL_SETS, FullSet, load_full_set

RNG = np.random.default_rng(0)
DIGITS = {
    prefix: (RNG.integers(0, 256, (n, 28, 28)).astype(np.uint8), RNG.integers(0, 10, n).astype(np.uint8))
    for prefix, n in (("train", 7), ("t10k", 5))
}
HOUSES = {
    split: (
        RNG.integers(0, 256, (32, 32, 3, n)).astype(np.uint8),
        RNG.integers(1, 11, (n, 1)).astype(np.uint8),
    )
    for split, n in (("train", 6), ("test", 4))
}


def write_mnist(folder, pack=gzip.compress, suffix=".gz"):
    for prefix, (images, labels) in DIGITS.items():
        (folder / f"{prefix}-images-idx3-ubyte{suffix}").write_bytes(pack(idx_bytes(images)))
        (folder / f"{prefix}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx_bytes(labels)))


def write_svhn(folder):
    for split, (x, y) in HOUSES.items():
        savemat(folder / f"{split}_32x32.mat", {"X": x, "y": y}, do_compression=True)


def write_celeba(folder):
    zipped(folder / "img_align_celeba.zip", FACES)
    (folder / "list_eval_partition.txt").write_text(LIST)


WRITERS = {
    "fashion-full": write_mnist,
    "mnist": lambda folder: write_mnist(folder, bytes, ""),
    "cifar10": lambda folder: write_archive(folder / "cifar-10-python.tar.gz", PICKLES),
    "svhn": write_svhn,
    "celeba": write_celeba,
}
SHAPES = {
    "fashion-full": ((7, 1, 28, 28), (5, 1, 28, 28)),
    "mnist": ((7, 1, 28, 28), (5, 1, 28, 28)),
    "cifar10": ((20, 3, 32, 32), (4, 3, 32, 32)),
    "svhn": ((6, 3, 32, 32), (4, 3, 32, 32)),
    "celeba": ((3, 3, 64, 64), (2, 3, 64, 64)),
}


@pytest.fixture(autouse=True)
def a_machine_without_data(tmp_path, monkeypatch):
    """No folder is named, Debian's is not there, and whoever asks the network fails the test."""
    monkeypatch.delenv("RIEMVAE_DATA", raising=False)
    monkeypatch.setenv("RIEMVAE_CACHE", str(tmp_path / "cache"))
    for name, full in FULL_SETS.items():
        monkeypatch.setitem(FULL_SETS, name, full._replace(system_folder=None))
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("the network was used"))


def test_each_full_set_is_tried_here():
    assert set(WRITERS) == set(FULL_SETS) == {*sets.data_names()} - {*sets.data_names(bundled=True)}
    assert all(isinstance(full, FullSet) and full.files for full in FULL_SETS.values())


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("split", sets.SPLITS)
def test_every_full_set_holds_the_contract(tmp_path, name, split):
    WRITERS[name](tmp_path)
    images, labels = sets.load_images(name, split, folder=tmp_path)
    assert images.shape == SHAPES[name][sets.SPLITS.index(split)]
    assert images.dtype == torch.float32
    assert images.is_contiguous()
    assert labels.dtype == torch.int64
    assert labels.shape == images.shape[:1]
    assert 0 <= labels.min() <= labels.max() < len(sets.class_names(name))
    raw, classes = load_full_set(name, split, tmp_path)
    assert raw.dtype == classes.dtype == np.uint8
    # each byte divided by 255 in single precision, to the last bit
    np.testing.assert_array_equal(images.numpy(), raw.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(labels.numpy(), classes)
    few = sets.load_images(name, split, folder=str(tmp_path), limit=2)
    assert torch.equal(few.images, images[:2])
    assert torch.equal(few.labels, labels[:2])


@pytest.mark.parametrize("name", ["fashion-full", "mnist"])
def test_mnist_like_sets_come_as_written_and_padded(tmp_path, name):
    WRITERS[name](tmp_path)
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images, labels = sets.load_images(name, split, folder=tmp_path)
        np.testing.assert_array_equal((images[:, 0] * 255).round().numpy(), DIGITS[prefix][0])
        np.testing.assert_array_equal(labels, DIGITS[prefix][1])
        padded = sets.load_images(name, split, folder=tmp_path, pad_to=32).images
        assert torch.equal(padded[..., 2:-2, 2:-2], images)
        assert padded.sum(dtype=torch.float64) == images.sum(dtype=torch.float64)


def test_colors_and_rows_are_where_they_belong(tmp_path):
    for name in ("cifar10", "svhn", "celeba"):
        WRITERS[name](tmp_path)
    cifar, svhn, celeba = (
        sets.load_images(name, "test", folder=tmp_path).images * 255 for name in ("cifar10", "svhn", "celeba")
    )
    assert cifar[3, 1, 5, 7].item() == pytest.approx(BATCHES["test_batch"][0][3, 1024 + 5 * 32 + 7])
    assert svhn[3, 1, 5, 7].item() == pytest.approx(HOUSES["test"][0][5, 7, 1, 3])
    # the middle of the crop is the middle of the photograph, up to half a pixel and what JPEG loses
    middle = celeba[:, :, 31:33, 31:33].mean((2, 3))
    expected = np.stack([ramp(n)[108:110, 88:90].mean((0, 1)) for n in (2, 5)])
    torch.testing.assert_close(middle, torch.tensor(expected, dtype=torch.float32), atol=1.5, rtol=0)


def test_svhns_classes_are_its_digits(tmp_path):
    write_svhn(tmp_path)
    labels = sets.load_images("svhn", folder=tmp_path).labels
    digits = [sets.class_names("svhn")[label] for label in labels]
    assert digits == [str(y)[-1] for y in HOUSES["train"][1][:, 0]]


PLACES = {
    "the folder itself": ("mnist", ""),
    "a subfolder of the set's name": ("mnist", "mnist"),
    "where torchvision keeps mnist": ("mnist", "MNIST/raw"),
    "where torchvision keeps fashion": ("fashion-full", "FashionMNIST/raw"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("how", ["argument", "variable"])
def test_files_are_found_where_readers_keep_them(tmp_path, monkeypatch, place, how):
    name, below = PLACES[place]
    (tmp_path / "mine" / below).mkdir(parents=True)
    WRITERS[name](tmp_path / "mine" / below)
    if how == "variable":
        monkeypatch.setenv("RIEMVAE_DATA", str(tmp_path / "mine"))
    loaded = sets.load_images(name, folder=tmp_path / "mine" if how == "argument" else None)
    np.testing.assert_array_equal(loaded.labels, DIGITS["train"][1])


@pytest.mark.parametrize("below", ["", "cifar-10-batches-py"])
def test_unpacked_archives_are_found(tmp_path, below):
    write_folder(tmp_path / "cifar-10-batches-py", PICKLES)
    assert (
        sets.load_images("cifar10", "test", folder=tmp_path / below).labels.tolist()
        == BATCHES["test_batch"][1]
    )
    (tmp_path / "celeba").mkdir()
    write_folder(tmp_path / "celeba" / "img_align_celeba", FACES)
    (tmp_path / "celeba" / "list_eval_partition.txt").write_text(LIST)
    assert sets.load_images("celeba", folder=tmp_path).images.shape == SHAPES["celeba"][0]


def test_the_named_folder_comes_before_the_variable_and_that_before_debians(tmp_path, monkeypatch):
    for folder in ("named", "variable", "debian"):
        (tmp_path / folder).mkdir()
        for kind in ("images-idx3", "labels-idx1"):
            raw = idx_bytes(np.full((1, 2, 2) if "3" in kind else 1, len(folder), np.uint8))
            (tmp_path / folder / f"train-{kind}-ubyte").write_bytes(raw)
    found = FULL_SETS["fashion-full"]._replace(system_folder=tmp_path / "debian")
    monkeypatch.setitem(FULL_SETS, "fashion-full", found)
    assert sets.load_images("fashion-full").labels.tolist() == [len("debian")]
    monkeypatch.setenv("RIEMVAE_DATA", str(tmp_path / "variable"))
    assert sets.load_images("fashion-full").labels.tolist() == [len("variable")]
    assert sets.load_images("fashion-full", folder=tmp_path / "named").labels.tolist() == [len("named")]


@pytest.mark.parametrize("name", WRITERS)
def test_a_named_folder_without_the_files_is_an_error_and_no_download(tmp_path, name):
    with pytest.raises(ValueError, match="folder must hold") as caught:
        sets.load_images(name, folder=tmp_path)
    properties.message_names(caught.value, f"a subfolder {name}", tmp_path)


def test_images_and_labels_must_fit(tmp_path):
    write_mnist(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(np.zeros(3, np.uint8))))
    with pytest.raises(ValueError, match="train-images must have shape") as caught:
        sets.load_images("mnist", folder=tmp_path)
    properties.message_names(caught.value, "(7, 28, 28)", "(3,)")


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_are_errors_that_name_them(tmp_path, name):
    WRITERS[name](tmp_path)
    for path in [path for path in tmp_path.iterdir() if path.is_file()]:
        whole = path.read_bytes()
        path.write_bytes(whole[:11])
        with pytest.raises(ValueError, match=re.escape(path.name)):
            [sets.load_images(name, split, folder=tmp_path) for split in sets.SPLITS]
        path.write_bytes(whole)


def test_every_published_file_has_a_whole_hash_and_an_address():
    files = [file for full in FULL_SETS.values() for file in full.files]
    assert len({file.sha256 for file in files}) == len(files) == 13
    for file in files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.urls
        assert all(url.startswith(("https://", "http://")) for url in file.urls)
        assert len(set(file.urls)) == len(file.urls)


def test_what_no_folder_has_is_downloaded_once(tmp_path, monkeypatch):
    """From a server of these files in this process, into the cache; the second time from there."""
    monkeypatch.undo()
    monkeypatch.delenv("RIEMVAE_DATA", raising=False)
    monkeypatch.setenv("RIEMVAE_CACHE", str(tmp_path / "cache"))
    (tmp_path / "served").mkdir()
    write_mnist(tmp_path / "served")
    asked = []

    class Served(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path / "served")

        def log_message(self, *_):
            asked.append(self.path)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        files = tuple(
            file._replace(
                sha256=hashlib.sha256((tmp_path / "served" / file.name).read_bytes()).hexdigest(),
                urls=(f"http://127.0.0.1:{server.server_port}/{file.name}",),
            )
            for file in FULL_SETS["mnist"].files
        )
        monkeypatch.setitem(FULL_SETS, "mnist", FULL_SETS["mnist"]._replace(files=files))
        for _ in range(2):
            np.testing.assert_array_equal(sets.load_images("mnist", "test").labels, DIGITS["t10k"][1])
        server.shutdown()
        thread.join()
    assert asked == ["/t10k-images-idx3-ubyte.gz", "/t10k-labels-idx1-ubyte.gz"]
    kept = sorted(path.name for path in (tmp_path / "cache" / "data" / "mnist").iterdir())
    assert [name for name in kept if not name.endswith(".lock")] == [p[1:] for p in asked]
