"""Solutions run where they stand, in the kernel that runs the chapter, and nothing of them is kept.

So each build knows that every solution passes, and no chapter has to be executed a second time for it. A
solution that fails fails its chapter. MyST-NB has no door for this: its client of the cache is extended.
"""

import hashlib
import time
from collections.abc import Callable
from unittest.mock import patch

from jupyter_cache.executors.utils import ExecutionResult
from myst_nb.core import execute
from myst_nb.core.execute import cache
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell
from sphinx.application import Sphinx

from .notebooks import split_cells
from .solutions import SOLUTION_TAG

Execute = Callable[..., ExecutionResult]


def solutions_in_code(text: str) -> dict[int, str]:
    """A chapter's solution cells by their place among all of its code cells."""
    code = [cell for cell in split_cells(text) if cell[0] == "code"]
    return {i: source for i, (_, source, meta) in enumerate(code) if SOLUTION_TAG in meta.get("tags", [])}


def with_solutions(solutions: dict[int, str], run: Execute) -> Execute:
    """Execute a notebook with solutions in their places; they leave it, and their seconds don't count."""

    def run_all(notebook: NotebookNode, **settings) -> ExecutionResult:
        kept, seconds = notebook.cells, 0.0
        notebook.cells = [cell for cell in kept if cell.cell_type == "code"]
        own = [(place, new_code_cell(source)) for place, source in sorted(solutions.items())]
        for place, cell in own:
            notebook.cells.insert(place, cell)

        def count(cell: NotebookNode, sign: int) -> None:
            nonlocal seconds
            if any(cell is solution for _, solution in own):
                seconds += sign * time.perf_counter()

        try:
            result = run(
                notebook,
                on_cell_execute=lambda cell, cell_index: count(cell, -1),
                on_cell_executed=lambda cell, cell_index, execute_reply: count(cell, 1),
                **settings,
            )
        finally:
            notebook.cells = kept
        result.time -= seconds
        return result

    return run_all


class Solved(cache.NotebookClientCache):
    """The client that takes a notebook's outputs from the cache, or executes it: with its solutions.

    Their words are part of the key under which outputs are kept.
    """

    def start_client(self) -> None:
        """As the stock client; the notebook that MyST-NB then writes has the cached outputs too."""
        given = self.notebook
        self._start()
        given.cells = self.notebook.cells

    def _start(self) -> None:
        """A page without solutions is executed as it is."""
        solutions = solutions_in_code(self.path.read_text(encoding="utf8")) if self.path else {}
        if not solutions:
            super().start_client()
            return
        key = hashlib.sha256("\n".join(solutions.values()).encode()).hexdigest()[:16]
        self.notebook.metadata.setdefault("kernelspec", {})["solutions"] = key
        run = with_solutions(solutions, cache.single_nb_execution)
        with patch.object(cache, "single_nb_execution", run):
            super().start_client()


def setup(app: Sphinx) -> None:
    execute.NotebookClientCache = Solved
