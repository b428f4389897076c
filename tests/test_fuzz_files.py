"""Drawn damage to files, and drawn training sets: errors name the file or argument, nothing is half done."""

import gzip
import io

import numpy as np
import pytest
import torch
from data import format_cases as cases
from fuzzed import NUMBERS, answer, damaged, fuzz, is_bad, one_ill, source
from models.training_cases import same_weights
from scipy.io import savemat

import riemvae_core as rc
from riemvae_core.data import formats, idx, sets
from riemvae_core.models import read_tensors, save_atomically


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


def idx_bytes(array):
    return (
        bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()
    )


DIGITS = np.random.default_rng(0).integers(0, 256, (3, 4, 4)).astype(np.uint8)


def files(folder):
    """Each format: a whole file's bytes, its name, and its reader, which takes the file and where it lies."""
    mat = io.BytesIO()
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3, 2)).astype(np.uint8)
    savemat(mat, {"X": pixels, "y": np.array([[10], [3]], np.uint8)}, do_compression=True)
    few = {name: (images[:1], labels[:1]) for name, (images, labels) in cases.BATCHES.items()}
    batches = {name: cases.pickled_batch(*batch) for name, batch in few.items()}
    cifar = cases.write_archive(folder / "whole.tar.gz", batches).read_bytes()
    faces = cases.zipped(folder / "whole.zip", dict(list(cases.FACES.items())[:1])).read_bytes()
    (folder / "list.txt").write_text("000001.jpg 0\n")
    save_atomically({"a": torch.ones(3), "b": torch.zeros(2, 2)}, folder / "whole.safetensors", {"made": "x"})
    return [
        (idx_bytes(DIGITS), "images", idx.read_idx),
        (gzip.compress(idx_bytes(DIGITS)), "images.gz", idx.read_idx),
        (mat.getvalue(), "train_32x32.mat", formats.read_svhn),
        (cifar, "cifar.tar.gz", lambda path: formats.read_cifar10(path, "test")),
        (batches["test_batch"], "test_batch", lambda path: formats._read_batch(path.name, path.read_bytes())),
        (faces, "faces.zip", lambda path: formats.read_celeba(path, folder / "list.txt", "train")),
        ((folder / "whole.safetensors").read_bytes(), "a.safetensors", read_tensors),
    ]


@fuzz(700)
@pytest.mark.filterwarnings("ignore")  # Pillow and SciPy warn of some damage before they give up
def test_a_damaged_file_is_read_right_or_named(folder, seed):
    rng = source(seed)
    if not hasattr(files, "made"):
        files.made = files(folder)
    raw, name, read = rng.choice(files.made)
    path = folder / name
    path.write_bytes(damaged(rng, raw))
    found = answer(read, {"path": path}, name)
    if found is not None and name.endswith(
        "gz"
    ):  # a checksum stands in these: what is read is what was written
        path.write_bytes(raw)
        for part, whole in zip(found, read(path), strict=True):
            np.testing.assert_array_equal(part, whole)
    elif found is not None and name in ("train_32x32.mat", "test_batch"):
        assert found[0].dtype == found[1].dtype == np.uint8
        assert 0 <= found[1].min() <= found[1].max() < 10


LOADED = {"name": "digits", "split": "test", "pad_to": None, "limit": None, "folder": None}


@fuzz(300)
def test_a_set_is_loaded_or_the_argument_named(seed):
    rng = source(seed)
    name = rng.choice(list(LOADED))
    value = rng.choice([v for v in (*NUMBERS, "digits", "train", "nowhere", 12, [], {}) if v != 2**70])
    found = answer(sets.load_images, LOADED | {name: value})
    assert found is None or (found.images.ndim == 4 and len(found.images) == len(found.labels) > 0)


@fuzz(240)
def test_images_are_trained_on_or_named_and_an_error_leaves_the_weights(seed):
    rng = source(seed)
    kind = rng.choice(("vae", "ae"))
    config = rc.ModelConfig((1, 4, 4), width=4, depth=1, likelihood=rng.choice(("gaussian", "bernoulli")))
    model, before = (rc.make_model(kind, config, seed=0) for _ in range(2))
    images = torch.rand(6, 1, 4, 4, generator=rc.make_generator(seed))
    arguments = {"images": images, "seed": 0}
    run = rng.choice(("evaluate", "evaluate", "fit"))
    if run == "fit":
        arguments |= {"epochs": 1, "batch_size": 4, "lr": 1e-3, "checkpoint": None}
    if rng.random() < 0.1:
        arguments["labels"] = torch.zeros(6, dtype=torch.int64)
    arguments = one_ill(rng, arguments)
    if isinstance(arguments.get("checkpoint"), str):
        return  # a checkpoint's name
    call = (
        (lambda **a: rc.fit(model, **a, progress=False))
        if run == "fit"
        else (lambda **a: rc.evaluate(model, **a))
    )
    found = answer(call, arguments)
    if found is None or run == "evaluate":
        assert same_weights(model, before)
    if found is not None:
        assert not is_bad(arguments["images"])
        losses = found.losses if run == "fit" else found
        assert all(torch.as_tensor(value).isfinite().all() for value in losses.values())
