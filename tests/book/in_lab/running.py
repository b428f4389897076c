"""A running JupyterLab, a page that shows one of its notebooks, and a line to the kernel behind it."""

import ast
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client import BlockingKernelClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from playwright.sync_api import Browser, Page

PATIENCE = 300  # seconds after which something will never come; nothing waits that long on a quiet machine
CONNECTED = (
    "jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.connectionStatus === 'connected'"
)
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}}


def until(what: Callable[[], Any], message: str) -> Any:
    """What a function gives once it gives something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if got := what():
            return got
        time.sleep(0.1)
    raise TimeoutError(message)


@dataclass
class Lab:
    """A running JupyterLab: its address with the token, its folder, and where it writes what it runs."""

    address: str
    token: str
    folder: Path
    runtime: Path

    def write(self, name: str, *cells: tuple[str, str]) -> None:
        """A notebook of cells ("markdown" or "code", source)."""
        made = [new_code_cell(s) if kind == "code" else new_markdown_cell(s) for kind, s in cells]
        nbformat.write(new_notebook(cells=made, metadata=KERNEL), self.folder / f"{name}.ipynb")

    def open(self, browser: Browser, name: str) -> Page:
        """A notebook in the browser, once its kernel is there."""
        page = browser.new_page(viewport={"width": 1280, "height": 1000}, reduced_motion="reduce")
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(f"{self.address}lab/tree/{name}.ipynb?reset&token={self.token}")
        page.wait_for_selector(".jp-Notebook .jp-Cell", state="attached")
        page.wait_for_function(CONNECTED)
        return page

    def run_all(self, page: Page) -> "Kernel":
        """Run its cells as the menu does; back comes the line to its kernel."""
        page.evaluate("jupyterapp.commands.execute('notebook:run-all-cells')")
        name = page.evaluate("jupyterapp.shell.currentWidget.sessionContext.session.kernel.id")
        return Kernel(self.runtime / f"kernel-{name}.json")


class Kernel:
    """A second client of the kernel behind a notebook, which reads and sets what the reader's cells made."""

    def __init__(self, connection: Path):
        self.client = BlockingKernelClient(connection_file=str(connection))
        self.client.load_connection_file()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def ask(self, expression: str) -> Any:
        """The value of an expression, which JSON can tell."""
        asked = {"value": f"__import__('json').dumps({expression})"}
        reply = self.client.execute("", silent=True, user_expressions=asked, reply=True, timeout=PATIENCE)
        value = reply["content"]["user_expressions"]["value"]
        if value["status"] != "ok":
            raise RuntimeError(f"{expression}: {value['ename']}: {value['evalue']}")
        return json.loads(ast.literal_eval(value["data"]["text/plain"]))

    def run(self, statement: str) -> None:
        reply = self.client.execute(statement, reply=True, timeout=PATIENCE)["content"]
        assert reply["status"] == "ok", reply

    def leave(self, page: Page) -> None:
        """Close the page and let JupyterLab end the kernel, which holds some 400 MB."""
        self.client.stop_channels()
        page.evaluate("jupyterapp.shell.currentWidget.sessionContext.shutdown()")
        page.close()
