"""Tensors in a file that is whole or not there: safetensors with metadata, never a pickle."""

import os
from contextlib import suppress
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

MOST_HEAD = 2**24  # bytes of names, shapes and metadata: a checkpoint of 100,000 epochs has a head of 6 MB


def save_atomically(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str]) -> None:
    """Write a safetensors file beside its place and move it there: no reader ever sees half a file.

    Folders on the way are made; tensors that share memory are written apart. Raises OSError where the file
    can't be written: what stood at ``path`` then still stands, and nothing is left beside it.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from riemvae_core.models import read_tensors, save_atomically
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "new" / "file.safetensors"
        ...     save_atomically({"a": torch.ones(2)}, path, {"made": "today"})
        ...     [found.name for found in path.parent.iterdir()]
        ['file.safetensors']
    """
    path = Path(path)
    if wrong := [k for k, v in tensors.items() if not isinstance(v, Tensor)]:
        raise ValueError(
            f"tensors must hold tensors alone, got a {type(tensors[wrong[0]]).__name__} in {wrong[0]!r}"
        )
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    whole = save({k: v.detach().clone().contiguous().cpu() for k, v in tensors.items()}, metadata)
    if path.exists() and not path.is_file():
        raise OSError(f"{path} can't be written: it is no file, and stays as it is")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with beside.open("wb") as file:
            file.write(whole)
            file.flush()
            os.fsync(file.fileno())  # on the disk before it takes its place, for the day the power fails
        os.replace(beside, path)
    except OSError as error:
        raise OSError(f"{path} can't be written ({error})") from error
    finally:
        with suppress(OSError):  # after a success it is gone, and where no folder could be made it never was
            beside.unlink()


def read_tensors(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Metadata and tensors of a safetensors file. Raises ValueError where it can't be read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from riemvae_core.models import read_tensors, save_atomically
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "new" / "file.safetensors"
        ...     save_atomically({"a": torch.ones(2)}, path, {"made": "today"})
        ...     read_tensors(path)
        ({'made': 'today'}, {'a': tensor([1., 1.])})
    """
    path = Path(path)
    try:
        if not path.is_file():  # who opens a pipe waits until somebody writes into it
            raise ValueError("it is no file")
        with path.open("rb") as file:
            if (head := int.from_bytes(file.read(8), "little")) > MOST_HEAD:
                raise ValueError(f"its head may take {MOST_HEAD:,} bytes, and takes {head:,}")
        with safe_open(path, "pt", device="cpu") as file:
            return file.metadata() or {}, {k: file.get_tensor(k) for k in file.keys()}  # noqa: SIM118
    except Exception as error:  # a damaged header can fail in any way
        raise ValueError(
            f"{path.name} must be a safetensors file, got one that can't be read ({error})"
        ) from error
