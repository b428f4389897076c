"""Bombs, forgeries, pages of HTML, beginnings of files: refused by name, in bounded memory, nothing left."""

import gzip
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import hostile_cases
import numpy as np
import pytest
import torch
from format_cases import BATCHES, jpeg, pickled_batch
from scipy.io import savemat
from test_idx import idx_bytes

from riemvae_core.data import formats, idx, read_json, read_npz
from riemvae_core.models import read_tensors, save_atomically

ROOT = Path(__file__).resolve().parents[2]
GIB = 2**30


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What a process with 2 GB to spare said of each case."""
    folder = tmp_path_factory.mktemp("hostile")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    script = [sys.executable, hostile_cases.__file__, str(folder)]
    ran = subprocess.run(script, env=environment, capture_output=True, text=True, timeout=600)
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    assert ran.returncode == 0, f"{ran.returncode} after {lines[-1:]}: {ran.stderr[-2000:]}"
    return lines


def test_hostile_files_are_refused_by_their_names(told):
    assert len(told) > 30
    unnamed = [
        case
        for case in told
        if not case["error"].startswith("ValueError: ")
        or not re.search(rf"\b({re.escape(case['file'])})\b", case["error"])
    ]
    assert unnamed == []


def test_hostile_files_take_no_more_memory_than_is_said(told):
    """2^28 bytes unpacked, and while it grows half of it twice, stay below 1 GiB in all cases together."""
    assert sum(case["grew"] for case in told) < GIB, [case for case in told if case["grew"]]


def test_hostile_files_make_no_others(told):
    assert [case["case"] for case in told if case["left"]] == []


def test_a_batch_that_names_a_function_does_not_run_it(tmp_path):
    """The same bytes do make the file when Python unpickles them."""
    import pickle

    made = tmp_path / "made"
    raw = pickle.dumps(hostile_cases.Payload(made), protocol=2)
    with pytest.raises(ValueError, match=r"test_batch must be a batch .*io\.open has no place"):
        formats._read_batch("test_batch", raw)
    assert not made.exists()
    pickle.loads(raw).close()
    assert made.exists()


# --- every beginning of a small file, and files of another kind


def written(save, *args, **kwargs) -> bytes:
    out = io.BytesIO()
    save(out, *args, **kwargs)
    return out.getvalue()


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """Each format: a file's name, the bytes of a small whole one, its reader."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "list.txt").write_text("a.jpg 0\n")
    save_atomically({"a": torch.ones(3)}, folder / "t.safetensors", {"made": "x"})
    hostile_cases.stored_zip(folder / "f.zip", {"a.jpg": jpeg(np.zeros((218, 178, 3), np.uint8))})
    few = {name: (images[:1], labels[:1]) for name, (images, labels) in BATCHES.items()}
    archive = hostile_cases.write_archive(
        folder / "c.tar.gz", {"test_batch": pickled_batch(*few["test_batch"])}
    )
    images = idx_bytes(np.arange(12, dtype=np.uint8).reshape(3, 4))
    x, y = np.zeros((32, 32, 3, 1), np.uint8), np.ones((1, 1), np.uint8)
    return {
        "a-idx": (images, idx.read_idx),
        "a-idx.gz": (gzip.compress(images), idx.read_idx),
        "h.mat": (written(savemat, {"X": x, "y": y}, do_compression=True), formats.read_svhn),
        "plain.mat": (written(savemat, {"X": x, "y": y}), formats.read_svhn),
        "c.tar.gz": (archive.read_bytes(), lambda path: formats.read_cifar10(path, "test")),
        "f.zip": (
            (folder / "f.zip").read_bytes(),
            lambda path: formats.read_celeba(path, folder / "list.txt", "train"),
        ),
        "n.npz": (written(np.savez_compressed, a=np.arange(5), b=np.zeros(3)), read_npz),
        "t.safetensors": ((folder / "t.safetensors").read_bytes(), read_tensors),
        "j.json": (b'{"runs": [1, 2.5, null], "settings": {}}', read_json),
    }


NAMES = (
    "a-idx", "a-idx.gz", "h.mat", "plain.mat", "c.tar.gz", "f.zip", "n.npz", "t.safetensors", "j.json",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_every_beginning_of_a_file_is_refused_by_name(tmp_path, readers, name):
    whole, read = readers[name]
    path = tmp_path / name
    path.write_bytes(whole)
    read(path)
    step = max(1, len(whole) // 150)
    for length in sorted({*range(0, len(whole), step), *range(max(0, len(whole) - 40), len(whole))}):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=re.escape(name)):
            read(path)
    assert [p.name for p in tmp_path.iterdir()] == [name]


OTHERS = {
    "a page": b"<!DOCTYPE html>\n<html><title>404 Not Found</title></html>\n" * 20,
    "nothing": b"",
    "zeros": bytes(4096),
    "random bytes": np.random.default_rng(0).bytes(4096),
    "a pickle": b"\x80\x04K\1.",
}


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_another_kind_is_refused_by_name(tmp_path, readers, name, kind):
    path = tmp_path / name
    path.write_bytes(OTHERS[kind])
    with pytest.raises(ValueError, match=re.escape(name)):
        readers[name][1](path)


@pytest.mark.parametrize("name", NAMES)
def test_pipes_and_folders_are_refused_and_not_waited_for(tmp_path, readers, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(ValueError, match=re.escape(name)):
        readers[name][1](tmp_path / name)


@pytest.mark.parametrize("dtype", ["<i8", ">f4", "float64", "int8"])
def test_numbers_of_another_kind_are_refused_where_bytes_are_due(tmp_path, dtype):
    array = np.ones((32, 32, 3, 1), np.dtype(dtype))
    savemat(tmp_path / "h.mat", {"X": array, "y": np.ones((1, 1), np.uint8)})
    with pytest.raises(ValueError, match=r"h\.mat must"):
        formats.read_svhn(tmp_path / "h.mat")
