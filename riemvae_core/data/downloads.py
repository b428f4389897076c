"""Files of the full image sets: found where the reader keeps them, or downloaded and checked."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from platformdirs import user_cache_path
from tqdm import tqdm

ROUNDS = 2  # how often the list of mirrors is gone through; the second round resumes what the first left
TIMEOUT = 30.0  # seconds without an answer or a byte
CHUNK = 1 << 16  # bytes; of a broken connection at most so many are lost
MOST = 1 << 31  # bytes, of a server that does not end; celeba's zip has 1.44e9


class DataFile(NamedTuple):
    """A file as it is published: its name, its bytes' sha256 and the addresses that serve it.

    ``also`` are names of the same contents in another form; ``unpacked`` is the folder that comes out of it.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    also: tuple[str, ...] = ()
    unpacked: str | None = None


def cache_dir() -> Path:
    """Where trained weights and downloads are kept: the folder in ``RIEMVAE_CACHE``, else the user's
    cache.

    It need not exist yet.

    Example:
        >>> import os
        >>> from unittest import mock
        >>> from riemvae_core.data import cache_dir
        >>> with mock.patch.dict(os.environ, RIEMVAE_CACHE="here"):
        ...     cache_dir().name
        'here'
    """
    return Path(os.environ.get("RIEMVAE_CACHE") or user_cache_path("riemvae"))


def download_dir() -> Path:
    """Where downloads are kept: ``data`` in ``cache_dir()``."""
    return cache_dir() / "data"


def find_file(file: DataFile, folders: list[Path]) -> Path | None:
    """The file, or the folder it was unpacked to, in the first of the folders that has it."""
    for folder in folders:
        for path in (folder / name for name in (file.name, *file.also)):
            if path.is_file():
                return path
        if file.unpacked:
            for path in (folder / file.unpacked, folder):
                if path.name == file.unpacked and path.is_dir():
                    return path
    return None


def download(file: DataFile, folder: Path) -> Path:
    """The file in ``folder``, fetched with pooch from the first mirror that serves the right bytes.

    A file that is there already is kept if its sha256 is right. What a broken connection leaves in
    ``<name>.part`` is gone on with, from the same mirror or another, by this call or a later one. Of several
    processes one downloads and the others wait (for the lock ``.<name>.lock``); under its own name the file
    is whole or not there. Raises OSError, with each mirror's fault and what to do without a network, when
    none of them delivers, and ImportError if pooch is missing.
    """
    try:
        import pooch
        import requests
        from filelock import FileLock
    except ImportError as error:
        raise ImportError("downloads need the package pooch: pip install 'riemvae-core[data]'") from error
    folder.mkdir(parents=True, exist_ok=True)
    faults = {}
    with FileLock(folder / f".{file.name}.lock"):
        for url in file.urls * ROUNDS:
            try:
                fetch = _resume(file.name)
                return Path(pooch.retrieve(url, f"sha256:{file.sha256}", file.name, folder, downloader=fetch))
            except (requests.RequestException, ValueError) as error:  # ValueError: pooch's, for a wrong hash
                faults[url] = f"{type(error).__name__}: {error}"
    listed = "\n".join(f"  {url}\n    {fault}" for url, fault in faults.items())
    raise OSError(
        f"{file.name} can't be downloaded:\n{listed}\n"
        f"Without a network, put the file into a folder and name it with folder= or in RIEMVAE_DATA, or take "
        f'the bundled set: load_images("fashion").'
    )


def _resume(name: str) -> Callable[[str, str, object], None]:
    """A downloader for pooch that goes on with ``<name>.part`` where the server allows it."""
    import requests

    def fetch(url: str, output_file: str, _pooch: object) -> None:
        part = Path(output_file).with_name(f"{name}.part")
        start = part.stat().st_size if part.exists() else 0
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                part.unlink(
                    missing_ok=True
                )  # not the beginning of what is served here: anew in the next round
            response.raise_for_status()
            if response.headers.get("Content-Type", "").startswith(
                "text/html"
            ):  # what is there already stays
                raise ValueError("the server sent a page of HTML instead")
            if response.status_code != requests.codes.partial_content:
                start = 0
            length = response.headers.get("Content-Length")
            total = start + int(length) if length else None
            bar = tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=name)
            with part.open("ab" if start else "wb") as out, bar:
                for chunk in response.iter_content(CHUNK):
                    out.write(chunk)
                    bar.update(len(chunk))
                    if out.tell() > MOST:
                        out.truncate(0)
                        raise ValueError(f"the server sent more than {MOST:,} bytes")
        os.replace(part, output_file)

    return fetch
