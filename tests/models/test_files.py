"""Files of tensors: what comes back, who may read it, and that nobody ever sees half of one."""

import os
import resource
from contextlib import contextmanager

import pytest
import torch
from safetensors.torch import load_file

from riemvae_core.models import read_tensors, save_atomically


@contextmanager
def no_file_longer_than(size: int):
    """The system refuses to write more, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_what_is_written_comes_back(tmp_path):
    path, odd = tmp_path / "new" / "weights.safetensors", torch.arange(6).reshape(2, 3).T
    save_atomically({"a": odd, "b": torch.zeros(0, 2).half()}, path, {"x": "1"})
    assert torch.equal(load_file(path)["a"], odd)
    metadata, tensors = read_tensors(path)
    assert metadata == {"x": "1"}
    assert tensors["b"].shape == (0, 2)
    assert tensors["b"].dtype == torch.float16
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_others_may_read_what_the_umask_lets_them(tmp_path):
    before = os.umask(0o022)
    try:
        save_atomically({"a": torch.zeros(1)}, tmp_path / "file", {})
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "weights.safetensors"
    save_atomically({"a": torch.zeros(1)}, path, {"x": "1"})

    def replace(*_):
        raise PermissionError("in use")

    with (
        no_file_longer_than(4096),
        pytest.raises(OSError, match=r"weights\.safetensors can't be written .*File too large"),
    ):
        save_atomically({"a": torch.zeros(9999)}, path, {})
    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(OSError, match=r"weights\.safetensors can't be written \(in use\)"):
        save_atomically({"a": torch.zeros(1)}, path, {})
    assert read_tensors(path)[0] == {"x": "1"}
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_place_that_is_none_is_named(tmp_path):
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")  # what runs as root could put a file in the place of a device
    for place in (tmp_path / "file" / "within", tmp_path, tmp_path / "pipe"):
        with pytest.raises(OSError, match=f"{place} can't be written"):
            save_atomically({"a": torch.zeros(1)}, place, {})
    assert (tmp_path / "pipe").is_fifo()
    with pytest.raises(ValueError, match="nowhere must be a safetensors file"):
        read_tensors(tmp_path / "nowhere")
