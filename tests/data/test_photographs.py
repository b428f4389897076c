"""CelebA: JPEGs in a folder or a zip archive, and a list of splits."""

import sys

import numpy as np
import properties
import pytest
from format_cases import FACES, LIST, jpeg, write_folder, zipped

from riemvae_core.data import formats


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
        (b"<html>", ("it must be a JPEG, got b'<html>'",)),
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
