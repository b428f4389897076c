"""How chapters are executed: the kernels' surroundings, a cache that knows the core, a report of seconds."""

import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment
from sphinx.errors import ExtensionError
from sphinx.util import logging

LOGGER = logging.getLogger(__name__)
MOST_THREADS = 8  # the chapters' models are small: more threads than this only get in each other's way


def available_threads() -> int:
    """Processors this process may use: its affinity and its control group's quota, at most MOST_THREADS."""
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    quota = Path("/sys/fs/cgroup/cpu.max")
    if quota.exists():
        limit, period = quota.read_text().split()
        if limit != "max":
            count = min(count, max(1, round(int(limit) / int(period))))
    return min(count, MOST_THREADS)


def prepare_kernels(root: Path) -> None:
    """Set what the kernels inherit; what the user has set stays."""
    os.environ["RIEMVAE_BOOK"] = "1"
    os.environ.setdefault("PYTHONHASHSEED", "0")
    os.environ.setdefault("OMP_NUM_THREADS", str(available_threads()))
    # threads that wait by spinning slow small models down many times on a machine with other work
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if str(root) not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([str(root), *filter(None, paths)])


def kernel_threads() -> str:
    return os.environ["OMP_NUM_THREADS"]


def files_key(root: Path, paths: Iterable[Path], also: str = "") -> str:
    """A key of the files' names and contents; folders, hidden files and compiled Python don't count."""
    digest = hashlib.sha256(f"{also}\n".encode())
    for path in sorted(paths):
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("."):
            digest.update(path.relative_to(root).as_posix().encode() + b"\0")
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def core_key(root: Path) -> str:
    """A key of everything besides its own cells that a chapter's outputs depend on.

    The stock cache looks at a chapter's cells alone, so that a change in the core would leave old numbers
    in the book. The key covers riemvae_core (code, weights, data and committed results: chapters read nothing
    else), the pinned requirements, the Python version and the number of threads.
    """
    surroundings = f"{sys.version_info[:2]} {kernel_threads()}"
    return files_key(root, [root / "requirements.txt", *(root / "riemvae_core").rglob("*")], surroundings)


def cache_folder(app: Sphinx) -> Path:
    return Path(app.outdir).parent / ".jupyter_cache"


def key_cache(app: Sphinx, config: Config) -> None:
    prepare_kernels(Path(app.srcdir))
    folder = cache_folder(app) / core_key(Path(app.srcdir))
    if not folder.exists() and any(cache_folder(app).glob("*/")):
        changed = "riemvae_core, requirements.txt, Python or the threads (OMP_NUM_THREADS, now %s)"
        LOGGER.info(f"all chapters run again, because of a change in {changed}", kernel_threads())
    config.nb_execution_cache_path = str(folder)
    app.riemvae_started = time.time()


def prune_caches(app: Sphinx) -> None:
    """Remove the caches of other states of the core."""
    current = Path(app.config.nb_execution_cache_path)
    for folder in cache_folder(app).glob("*"):
        if folder.is_dir() and folder != current:
            shutil.rmtree(folder)


def execution_record(env: BuildEnvironment, docname: str) -> dict | None:
    """A page's last execution (`runtime` in seconds, `succeeded`, `mtime`); None if it has no code."""
    return NbMetadataCollector.get_doc_data(env).get(docname, {}).get("exec_data")


def report(app: Sphinx, exception: Exception | None) -> None:
    """Print each chapter's seconds; a chapter that failed fails the build, warnings asked for or not."""
    if exception is not None:
        return
    failed = []
    for docname in sorted(app.env.found_docs):
        record = execution_record(app.env, docname)
        if record is None:
            continue
        if not record["succeeded"]:
            failed.append(docname)
            LOGGER.info("%s: failed (%s)", docname, record["error"])
            continue
        fresh = app.riemvae_started <= record["mtime"] <= time.time()
        how = "executed now" if fresh else "from the cache"
        LOGGER.info("%s: %.1f s on %s threads, %s", docname, record["runtime"], kernel_threads(), how)
    prune_caches(app)
    if failed:
        raise ExtensionError(f"chapters that did not run to their end: {', '.join(failed)} (see above)")
    if app.builder.name == "html":
        LOGGER.info("the book: %s", Path(app.outdir) / "index.html")


def setup(app: Sphinx) -> None:
    app.connect("config-inited", key_cache, priority=900)
    app.connect("build-finished", report, priority=900)
