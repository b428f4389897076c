"""Where cells run: in this process, or on a cluster of Dask that is named in ``CLUSTER``.

Why Dask's ``distributed`` and not Ray: it is Python all the way and brings a few megabytes, runs on one
machine or over SSH, Slurm or Kubernetes alike, needs no service beside it, and does again what a lost worker
had begun, which is all that is asked of it here. It is optional: nothing imports it without ``CLUSTER``.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from verdict.grid import Cell, Fit
from verdict.spaces import prepare, score
from verdict.store import Row

Todo = dict[Fit, list[Cell]]


def run_here(todo: Todo, folder: Path) -> Iterator[tuple[Cell, list[Row]]]:
    """Each cell and its rows, one after the other."""
    for fit, cells in todo.items():
        space = prepare(fit, folder)
        for cell in cells:
            yield cell, score(space, cell)


def _connect(cluster: str, stack: ExitStack):
    kind, _, workers = cluster.partition(":")
    if kind == "local" and (not workers.isdigit() or int(workers) < 1):
        raise ValueError(f"CLUSTER must be local:N with N processes, or an address, got {cluster!r}")
    try:
        import dask
        from distributed import Client, LocalCluster
        from distributed.utils import get_mp_context
    except ImportError as error:
        remedy = "pip install -r requirements.txt"
        raise ImportError(f"CLUSTER needs the package distributed: {remedy}") from error
    if kind == "local":
        # a server imports torch once and forks each worker from there
        dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"})
        get_mp_context().set_forkserver_preload(["distributed", "lightning_fabric", "verdict.spaces"])
        settings = {"n_workers": int(workers), "threads_per_worker": 1, "dashboard_address": None}
        return stack.enter_context(Client(stack.enter_context(LocalCluster(**settings))))
    file = {"scheduler_file": cluster} if cluster.endswith(".json") else {"address": cluster}
    return stack.enter_context(Client(**file))


def run_on(cluster: str, todo: Todo, folder: Path) -> Iterator[tuple[Cell, list[Row]]]:
    """The same cells on a cluster, as they finish: ``local:2``, a scheduler's address or its JSON file.

    A model is one task and each of its cells another that needs it: where a worker is lost, both are done
    again elsewhere. Workers need this environment, this folder's parent in ``PYTHONPATH`` and the data;
    ``folder``, where trained models are kept, may be each worker's own. Rows are written here alone.
    """
    with ExitStack() as stack:
        client = _connect(cluster, stack)
        from distributed import as_completed

        futures = {}
        for fit, cells in todo.items():
            space = client.submit(prepare, fit, folder, key=f"model-{fit.key}")
            for cell in cells:
                futures[client.submit(score, space, cell, key=f"cell-{cell.key}")] = cell
            del space
        for future in as_completed(list(futures)):
            yield futures.pop(future), future.result()
            future.release()


def run(cluster: str, todo: Todo, folder: Path) -> Iterator[tuple[Cell, list[Row]]]:
    """The cells on a cluster, or here where none is named."""
    return run_on(cluster, todo, folder) if cluster else run_here(todo, folder)
