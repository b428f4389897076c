"""Drawn damage to files, and drawn training sets: errors name the file or argument, nothing is half done."""

import gzip
import io
import json

import numpy as np
import pytest
import torch
from data import format_cases as cases
from fuzzed import NUMBERS, answer, damaged, fuzz, is_bad, one_ill, source
from models.training_cases import same_weights
from safetensors.torch import load, save
from scipy.io import savemat

import riemvae_core as rc
from riemvae_core.data import formats, idx, read_json, read_npz, sets
from riemvae_core.models import read_tensors, save_atomically
from riemvae_core.models.checkpoints import Plan, resume, save_run
from riemvae_core.space.files import KEY, _checksum


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


def idx_bytes(array):
    return (
        bytes((0, 0, 8, array.ndim)) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()
    )


DIGITS = np.random.default_rng(0).integers(0, 256, (3, 4, 4)).astype(np.uint8)


def files(folder):
    """Each format: bytes to damage, what makes a file of them, its name, and its reader.

    Bytes that a checksum protects are damaged before they are packed too: else no damage would come through.
    """
    (folder / "list.txt").write_text("000001.jpg 0\n")
    few = {name: (images[:1], labels[:1]) for name, (images, labels) in cases.BATCHES.items()}
    batches = {name: cases.pickled_batch(*batch) for name, batch in few.items()}
    cifar = cases.write_archive(folder / "whole.tar.gz", batches).read_bytes()
    face = cases.FACES["000001.jpg"]
    save_atomically({"a": torch.ones(3), "b": torch.zeros(2, 2)}, folder / "whole.safetensors", {"made": "x"})
    tensors = (folder / "whole.safetensors").read_bytes()
    plan = Plan(2, 1, 0.1, 0, folder / "run.checkpoint")
    save_run(plan, *run(), 1, {"total": [1.0]}, 0.5, "this")
    rc.latent_space((lambda x: (x[:, :2], x[:, 2:]), lambda z: z @ torch.ones(2, 4)), torch.rand(4, 4)).save(
        folder / "whole.space"
    )
    space = (folder / "whole.space").read_bytes()

    def zipped(name):
        return lambda raw: made(lambda out: cases.stored_zip(out, {name: raw}))

    def read_cifar10(path):
        return formats.read_cifar10(path, "test")

    def read_celeba(path):
        return formats.read_celeba(path, folder / "list.txt", "train")

    return [
        (idx_bytes(DIGITS), bytes, "images", idx.read_idx),
        (gzip.compress(idx_bytes(DIGITS)), bytes, "images.gz", idx.read_idx),
        (idx_bytes(DIGITS), gzip.compress, "packed.gz", idx.read_idx),
        (mat(True), bytes, "train_32x32.mat", formats.read_svhn),
        (mat(False), bytes, "plain.mat", formats.read_svhn),
        (cifar, bytes, "cifar.tar.gz", read_cifar10),
        (gzip.decompress(cifar), gzip.compress, "packed.tar.gz", read_cifar10),
        (batches["test_batch"], bytes, "test_batch", lambda p: formats._read_batch(p.name, p.read_bytes())),
        (zipped("000001.jpg")(face), bytes, "faces.zip", read_celeba),
        (face, zipped("000001.jpg"), "packed.zip", read_celeba),
        (made(lambda out: np.savez_compressed(out, a=DIGITS, b=np.ones(3))), bytes, "some.npz", read_npz),
        (made(lambda out: np.save(out, DIGITS)), zipped("a.npy"), "packed.npz", read_npz),
        (b'{"settings": {"a": [1, 2.5, null]}, "runs": [{"b": "c"}]}', bytes, "a.json", read_json),
        (tensors, bytes, "a.safetensors", read_tensors),
        (space, bytes, "a.space", rc.load_space),
        (space, signed, "signed.space", rc.load_space),
        (plan.checkpoint.read_bytes(), bytes, "run.checkpoint", lambda _: resume(plan, *run(), "this")),
    ]


def made(write) -> bytes:
    out = io.BytesIO()
    write(out)
    return out.getvalue()


def mat(pack: bool) -> bytes:
    pixels = np.random.default_rng(1).integers(0, 256, (32, 32, 3, 2)).astype(np.uint8)
    arrays = {"X": pixels, "y": np.array([[10], [3]], np.uint8)}
    return made(lambda out: savemat(out, arrays, do_compression=pack))


def signed(raw: bytes) -> bytes:
    """A damaged space with the sha256 that it ought to have, where that much of it can be read."""
    try:
        head = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
        told, tensors = json.loads(head["__metadata__"][KEY]), load(raw)
        told.pop("sha256", None)
        return save(tensors, {KEY: json.dumps(told | {"sha256": _checksum(tensors, told)})})
    except Exception:  # it says nothing that could be signed
        return raw


def run():
    """Model, optimizer and generator of a small run, after a step."""
    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    return model, optimizer, rc.make_generator(0)


EXACT = ("images.gz", "cifar.tar.gz", "a.space")  # a checksum in them covers what is read


@fuzz(1000)
@pytest.mark.filterwarnings("ignore")  # Pillow warns of some damage before it gives up
def test_a_damaged_file_is_read_right_or_named(folder, seed):
    rng = source(seed)
    if not hasattr(files, "made"):
        files.made = files(folder)
    raw, make, name, read = rng.choice(files.made)
    path = folder / name
    path.write_bytes(make(damaged(rng, raw)))
    there = set(folder.iterdir())
    found = answer(lambda path: read(path), {"path": path}, name)
    assert set(folder.iterdir()) == there
    if found is not None and name in EXACT:
        path.write_bytes(make(raw))
        whole = read(path)
        np.testing.assert_equal(
            *(space.mu.numpy() if name == "a.space" else space for space in (found, whole))
        )
    elif found is not None and name.endswith((".mat", "_batch", ".tar.gz")):
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
