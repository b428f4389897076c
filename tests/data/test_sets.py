"""The image sets as they are shipped, and what happens when they are damaged."""

import shutil

import numpy as np
import properties
import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn import functional

from riemvae_core.data import sets


@pytest.mark.parametrize("name", sets.data_names(bundled=True))
@pytest.mark.parametrize("split", sets.SPLITS)
def test_every_set_holds_the_contract(name, split):
    loaded = sets.load_images(name, split)
    assert isinstance(loaded, sets.ImageSet)
    images, labels = loaded
    assert images.dtype == torch.float32
    assert labels.dtype == torch.int64
    assert images.ndim == 4
    assert images.shape[1] == (3 if name == "color-shapes" else 1)
    assert len(images) == len(labels)
    assert images.min() == 0.0
    assert images.max() == 1.0
    assert labels.unique().tolist() == list(range(len(sets.class_names(name))))
    again = sets.load_images(name, split)
    assert torch.equal(images, again.images)
    assert torch.equal(labels, again.labels)


@pytest.mark.parametrize("name", sets.data_names(bundled=True))
def test_no_test_image_is_a_training_image(name):
    train, test = (sets.load_images(name, split).images.flatten(1) for split in sets.SPLITS)
    seen = {row.numpy().tobytes() for row in train}
    # rings and disks are few enough pixels that some coincide; photographs must not
    repeated = sum(row.numpy().tobytes() in seen for row in test)
    assert repeated == 0 or name == "rings-and-disks"


@pytest.mark.parametrize(("split", "per_class"), [("train", 1200), ("test", 200)])
def test_fashion_is_balanced_and_real(split, per_class):
    images, labels = sets.load_images("fashion", split)
    assert images.shape == (10 * per_class, 1, 28, 28)
    assert labels.bincount().tolist() == [per_class] * 10
    # the full set's published mean and standard deviation of a pixel, 0.286 and 0.353
    assert images.mean().item() == pytest.approx(0.286, abs=0.005)
    assert images.std().item() == pytest.approx(0.353, abs=0.005)
    # what the labels say can be seen: trousers are taller than wide, sneakers wider than tall
    inked = (images[:, 0] > 0.2).float()
    height, width = inked.amax(2).sum(1), inked.amax(1).sum(1)
    names = sets.class_names("fashion")
    for name, taller in (("trouser", True), ("sneaker", False)):
        mine = labels == names.index(name)
        assert (height[mine].mean() > width[mine].mean()).item() is taller


def test_digits_are_scikit_learns():
    bunch = load_digits()
    train, test = sets.load_images("digits"), sets.load_images("digits", "test")
    assert (len(train.images), len(test.images)) == (1437, 360)
    every_fifth = np.arange(1797) % 5 == 0
    for loaded, rows in ((test, every_fifth), (train, ~every_fifth)):
        np.testing.assert_array_equal(loaded.images[:, 0].numpy() * 16, bunch.images[rows])
        np.testing.assert_array_equal(loaded.labels.numpy(), bunch.target[rows])


@pytest.mark.parametrize(("split", "n"), [("train", 1000), ("test", 200)])
def test_rings_and_disks_are_round(split, n):
    images, labels = sets.load_images("rings-and-disks", split)
    assert images.shape == (n, 1, 28, 28)
    assert labels.bincount().tolist() == [n // 2, n // 2]
    assert set(images.unique().tolist()) == {0.0, 1.0}
    # the symmetries of a circle that pixels keep
    assert torch.equal(images, images.flip(-1))
    assert torch.equal(images, images.flip(-2))
    assert torch.equal(images, images.mT)
    rows, columns = torch.meshgrid(torch.arange(28) - 13.5, torch.arange(28) - 13.5, indexing="ij")
    r = torch.hypot(rows, columns)
    on = images[:, 0].bool()
    outer = torch.where(on, r, 0.0).amax((1, 2))
    inner = torch.where(on, r, torch.inf).amin((1, 2))
    assert ((outer > 3.0) & (outer <= 13.0)).all()
    # one band: every pixel between the innermost and the outermost is on, and no other
    between = (r >= inner[:, None, None]) & (r <= outer[:, None, None])
    assert torch.equal(on, between)
    # a disk holds the four central pixels (r = 0.71), a ring's hole has a radius of at least 1.5
    assert torch.equal(inner < 0.8, labels == sets.class_names("rings-and-disks").index("disk"))
    assert (inner[labels == 1] >= 1.5).all()
    # many sizes and thicknesses
    assert len(outer.unique()) > 20
    assert len((outer - inner)[labels == 1].unique()) > 20


@pytest.mark.parametrize(("name", "side"), [("fashion", 32), ("digits", 11), ("rings-and-disks", 28)])
def test_padding_frames_the_image_with_zeros(name, side):
    plain, padded = sets.load_images(name, "test").images, sets.load_images(name, "test", pad_to=side).images
    assert padded.shape[-2:] == (side, side)
    top = (side - plain.shape[-1]) // 2
    rest = side - plain.shape[-1] - top
    assert torch.equal(padded, functional.pad(plain, (top, rest, top, rest)))
    assert padded.sum(dtype=torch.float64) == plain.sum(dtype=torch.float64)


def test_names_are_listed():
    bundled = ("fashion", "digits", "rings-and-disks", "rings-and-disks-large", "color-shapes")
    assert sets.data_names(bundled=True) == bundled
    assert set(sets.data_names()) == set(sets.CLASS_NAMES)
    assert sets.class_names("fashion")[9] == "ankle boot"
    assert sets.class_names("digits")[7] == "7"


@pytest.mark.parametrize("name", sets.data_names(bundled=True))
def test_the_limit_keeps_the_first(name):
    whole, few = sets.load_images(name, "test"), sets.load_images(name, "test", limit=7)
    assert torch.equal(few.images, whole.images[:7])
    assert torch.equal(few.labels, whole.labels[:7])
    assert len(sets.load_images(name, "test", limit=10**6).images) == len(whole.images)


def test_first_of_each_class_keeps_order_and_classes():
    images = sets.load_images("digits", "test")
    few = sets.first_of_each_class(images, 3)
    assert few.labels.tolist() == [c for c in range(10) for _ in range(3)]
    for c in range(10):
        assert torch.equal(few.images[few.labels == c], images.images[images.labels == c][:3])


@pytest.mark.parametrize("per_class", [0, 1000])
def test_first_of_each_class_refuses_what_a_class_does_not_hold(per_class):
    with pytest.raises(ValueError, match="per_class must be between 1 and") as caught:
        sets.first_of_each_class(sets.load_images("digits", "test"), per_class)
    properties.message_names(caught.value, "class", f"got {per_class}")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: sets.load_images("mnist1d"), ("name", "fashion, digits, rings-and-disks", "'mnist1d'")),
        (lambda: sets.class_names("Fashion"), ("name", "fashion, digits, rings-and-disks", "'Fashion'")),
        (lambda: sets.load_images("digits", "valid"), ("split", "train, test", "'valid'")),
        (lambda: sets.load_images("fashion", pad_to=20), ("pad_to", "at least 28", "20")),
        (lambda: sets.load_images("fashion", limit=0), ("limit", "at least 1", "got 0")),
        (lambda: sets.load_images("digits", folder="here"), ("folder", "None for digits", "got here")),
    ],
)
def test_bad_arguments_are_named(call, words):
    with pytest.raises(ValueError, match="must be") as caught:
        call()
    properties.message_names(caught.value, *words)


@pytest.fixture
def copied_assets(tmp_path, monkeypatch):
    """A copy of the bundled set that a test may damage."""
    for name in ("fashion.npz", "manifest.json"):
        shutil.copy(sets.ASSETS / name, tmp_path / name)
    monkeypatch.setattr(sets, "ASSETS", tmp_path)
    sets._fashion_arrays.cache_clear()
    yield tmp_path
    sets._fashion_arrays.cache_clear()


def flip_one_byte(folder):
    raw = bytearray((folder / "fashion.npz").read_bytes())
    raw[len(raw) // 2] ^= 1
    (folder / "fashion.npz").write_bytes(raw)


DAMAGE = {
    "one byte differs": (flip_one_byte, ("fashion.npz is corrupted", "sha256")),
    "half is missing": (
        lambda d: (d / "fashion.npz").write_bytes((d / "fashion.npz").read_bytes()[: 2**20]),
        ("fashion.npz is corrupted", "sha256"),
    ),
    "the set is missing": (lambda d: (d / "fashion.npz").unlink(), ("fashion.npz is missing",)),
    "the manifest is missing": (lambda d: (d / "manifest.json").unlink(), ("manifest.json is missing",)),
    "the manifest is empty": (
        lambda d: (d / "manifest.json").write_text(""),
        ("manifest.json must list fashion.npz",),
    ),
    "the manifest knows nothing": (
        lambda d: (d / "manifest.json").write_text("{}"),
        ("manifest.json must list fashion.npz",),
    ),
}


def test_an_undamaged_copy_loads(copied_assets):
    assert len(sets.load_images("fashion", "test").images) == 2000


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_set_says_what_to_do(copied_assets, kind):
    damage, words = DAMAGE[kind]
    damage(copied_assets)
    with pytest.raises(ValueError, match=r"python -m riemvae_core\.data\.bundle") as caught:
        sets.load_images("fashion")
    properties.message_names(caught.value, *words)
